"""Curated patches as values: all that an export needs to know, without the catalog.

Whoever holds the catalog makes one ``CuratedPatch`` for each patch and calls the export.
"""

from dataclasses import dataclass, field
from datetime import date
from pathlib import Path

from core.imaging.geometry import BORDER, Box, Zyx
from core.imaging.labels import LabelCounts, core_of
from db.vocabulary import CorrectionKind, Licence, Scope, Split

ACCEPTED = "accepted"
"""The review status of a patch that a reviewer accepted."""


@dataclass(frozen=True)
class Permission:
    """Permission of a tomogram's owner to use its patches."""

    owner: str
    scope: Scope
    licence: Licence | None
    approved_by: str
    approved_on: date
    embargo_until: date | None = None
    until: date | None = None
    """The permission ends after this day."""


@dataclass(frozen=True)
class Method:
    """Provenance of a label, with real names; never part of a bundle."""

    kinds: tuple[CorrectionKind, ...] = ()
    """Kinds of correction that were merged; none where somebody stated "nothing to change"."""
    annotators: tuple[str, ...] = ()
    reviewer: str | None = None


@dataclass(frozen=True)
class Imported:
    """Origin of a patch that another group shared, kept as imported."""

    bundle_id: str
    patch_id: str
    source_group: str
    licence: Licence
    attribution: str
    doi: str | None = None
    level: str = "public"
    """The privacy level of the bundle it came in; it may not be published wider."""


@dataclass(frozen=True)
class CuratedPatch:
    """One patch with its files and its record. Positions and shapes are (z, y, x) voxels."""

    name: str
    """``<dataset>_<token>_patch<N>``."""
    dataset: str
    tomogram: str
    """The tomogram's real token."""
    source_group: str
    """What a split must not tear apart, as one name for the whole catalog: DATASET/TOKEN of the
    first tomogram of its specimen (or of a file with the same bytes)."""
    image_path: Path
    label_path: Path
    """The merged training label, uint8 {0, 1, 2}."""
    box: Box
    tomogram_shape: Zyx
    voxel_size: float | None
    """Angstrom; None where nobody knows it (curable, but not exportable)."""
    prediction_path: Path | None = None
    """The label as it was extracted, before corrections."""
    second_label_path: Path | None = None
    """Another annotator's label of the same patch."""
    padded: bool = False
    model: str | None = None
    method: Method = field(default_factory=Method)
    permission: Permission | None = None
    pinned: Split | None = None
    group_pins: frozenset[Split] = frozenset()
    """What any tomogram of its group is pinned to, exported here or not."""
    recorded: Split | None = None
    """The split of its first export, kept since."""
    status: str = ACCEPTED
    counts: LabelCounts | None = None
    """Of its label, as recorded when it was merged; None: they are read from the file."""
    newer_corrections: bool = False
    """Corrections came after the accepted label, which does not hold them."""
    imported: Imported | None = None
    normalised: bool = False
    """The image is z-scored already (it came from a bundle): shipped as it is."""
    core_only: bool = False
    """The patch came without its border (128³)."""
    image_hash: str | None = None
    """What the image's voxels were when they were recorded; None is not checked."""
    label_hash: str | None = None
    second_label_hash: str | None = None

    @property
    def real_box(self) -> Box:
        """The voxels of the patch's own array that lie in the tomogram (not padding)."""
        start = Zyx(*(max(0, -a) for a in self.box.start))
        stop = Zyx(*(min(n, b) - a for a, b, n in zip(*self.box, self.tomogram_shape, strict=True)))
        return Box(start, stop)


def core_box(shape: Zyx) -> Box:
    """The box inside the border of a patch of this shape: what is supervised."""
    z, y, x = core_of(shape, BORDER)
    return Box(Zyx(z.start, y.start, x.start), Zyx(z.stop, y.stop, x.stop))
