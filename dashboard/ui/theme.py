"""Theme of the pages: header, spacing, and one colour per meaning.

Streamlit's theme (theme.toml) sets colours and fonts; the few rules here do what it cannot.
"""

from collections.abc import Mapping, Sequence
from typing import Any, Literal

import streamlit as st

from core.imaging import colors
from dashboard.ui.escape import escape
from dashboard.ui.notifications import show_notifications
from db.queries.patches import PatchRecord
from db.vocabulary import ChosenBecause, CorrectionKind, Role, Stage

STAGE_COLORS: Mapping[Stage, str] = {
    Stage.CHOSEN: "#999999",
    Stage.EXTRACTED: "#56B4E9",
    Stage.CORRECTING: "#E69F00",
    Stage.MERGED: "#0072B2",
    Stage.IN_REVIEW: "#CC79A7",
    Stage.ACCEPTED: "#009E73",
}
"""Okabe and Ito's, as all our colours: people who see few colours can tell them apart."""

STAGE_NAMES: Mapping[Stage, str] = {
    Stage.CHOSEN: "Chosen",
    Stage.EXTRACTED: "Extracted",
    Stage.CORRECTING: "Correcting",
    Stage.MERGED: "Merged",
    Stage.IN_REVIEW: "In review",
    Stage.ACCEPTED: "Accepted",
}
STAGE_NEXT: Mapping[Stage, str] = {
    Stage.CHOSEN: "to be extracted",
    Stage.EXTRACTED: "to be corrected",
    Stage.CORRECTING: "to be merged",
    Stage.MERGED: "to be submitted for review",
    Stage.IN_REVIEW: "waiting for a reviewer",
    Stage.ACCEPTED: "accepted",
}
KIND_COLORS: Mapping[CorrectionKind, str] = {
    CorrectionKind.ADD: colors.ADD,
    CorrectionKind.REMOVE: colors.REMOVE,
    CorrectionKind.IGNORE: colors.IGNORE,
}
LABEL_COLORS: Mapping[str, str] = {
    "membrane": colors.PREDICTION,
    "background": "#999999",
    "ignore": colors.IGNORE,
}
REASON_NAMES: Mapping[ChosenBecause, str] = {
    ChosenBecause.MISSED_MEMBRANE: "Missed membrane",
    ChosenBecause.FALSE_MEMBRANE: "False membrane",
    ChosenBecause.HARD_NEGATIVE: "Hard negative (looks like membrane)",
    ChosenBecause.OTHER: "Other",
}
ROLE_NAMES: Mapping[Role, str] = {role: role.value.capitalize() for role in Role}
REJECTED_COLOR = colors.REMOVE
STALE_COLOR = colors.WARNING

RULES = (
    "In doubt, **Ignore**.",
    "**Remove** may be coarse, but only where no membrane is near.",
    "**Add** is drawn accurately, and every voxel that is not Ignore must be reliable.",
)
"""The guide's three rules, shown wherever one paints or chooses."""

CSS = """<style>
.stMainBlockContainer{padding:4.1rem 2rem 3rem;max-width:1720px}
[data-testid="stHeading"] h1{letter-spacing:-.015em;padding:.1rem 0 .25rem}
[data-testid="stHeading"] h2,[data-testid="stHeading"] h3{letter-spacing:-.01em}
[data-testid="stMetric"]{padding:.45rem .8rem !important}
[data-testid="stMetric"]>div{padding:0 !important}
[data-testid="stMetricLabel"] p{font-size:.82rem;opacity:.8}
[data-testid="stMetricValue"]{font-variant-numeric:tabular-nums;font-size:1.4rem}
[data-testid="stTable"] td,[data-testid="stTable"] th{font-variant-numeric:tabular-nums}
[data-testid="stCaptionContainer"],[data-testid="stCaptionContainer"] p{
opacity:1;line-height:1.35;color:light-dark(#4A5659,#AAB5B3)}
[data-testid^="stBaseButton-primary"],[data-testid^="stBaseButton-primary"] p,
[data-testid^="stBaseButton-primary"] span{color:light-dark(#FFFFFF,#0B1416)}
[data-testid^="stBaseButton-primary"]:disabled *{color:inherit}
[data-testid="stTopNavLink"]:focus-visible{outline:2px solid light-dark(#0A6F6A,#3FB8AF);
outline-offset:2px}
[data-testid="stFileUploaderDropzoneInstructions"]{display:none}
.stMain [data-testid="stPageLink-NavLink"]{background:none;padding:.15rem .4rem}
.stMain [data-testid="stPageLink-NavLink"]:hover{
background:color-mix(in srgb,currentColor 9%,transparent)}
.stMain [data-testid="stPageLink-NavLink"] p{font-weight:inherit;text-decoration:underline;
text-decoration-color:color-mix(in srgb,currentColor 40%,transparent);text-underline-offset:.2em}
[data-testid="stToolbar"]{padding-right:11rem}
.st-key-tc_account{position:fixed;top:.65rem;right:1rem;width:auto !important;max-width:16rem;
z-index:999991}
.st-key-tc_account [data-testid="stPopoverButton"]{min-height:2rem}
[class*="st-key-tc_card_"]{position:relative}
[class*="st-key-tc_card_"] [class*="st-key-open_"],
[class*="st-key-tc_card_"] [class*="st-key-open_"] :is(div,span,button){position:static}
[class*="st-key-tc_card_"] [class*="st-key-open_"] button::after{content:"";position:absolute;
inset:0}
[class*="st-key-tc_card_"] [data-testid="stCheckbox"]{position:relative;z-index:1}
[class*="st-key-tc_card_"] [data-testid="stElementToolbar"]{display:none}
.st-key-tc_facts thead{display:none}
.st-key-tc_facts td{padding:.22rem .6rem;font-size:.9rem;border-width:0 0 1px}
.st-key-tc_facts table{width:100%;border:none}
.st-key-tc_facts td:first-child{opacity:.7;white-space:nowrap}
.st-key-tc_slices img{image-rendering:pixelated;border-radius:4px}
.tc-row{display:flex;flex-wrap:wrap;gap:.35rem;align-items:center;font-size:.8rem}
.tc-chip{display:inline-flex;align-items:center;gap:.4em;padding:.1em .6em;border-radius:999px;
border:1px solid color-mix(in srgb,currentColor 22%,transparent);white-space:nowrap}
.tc-legends .tc-chip{border-color:transparent;padding-left:.2em;opacity:.9}
.tc-chip i{width:.65em;height:.65em;border-radius:50%;background:var(--dot)}
.tc-bar{display:flex;height:.5rem;border-radius:4px;overflow:hidden;
background:color-mix(in srgb,currentColor 12%,transparent)}
.tc-bar i{display:block;height:100%;background:var(--dot)}
</style>"""

Dot = tuple[str, str]
"""A word of ours and its colour; never a word of somebody else: it is put into HTML."""


def begin_page(title: str, summary: str = "", *, toasts: bool = False) -> None:
    """Head a page, name its browser tab, and show notifications.

    ``title`` is shown as it is, whoever wrote it; ``summary`` is a line of ours. ``toasts``: what
    was saved is told beside the page, so that a canvas stays where it is.
    """
    st.title(escape(title), anchor=False)
    name_tab(title)
    if summary:
        st.caption(summary)
    show_notifications(toasts=toasts)


def name_tab(title: str) -> None:
    """Name the browser tab, and with it bookmarks and the history."""
    st.set_page_config(page_title=f"{title[:80]} · tomocurate")


def show_chips(dots: Sequence[Dot], kind: Literal["chip", "legend"] = "chip") -> None:
    """Show small labels in a row, each with a coloured dot."""
    marks = "".join(
        f'<span class="tc-chip"><i style="--dot:{color}"></i>{word}</span>' for word, color in dots
    )
    st.html(f'<div class="tc-row tc-{kind}s">{marks}</div>')


def patch_dots(patch: PatchRecord) -> list[Dot]:
    """List the stage and the flags of a patch, each with its colour."""
    dots = [(STAGE_NAMES[patch.stage], STAGE_COLORS[patch.stage])]
    if patch.rejected_reason is not None:
        dots.append(("Rejected", REJECTED_COLOR))
    if patch.stale:
        dots.append(("Newer corrections wait", STALE_COLOR))
    if patch.withdrawn:
        dots.append(("Withdrawn", "#555555"))
    if patch.padded:
        dots.append(("Padded", "#999999"))
    return dots


def list_marks(patch: PatchRecord) -> list[str]:
    """List the flags of a patch as words, for a table."""
    return [word for word, _ in patch_dots(patch)[1:]]


def stage_bar(counts: Mapping[Stage, int]) -> None:
    """Show a thin bar of how many patches are at each stage."""
    total = sum(counts.values())
    if not total:
        return
    parts = "".join(
        f'<i style="width:{100 * counts.get(stage, 0) / total:.2f}%;--dot:{color}"'
        f' title="{STAGE_NAMES[stage]}: {counts.get(stage, 0)}"></i>'
        for stage, color in STAGE_COLORS.items()
        if counts.get(stage)
    )
    st.html(f'<div class="tc-bar">{parts}</div>')


def show_rules() -> None:
    """Show the guide's rules, where somebody chooses or paints."""
    with st.container(border=True, gap=None):
        for rule in RULES:
            st.caption(rule)


def count(number: int, word: str, words: str | None = None) -> str:
    """Format a number with its noun."""
    return f"{number:,} {word if number == 1 else words or word + 's'}"


def format_size(bytes_: int | None) -> str:
    """Format a file's size."""
    left = float(bytes_ or 0)
    for unit in ("B", "kB", "MB", "GB"):
        if left < 1000:
            return f"{left:.0f} {unit}" if unit == "B" else f"{left:.1f} {unit}"
        left /= 1000
    return f"{left:.1f} TB"


def format_xyz(center: Sequence[int] | None) -> str:
    """Format a position (z, y, x) as people say it: x, y, z."""
    return "unknown" if center is None else ", ".join(str(value) for value in reversed(center))


def show_facts(known: Mapping[str, str]) -> None:
    """Show a small table: names of ours, and values as Markdown."""
    rows = "\n".join(f"| {name} | {value} |" for name, value in known.items())
    with st.container(key="tc_facts"):
        st.markdown(f"| | |\n|---|---|\n{rows}")


def person_name(name: str | None) -> str:
    """Escape a person's name for Markdown."""
    return escape(name) if name else "nobody"


def column(name: str, **options: Any) -> Any:
    """Configure a plain column of a table."""
    return st.column_config.Column(name, **options)


def stage_column(label: str = "Stage") -> Any:
    """Configure a column of stages in their colours; its cells are lists of one."""
    return st.column_config.MultiselectColumn(
        label, options=list(STAGE_NAMES.values()), color=list(STAGE_COLORS.values()), width="small"
    )
