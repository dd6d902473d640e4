"""NRRD label volumes (.nrrd, .seg.nrrd): what MITK, 3D Slicer and napari plugins save.

Format: https://teem.sourceforge.net/nrrd/format.html. pynrrd writes; reading is ours, since pynrrd
follows ``data file`` anywhere, spins on ``line skip``, inflates without end and takes longer to
start than a patch to merge. The header is bounded, and only one attached file is read. The tests
hold this reader against pynrrd's writer and SimpleITK.
"""

import json
import math
import re
from pathlib import Path
from typing import Any, NamedTuple, Self

import numpy as np
from numpy.typing import NDArray

from core.errors import VolumeError
from core.imaging.formats.segment import Segment
from core.imaging.formats.source import Bytes, More, Source, check_length
from core.imaging.geometry import Box, Grid, Zyx, is_possible, whole

MAX_HEADER_BYTES, MAX_HEADER_LINES = 64 << 10, 1000
MAX_SIDE = 65_535
MAX_NUMBER = 64
"""Digits of a number in a text file."""
MAX_IN_MEMORY = 64 << 20
"""A file whose voxels take no more (a patch) is read whole, once; of others just the box is."""

TYPES = {
    name: code
    for code, names in {
        "i1": "signed char, int8, int8_t",
        "u1": "uchar, unsigned char, uint8, uint8_t",
        "i2": "short, short int, signed short, signed short int, int16, int16_t",
        "u2": "ushort, unsigned short, unsigned short int, uint16, uint16_t",
        "i4": "int, signed int, int32, int32_t",
        "u4": "uint, unsigned int, uint32, uint32_t",
        "i8": "longlong, long long, long long int, signed long long, int64, int64_t",
        "u8": "ulonglong, unsigned long long, unsigned long long int, uint64, uint64_t",
        "f4": "float",
        "f8": "double",
    }.items()
    for name in names.split(", ")
}

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
_MITK_GROUPS = "org.mitk.multilabel.segmentation.labelgroups"
_VECTOR = re.compile(r"none|\([^()]*\)")
_SLICER_NAME = re.compile(r"Segment(\d+)_Name")


class _Facts(NamedTuple):
    """What a header says."""

    shape: Zyx
    layers: int
    layer_axis: int | None
    """Of the file's array in C order (slowest first), where the layers lie."""
    stored: np.dtype[Any]
    encoding: str
    offset: int
    grid: Grid | None
    segments: tuple[Segment, ...]


class NrrdVolume:
    """An open NRRD file; ``read`` gives (z, y, x). Compressed voxels are inflated once."""

    warnings: tuple[str, ...] = ()

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
        self.voxel_size = _voxel_size(self.grid)

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
        """The box of a large file; its layers lie one after the other, or voxel by voxel."""
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
    header, offset = _header(source, path)
    _refuse_other_files(header, path)
    stored = _stored(header, path)
    sizes = _sizes(header, path)
    layer = _layer_position(header, sizes, path)
    space = sizes if layer is None else sizes[:layer] + sizes[layer + 1 :]
    encoding = _encoding(header, path)
    grid = _grid(header, layer, path)
    return _Facts(
        Zyx.from_xyz(space),
        1 if layer is None else sizes[layer],
        None if layer is None else len(sizes) - 1 - layer,
        stored,
        encoding,
        offset,
        grid,
        _segments(header),
    )


def _header(source: Source, path: Path) -> tuple[dict[str, str], int]:
    """The fields, and where the voxels begin."""
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
    return _fields(lines, path), match.end() if match else len(raw)


def _fields(lines: list[bytes], path: Path) -> dict[str, str]:
    """The header's fields (``name: value``) and key/values (``name:=value``) as text."""
    fields: dict[str, str] = {}
    for line in lines[1:]:
        if line.startswith(b"#"):
            continue
        name, colon, value = line.decode("utf-8", "replace").partition(":")
        name = name.strip() if value.startswith("=") else name.strip().lower()
        if not colon or name in fields:
            said = "twice" if colon else "without a colon"
            raise VolumeError(
                f"{path}: its NRRD header states {name[:40]!r} {said}; save it again."
            )
        fields[name] = value.removeprefix("=").strip()
    return fields


def _vectors(text: str) -> list[list[float] | None]:
    """``(1,0,0) none (0,1,0)`` as numbers; none is an axis without a place in the world.

    Errors: ValueError.
    """
    return [
        None if vector == "none" else [float(number) for number in vector[1:-1].split(",")]
        for vector in _VECTOR.findall(text)
    ]


def _refuse_other_files(header: dict[str, str], path: Path) -> None:
    for field in ("data file", "datafile"):
        if field in header:
            raise VolumeError(f"{path}: keeps its voxels in another file; save one .nrrd file.")
    for field in ("line skip", "lineskip", "byte skip", "byteskip"):
        if header.get(field, "0") != "0":
            raise VolumeError(f"{path}: uses '{field}'; save it again as one plain .nrrd file.")


def _stored(header: dict[str, str], path: Path) -> np.dtype[Any]:
    stated = str(header.get("type", "")).lower()
    if stated not in TYPES:
        raise VolumeError(f"{path}: NRRD type {stated!r:.40} is no real number a voxel.")
    big = str(header.get("endian", "little")).lower() == "big"
    return np.dtype((">" if big else "<") + TYPES[stated])


def _sizes(header: dict[str, str], path: Path) -> list[int]:
    try:
        sizes = [int(size) for size in header["sizes"].split()]
        dimension = int(header["dimension"])
    except (KeyError, ValueError) as error:
        raise VolumeError(f"{path}: its NRRD header states no sizes; save it again.") from error
    if len(sizes) != dimension or not all(1 <= size <= MAX_SIDE for size in sizes):
        raise VolumeError(f"{path}: its NRRD header states impossible sizes {sizes[:6]}.")
    if dimension not in (3, 4):
        raise VolumeError(f"{path}: is {dimension}D; save the whole 3D segmentation.")
    return sizes


def _layer_position(header: dict[str, str], sizes: list[int], path: Path) -> int | None:
    """Which of the file's axes (fastest first) counts layers instead of space."""
    kinds = header.get("kinds", "").lower().split()
    _check_kinds(kinds, len(sizes), path)
    if len(sizes) == 3:
        return None
    layers = [i for i, kind in enumerate(kinds) if kind in _LAYER_KINDS]
    if not layers:
        axes = _VECTOR.findall(header.get("space directions", ""))
        layers = [i for i, axis in enumerate(axes) if axis == "none"]
    if len(layers) != 1:
        raise VolumeError(
            f"{path}: is 4D and does not say which axis counts layers; save one 3D file a kind."
        )
    return layers[0]


def _check_kinds(kinds: list[str], dimension: int, path: Path) -> None:
    known = _PLACE_KINDS if dimension == 3 else _PLACE_KINDS | _LAYER_KINDS
    strange = next((kind for kind in kinds if kind not in known), None)
    if strange is not None:
        raise VolumeError(
            f"{path}: has an axis of kind {strange!r:.40}, not one number a voxel of a 3D volume; "
            "save the 3D segmentation."
        )


def _encoding(header: dict[str, str], path: Path) -> str:
    stated = str(header.get("encoding", "")).lower()
    known = {"raw": "raw", "gzip": "gzip", "gz": "gzip", "bzip2": "bzip2", "bz2": "bzip2"}
    known |= {"ascii": "text", "text": "text", "txt": "text"}
    if stated not in known:
        raise VolumeError(f"{path}: NRRD encoding {stated!r:.40} is not read; save it with gzip.")
    return known[stated]


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


def _grid(header: dict[str, str], layer: int | None, path: Path) -> Grid | None:
    """The grid in LPS; None where the file states no directions (spacing alone is no place)."""
    if "space directions" not in header:
        return None
    signs = _TO_LPS.get(header.get("space", "lps").lower())
    if signs is None:
        raise VolumeError(f"{path}: NRRD space {header['space']!r:.40} is not read; save in LPS.")
    try:
        rows = [row for i, row in enumerate(_vectors(header["space directions"])) if i != layer]
        steps = np.array(rows, dtype=float).T * np.array(signs)[:, None]
        (stated,) = _vectors(header.get("space origin", "(0,0,0)"))
        at = np.array(stated, dtype=float) * signs
        if steps.shape != (3, 3) or at.shape != (3,):
            raise ValueError("not three axes")
    except (TypeError, ValueError) as error:
        raise VolumeError(f"{path}: its NRRD space directions are no 3D grid.") from error
    if not is_possible(steps, at):
        raise VolumeError(f"{path}: its NRRD space directions are flat, not finite or too large.")
    table = [(float(row[0]), float(row[1]), float(row[2])) for row in steps]
    return Grid((float(at[0]), float(at[1]), float(at[2])), (table[0], table[1], table[2]))


def _segments(header: dict[str, str]) -> tuple[Segment, ...]:
    """The labels that MITK (today's and older) or 3D Slicer name in the header."""
    try:
        if _MITK_GROUPS in header:
            return _mitk_segments(header[_MITK_GROUPS])
        if "layers" in header and "layer_000" in header:
            return _old_mitk_segments(header)
        return _slicer_segments(header)
    except (
        ValueError,
        KeyError,
        TypeError,
        AttributeError,
        RecursionError,
        SyntaxError,
        OverflowError,
    ):
        return ()  # names that cannot be read name nothing; the file's own kind counts


def _mitk_segments(groups: str) -> tuple[Segment, ...]:
    return tuple(
        Segment(str(label["name"]), int(label["value"]), layer)
        for layer, group in enumerate(json.loads(groups))
        for label in group["labels"]
    )


def _old_mitk_segments(header: dict[str, str]) -> tuple[Segment, ...]:
    from xml.etree import ElementTree

    segments = []
    for layer in range(min(int(header["layers"]), 100)):
        text = header[f"layer_{layer:03}"]
        if "<!" in text:  # a document type could define entities
            raise ValueError("XML with a document type")
        for label in ElementTree.fromstring(text).iter("Label"):  # noqa: S314 - bounded, no DTD
            properties = {item.get("key"): item for item in label.iter("property")}
            name = properties["name"].find("string").get("value")  # type: ignore[union-attr]
            value = properties["value"].find("unsigned").get("value")  # type: ignore[union-attr]
            segments.append(Segment(str(name), int(str(value)), layer))
    return tuple(segments)


def _slicer_segments(header: dict[str, str]) -> tuple[Segment, ...]:
    segments = []
    for field, name in header.items():
        match = _SLICER_NAME.fullmatch(field)
        if match:
            segment = f"Segment{match[1]}_"
            value = int(header.get(segment + "LabelValue", 1))
            segments.append(Segment(str(name), value, int(header.get(segment + "Layer", 0))))
    return tuple(segments)


def _voxel_size(grid: Grid | None) -> float | None:
    if grid is None:
        return None
    low, high = min(grid.spacing_xyz), max(grid.spacing_xyz)
    return None if high > 1.01 * low or low == high == 1.0 else round(low, 4)
