"""The plots of the pages: values in, Plotly figures out; they follow the light and dark theme."""

import datetime as dt
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import plotly.graph_objects as go

from dashboard.ui.escape import escape_html
from dashboard.ui.theme import LABEL_COLORS, REJECTED_COLOR, STAGE_COLORS, STAGE_NAMES
from db.queries.proposals import ProposalRecord
from db.vocabulary import Stage, Verdict

FEW = 8
"""Counts up to which every whole number has its tick."""
BAR_PX = 26
"""Height of a lying bar with its gap."""
NO_TOOLS = {"displayModeBar": False, "scrollZoom": False}


def stages_by(counts: Mapping[str, Mapping[Stage, int]], what: str) -> go.Figure:
    """Plot patches by stage, a bar per name; a click gives name and stage."""
    names = list(counts)
    figure = go.Figure()
    for stage, color in STAGE_COLORS.items():
        figure.add_bar(
            y=[escape_html(name) for name in names],
            x=[counts[name].get(stage, 0) for name in names],
            customdata=[[name, stage.value] for name in names],
            name=STAGE_NAMES[stage],
            orientation="h",
            marker_color=color,
            hovertemplate=f"%{{y}}<br>{STAGE_NAMES[stage]}: %{{x}}<extra></extra>",
        )
    figure.update_layout(barmode="stack", bargap=0.3)
    figure.update_yaxes(autorange="reversed", type="category", title=None, showgrid=False)
    figure.update_xaxes(title=what, **_whole_numbers(sum(c.values()) for c in counts.values()))
    return apply_style(figure, 92 + BAR_PX * max(len(names), 2))


def throughput(weeks: Mapping[dt.datetime, Mapping[Verdict, int]]) -> go.Figure:
    """Plot patches accepted and rejected per week."""
    figure = go.Figure()
    for verdict, name, color in (
        (Verdict.ACCEPT, "Accepted", STAGE_COLORS[Stage.ACCEPTED]),
        (Verdict.REJECT, "Rejected", REJECTED_COLOR),
    ):
        figure.add_bar(
            x=[f"{week:%-d %b}" for week in weeks],
            y=[counts.get(verdict, 0) for counts in weeks.values()],
            name=name,
            marker_color=color,
            hovertemplate=f"week of %{{x}}<br>{name}: %{{y}}<extra></extra>",
        )
    figure.update_layout(barmode="group", bargap=0.35)
    figure.update_xaxes(type="category", title=None)
    figure.update_yaxes(title=None, **_whole_numbers(n for c in weeks.values() for n in c.values()))
    return apply_style(figure, 260)


def label_balance(values: Mapping[str, int]) -> go.Figure:
    """Shares of membrane, background and ignore in the labels."""
    total = sum(values.values()) or 1
    figure = go.Figure()
    for name, color in LABEL_COLORS.items():
        voxels = values.get(name, 0)
        share = 100 * voxels / total
        figure.add_bar(
            x=[share],
            y=["labels"],
            name=f"{name} {share:.1f} %",
            orientation="h",
            marker_color=color,
            hovertemplate=f"{name}: {voxels:,} voxels<extra></extra>",
        )
    figure.update_layout(barmode="stack")
    figure.update_xaxes(range=[0, 100], ticksuffix=" %", title=None)
    figure.update_yaxes(visible=False)
    return apply_style(figure, 130)


def reject_reasons(reasons: Sequence[tuple[str, int]]) -> go.Figure:
    """Plot how often each reason was given."""
    figure = go.Figure()
    figure.add_bar(
        y=[escape_html(_short(reason)) for reason, _ in reasons],
        x=[number for _, number in reasons],
        hovertext=[escape_html(reason) for reason, _ in reasons],
        hovertemplate="%{hovertext}: %{x}<extra></extra>",
        orientation="h",
        marker_color=REJECTED_COLOR,
    )
    figure.update_yaxes(autorange="reversed", type="category", title=None, showgrid=False)
    figure.update_xaxes(title=None, **_whole_numbers(number for _, number in reasons))
    return apply_style(figure, 60 + BAR_PX * max(len(reasons), 2))


def boxes_in(shape_zyx: Sequence[int], boxes: Sequence[tuple[str, Any, Any, str]]) -> go.Figure:
    """Plot patches in a tomogram; boxes are (name, start, stop, colour), all (z, y, x)."""
    figure = go.Figure()
    _add_box(figure, "tomogram", (0, 0, 0), shape_zyx, "#888888")
    for name, start, stop, color in boxes:
        _add_box(figure, name, start, stop, color)
    figure.update_layout(
        scene={
            "aspectmode": "data",
            "xaxis_title": "x",
            "yaxis_title": "y",
            "zaxis_title": "z",
            "yaxis": {"autorange": "reversed"},
        },
        showlegend=False,
    )
    return apply_style(figure, 360)


def _add_box(figure: go.Figure, name: str, start: Any, stop: Any, color: str) -> None:
    (z, y, x), (tz, ty, tx) = start, stop
    path = [
        (x, y, z),
        (tx, y, z),
        (tx, ty, z),
        (x, ty, z),
        (x, y, z),
        (x, y, tz),
        (tx, y, tz),
        (tx, y, z),
        None,
        (tx, y, tz),
        (tx, ty, tz),
        (tx, ty, z),
        None,
        (tx, ty, tz),
        (x, ty, tz),
        (x, ty, z),
        None,
        (x, ty, tz),
        (x, y, tz),
    ]
    points = [point or (None, None, None) for point in path]
    figure.add_scatter3d(
        x=[p[0] for p in points],
        y=[p[1] for p in points],
        z=[p[2] for p in points],
        mode="lines",
        line={"color": color, "width": 3},
        name=escape_html(name),
        hoverinfo="name",
    )


def _whole_numbers(values: Iterable[int]) -> dict[str, Any]:
    """Set up an axis of counts: from zero, with ticks at whole numbers only."""
    axis: dict[str, Any] = {"rangemode": "tozero", "tickformat": ",d"}
    return axis | {"dtick": 1} if max(values, default=0) <= FEW else axis


def expected_against_corrected(proposals: Sequence[ProposalRecord]) -> go.Figure:
    """Voxels that proposals expected to be corrected, and those that were; audits apart."""
    figure = go.Figure()
    for audit, name, symbol in ((False, "Ranked", "circle"), (True, "Audit", "diamond-open")):
        shown = [proposal for proposal in proposals if proposal.audit is audit]
        figure.add_scatter(
            x=[proposal.score for proposal in shown],
            y=[proposal.corrected for proposal in shown],
            text=[escape_html(proposal.patch or "") for proposal in shown],
            name=name,
            mode="markers",
            marker={"symbol": symbol, "size": 9},
            hovertemplate="%{text}<br>expected %{x:,.0f}, corrected %{y:,}<extra></extra>",
        )
    figure.update_xaxes(title="expected voxels", rangemode="tozero", tickformat=",d")
    figure.update_yaxes(title="corrected voxels", rangemode="tozero", tickformat=",d")
    return apply_style(figure, 320)


def apply_style(figure: go.Figure, height: int) -> go.Figure:
    """Give a figure the template of all plots: dense, flat, legend above."""
    figure.update_layout(
        height=height,
        margin={"l": 8, "r": 8, "t": 34, "b": 8},
        dragmode=False,
        legend={
            "orientation": "h",
            "y": 1.0,
            "yanchor": "bottom",
            "x": 0,
            "title": None,
            "traceorder": "normal",
        },
        hoverlabel={"namelength": -1},
        separators=". ",
    )
    return figure


def _short(text: str) -> str:
    return text if len(text) <= 48 else f"{text[:47]}…"
