"""The life of a patch as a person reads it: where it lies, then what happened to it."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import click

from core.cli.run import printable
from core.cli.tables import say_table
from core.patches.history import PatchHistory
from db.queries.life import SlotRecord
from db.queries.patches import PatchRecord

LAST_EVENTS = 20


def tell_life(life: PatchHistory) -> None:
    """Print everything about a patch."""
    patch = life.patch
    click.echo(printable(f"{patch.name}  {patch.stage.replace('_', ' ')}"))
    width = max(len(word) for word, _ in _facts(life))
    for word, value in _facts(life):
        click.echo(printable(f"  {word:{width}}  {value}"))
    for heading, columns, rows in _sections(life):
        if rows:
            click.echo(f"\n{heading}")
            say_table(columns, rows)


def _facts(life: PatchHistory) -> Iterator[tuple[str, Any]]:
    patch, tomogram, segmentation = life.patch, life.tomogram, life.segmentation
    yield "tomogram", f"{tomogram.name}  {tomogram.on_disk.file}" if tomogram else "unknown"
    if segmentation:
        yield "segmentation", f"{segmentation.on_disk.file}  {segmentation.model or ''}"
    yield "center x,y,z", _xyz(patch.center)
    yield "first voxel", _xyz(patch.start)
    yield "voxel size", f"{patch.voxel_size:g} Å" if patch.voxel_size else "unknown"
    yield "chosen", f"{patch.chosen_at:%Y-%m-%d} by {patch.chosen_by}, {_why(patch)}"
    yield "assignee", patch.assignee or "nobody"
    if patch.rejected_reason:
        yield "rejected", patch.rejected_reason
    marks = {
        "stale": patch.stale,
        "withdrawn": patch.withdrawn,
        "newer corrections wait": patch.newer_corrections_wait,
    }
    if any(marks.values()):
        yield "marks", ", ".join(mark for mark, stands in marks.items() if stands)
    if life.hold:
        yield "painting now", f"{life.hold.person} since {life.hold.since:%H:%M} UTC"


def _sections(
    life: PatchHistory,
) -> Iterator[tuple[str, Sequence[str], list[Sequence[Any]]]]:
    yield (
        "Corrections",
        ("file", "version", "author", "painted", "received (UTC)", ""),
        [_slot(slot) for slot in life.slots],
    )
    yield (
        "Merges",
        ("merge", "by", "made (UTC)", "background", "membrane", "ignore", "of", ""),
        [
            (
                m.number,
                m.made_by,
                f"{m.made_at:%Y-%m-%d %H:%M}",
                *(m.values.get(word) for word in ("background", "membrane", "ignore")),
                ", ".join(map(_input, m.inputs)) or "the prediction alone",
                "; ".join(m.findings),
            )
            for m in life.merges
        ],
    )
    yield (
        "Reviews",
        ("merge", "verdict", "by", "when (UTC)", "reason"),
        [
            (r.merge, r.verdict, r.reviewer, f"{r.decided_at:%Y-%m-%d %H:%M}", r.reason)
            for r in life.reviews
        ],
    )
    yield (
        "Comments",
        ("comment", "by", "at x,y,z", "", "settled by"),
        [
            (c.id, c.author, _xyz(c.at) if c.at else "", c.text, c.resolved_by)
            for c in life.comments
        ],
    )
    yield (
        "Exports",
        ("export", "as", "merge", "split", "when (UTC)"),
        [(e.path, e.case, e.merge, e.split, f"{e.made_at:%Y-%m-%d %H:%M}") for e in life.exports],
    )
    yield (
        "Events",
        ("when (UTC)", "who", "what", "reason"),
        [
            (f"{e.at:%Y-%m-%d %H:%M:%S}", e.person, e.action, e.reason)
            for e in life.events[-LAST_EVENTS:]
        ],
    )


def _input(one: Mapping[str, Any]) -> str:
    """Name an input of a merge: a version of a correction, or the bundle it came with."""
    if "slot" in one:
        return f"{one['slot']} version {one.get('version', '?')}"
    return f"bundle {one.get('bundle', '?')}"


def _slot(slot: SlotRecord) -> Sequence[Any]:
    latest = slot.latest
    painted = ", ".join(f"{kind} {count}" for kind, count in latest.painted.items())
    marks = [
        word
        for word, stands in (("withdrawn", slot.withdrawn), ("missing", slot.missing))
        if stands
    ]
    remarks = [*marks, *([latest.error] if latest.error else []), *latest.findings]
    return (
        slot.name,
        latest.number,
        latest.author or latest.author_account,
        painted,
        f"{latest.received_at:%Y-%m-%d %H:%M}",
        "; ".join(remarks),
    )


def _why(patch: PatchRecord) -> str:
    reason = patch.chosen_because.replace("_", " ")
    return f"{reason}: {patch.note}" if patch.note else reason


def _xyz(position: tuple[int, int, int] | None) -> str:
    return ",".join(map(str, reversed(position))) if position else "unknown"
