"""NRRD label volumes (.nrrd, .seg.nrrd): what MITK, 3D Slicer and napari plugins save.

Format: https://teem.sourceforge.net/nrrd/format.html. pynrrd reads the header, out of at most
64 KiB that were checked first: by itself it follows ``data file`` anywhere, spins on ``line skip``
and inflates without end. Bounds, boxes and inflating are ours, and what the labels' names mean
(label_names.py).
"""

import math
import re
from pathlib import Path
from typing import Any, NamedTuple, Self

import numpy as np
from numpy.typing import NDArray

from core.errors import VolumeError
from core.imaging.formats.label_names import Segment, read_label_names
from core.imaging.formats.source import Bytes, More, Source, check_length
from core.imaging.formats.voxel_size import one_voxel_size
from core.imaging.geometry import Box, Grid, Zyx, is_possible, whole

MAX_HEADER_BYTES, MAX_HEADER_LINES = 64 << 10, 1000
MAX_SIDE = 65_535
MAX_NUMBER = 64
"""Digits of a number in a text file."""
MAX_IN_MEMORY = 64 << 20
"""A file whose voxels take no more (a patch) is read whole, once; of others just the box is."""

_C_TYPES = {
    "signed char": "int8",
    "uchar": "uint8",
    "short": "int16",
    "ushort": "uint16",
    "int": "int32",
    "uint": "uint32",
    "longlong": "int64",
    "ulonglong": "uint64",
    "float": "float32",
    "double": "float64",
}
_TYPES = {f"{sign}int{bits}" for sign in ("", "u") for bits in (8, 16, 32, 64)}
_ENCODINGS = {
    name: encoding
    for encoding, names in {
        "raw": "raw",
        "gzip": "gzip gz",
        "bzip2": "bzip2 bz2",
        "text": "ascii text txt",
    }.items()
    for name in names.split()
}
_OTHER_FILE = ("data file", "datafile")
_SKIPS = ("line skip", "lineskip", "byte skip", "byteskip")

_TO_LPS = {
    "left-posterior-superior": (1, 1, 1),
    "lps": (1, 1, 1),
    "right-anterior-superior": (-1, -1, 1),
    "ras": (-1, -1, 1),
    "left-anterior-superior": (1, -1, 1),
    "las": (1, -1, 1),
}
_PLACE_KINDS = {"domain", "space", "time", "none", "???"}
_LAYER_KINDS = {"vector", "list", "point", "covariant-vector", "normal", "none", "???"}
_UNITS = {
    "mm": "mm",
    "millimeter": "mm",
    "m": "m",
    "nm": "nm",
    "nanometer": "nm",
    "um": "micron",
    "µm": "micron",
    "μm": "micron",
    "micron": "micron",
    "microns": "micron",
    "micrometer": "micron",
    "a": "angstrom",
    "å": "angstrom",
    "angstrom": "angstrom",
    "angstroms": "angstrom",
}
"""Names of ``space units`` as programs write them."""


class _Facts(NamedTuple):
    """Fields of a header."""

    shape: Zyx
    layers: int
    layer_axis: int | None
    """Of the file's array in C order (slowest first), where the layers lie."""
    stored: np.dtype[Any]
    encoding: str
    offset: int
    grid: Grid | None
    unit: str
    segments: tuple[Segment, ...]


class NrrdVolume:
    """An open NRRD file; ``read`` gives (z, y, x). Compressed voxels are inflated once."""

    label_zero, label_step = 0, 0.0

    def __init__(self, path: Path, source: Source | None = None) -> None:
        """Open and check a file, or one that is open; ``close`` closes it.

        Errors: VolumeError for what is no attached 3D (or layered 3D) NRRD of real numbers, or
        holds more or fewer voxels than its header says.
        """
        self.path = path
        self._source = source or Source(path)
        self._voxels: NDArray[Any] | None = None
        try:
            self._facts = _parse(self._source, path)
            self._in_memory = self._bytes <= MAX_IN_MEMORY
            self._check_size()
        except BaseException:
            self._source.close()
            raise
        self.shape = self._facts.shape
        self.dtype = self._facts.stored.newbyteorder("=")
        self.grid = self._facts.grid
        self.layers = self._facts.layers
        self.segments = self._facts.segments
        stated = self._facts.unit
        self.voxel_size, self.warnings = (
            one_voxel_size(self.grid.spacing_xyz, stated) if self.grid else (None, ())
        )

    @property
    def _bytes(self) -> int:
        return math.prod(self._facts.shape) * self._facts.layers * self._facts.stored.itemsize

    def read(self, box: Box, layer: int = 0) -> NDArray[Any]:
        if not 0 <= layer < self.layers or not box.lies_in(self.shape):
            raise VolumeError(
                f"{self.path}: box {tuple(box.start)} to {tuple(box.stop)} (z, y, x), layer "
                f"{layer} leaves the volume of shape {tuple(self.shape)}, {self.layers} layers."
            )
        if not self._in_memory:
            return np.ascontiguousarray(self._rows(box, layer), dtype=self.dtype)
        if self.layers == 1 and box == whole(self.shape):
            return np.ascontiguousarray(self._load()[0], dtype=self.dtype)
        if self._voxels is None:
            self._voxels = self._load()
        return np.array(self._voxels[layer][box.slices], dtype=self.dtype, order="C")

    def _check_size(self) -> None:
        """Hold what the header promises against what the file can hold."""
        facts = self._facts
        if facts.encoding in ("gzip", "bzip2"):
            self._source.go_inside(facts.encoding, facts.offset)
            self._source.promise(self._bytes)
        elif facts.encoding == "raw":
            self._source.promise(facts.offset + self._bytes)
        if not self._in_memory and (facts.encoding == "text" or facts.layer_axis in (1, 2)):
            raise VolumeError(
                f"{self.path}: holds {self._bytes} bytes of voxels as text, or with its layers "
                "between its axes; save it with gzip, and one file a layer."
            )

    def _load(self) -> NDArray[Any]:
        """All voxels as (layer, z, y, x)."""
        facts = self._facts
        flat = _decode(self._source, facts, self._bytes).view(facts.stored)
        if facts.layer_axis is None:
            return flat.reshape(1, *facts.shape)
        shape = list(facts.shape)
        shape.insert(facts.layer_axis, facts.layers)
        return np.moveaxis(flat.reshape(shape), facts.layer_axis, 0)

    def _rows(self, box: Box, layer: int) -> NDArray[Any]:
        """Return the box of a large file; its layers lie one after the other, or voxel by voxel."""
        facts = self._facts
        start = facts.offset if facts.encoding == "raw" else 0
        if facts.layer_axis != len(facts.shape):
            start += layer * math.prod(facts.shape) * facts.stored.itemsize
            return self._source.read_box(box, facts.shape, facts.stored, start)
        count = facts.layers
        shape = facts.shape._replace(x=facts.shape.x * count)
        begin, end = box.start.x * count, box.stop.x * count
        wide = Box(box.start._replace(x=begin), box.stop._replace(x=end))
        return self._source.read_box(wide, shape, facts.stored, start)[..., layer::count]

    def close(self) -> None:
        self._voxels = None
        self._source.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exc: object) -> None:
        self.close()


def _parse(source: Source, path: Path) -> _Facts:
    lines, offset = _header_lines(source, path)
    header = _read_header(lines, path)
    stored = _stored_dtype(header, path)
    sizes = _sizes(header, path)
    layer = _layer_position(header, sizes, path)
    layers = 1 if layer is None else sizes[layer]
    return _Facts(
        shape=Zyx.from_xyz([size for axis, size in enumerate(sizes) if axis != layer]),
        layers=layers,
        layer_axis=None if layer is None else len(sizes) - 1 - layer,
        stored=stored,
        encoding=_encoding(header, path),
        offset=offset,
        grid=_grid(header, layer, path),
        unit=_unit(header),
        segments=read_label_names(_pairs(header), layers, path),
    )


def _header_lines(source: Source, path: Path) -> tuple[list[str], int]:
    """Return the lines of a bounded header, and where the voxels begin."""
    if source.compression:
        raise VolumeError(f"{path}: is compressed as a whole; save it as .nrrd with gzip inside.")
    raw = source.head(MAX_HEADER_BYTES)
    match = re.search(rb"\r?\n\r?\n", raw)
    end = match.start() if match else len(raw)
    lines = raw[:end].splitlines()
    if (match is None and source.size > len(raw)) or len(lines) > MAX_HEADER_LINES:
        raise VolumeError(
            f"{path}: its NRRD header is longer than {MAX_HEADER_BYTES >> 10} KiB or "
            f"{MAX_HEADER_LINES} lines; it is damaged."
        )
    decoded = [_with_plain_name(line.decode("utf-8", "replace")) for line in lines[1:]]
    for line in decoded:
        _refuse_other_files(line, path)
    return [lines[0].decode("ascii", "replace"), *decoded], match.end() if match else len(raw)


def _with_plain_name(line: str) -> str:
    """Write a field's name in small letters, as pynrrd knows it; keys of pairs stay."""
    name, colon, value = line.partition(":")
    return line if value.startswith("=") else name.strip().lower() + colon + value


def _refuse_other_files(line: str, path: Path) -> None:
    name, _, value = line.partition(":")
    if name in _OTHER_FILE:
        raise VolumeError(f"{path}: keeps its voxels in another file; save one .nrrd file.")
    if name in _SKIPS and value.strip() != "0":
        raise VolumeError(f"{path}: uses '{name}'; save it again as one plain .nrrd file.")


def _read_header(lines: list[str], path: Path) -> dict[str, Any]:
    """Read checked lines by pynrrd, vectors as lists of numbers (``none`` as None)."""
    import nrrd

    try:
        header = dict(nrrd.read_header(iter(lines)))
        for name in ("space directions", "space origin"):
            if name in header:
                header[name] = np.atleast_2d(np.asarray(header[name], float))
    except Exception as error:  # pynrrd raises whatever its parsing trips over
        text = " ".join(str(error).split())[:80]
        raise VolumeError(
            f"{path}: its NRRD header (space, sizes or another field) cannot be read ({text}); "
            "save it again."
        ) from error
    return header


def _pairs(header: dict[str, Any]) -> dict[str, str]:
    """Return the key/value pairs, and other fields that are text."""
    return {name: value for name, value in header.items() if isinstance(value, str)}


def _stored_dtype(header: dict[str, Any], path: Path) -> np.dtype[Any]:
    stated = str(header.get("type", "")).lower()
    short = stated.removesuffix("_t").replace("unsigned ", "u").replace("long long", "longlong")
    short = short.removesuffix(" int") if " " in short else short
    short = short if short == "signed char" else short.removeprefix("signed ")
    name = _C_TYPES.get(short, short)
    if name not in _TYPES | {"float32", "float64"}:
        raise VolumeError(f"{path}: NRRD type {stated!r:.40} is not one real number per voxel.")
    big = str(header.get("endian", "little")).lower() == "big"
    return np.dtype(name).newbyteorder(">" if big else "<")


def _sizes(header: dict[str, Any], path: Path) -> list[int]:
    sizes = [int(size) for size in header.get("sizes", ())]
    if not sizes or "dimension" not in header:
        raise VolumeError(f"{path}: its NRRD header states no sizes; save it again.")
    dimension = int(header["dimension"])
    if len(sizes) != dimension or not all(1 <= size <= MAX_SIDE for size in sizes):
        raise VolumeError(f"{path}: its NRRD header states impossible sizes {sizes[:6]}.")
    if dimension not in (3, 4):
        raise VolumeError(f"{path}: is {dimension}D; save the whole 3D segmentation.")
    return sizes


def _layer_position(header: dict[str, Any], sizes: list[int], path: Path) -> int | None:
    """Return which of the file's axes (fastest first) counts layers instead of space."""
    kinds = [kind.lower() for kind in header.get("kinds", ())]
    _check_kinds(kinds, len(sizes), path)
    if len(sizes) == 3:
        return None
    layers = [i for i, kind in enumerate(kinds) if kind in _LAYER_KINDS]
    if not layers and "space directions" in header:
        layers = np.flatnonzero(np.isnan(header["space directions"]).all(axis=1)).tolist()
    if len(layers) != 1:
        raise VolumeError(
            f"{path}: is 4D and does not say which axis counts layers; save one 3D file a kind."
        )
    return int(layers[0])


def _check_kinds(kinds: list[str], dimension: int, path: Path) -> None:
    known = _PLACE_KINDS if dimension == 3 else _PLACE_KINDS | _LAYER_KINDS
    strange = next((kind for kind in kinds if kind not in known), None)
    if strange is not None:
        raise VolumeError(
            f"{path}: has an axis of kind {strange!r:.40}, not one number a voxel of a 3D volume; "
            "save the 3D segmentation."
        )


def _encoding(header: dict[str, Any], path: Path) -> str:
    stated = str(header.get("encoding", "")).lower()
    if stated not in _ENCODINGS:
        raise VolumeError(f"{path}: NRRD encoding {stated!r:.40} is not read; save it with gzip.")
    return _ENCODINGS[stated]


def _decode(source: Source, facts: _Facts, length: int) -> Bytes:
    if facts.encoding == "text":
        return _parse_text(source.more(facts.offset), facts.stored, length, source.path)
    if facts.encoding != "raw":
        return source.read_all(length)
    raw = np.empty(length, np.uint8)
    source.read_into(raw.data, facts.offset)
    return raw


def _parse_text(more: More, stored: np.dtype[Any], length: int, path: Path) -> Bytes:
    """Numbers between blanks, a piece of the text at a time."""
    numbers, found = [np.empty(0, stored)], 0
    cut = b""
    while found <= length and (raw := more()):
        words = (cut + raw).split()
        cut = words.pop() if words and not raw[-1:].isspace() else b""
        numbers.append(_as_numbers(words, stored, path))
        found += numbers[-1].nbytes
        if len(cut) > MAX_NUMBER:
            break
    numbers.append(_as_numbers(cut.split(), stored, path))
    found += numbers[-1].nbytes
    check_length(found, length, path)
    return np.concatenate(numbers).view(np.uint8)


def _as_numbers(words: list[bytes], stored: np.dtype[Any], path: Path) -> NDArray[Any]:
    try:
        if any(len(word) > MAX_NUMBER for word in words):
            raise ValueError("a number of so many digits")
        return np.array(words, dtype=stored)
    except (ValueError, OverflowError) as error:
        raise VolumeError(f"{path}: its text holds something else than numbers.") from error


def _grid(header: dict[str, Any], layer: int | None, path: Path) -> Grid | None:
    """Read the grid in LPS; None where the file states no directions (spacing is no place)."""
    if "space directions" not in header:
        return None
    signs = _TO_LPS.get(str(header.get("space", "lps")).lower())
    if signs is None:
        raise VolumeError(f"{path}: NRRD space {header['space']!r:.40} is not read; save in LPS.")
    rows = [row for axis, row in enumerate(header["space directions"]) if axis != layer]
    origin = header.get("space origin", np.zeros((1, 3)))
    if np.shape(rows) != (3, 3) or origin.shape != (1, 3):
        raise VolumeError(f"{path}: its NRRD space directions and origin do not form a 3D grid.")
    steps, at = np.array(rows).T * np.array(signs)[:, None], origin[0] * signs
    if not is_possible(steps, at):
        raise VolumeError(f"{path}: its NRRD space directions are flat, not finite or too large.")
    return Grid.of(steps, at)


def _unit(header: dict[str, Any]) -> str:
    units = {_UNITS.get(unit.lower().strip(), "") for unit in header.get("space units", ())}
    return units.pop() if len(units) == 1 else ""
