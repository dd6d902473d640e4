"""TIFF label volumes (.tif): stacks that napari, Fiji and Amira save; pages are sections.

tifffile reads the tags; the voxels are read by us, a strip at a time and no further than the tags
promise, since tifffile inflates without end. Plain and deflated strips are read, and masks of one
bit a voxel (napari's boolean labels); that is what those programs write.
"""

import logging
from pathlib import Path
from typing import Any, NamedTuple, Self

import numpy as np
from numpy.typing import NDArray

from core.errors import VolumeError
from core.imaging.formats.label_names import Segment
from core.imaging.formats.source import MAX_RATIO, Source, inflate_exactly
from core.imaging.geometry import Box, Grid, Zyx

MAX_PAGES = 10_000
MAX_SIDE = 65_535
MAX_SECTION_BYTES = 128 << 20

_PLAIN, _DEFLATED = 1, (8, 32946)
"""TIFF 6 and Adobe's supplement: values of the tag Compression."""
_COMPRESSIONS = {5: "LZW compression", 7: "JPEG compression", 32773: "PackBits compression"}

_SILENT = logging.NullHandler()


class _Strip(NamedTuple):
    """Rows of a section that lie together in the file."""

    offset: int
    length: int


class _Facts(NamedTuple):
    """Fields of the TIFF tags."""

    shape: Zyx
    stored: np.dtype[Any]
    offset: int | None
    """Where all voxels lie one after the other, else None."""
    deflated: bool
    bits: bool
    """One bit a voxel, the first in the highest bit; a row ends on a whole byte."""
    strip_rows: int
    sections: tuple[tuple[_Strip, ...], ...]


class TiffVolume:
    """An open TIFF stack; ``read`` gives (z, y, x)."""

    grid: Grid | None = None
    layers = 1
    segments: tuple[Segment, ...] = ()
    voxel_size: float | None = None
    """TIFF's resolution is dots an inch or nothing; it is not believed."""
    warnings: tuple[str, ...] = ()
    label_zero, label_step = 0, 0.0

    def __init__(self, path: Path, source: Source | None = None) -> None:
        """Open and check a file, or one that is open; ``close`` closes it.

        Errors: VolumeError for what is no 3D stack of real numbers in plain or deflated strips,
        or is shorter than its tags say.
        """
        self.path = path
        self._source = source or Source(path)
        try:
            if self._source.compression:
                raise VolumeError(f"{path}: is compressed as a whole; save it as plain .tif.")
            self._facts = _parse(self._source)
            self._check_size()
        except BaseException:
            self._source.close()
            raise
        self.shape = self._facts.shape
        self.dtype = self._facts.stored.newbyteorder("=")

    def _check_size(self) -> None:
        facts, size = self._facts, self._source.size
        length = facts.shape.z * facts.shape.y * self._row_bytes
        most = size * (MAX_RATIO["gzip"] if facts.deflated else 1)
        ends = (strip.offset + strip.length for strips in facts.sections for strip in strips)
        last = max(ends, default=0) if facts.offset is None else facts.offset + length
        if length > most or last > size or length // facts.shape.z > MAX_SECTION_BYTES:
            raise VolumeError(
                f"{self.path}: promises {length} bytes of voxels up to byte {last} in a file of "
                f"{size}; it was cut short or its tags are wrong, save it again."
            )

    def read(self, box: Box, layer: int = 0) -> NDArray[Any]:
        if layer != 0 or not box.lies_in(self.shape):
            raise VolumeError(
                f"{self.path}: box {tuple(box.start)} to {tuple(box.stop)} (z, y, x) leaves the "
                f"volume of shape {tuple(self.shape)}."
            )
        facts = self._facts
        if facts.offset is not None:
            stored = self._source.read_box(box, self.shape, facts.stored, facts.offset)
            return np.ascontiguousarray(stored, dtype=self.dtype)
        out = np.empty(box.shape, self.dtype)
        for index, z in enumerate(range(box.start.z, box.stop.z)):
            self._read_section(out[index], z, box)
        return out

    def _read_section(self, out: NDArray[Any], z: int, box: Box) -> None:
        """Fill the rows and columns of the box, strip by strip."""
        step = self._facts.strip_rows
        for first in range(box.start.y // step * step, box.stop.y, step):
            rows = self._strip(z, first, min(step, self.shape.y - first))
            start, stop = max(first, box.start.y), min(first + len(rows), box.stop.y)
            wanted = rows[start - first : stop - first, box.start.x : box.stop.x]
            out[start - box.start.y : stop - box.start.y] = wanted

    def _strip(self, z: int, first_row: int, rows: int) -> NDArray[Any]:
        facts = self._facts
        strip = facts.sections[z][first_row // facts.strip_rows]
        length = rows * self._row_bytes
        if facts.deflated:
            more = self._source.more(strip.offset, strip.offset + strip.length)
            raw = inflate_exactly("zlib", more, length, self.path)
        else:
            raw = np.empty(length, np.uint8)
            self._source.read_into(raw.data, strip.offset)
        if facts.bits:
            return np.unpackbits(raw.reshape(rows, -1), axis=1, count=self.shape.x)
        return raw.view(facts.stored).reshape(rows, self.shape.x)

    @property
    def _row_bytes(self) -> int:
        facts = self._facts
        return (facts.shape.x + 7) // 8 if facts.bits else facts.shape.x * facts.stored.itemsize

    def close(self) -> None:
        self._source.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exc: object) -> None:
        self.close()


def _parse(source: Source) -> _Facts:
    import tifffile

    logging.getLogger("tifffile").addHandler(_SILENT)  # or Python prints its doubts on stderr
    try:
        # The name is for tifffile's messages; the file is the one that was opened and checked.
        with source.opened_again() as file:
            handle = tifffile.FileHandle(file, name=source.path.name)
            with tifffile.TiffFile(handle) as tiff:
                _check_pages(tiff, source.path)
                return _facts(tiff, source.path)
    except VolumeError:
        raise
    except Exception as error:  # tifffile raises whatever its parsing trips over
        text = " ".join(str(error).split())[:80]
        raise VolumeError(
            f"{source.path}: cannot be read as TIFF ({text}); save it uncompressed, or as NRRD."
        ) from error


def _check_pages(tiff: Any, path: Path) -> None:
    """Stop at a chain of pages without end, before tifffile looks at each."""
    try:
        tiff.pages[MAX_PAGES]
    except IndexError:
        return
    raise VolumeError(f"{path}: has more than {MAX_PAGES} pages; save it as NRRD or MRC.")


def _facts(tiff: Any, path: Path) -> _Facts:
    series = tiff.series[0]
    _check_stack(tiff, series, path)
    key = series.keyframe
    bits = series.dtype.kind == "b"
    stored = np.dtype("u1") if bits else np.dtype(series.dtype).newbyteorder(tiff.byteorder)
    shape = Zyx(*(int(side) for side in series.shape))
    deflated = int(key.compression) in _DEFLATED
    if series.dataoffset is not None and not deflated and not bits:
        return _Facts(
            shape=shape,
            stored=stored,
            offset=int(series.dataoffset),
            deflated=False,
            bits=False,
            strip_rows=shape.y,
            sections=(),
        )
    step = min(int(key.rowsperstrip), shape.y)
    sections = tuple(_strips(page) for page in series.pages)
    if len(sections) != shape.z or any(len(held) != -(-shape.y // step) for held in sections):
        raise VolumeError(f"{path}: some of its sections have no voxels; save it again.")
    return _Facts(
        shape=shape,
        stored=stored,
        offset=None,
        deflated=deflated,
        bits=bits,
        strip_rows=step,
        sections=sections,
    )


def _packing(key: Any) -> str:
    """Name what of a page's packing is not read."""
    compression = int(key.compression)
    if compression not in (_PLAIN, *_DEFLATED):
        return _COMPRESSIONS.get(compression, f"compression {compression}")
    if key.is_tiled:
        return "tiles"
    return "a predictor" if int(key.predictor) != 1 else f"{key.bitspersample} bits a voxel"


def _strips(page: Any) -> tuple[_Strip, ...]:
    return tuple(
        _Strip(int(offset), int(length))
        for offset, length in zip(page.dataoffsets, page.databytecounts, strict=True)
    )


def _check_stack(tiff: Any, series: Any, path: Path) -> None:
    """Check that it is one stack of plain numbers, in strips that are read here."""
    shape, dtype, key = series.shape, series.dtype, series.keyframe
    if len(tiff.series) > 1 or len(shape) != 3 or "S" in series.axes or dtype.kind not in "iufb":
        raise VolumeError(
            f"{path}: is {' × '.join(map(str, shape))} {series.axes}, not one stack of gray "
            "sections; save a 3D stack without colours or channels."
        )
    if not all(1 <= side <= MAX_SIDE for side in shape):
        raise VolumeError(f"{path}: its tags state impossible sides {tuple(shape)}.")
    packed = int(key.compression) not in (_PLAIN, *_DEFLATED) or int(key.predictor) != 1
    width = 1 if dtype.kind == "b" else 8 * dtype.itemsize
    whole_numbers = key.bitspersample == width and int(key.fillorder) == 1
    if (
        packed
        or key.is_tiled
        or not whole_numbers
        or (key.imagelength, key.imagewidth) != (shape[1], shape[2])
    ):
        raise VolumeError(
            f"{path}: is packed in a way that is not read ({_packing(key)}); save it uncompressed, "
            "or as NRRD."
        )
