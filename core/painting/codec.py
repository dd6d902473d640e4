"""A drawing: what a person painted on a patch in the browser, one kind a voxel.

It is uint8 (z, y, x) of the patch's shape: 0 nothing, 1 Add, 2 Remove, 3 Ignore. Of the files a
drawing is saved as, each holds one kind, as MITK would write it.
"""

import hashlib
import zlib
from collections.abc import Iterable, Mapping

import numpy as np
from isal import isal_zlib
from numpy.typing import NDArray

from core.errors import DrawingError, DrawingSizeError
from core.imaging.geometry import Zyx
from core.imaging.labels import Mask
from db.vocabulary import CorrectionKind

NOTHING = 0
VALUES: Mapping[CorrectionKind, int] = {
    CorrectionKind.ADD: 1,
    CorrectionKind.REMOVE: 2,
    CorrectionKind.IGNORE: 3,
}
"""The value of each kind; where corrections overlap, the higher wins, except Add over Remove."""
BITS: Mapping[CorrectionKind, int] = {
    CorrectionKind.ADD: 1,
    CorrectionKind.REMOVE: 2,
    CorrectionKind.IGNORE: 4,
}
"""The bit of each kind where several may claim one voxel."""
WEAKEST_FIRST = (CorrectionKind.REMOVE, CorrectionKind.ADD, CorrectionKind.IGNORE)
GZIP_SLACK = 64 << 10
"""Bytes by which a squeezed drawing may be longer than its voxels."""

Drawing = NDArray[np.uint8]


def decode_drawing(body: bytes, shape: Zyx, sha256: str, *, squeezed: bool) -> Drawing:
    """Read a drawing that was sent: gzip or plain voxels, x fastest.

    Errors: DrawingSizeError for more voxels than the patch has, DrawingError for fewer, for a
    broken gzip stream, another checksum, or other values than 0, 1, 2, 3.
    """
    size = int(np.prod(shape, dtype=object))
    raw = _inflate(body, size) if squeezed else body
    if len(raw) > size:
        raise DrawingSizeError(f"the drawing holds more than the patch's {size} voxels.")
    if len(raw) < size:
        raise DrawingError(f"the drawing holds {len(raw)} voxels, the patch has {size}.")
    if hashlib.sha256(raw).hexdigest() != sha256.lower():
        raise DrawingError("the drawing is not what its checksum says; send it again.")
    drawing = np.frombuffer(raw, np.uint8).reshape(shape)
    if drawing.max() > max(VALUES.values()):
        raise DrawingError(
            f"the drawing holds the value {drawing.max()}; it may hold 0 nothing, 1 Add, 2 Remove "
            "and 3 Ignore."
        )
    return drawing


def encode_drawing(drawing: Drawing) -> bytes:
    """Squeeze a drawing; the same voxels give the same bytes."""
    return bytes(isal_zlib.compress(np.ascontiguousarray(drawing).data, 1, 31))


def mask_of(drawing: Drawing, kind: CorrectionKind) -> Mask:
    """Return the mask of one kind in a drawing."""
    return np.asarray(drawing == VALUES[kind])


def claims(corrections: Iterable[Mapping[CorrectionKind, Mask]], shape: Zyx) -> Drawing:
    """The kinds that corrections claim in each voxel, as bits."""
    zeros = np.zeros(shape, np.uint8)
    for correction in corrections:
        for kind, mask in correction.items():
            zeros |= mask.view(np.uint8) * np.uint8(BITS[kind])
    return zeros


def drawing_of(claimed: Drawing) -> Drawing:
    """One kind a voxel: ignore over add over remove, so that the merged label stays the same."""
    drawing = np.zeros(claimed.shape, np.uint8)
    for kind in WEAKEST_FIRST:
        drawing[(claimed & BITS[kind]) != 0] = VALUES[kind]
    return drawing


def _inflate(body: bytes, size: int) -> bytes:
    """Inflate no further than one byte beyond what a drawing may hold."""
    stream = zlib.decompressobj(31)
    try:
        raw = stream.decompress(body, size + 1)
    except zlib.error as error:
        raise DrawingError("the drawing is no whole gzip stream; send it again.") from error
    if len(raw) > size:
        raise DrawingSizeError(f"the drawing inflates to more than the patch's {size} voxels.")
    if not stream.eof or stream.unused_data:
        raise DrawingError("the drawing is no whole gzip stream; send it again.")
    return raw
