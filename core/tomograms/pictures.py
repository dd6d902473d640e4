"""Pictures of volumes: previews to scroll through, and thumbnails; made again when they are gone.

A volume that is shown has a name: ``tomogram-12`` or ``segmentation-7``, by its id in the catalog.
"""

import hashlib
import io
import re
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from sqlalchemy.exc import NoResultFound
from sqlalchemy.orm import Session

from core.errors import CancelledError, VolumeError
from core.files.cache import Cache
from core.imaging import colors
from core.imaging.formats.volume import Volume, open_volume
from core.imaging.geometry import BORDER, Box, Zyx, whole
from core.imaging.preview.store import (
    FILES,
    Gray,
    Look,
    Window,
    bin_values,
    preview_key,
    write_preview,
)
from core.imaging.preview.view import ViewedFile
from core.tomograms.data_roots import check_there
from core.workspace.enqueue import enqueue
from core.workspace.workspace import Workspace
from db.errors import TomocurateError, UnknownNameError
from db.queries.patches import get_patch
from db.queries.volumes import FileRecord, segmentation_by_id, tomogram_by_id
from db.vocabulary import JobKind, PictureState
from db.writes.events import Change
from db.writes.volumes import change_tomogram

THUMBNAIL_SIDE = 256
THUMBNAIL_SECTIONS = 5
"""Sections whose mean is shown: a single one is mostly noise."""
THUMBNAIL_PERCENT = (1.0, 99.0)
THUMBNAIL_BYTES = 512 << 20
JPEG_QUALITY = 80

_NAME = re.compile(r"(tomogram|segmentation)-(\d{1,9})")
_PICTURE = "picture.jpg"

Tell = Callable[[float, str], None]


def tomogram_name(tomogram_id: int) -> str:
    """Name a tomogram for viewers and jobs."""
    return f"tomogram-{tomogram_id}"


def segmentation_name(segmentation_id: int) -> str:
    """Name a segmentation for viewers and jobs."""
    return f"segmentation-{segmentation_id}"


def previews(workspace: Workspace) -> Cache:
    """Open the cache of previews."""
    limit = int(workspace.settings.cache_gb * 1e9)
    return Cache(workspace.folders.cache / "previews", limit)


def thumbnails(workspace: Workspace) -> Cache:
    """Open the cache of thumbnails."""
    return Cache(workspace.folders.cache / "thumbnails", THUMBNAIL_BYTES)


def viewed_file(workspace: Workspace, name: str) -> ViewedFile:
    """Find the file that a name stands for, and how to view it.

    Errors: UnknownNameError; VolumeError for a file that now lies outside its data root.
    """
    kind, number = _parts(name)
    with workspace.catalog.read() as session:
        try:
            if kind == "tomogram":
                return _view_file(tomogram_by_id(session, number).on_disk, Look.GRAY)
            record = segmentation_by_id(session, number)
        except NoResultFound as error:
            raise UnknownNameError(f"there is no {kind} {number}.") from error
    stated = record.threshold, record.membrane_label
    return _view_file(record.on_disk, Look.LABEL, *stated)


def has_preview(workspace: Workspace, name: str) -> bool:
    """Tell whether a volume has its preview.

    Errors: UnknownNameError, VolumeError.
    """
    return previews(workspace).find(_key(viewed_file(workspace, name))) is not None


def ask_for_preview(session: Session, change: Change, name: str) -> int:
    """Have a worker make the pictures of a volume; asking twice is asking once."""
    key = f"preview {name}"
    return enqueue(session, change, JobKind.PREVIEW, {"object": name}, key=key)


def want_previews(workspace: Workspace, by_id: int | None, names: Sequence[str]) -> None:
    """Have a worker make the previews that are missing; what cannot be read is left out."""
    missing = [name for name in names if _is_missing(workspace, name)]
    if not missing:
        return
    with workspace.catalog.write() as session:
        for name in missing:
            ask_for_preview(session, Change.now(by_id), name)


def make_pictures(
    workspace: Workspace,
    name: str,
    by_id: int | None = None,
    tell: Tell = lambda share, text: None,
    cancelled: Callable[[], bool] = lambda: False,
) -> None:
    """Make the thumbnail of a tomogram and the preview of any volume, as far as they are missing.

    The tomogram's row says whether they are there. Errors: VolumeError, SegmentationError;
    UnknownNameError; CancelledError.
    """
    kind, number = _parts(name)
    if kind == "segmentation":
        make_preview(workspace, name, tell, cancelled)
        return
    with _note_state(workspace, number, by_id, "thumbnail"):
        thumbnail_of_tomogram(workspace, number)
    with _note_state(workspace, number, by_id, "preview"):
        make_preview(workspace, name, tell, cancelled)


def make_preview(
    workspace: Workspace, name: str, tell: Tell, cancelled: Callable[[], bool]
) -> Path:
    """Give the folder of a volume's preview; make it where it is missing.

    Errors: VolumeError, SegmentationError, UnknownNameError, CancelledError.
    """
    file = viewed_file(workspace, name)
    cache, key = previews(workspace), _key(file)
    found = cache.find(key)
    if found:
        return found

    def progress(share: float) -> None:
        if cancelled():
            raise CancelledError(f"{name}: its preview was cancelled.")
        tell(share, f"preview of {file.path.name}")

    with file.open() as volume, cache.new_entry(key, FILES) as folder:
        stated = file.look, file.threshold, progress
        write_preview(volume, folder, *stated, membrane=file.membrane)
    return cache.folder / key


def thumbnail_of_tomogram(workspace: Workspace, tomogram_id: int) -> bytes:
    """Draw the middle of a tomogram as a JPEG, at most 256 pixels a side.

    Errors: VolumeError, UnknownNameError.
    """
    file = viewed_file(workspace, tomogram_name(tomogram_id))

    def draw() -> NDArray[np.uint8]:
        with file.open() as volume:
            return _gray(_middle(volume, volume.shape.z // 2))

    return _cached_picture(workspace, ("tomogram", _key(file)), draw)


def thumbnail_of_patch(workspace: Workspace, name: str) -> bytes:
    """Draw the middle section of a patch as a JPEG, its label outlined; 160 pixels a side.

    Before the patch is extracted, of that place in its tomogram.

    Errors: VolumeError where its files cannot be read; UnknownNameError.
    """
    folders = workspace.folders
    label = folders.merged_of(name) if folders.merged_of(name).exists() else folders.label_of(name)
    if not folders.image_of(name).exists():
        return _thumbnail_of_place(workspace, name)

    def draw() -> NDArray[np.uint8]:
        with open_volume(folders.image_of(name)) as image, open_volume(label) as labels:
            middle = image.shape.z // 2
            plane = labels.read(_sections(labels.shape, middle, 1))[0]
            return _outline(_gray(_middle(image, middle)), plane)

    return _cached_picture(
        workspace, (name, _file_state(folders.image_of(name)), _file_state(label)), draw
    )


def _thumbnail_of_place(workspace: Workspace, name: str) -> bytes:
    with workspace.catalog.read() as session:
        patch = get_patch(session, name)
    start = patch.start
    if patch.tomogram_id is None or start is None:
        raise VolumeError(f"{name}: has no image yet, and no place in a tomogram.")
    box = _sections_of(Zyx(*start), Zyx(*patch.shape))
    file = viewed_file(workspace, tomogram_name(patch.tomogram_id))

    def draw() -> NDArray[np.uint8]:
        with file.open() as volume:
            inside = box.overlap(whole(volume.shape)) or whole(volume.shape)
            return _gray(volume.read(inside).mean(axis=0, dtype=np.float32))

    return _cached_picture(workspace, (name, _key(file), patch.start), draw)


def _sections_of(start: Zyx, size: Zyx) -> Box:
    """Cut the middle sections out of a patch's box."""
    first = start.z + size.z // 2 - THUMBNAIL_SECTIONS // 2
    stop = Zyx(first + THUMBNAIL_SECTIONS, start.y + size.y, start.x + size.x)
    return Box(Zyx(first, start.y, start.x), stop)


def _sections(shape: Zyx, middle: int, count: int) -> Box:
    """Cut whole sections around one, as far as they exist."""
    first = max(middle - count // 2, 0)
    return Box(Zyx(first, 0, 0), Zyx(min(first + count, shape.z), shape.y, shape.x))


def _middle(volume: Volume, middle: int) -> NDArray[Any]:
    sections = volume.read(_sections(volume.shape, middle, THUMBNAIL_SECTIONS))
    return np.asarray(sections.mean(axis=0, dtype=np.float32))


def _gray(plane: NDArray[Any]) -> Gray:
    """Bin a plane to a thumbnail's size, stretched between its percentiles."""
    factor = -(-max(plane.shape) // THUMBNAIL_SIDE)
    small = bin_values(plane, factor, Look.GRAY)
    finite = small[np.isfinite(small)]
    low, high = np.percentile(finite, THUMBNAIL_PERCENT) if finite.size else (0.0, 1.0)
    return Window(float(low), float(high)).apply(small)


def _outline(gray: Gray, label: NDArray[Any]) -> NDArray[np.uint8]:
    """Gray as RGB, with the edges of membrane and of ignored voxels; the border is left out."""
    picture = np.repeat(gray[:, :, np.newaxis], 3, axis=2)
    inner = np.zeros(label.shape, bool)
    inner[BORDER:-BORDER, BORDER:-BORDER] = True
    for value, color in ((2, colors.IGNORE), (1, colors.PREDICTION)):
        picture[_edges(label == value) & inner] = colors.rgb(color)
    return picture


def _edges(inside: NDArray[np.bool_]) -> NDArray[np.bool_]:
    """Find the voxels of a mask that touch one outside it."""
    enclosed = inside.copy()
    enclosed[1:] &= inside[:-1]
    enclosed[:-1] &= inside[1:]
    enclosed[:, 1:] &= inside[:, :-1]
    enclosed[:, :-1] &= inside[:, 1:]
    return inside & ~enclosed


def _cached_picture(
    workspace: Workspace, told: tuple[object, ...], draw: Callable[[], NDArray[np.uint8]]
) -> bytes:
    """Take a picture from the cache; draw it where it is missing."""
    cache = thumbnails(workspace)
    key = hashlib.sha256(repr(told).encode()).hexdigest()[:40]
    found = cache.find(key)
    if found:
        try:
            return (found / _PICTURE).read_bytes()
        except OSError:
            cache.remove(key)
    picture = _jpeg(draw())
    with cache.new_entry(key, [_PICTURE]) as folder:
        (folder / _PICTURE).write_bytes(picture)
    return picture


def _jpeg(picture: NDArray[np.uint8]) -> bytes:
    from PIL import Image

    out = io.BytesIO()
    # Thin coloured outlines do not survive the usual halving of the colours.
    Image.fromarray(picture).save(out, "JPEG", quality=JPEG_QUALITY, subsampling=0)
    return out.getvalue()


@contextmanager
def _note_state(
    workspace: Workspace, tomogram_id: int, by_id: int | None, which: str
) -> Iterator[None]:
    """Note in the tomogram's row whether a picture could be made."""
    try:
        yield
    except VolumeError:
        _state(workspace, tomogram_id, by_id, which, PictureState.FAILED)
        raise
    _state(workspace, tomogram_id, by_id, which, PictureState.READY)


def _is_missing(workspace: Workspace, name: str) -> bool:
    try:
        return not has_preview(workspace, name)
    except TomocurateError:
        return False


def _state(
    workspace: Workspace, tomogram_id: int, by_id: int | None, which: str, state: PictureState
) -> None:
    with workspace.catalog.read() as session:
        held = getattr(tomogram_by_id(session, tomogram_id), which)
    if held is state:
        return
    values: dict[str, Any] = {which: state}
    with workspace.catalog.write() as session:
        change = Change.now(by_id)
        change_tomogram(session, change, tomogram_id, f"{which} {state}", **values)


def _parts(name: str) -> tuple[str, int]:
    match = _NAME.fullmatch(name)
    if match is None:
        raise UnknownNameError(f"{name[:60]!r} is neither tomogram-N nor segmentation-N.")
    return match[1], int(match[2])


def _key(file: ViewedFile) -> str:
    try:
        return preview_key(file.path, file.look, file.threshold, file.membrane)
    except OSError as error:
        raise VolumeError(f"{file.path}: cannot be opened ({error.strerror}).") from error


def _file_state(path: Path) -> tuple[int, int]:
    try:
        facts = path.stat()
    except OSError as error:
        raise VolumeError(f"{path}: cannot be opened ({error.strerror}).") from error
    return facts.st_size, facts.st_mtime_ns


def _view_file(
    record: FileRecord,
    look: Look,
    threshold: float | None = None,
    membrane: int | None = None,
) -> ViewedFile:
    """Check that a registered file is there and still inside its data root."""
    root, file = Path(record.root).resolve(), record.file.resolve()
    if not file.is_relative_to(root):
        raise VolumeError(f"{record.file}: leads out of its data root {record.root}.")
    check_there(record)
    return ViewedFile(file, look, threshold, membrane, (root,))
