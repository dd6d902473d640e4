"""Quality: how good the labels are, and whether re-training made the model better."""

import time
from collections.abc import Mapping, Sequence
from statistics import fmean
from typing import Any

import streamlit as st

from core.access.permissions import Action, may
from core.evaluation.label_figures import LabelFigures, Measured, label_figures, measure_labels
from core.evaluation.scores import score_segmentations, state_training
from core.imaging.quality import SURFACE_DICE_METHOD
from core.jobs.queue import submit
from core.lab.lab import Lab
from core.workspace.results import Outcome
from core.workspace.workspace import Workspace
from dashboard.components.proposals import show_expected
from dashboard.components.sharing.parse import AT_ONCE, SCORES_SHOWN, show_progress
from dashboard.ui import sharing_plots
from dashboard.ui.context import current_lab
from dashboard.ui.empty_state import PATCHES, show_empty
from dashboard.ui.escape import escape
from dashboard.ui.navigation import tabs
from dashboard.ui.notifications import notify_outcomes, notify_refusal, run_action
from dashboard.ui.plots import NO_TOOLS
from dashboard.ui.session_keys import Key
from dashboard.ui.sharing_plots import SPLIT_NAMES, model_of
from dashboard.ui.theme import begin_page, count
from db.errors import TomocurateError
from db.queries.patches import PatchSort, list_patches
from db.queries.people import PersonRecord
from db.queries.scores import ModelScore, ScoreRecord, list_scores, scores_by_model
from db.queries.sharing import list_exports
from db.vocabulary import ExportKind, JobKind

LABELS, MODELS = "Labels", "Models"
READ_UNASKED = 2000
"""Patches whose figures are read without asking: more than a second beyond."""
FIELDS = {"Surface Dice": "surface_dice", "Dice": "dice"}


def show() -> None:
    """Show the labels' figures, and the models' scores."""
    lab = current_lab()
    begin_page("Quality", "Figures of the accepted labels, and of the models against them.")
    shown = tabs("quality", [LABELS, MODELS])
    if shown[LABELS].open:
        with shown[LABELS]:
            _labels(lab)
    if shown[MODELS].open:
        with shown[MODELS]:
            _models(lab)


def _labels(lab: Lab) -> None:
    figures = _figures(lab)
    if figures is None:
        return
    if not figures:
        show_empty(
            "No label is accepted yet.",
            "Figures appear here when a reviewer has accepted patches.",
            PATCHES,
        )
        return
    columns = st.columns(4)
    columns[0].metric("Accepted labels", f"{len(figures):,}")
    columns[1].metric("Ignore, mean", f"{fmean(f.ignore_share for f in figures):.1%}")
    columns[2].metric("Membrane, mean", f"{fmean(f.membrane_share for f in figures):.1%}")
    columns[3].metric(
        "Voxels changed", f"{sum(f.added + f.removed + f.ignored for f in figures):,}"
    )
    left, right = st.columns(2, gap="medium")
    left.plotly_chart(sharing_plots.shares(figures), key="shares", config=NO_TOOLS)
    right.plotly_chart(sharing_plots.changes(figures), key="changes", config=NO_TOOLS)
    st.caption(
        "Shares exclude the border of 16 voxels, which is ignore in every patch. "
        + sharing_plots.describe_sample(figures)
    )
    show_expected(lab.workspace)
    _show_measured(lab, [figure.patch for figure in figures])


def _figures(lab: Lab) -> tuple[LabelFigures, ...] | None:
    """Read the figures of all labels: by itself in a small lab, on request in a large one."""
    with lab.workspace.catalog.read() as session:
        newest = list_patches(session, sort=PatchSort.UPDATED, limit=1)
    state = f"{newest.total} {newest.rows[0].updated_at if newest.rows else ''}"
    if newest.total > READ_UNASKED:
        st.button(
            "Compute figures",
            key="figures",
            icon=":material/query_stats:",
            on_click=_ask_figures,
            help=f"Reads the record of {newest.total:,} patches; takes some seconds.",
        )
        if Key.FIGURES not in st.session_state:
            return None
        state = st.session_state[Key.FIGURES]
    return _read_figures(state, str(lab.workspace.folder), lab.workspace, lab.person)


def _ask_figures() -> None:
    st.session_state[Key.FIGURES] = str(time.time_ns())


@st.cache_resource(max_entries=4, show_spinner="Reading the accepted labels…")
def _read_figures(
    state: str, folder: str, _workspace: Workspace, _person: PersonRecord
) -> tuple[LabelFigures, ...]:
    del state, folder  # the key of the cache
    return label_figures(Lab(_workspace, _person))


def _show_measured(lab: Lab, names: Sequence[str]) -> None:
    """Measure components and agreement, for which label files are read."""
    st.header("Measurements", anchor=False)
    st.caption(
        "Reads label files: connected components, and Dice and surface Dice before and after "
        "correction."
    )
    with st.container(horizontal=True, vertical_alignment="bottom"):
        chosen = st.multiselect(
            "Patches",
            names[:READ_UNASKED],
            default=[],
            key="measured",
            placeholder=f"the first {min(len(names), AT_ONCE)}",
            max_selections=AT_ONCE,
        )
        asked = st.button("Measure", key="measure")
    if asked:
        _measure(lab, chosen or names[:AT_ONCE])
    rows = st.session_state.get(Key.MEASURES)
    if not rows:
        return
    st.dataframe(
        rows,
        hide_index=True,
        key="measures",
        placeholder="–",
        column_config={
            name: st.column_config.NumberColumn(format="%.3f")
            for name in ("Dice", "Surface Dice", "Second annotator (Dice)")
        },
    )
    st.caption(f"Dice before and after correction. Surface Dice: {SURFACE_DICE_METHOD}.")


def _measure(lab: Lab, names: Sequence[str]) -> None:
    bar = st.progress(0.0, "Measuring…")
    try:
        measured = measure_labels(
            lab,
            names,
            lambda done, total: show_progress(bar, done, total),
        )
    except TomocurateError as error:
        st.error(escape(error))
        return
    finally:
        bar.empty()
    st.session_state[Key.MEASURES] = [row_of(item) for item in measured]


def row_of(measured: Measured) -> dict[str, Any]:
    """Make a row of the table of measurements."""
    quality, second = measured.quality, measured.agreement
    if quality is None:
        return {"Patch": measured.patch, "Message": measured.fault}
    change = quality.change
    return {
        "Patch": measured.patch,
        "Components": quality.components.count,
        "Largest (%)": round(100 * quality.components.largest_fraction, 1),
        "Small islands": quality.components.small_islands,
        "Slices with membrane": quality.membrane_sections,
        "Dice": change.dice if change else None,
        "Surface Dice": change.surface_dice if change else None,
        "Second annotator (Dice)": second.dice if second else None,
        "Message": "",
    }


def _models(lab: Lab) -> None:
    with lab.workspace.catalog.read() as session:
        summary = scores_by_model(session)
        page = list_scores(session, limit=SCORES_SHOWN)
    scores = page.rows
    if may(lab.person.role, Action.SCORE):
        _score(lab)
    if not scores:
        show_empty(
            "No segmentation has a score yet.",
            "Register the segmentations of a new model beside the old ones, then score them "
            "against the accepted labels.",
        )
        return
    _summary(summary)
    if page.total > len(scores):
        st.caption(f"The plots show the first {len(scores):,} of {page.total:,} scores.")
    field = (
        st.segmented_control(
            "Score",
            list(FIELDS),
            default="Surface Dice",
            required=True,
            key="score_field",
            label_visibility="collapsed",
        )
        or "Surface Dice"
    )
    st.plotly_chart(
        sharing_plots.scores_by_model(scores, FIELDS[field], field), key="scores", config=NO_TOOLS
    )
    st.caption(f"Where a label says ignore, nothing counts. {escape(scores[0].method)}.")
    _compare(scores, field)
    _table(scores)


def _summary(summary: Sequence[ModelScore]) -> None:
    st.dataframe(
        [
            {
                "Model": model.model,
                "Patches": model.patches,
                "Dice, mean": model.dice,
                "Surface Dice, mean": model.surface_dice,
                "": "in its training set" if model.in_training else "",
            }
            for model in summary
        ],
        hide_index=True,
        key="summary",
        column_config={
            name: st.column_config.NumberColumn(format="%.3f")
            for name in ("Dice, mean", "Surface Dice, mean")
        },
    )


def _score(lab: Lab) -> None:
    with st.container(horizontal=True, vertical_alignment="bottom"):
        now = st.button("Score all segmentations", key="score_now", type="primary")
        later = st.button("Run in background", key="score_queue")
        with st.popover("A model was trained on…"):
            _training(lab)
    if now:
        bar = st.progress(0.0, "Scoring…")
        told: list[Outcome] = []

        def scored(outcome: Outcome) -> None:
            told.append(outcome)
            bar.progress(0.5, f"{len(told)} scored")

        try:
            outcomes = score_segmentations(lab, progress=scored)
        except TomocurateError as error:
            notify_refusal(error)
        else:
            notify_outcomes(outcomes, "scored", ("segmentation", "segmentations"))
        st.rerun()
    if later:
        run_action(
            lambda: submit(lab, JobKind.SCORE, {"names": None}),
            lambda job: f"Queued as job {job}. Activity shows progress.",
        )
        st.rerun()


def _training(lab: Lab) -> None:
    with lab.workspace.catalog.read() as session:
        sets = {
            f"{export.id}: {export.path.rpartition('/')[2]}, {export.made_at:%-d %b %Y}": export.id
            for export in list_exports(session, ExportKind.TRAINING_SET)
        }
    if not sets:
        st.caption("No training set was exported yet.")
        return
    model = st.text_input("Model, as its segmentations name it", key="trained_model")
    chosen = st.selectbox("Training set", list(sets), key="trained_on")
    if st.button("Save", key="trained_save", disabled=not model.strip()):
        run_action(
            lambda: state_training(lab, sets[chosen], model),
            lambda outcome: (
                f"{escape(outcome.name)}: {count(outcome.details['marked'], 'score')} "
                "marked as trained on."
            ),
        )
        st.rerun()


def pair_scores(
    scores: Sequence[ScoreRecord], field: str, names: tuple[str, str]
) -> dict[str, tuple[float, float]]:
    """Pair the scores of two models on patches that neither was trained on."""
    by_model: Mapping[str, dict[str, float]] = {name: {} for name in names}
    for score in scores:
        value = getattr(score, field)
        if model_of(score) in by_model and value is not None and not score.in_training:
            by_model[model_of(score)][score.patch] = value
    before, after = (by_model[name] for name in names)
    return {patch: (before[patch], after[patch]) for patch in sorted(before.keys() & after.keys())}


def _compare(scores: Sequence[ScoreRecord], field: str) -> None:
    models = sorted({model_of(score) for score in scores})
    if len(models) < 2:
        st.caption("Register another model's segmentations to compare before and after.")
        return
    st.header("Before and after", anchor=False)
    left, right = st.columns(2)
    before = left.selectbox("Before", models, index=0, key="model_before") or models[0]
    after = right.selectbox("After", models, index=1, key="model_after") or models[1]
    pairs = pair_scores(scores, FIELDS[field], (before, after))
    if before == after or not pairs:
        st.caption("Choose two models that were scored on the same patches, not trained on them.")
        return
    means = fmean(pair[0] for pair in pairs.values()), fmean(pair[1] for pair in pairs.values())
    columns = st.columns(3)
    columns[0].metric(f"{field} before", f"{means[0]:.3f}")
    columns[1].metric(f"{field} after", f"{means[1]:.3f}", f"{means[1] - means[0]:+.3f}")
    better = sum(pair[1] > pair[0] for pair in pairs.values())
    columns[2].metric("Better on", f"{better} of {len(pairs)}")
    st.plotly_chart(
        sharing_plots.before_and_after(pairs, (before, after)), key="compared", config=NO_TOOLS
    )
    st.caption(
        "Patches of either model's training set are left out: a model's score there says nothing."
    )


def _table(scores: Sequence[ScoreRecord]) -> None:
    with st.expander(f"All {count(len(scores), 'score')}"):
        st.dataframe(
            [
                {
                    "Patch": score.patch,
                    "Model": model_of(score),
                    "Split": SPLIT_NAMES[score.split] if score.split else "",
                    "Dice": score.dice,
                    "Surface Dice": score.surface_dice,
                    "Trained on": score.in_training,
                    "Voxels": score.compared_voxels,
                    "Scored": score.scored_at,
                }
                for score in scores
            ],
            hide_index=True,
            key="score_table",
            column_config={
                "Dice": st.column_config.NumberColumn(format="%.3f"),
                "Surface Dice": st.column_config.NumberColumn(format="%.3f"),
            },
        )


if __name__ == "__main__":
    show()
