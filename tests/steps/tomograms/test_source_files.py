"""A registered file is read only from below its data root, whatever links become meanwhile."""

from pathlib import Path

import mrcfile
import numpy as np
import pytest

from core.errors import VolumeError
from core.imaging.formats.source import Source
from core.imaging.formats.volume import open_volume


def volume(path: Path, value: int) -> Path:
    with mrcfile.new(path) as file:
        file.set_data(np.full((4, 4, 4), value, np.int8))
    return path


@pytest.fixture
def places(tmp_path: Path) -> tuple[Path, Path]:
    root, outside = tmp_path / "root", tmp_path / "outside"
    root.mkdir()
    outside.mkdir()
    return root, outside


def test_a_file_below_its_root_is_read(places: tuple[Path, Path]) -> None:
    root, _ = places
    with open_volume(volume(root / "a.mrc", 1), [root]) as opened:
        assert opened.shape == (4, 4, 4)


@pytest.mark.parametrize("kind", ["file", "folder"])
def test_a_link_that_leads_out_is_refused_by_what_was_opened(
    places: tuple[Path, Path], kind: str
) -> None:
    root, outside = places
    secret = volume(outside / "secret.mrc", 7)
    if kind == "file":
        (root / "a.mrc").symlink_to(secret)
        path = root / "a.mrc"
    else:
        (root / "b").symlink_to(outside)
        path = root / "b" / "secret.mrc"
    with pytest.raises(VolumeError, match="lies outside the folders"):
        open_volume(path, [root])
    assert_nothing_open(secret)


def test_a_sibling_whose_name_begins_like_the_root_is_outside(tmp_path: Path) -> None:
    (tmp_path / "data").mkdir()
    (tmp_path / "data-private").mkdir()
    path = volume(tmp_path / "data-private" / "a.mrc", 1)
    with pytest.raises(VolumeError, match="lies outside"):
        Source(path, [tmp_path / "data"])


def test_a_link_that_is_swapped_after_the_check_changes_nothing(places: tuple[Path, Path]) -> None:
    root, outside = places
    path = root / "a.mrc"
    path.symlink_to(volume(root / "good.mrc", 1))
    with open_volume(path, [root]) as opened:
        path.unlink()
        path.symlink_to(volume(outside / "secret.mrc", 7))
        from core.imaging.geometry import whole

        assert (opened.read(whole(opened.shape)) == 1).all()
    with pytest.raises(VolumeError):
        open_volume(path, [root])


def assert_nothing_open(path: Path) -> None:
    held = [link.readlink() for link in Path("/proc/self/fd").iterdir() if link.is_symlink()]
    assert path not in held


def test_outside_the_roots_nothing_tells_whether_a_file_is_there(places: tuple[Path, Path]) -> None:
    from core.errors import RootError
    from core.tomograms.data_roots import resolve_below

    root, outside = places
    there, gone = volume(outside / "there.mrc", 1), outside / "gone.mrc"
    said = []
    for path in (there, gone, outside / "no" / "folder.mrc"):
        with pytest.raises(RootError) as told:
            resolve_below((root,), path)
        said.append(str(told.value).replace(str(path), "PATH"))
    assert len(set(said)) == 1
    with pytest.raises(RootError, match="cannot be read"):
        resolve_below((root,), root / "gone.mrc")
