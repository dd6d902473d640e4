"""Share: accepted patches as a training set, or as a bundle that tells no more than it may."""

import datetime as dt
from collections.abc import Callable
from typing import Any

import streamlit as st

from core.access.permissions import Action, may
from core.bundles.facts import BundleFacts, Level
from core.bundles.job import bundle_arguments, set_arguments
from core.bundles.privacy.report import PrivacyReport
from core.bundles.share import export_bundle, rehearse_share
from core.bundles.write import ArchiveKind
from core.errors import ExportError
from core.exports.case import Recipe
from core.exports.plan import SetOptions, TrainingSetPlan
from core.exports.selection import Choice
from core.exports.split import SplitRule
from core.exports.training_set import export_training_set, plan_export_set
from core.jobs.queue import submit
from core.workspace.results import Outcome
from core.workspace.workspace import Workspace
from dashboard.components.bundle_form import (
    REPORT,
    out_folder,
    parse_creators,
    parse_names,
    show_progress,
)
from dashboard.ui import sharing_plots
from dashboard.ui.context import current_person, current_workspace
from dashboard.ui.empty_state import CHOOSE, PATCHES, show_empty
from dashboard.ui.escape import escape
from dashboard.ui.navigation import tabs
from dashboard.ui.notifications import notify_refusal, run_action
from dashboard.ui.plots import NO_TOOLS
from dashboard.ui.theme import begin_page, count, format_size
from dashboard.ui.times import time_column
from db.errors import TomocurateError
from db.queries.patches import PatchFilter
from db.queries.people import PersonRecord
from db.queries.sharing import list_exports
from db.queries.volumes import list_datasets, tomogram_names
from db.vocabulary import ExportKind, JobKind, Licence, Split

LEVELS = {
    Level.INTERNAL: "Internal: real names, for the own lab",
    Level.COLLABORATOR: "Collaborator: pseudonyms, for a partner",
    Level.PUBLIC: "Public: pseudonyms, no places, no days",
    Level.MINIMAL: "Minimal: only the supervised core, thinned out",
}
FAULTS_SHOWN = 12
TRAINING_SET, BUNDLE, BEFORE = "Training set", "Bundle", "Exported before"


def show() -> None:
    """Show both ways out, and what went out before."""
    workspace, person = current_workspace(), current_person()
    begin_page("Share", "Accepted patches leave as a training set, or as a bundle for others.")
    if not may(person.role, Action.EXPORT):
        st.info("Curators share. Below is what was exported so far.")
        _before(workspace)
        return
    shown = tabs("share", [TRAINING_SET, BUNDLE, BEFORE])
    if shown[TRAINING_SET].open:
        with shown[TRAINING_SET]:
            _training_set(workspace, person)
    if shown[BUNDLE].open:
        with shown[BUNDLE]:
            _bundle(workspace, person)
    if shown[BEFORE].open:
        with shown[BEFORE]:
            _before(workspace)


def _training_set(workspace: Workspace, person: PersonRecord) -> None:
    choice = _choice(workspace, "set")
    options = _options(workspace)
    with st.spinner("Looks at the labels…"):
        try:
            plan = plan_export_set(workspace, person, choice, options)
        except TomocurateError as error:
            st.error(escape(error))
            return
    if not plan.cases:
        show_empty(
            "No accepted patch fits.",
            "A reviewer accepts patches; then they can be exported.",
            PATCHES,
            CHOOSE,
        )
        return
    _plan(plan)
    name = st.text_input(
        "Name",
        "Dataset501_Membranes",
        key="set_name",
        help="A folder below the workspace's exports. nnU-Net wants DatasetNNN_NAME.",
    )
    overwrite = st.toggle("Replace an export of this name", key="set_overwrite")
    with st.container(horizontal=True):
        now = st.button(
            "Write it",
            type="primary",
            disabled=bool(plan.faults),
            key="set_write",
            help="Stay on this page until it is done: leaving it stops the writing, and nothing of "
            "it remains. A worker goes on by itself.",
        )
        later = st.button("Let a worker write it", disabled=bool(plan.faults), key="set_queue")
    if now:
        _run(
            lambda told: export_training_set(
                workspace,
                person,
                out_folder(workspace, name),
                choice,
                options,
                overwrite=overwrite,
                progress=told,
            )
        )
    if later:
        _queue(
            workspace,
            person,
            lambda: set_arguments(
                out_folder(workspace, name), choice, options, overwrite=overwrite
            ),
        )


def _choice(workspace: Workspace, prefix: str) -> Choice:
    """Which patches; the widgets' keys begin with the prefix."""
    with workspace.catalog.read() as session:
        datasets, tomograms = list_datasets(session), tomogram_names(session)
    columns = st.columns([2, 2, 2, 2], vertical_alignment="bottom")
    dataset = columns[0].selectbox(
        "Dataset", datasets, index=None, placeholder="any", key=f"{prefix}_dataset"
    )
    tomogram = columns[1].selectbox(
        "Tomogram", tomograms, index=None, placeholder="any", key=f"{prefix}_tomogram"
    )
    model = columns[2].text_input("Predicted by", placeholder="any model", key=f"{prefix}_model")
    merged_too = prefix == "set" and columns[3].toggle(
        "Also what nobody accepted", key="set_merged_too", help="The export says so."
    )
    owner, _, token = (tomogram or "").rpartition("/")
    wanted = PatchFilter(
        dataset=owner or dataset or None, tomogram=token or None, model=model.strip() or None
    )
    return Choice(wanted, merged_too=bool(merged_too))


def _options(workspace: Workspace) -> SetOptions:
    with st.expander("How it is split and written"):
        columns = st.columns(3)
        fraction = columns[0].slider(
            "Share that validates",
            0.05,
            0.5,
            0.2,
            0.05,
            key="set_fraction",
            help="Tomograms are dealt by a stable hash; what was exported once stays where it was.",
        )
        folders = sorted(p.name for p in workspace.folders.exports.iterdir() if p.is_dir())
        other = columns[1].selectbox(
            "Validate on an earlier export",
            folders,
            index=None,
            key="set_val_from",
            placeholder="no",
            help="For fine-tuning: MemBrain-seg wants old data there.",
        )
        leaky = columns[2].toggle(
            "With one tomogram, validate on it", key="set_leaky", help="The export says so."
        )
        quantise = columns[0].toggle("Half the size (1/256 deviation)", key="set_quantise")
        unit = columns[1].toggle("Spacing 1, as MemBrain-seg writes", key="set_unit")
    return SetOptions(
        rule=SplitRule(val_fraction=fraction, allow_leaky_val=leaky),
        recipe=Recipe(quantise=quantise, unit_spacing=unit),
        val_from=workspace.folders.exports / other if other else None,
    )


def _plan(plan: TrainingSetPlan) -> None:
    """What will go in."""
    held = plan.patches_by_split
    columns = st.columns(5)
    for column, split in zip(columns, Split, strict=False):
        column.metric(sharing_plots.SPLIT_NAMES[split], held.get(split, 0))
    columns[3].metric("Voxel size", f"{plan.voxel_size:g} Å" if plan.voxel_size else "mixed")
    columns[4].metric("On disk, about", format_size(plan.bytes_estimate))
    st.plotly_chart(sharing_plots.balance(plan), key="set_balance", config=NO_TOOLS)
    for note in plan.notes:
        st.caption(f":material/info: {escape(note)}")
    _faults([fault.said for fault in plan.faults])


def _faults(said: list[str]) -> None:
    if not said:
        return
    lines = "\n".join(f"- {escape(fault)}" for fault in said[:FAULTS_SHOWN])
    more = f"\n- and {len(said) - FAULTS_SHOWN} more" if len(said) > FAULTS_SHOWN else ""
    st.error(f"**It cannot be written like this:**\n{lines}{more}", icon=":material/block:")


def _bundle(workspace: Workspace, person: PersonRecord) -> None:
    choice = _choice(workspace, "bundle")
    facts = _facts(person)
    name = st.text_input("Name of the folder", "membrane-patches-1", key="bundle_name")
    archive = st.segmented_control(
        "Also wrapped as",
        list(ArchiveKind),
        format_func=lambda kind: kind.value,
        key="archive",
    )
    if facts is None:
        return
    st.button(
        "Show the privacy report",
        key="bundle_report",
        on_click=_ask_report,
        help="The bundle is made on trial and examined; nothing is kept.",
    )
    if st.session_state.get(REPORT) != repr((choice, facts, name)):
        asked = st.session_state.get(REPORT) == "asked"
        if not asked:
            st.caption("Nothing leaves before the report was read and signed.")
            return
        st.session_state[REPORT] = repr((choice, facts, name))
    report = _rehearsed(workspace, person, choice, facts, name)
    if report is None:
        return
    _report(report)
    if not report.passed:
        return
    read = st.checkbox(
        f"I, {escape(person.name)}, read this report and answer for the bundle.", key="signed"
    )
    with st.container(horizontal=True):
        now = st.button("Sign and write", type="primary", disabled=not read, key="bundle_write")
        later = st.button("Sign and let a worker write it", disabled=not read, key="bundle_queue")
    if now:
        _run(
            lambda told: export_bundle(
                workspace,
                person,
                out_folder(workspace, name),
                facts,
                choice,
                archive=archive,
                progress=told,
            )
        )
    if later:
        _queue(
            workspace,
            person,
            lambda: bundle_arguments(out_folder(workspace, name), choice, facts, archive=archive),
        )


def _ask_report() -> None:
    st.session_state[REPORT] = "asked"


def _facts(person: PersonRecord) -> BundleFacts | None:
    """What is stated about a bundle; None, and the reason, where it cannot be."""
    left, right = st.columns(2)
    level = left.selectbox(
        "How much it gives away", list(LEVELS), index=2, format_func=LEVELS.__getitem__, key="level"
    )
    licence = right.selectbox(
        "Licence", list(Licence), format_func=lambda each: each.value, index=1, key="licence"
    )
    title = left.text_input("Title", key="bundle_title")
    version = right.text_input("Version", "1.0.0", key="bundle_version")
    description = st.text_area("Description", key="bundle_description", height=80)
    with st.expander("Creators, contact, dataset tokens and more"):
        creators = st.text_area(
            "Creators who agreed to be named",
            key="bundle_creators",
            height=80,
            placeholder="Family, Given; 0000-0002-1825-0097; Institute",
            help="One a line.",
        )
        contact = st.text_input("Contact", key="bundle_contact")
        funding = st.text_input("Funding", key="bundle_funding")
        tokens = st.text_input(
            "Rename dataset tokens",
            key="bundle_tokens",
            placeholder="old = new, other = another",
            help="A token may be a person's name.",
        )
        places = st.toggle("Both sides agreed to keep the places (collaborator)", key="places")
        finer = st.toggle("Detail finer than 10 Å may be published", key="finer")
    try:
        made = BundleFacts(
            title=title.strip(),
            description=description.strip(),
            licence=licence or Licence.CC_BY,
            signed_by=person.name,
            created=dt.datetime.now(dt.UTC).date(),
            level=level,
            version=version.strip(),
            creators=parse_creators(creators),
            contact=contact.strip(),
            funding_statement=funding.strip(),
            tokens=parse_names(tokens),
            share_coordinates=places,
            finer_than_10_angstrom=finer,
        )
        made.check()
    except ExportError as error:
        st.caption(f":material/edit: {escape(error)}")
        return None
    return made


def _rehearsed(
    workspace: Workspace, person: PersonRecord, choice: Choice, facts: BundleFacts, name: str
) -> PrivacyReport | None:
    bar = st.progress(0.0, "Makes the bundle on trial and examines it…")
    try:
        return rehearse_share(
            workspace,
            person,
            out_folder(workspace, name),
            facts,
            choice,
            progress=lambda done, total: show_progress(bar, done, total),
        )
    except ExportError as error:
        _faults(list(error.faults))
        return None
    except TomocurateError as error:
        st.error(escape(error))
        return None
    finally:
        bar.empty()


def _report(report: PrivacyReport) -> None:
    """The privacy report, to be read before somebody signs."""
    st.subheader("Privacy report", anchor=False)
    columns = st.columns(4)
    columns[0].metric("Files searched", report.files)
    columns[1].metric("Secrets searched for", report.secrets)
    columns[2].metric("Found", len(report.hits))
    columns[3].metric("Too common to search", report.unsearchable)
    _faults([fault.said for fault in report.faults])
    if report.passed:
        st.success("No secret was found, and every owner permits it.", icon=":material/shield:")
    st.markdown("**What is given away**")
    st.dataframe(
        [
            {
                "Group": each.group,
                "Patches": each.patches,
                "Of the tomogram (%)": round(100 * each.share, 1),
                "Overlapping pairs": each.overlapping_pairs,
                "Largest box x, y, z": ", ".join(map(str, reversed(each.largest_box))),
            }
            for each in report.exposure
        ],
        hide_index=True,
        key="exposure",
    )
    st.markdown("**What anybody can still find out**")
    for risk in report.residual:
        st.caption(f"· {risk}")
    with st.expander("What was done to each field"):
        st.dataframe(report.as_json()["fields"], hide_index=True, key="fields")


def _run(step: Callable[[Callable[[int, int], None]], Outcome]) -> None:
    """Export at once, with progress; then the page is drawn anew with what to run."""
    bar = st.progress(0.0, "Writes…")
    run_action(lambda: step(lambda done, total: show_progress(bar, done, total)), _told)
    st.session_state.pop(REPORT, None)
    st.rerun()


def _told(outcome: Outcome) -> str:
    commands = "\n".join(outcome.details["commands"])
    archive = outcome.details.get("archive")
    wrapped = f" and `{archive}`" if archive else ""
    return (
        f"**{escape(outcome.message or '')}** in `{outcome.details['folder']}`{wrapped}. To train "
        f"on it:\n```\n{commands}\n```"
    )


def _queue(
    workspace: Workspace, person: PersonRecord, arguments: Callable[[], dict[str, Any]]
) -> None:
    try:
        job = submit(workspace, person, JobKind.EXPORT, arguments())
    except TomocurateError as error:
        notify_refusal(error)
    else:
        run_action(
            lambda: job, lambda number: f"Job {number} writes it; Activity shows how far it is."
        )
    st.session_state.pop(REPORT, None)
    st.rerun()


def _before(workspace: Workspace) -> None:
    with workspace.catalog.read() as session:
        made = list_exports(session)
    if not made:
        show_empty("Nothing was exported yet.", "Write a training set or a bundle.")
        return
    st.caption(count(len(made), "export"))
    st.dataframe(
        [
            {
                "Kind": "Bundle" if each.kind is ExportKind.BUNDLE else "Training set",
                "Folder": each.path,
                "Patches": each.patch_count,
                "Level": str(each.options.get("level", "")),
                "Licence": each.licence.value if each.licence else "",
                "Signed by": str(each.options.get("signed_by", "")),
                "Made": each.made_at,
                "By": each.made_by,
            }
            for each in made
        ],
        hide_index=True,
        key="exports",
        column_config={"Made": time_column()},
    )


if __name__ == "__main__":
    show()
