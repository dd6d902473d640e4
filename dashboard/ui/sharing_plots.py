"""The plots of sharing and quality: values in, Plotly figures out."""

from collections.abc import Mapping, Sequence

import plotly.graph_objects as go

from core.evaluation.label_figures import LabelFigures
from core.exports.plan import TrainingSetPlan
from core.imaging import colors
from dashboard.ui.escape import escape_html
from dashboard.ui.plots import apply_style
from dashboard.ui.theme import LABEL_COLORS
from db.queries.scores import ScoreRecord
from db.vocabulary import Split

SPLIT_NAMES: Mapping[Split, str] = {
    Split.TRAIN: "Training",
    Split.VAL: "Validation",
    Split.TEST: "Test",
}
SPLIT_COLORS: Mapping[Split | None, str] = {
    Split.TRAIN: "#0072B2",
    Split.VAL: "#E69F00",
    Split.TEST: "#882255",
    None: "#999999",
}
DOTS = 2000
"""Dots that a browser draws without a wait."""
MOST_CHANGED = 12
CHANGES = (
    ("added", "Added", colors.ADD),
    ("removed", "Removed", colors.REMOVE),
    ("ignored", "Set to ignore", colors.IGNORE),
)


def balance(plan: TrainingSetPlan) -> go.Figure:
    """Shares of membrane, background and ignore in each split."""
    splits = [split for split in Split if plan.patches_by_split.get(split)]
    figure = go.Figure()
    for name, color in LABEL_COLORS.items():
        counts = [getattr(plan.balance(split), name) for split in splits]
        totals = [_total(plan, split) for split in splits]
        figure.add_bar(
            y=[SPLIT_NAMES[split] for split in splits],
            x=[100 * count / total for count, total in zip(counts, totals, strict=True)],
            name=name.capitalize(),
            orientation="h",
            marker_color=color,
            hovertemplate=f"%{{y}}<br>{name}: %{{x:.1f}} %<extra></extra>",
        )
    figure.update_layout(barmode="stack", bargap=0.35)
    figure.update_yaxes(autorange="reversed", type="category", title=None)
    figure.update_xaxes(title="Voxels (%)", range=[0, 100])
    return apply_style(figure, 110 + 34 * len(splits))


def shares(figures: Sequence[LabelFigures]) -> go.Figure:
    """Plot ignore and membrane shares of labels, a dot per patch."""
    figure, figures = go.Figure(), _sample(figures)
    for split in (*Split, None):
        chosen = [label for label in figures if label.split is split]
        if chosen:
            figure.add_scatter(
                x=[100 * label.ignore_share for label in chosen],
                y=[100 * label.membrane_share for label in chosen],
                text=[escape_html(label.patch) for label in chosen],
                name=SPLIT_NAMES[split] if split else "Not exported yet",
                mode="markers",
                marker={"color": SPLIT_COLORS[split], "size": 9, "opacity": 0.8},
                hovertemplate="%{text}<br>ignore %{x:.1f} %, membrane %{y:.1f} %<extra></extra>",
            )
    figure.update_xaxes(title="Ignore inside the border (%)", rangemode="tozero")
    figure.update_yaxes(title="Membrane of what is labelled (%)", rangemode="tozero")
    return apply_style(figure, 340)


def changes(figures: Sequence[LabelFigures]) -> go.Figure:
    """Plot how many voxels the corrections changed, of the most changed patches."""
    shown = sorted(figures, key=lambda label: -(label.added + label.removed + label.ignored))
    shown = shown[:MOST_CHANGED]
    figure = go.Figure()
    for field, name, color in CHANGES:
        figure.add_bar(
            y=[escape_html(label.patch) for label in shown],
            x=[getattr(label, field) for label in shown],
            name=name,
            orientation="h",
            marker_color=color,
            hovertemplate=f"%{{y}}<br>{name}: %{{x:,d}} voxels<extra></extra>",
        )
    figure.update_layout(barmode="stack", bargap=0.2)
    figure.update_yaxes(type="category", autorange="reversed", title=None)
    figure.update_xaxes(title="Voxels changed, most changed patches", rangemode="tozero")
    return apply_style(figure, 340)


def describe_sample(figures: Sequence[LabelFigures]) -> str:
    """Say how many of the labels the dots are, where they are not all."""
    if len(figures) <= DOTS:
        return ""
    return f"The dots are {len(_sample(figures)):,} of {len(figures):,} labels."


def _sample(figures: Sequence[LabelFigures]) -> Sequence[LabelFigures]:
    return figures[:: -(-len(figures) // DOTS)] if figures else figures


def scores_by_model(scores: Sequence[ScoreRecord], field: str, title: str) -> go.Figure:
    """Plot a score per model, a dot per patch; hollow for patches that it was trained on."""
    figure = go.Figure()
    for trained, name, symbol in (
        (False, "Not trained on", "circle"),
        (True, "In its training set", "circle-open"),
    ):
        chosen = [s for s in scores if s.in_training is trained and getattr(s, field) is not None]
        if chosen:
            figure.add_box(
                x=[escape_html(model_of(s)) for s in chosen],
                y=[getattr(s, field) for s in chosen],
                text=[escape_html(s.patch) for s in chosen],
                name=name,
                boxpoints="all",
                jitter=0.4,
                pointpos=0,
                marker={"symbol": symbol, "size": 7},
                line={"width": 1},
                hovertemplate="%{text}<br>%{y:.3f}<extra></extra>",
            )
    figure.update_layout(boxmode="group")
    figure.update_yaxes(title=title, range=[0, 1.02])
    figure.update_xaxes(type="category", title=None)
    return apply_style(figure, 340)


def before_and_after(pairs: Mapping[str, tuple[float, float]], names: tuple[str, str]) -> go.Figure:
    """Two models on the same patches: above the line the second one is better."""
    figure = go.Figure()
    figure.add_scatter(
        x=[0, 1],
        y=[0, 1],
        mode="lines",
        line={"color": "#999999", "dash": "dot"},
        hoverinfo="skip",
        showlegend=False,
    )
    figure.add_scatter(
        x=[before for before, _ in pairs.values()],
        y=[after for _, after in pairs.values()],
        text=[escape_html(name) for name in pairs],
        mode="markers",
        showlegend=False,
        marker={"size": 9, "color": "#0072B2", "opacity": 0.8},
        hovertemplate="%{text}<br>%{x:.3f} → %{y:.3f}<extra></extra>",
    )
    figure.update_xaxes(title=escape_html(names[0]), range=[0, 1.02])
    figure.update_yaxes(title=escape_html(names[1]), range=[0, 1.02])
    return apply_style(figure, 380)


def model_of(score: ScoreRecord) -> str:
    """Name a segmentation's model."""
    return score.model or score.checkpoint or f"segmentation {score.segmentation_id}"


def _total(plan: TrainingSetPlan, split: Split) -> int:
    counts = plan.balance(split)
    return max(1, counts.background + counts.membrane + counts.ignore)
