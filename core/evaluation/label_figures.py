"""Measure accepted labels: figures that the catalog has, and figures that are read from files."""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from core.corrections.store import Store
from core.exports.selection import curated_patch
from core.exports.validate import read_label
from core.files.threads import side_by_side
from core.imaging.geometry import BORDER, Zyx
from core.imaging.labels import core_of
from core.imaging.quality import Agreement, Quality, agreement, measure
from core.lab.lab import Lab
from core.workspace.workspace import Workspace
from db.errors import TomocurateError
from db.queries.curated import AcceptedLabel, CuratedRecord, accepted_labels, curated_records
from db.queries.patches import PatchFilter
from db.vocabulary import Split


@dataclass(frozen=True)
class LabelFigures:
    """Figures of an accepted label from the catalog. Shares leave out the border."""

    patch: str
    tomogram: str
    model: str | None
    split: Split | None
    ignore_share: float
    membrane_share: float
    """Of the labelled voxels."""
    added: int
    removed: int
    ignored: int


@dataclass(frozen=True)
class Measured:
    """Figures measured on a label; ``fault`` if it could not be read."""

    patch: str
    quality: Quality | None = None
    agreement: Agreement | None = None
    """With a second annotator."""
    fault: str | None = None


def label_figures(lab: Lab) -> tuple[LabelFigures, ...]:
    """Give figures of all accepted labels, from the catalog alone.

    Errors: NotAllowedError.
    """
    with lab.read() as session:
        labels = accepted_labels(session)
    return tuple(map(_figures, labels))


def measure_labels(
    lab: Lab,
    names: Sequence[str],
    progress: Callable[[int, int], None] = lambda done, total: None,
) -> tuple[Measured, ...]:
    """Read labels and measure them: components, Dice before and after, second annotators.

    Errors: NotAllowedError.
    """
    with lab.read() as session:
        records = curated_records(session, PatchFilter(), names)
    found: list[Measured] = []
    for measured in side_by_side(lambda record: _measure(lab.workspace, record), records):
        found.append(measured)
        progress(len(found), len(records))
    return tuple(found)


def _figures(label: AcceptedLabel) -> LabelFigures:
    inside = math.prod(side.stop - side.start for side in core_of(Zyx(*label.shape), BORDER))
    membrane = int(label.values.get("membrane", 0))
    labelled = membrane + int(label.values.get("background", 0))
    border = math.prod(label.shape) - inside
    return LabelFigures(
        patch=label.patch,
        tomogram=label.tomogram,
        model=label.model,
        split=label.split,
        ignore_share=max(0, int(label.values.get("ignore", 0)) - border) / max(1, inside),
        membrane_share=membrane / max(1, labelled),
        added=int(label.changes.get("added", 0)),
        removed=int(label.changes.get("removed", 0)),
        ignored=int(label.changes.get("ignored", 0)),
    )


def _measure(workspace: Workspace, record: CuratedRecord) -> Measured:
    patch = curated_patch(workspace, record)
    store = Store(workspace.folders.store)
    try:
        label = read_label(store.checked(record.label.file_sha256, f"{patch.name}: its label"))
        before = None if patch.prediction_path is None else read_label(patch.prediction_path)
        second = None if patch.second_label_path is None else read_label(patch.second_label_path)
    except TomocurateError as error:
        return Measured(patch.name, fault=str(error))
    return Measured(
        patch.name,
        measure(label, before, core_only=patch.core_only),
        None if second is None else agreement(label, second),
    )
