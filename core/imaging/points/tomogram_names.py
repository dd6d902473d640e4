"""Choose the rows of one tomogram in a coordinate file that names tomograms.

Programs write a tomogram's name with and without folders, suffixes and pixel size: Warp's
TS_001.tomostar and TS_001_10.00Apx.mrc are one tomogram, and so are RELION's TS_001 and
rec_TS_001.mrc.
"""

import unicodedata
from collections.abc import Iterable
from dataclasses import replace
from pathlib import Path

from core.errors import PointsError
from core.imaging.points.rows import Frame, Rows

_SUFFIXES = (
    *(".gz", ".bz2", ".mrc", ".mrcs", ".rec", ".map", ".st", ".ali", ".nii", ".nrrd"),
    *(".tomostar", ".star"),
)
_SHOWN = 5


def rows_of_tomogram(rows: Rows, frame: Frame | None, path: Path) -> Rows:
    """Keep the rows that name this tomogram; rows without a name are kept.

    Errors: PointsError where the file names other tomograms only, or several that may be meant.
    """
    names = sorted(set(rows.tomograms.values()))
    if not names:
        return rows
    shown = ", ".join(names[:_SHOWN]) + (" ..." if len(names) > _SHOWN else "")
    own = [name for name in (frame.token, frame.file_name) if name] if frame else []
    if len(names) == 1 and (not own or names[0].isdigit()):
        return replace(rows, findings=(*rows.findings, f"its rows are of tomogram {shown}"))
    wanted = set(names_of_tomogram(names, own))
    if len({_fold(name) for name in wanted}) != 1:
        listed = f"lists {len(names)} tomograms" if len(names) > 1 else "is of another tomogram"
        mine = repr(own[0]) if own else "this one"
        raise PointsError(
            f"{path}: {listed} ({shown}); none of them is just {mine}; name the file with this "
            "tomogram's centers, or a csv of x, y, z."
        )
    keep = {row for row, _ in (*rows.values, *rows.failed)} - {
        row for row, name in rows.tomograms.items() if name not in wanted
    }
    findings = rows.findings
    if len(names) > 1:
        total = len(rows.values) + len(rows.failed)
        findings += (f"{len(keep)} of {total} rows are of {stem(min(wanted))}",)
    elif _fold(names[0]) not in map(_fold, own):
        findings += (f"rows of {shown} taken as of {own[0]}",)
    return replace(
        rows,
        values=tuple(value for value in rows.values if value[0] in keep),
        failed=tuple(failed for failed in rows.failed if failed[0] in keep),
        findings=findings,
    )


def names_of_tomogram(names: Iterable[str], own: Iterable[str]) -> list[str]:
    """Find the names that mean this tomogram: equal ones, else those that share the most."""
    mine = {_fold(name) for name in own}
    by_overlap: dict[int, list[str]] = {}
    for name in names:
        stated = _fold(name)
        if stated in mine:
            by_overlap.setdefault(1 << 16, []).append(name)
        else:
            overlap = max((_overlap(stated, other) for other in mine), default=0)
            by_overlap.setdefault(overlap, []).append(name)
    best = max(by_overlap, default=0)
    return by_overlap[best] if best else []


def stem(name: str) -> str:
    """Return a tomogram's name without folders and suffixes of volumes."""
    short = name.replace("\\", "/").rstrip("/").rpartition("/")[2]
    while (cut := next((s for s in _SUFFIXES if short.lower().endswith(s)), None)) and short != cut:
        short = short[: -len(cut)]
    return short


def _fold(name: str) -> str:
    return unicodedata.normalize("NFC", stem(name)).casefold()


def _overlap(message: str, other: str) -> int:
    """Characters of the shorter name, where it stands in the longer one between other signs."""
    short, long = sorted((message, other), key=len)
    at = long.find(short) if any(sign.isalpha() for sign in short) else -1
    while at >= 0:
        around = long[at - 1 : at] + long[at + len(short) : at + len(short) + 1]
        if not any(sign.isalnum() for sign in around):
            return len(short)
        at = long.find(short, at + 1)
    return 0
