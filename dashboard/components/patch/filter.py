"""The filter of the Patches page: widgets whose words stand in the address, and its rules."""

from collections.abc import Mapping
from dataclasses import asdict
from typing import Any

import streamlit as st

from core.workspace.workspace import Workspace
from dashboard.ui.theme import REASON_NAMES, STAGE_NAMES
from db.queries.patches import PatchFilter, PatchSort
from db.queries.people import list_people
from db.queries.volumes import list_datasets, tomogram_names

NOBODY = "Nobody"
MARKS: Mapping[str, Mapping[str, bool]] = {
    "Rejected": {"rejected": True},
    "Stale": {"stale": True},
    "Newer corrections wait": {"newer_corrections_wait": True},
    "Without corrections": {"corrected": False},
    "With corrections": {"corrected": True},
    "Withdrawn": {"withdrawn": True},
}
"""Words of the address and what they ask of a patch."""

SORTS: Mapping[str, PatchSort] = {
    "by name": PatchSort.NAME,
    "last changed": PatchSort.UPDATED,
    "by stage": PatchSort.STAGE,
}
TEXT, STAGE, PERSON, DATASET, TOMOGRAM, BECAUSE, MARK, SORT = (
    "text",
    "stage",
    "person",
    "dataset",
    "within",
    "because",
    "mark",
    "sort",
)
WORDS = (TEXT, STAGE, PERSON, DATASET, TOMOGRAM, BECAUSE, MARK, SORT)
"""Keys of the widgets, which are the words of the address.

None is a word that another page's address uses: Streamlit takes a word that a widget here is bound
to out of that page's address when one goes back to it.
"""


def filter_of(words: Mapping[str, Any]) -> PatchFilter:
    """Read a filter from the words of the address."""
    rules: dict[str, Any] = {}
    if words.get(TEXT):
        rules["text"] = words[TEXT]
    named = {name: stage for stage, name in STAGE_NAMES.items()}
    rules["stage"] = tuple(named[name] for name in words.get(STAGE) or () if name in named)
    rules.update(_person_rules(words.get(PERSON)))
    if words.get(DATASET):
        rules["dataset"] = words[DATASET]
    if words.get(TOMOGRAM):
        rules["dataset"], _, rules["tomogram"] = str(words[TOMOGRAM]).rpartition("/")
    because = {name: why for why, name in REASON_NAMES.items()}
    if words.get(BECAUSE) in because:
        rules["chosen_because"] = because[words[BECAUSE]]
    rules.update(MARKS.get(words.get(MARK) or "", {}))
    return PatchFilter(**rules)


def words_of(rules: Mapping[str, Any]) -> dict[str, Any]:
    """Give the words that show a saved filter; its rules are checked.

    Errors: CatalogError names what is not known.
    """
    wanted = PatchFilter.from_rules(rules)
    words: dict[str, Any] = {
        TEXT: wanted.text or "",
        STAGE: [STAGE_NAMES[stage] for stage in wanted.stage],
        PERSON: NOBODY if wanted.unassigned else wanted.assignee,
        DATASET: None if wanted.tomogram else wanted.dataset,
        TOMOGRAM: f"{wanted.dataset}/{wanted.tomogram}" if wanted.tomogram else None,
        BECAUSE: REASON_NAMES[wanted.chosen_because] if wanted.chosen_because else None,
        MARK: None,
    }
    for mark, asked in MARKS.items():
        if all(getattr(wanted, name) == value for name, value in asked.items()):
            words[MARK] = mark
    return words


def rules_of(wanted: PatchFilter) -> dict[str, Any]:
    """Give a filter as it is saved: only what it asks for."""
    plain = PatchFilter()
    return {
        name: list(value) if isinstance(value, tuple) else value
        for name, value in asdict(wanted).items()
        if value != getattr(plain, name)
    }


def describe_filter(wanted: PatchFilter) -> str:
    """Describe a filter for a button."""
    return "All patches" if wanted == PatchFilter() else "All that match the filter"


def filter_widgets(workspace: Workspace) -> tuple[PatchFilter, PatchSort]:
    """Show the widgets, and give what they ask for."""
    with workspace.catalog.read() as session:
        people = [person.name for person in list_people(session)]
        datasets, tomograms = list_datasets(session), tomogram_names(session)
    text, stages = st.columns([2, 5], vertical_alignment="center")
    text.text_input(
        "Name",
        key=TEXT,
        bind="query-params",
        placeholder="part of the name",
        type="search",
        label_visibility="collapsed",
    )
    stages.pills(
        "Stage",
        list(STAGE_NAMES.values()),
        selection_mode="multi",
        key=STAGE,
        bind="query-params",
        label_visibility="collapsed",
    )
    picks = [
        ("Annotator", "any annotator", [NOBODY, *people], PERSON),
        ("Tomogram", "any tomogram", tomograms, TOMOGRAM),
        ("Flag", "any flag", list(MARKS), MARK),
        ("Reason", "any reason", list(REASON_NAMES.values()), BECAUSE),
    ]
    if len(datasets) > 1:
        picks.insert(1, ("Dataset", "any dataset", datasets, DATASET))
    columns = st.columns([*(3 for _ in picks), 2.4])
    for column, (label, hint, options, key) in zip(columns, picks, strict=False):
        column.selectbox(
            label,
            options,
            index=None,
            key=key,
            bind="query-params",
            placeholder=hint,
            label_visibility="collapsed",
        )
    columns[-1].selectbox(
        "Order",
        list(SORTS),
        key=SORT,
        bind="query-params",
        label_visibility="collapsed",
        format_func=str,
        icon=":material/sort:",
    )
    words = {word: st.session_state.get(word) for word in WORDS}
    return filter_of(words), SORTS.get(words[SORT] or "", PatchSort.NAME)


def _person_rules(name: object) -> dict[str, Any]:
    if not name:
        return {}
    return {"unassigned": True} if name == NOBODY else {"assignee": name}
