"""Previews and thumbnails are made once, shown as the voxels are, and made again when gone."""

import io
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from core.errors import CancelledError, VolumeError
from core.imaging.formats.volume import open_volume
from core.imaging.geometry import Zyx, whole
from core.imaging.preview.store import Look, PlaneAxis
from core.imaging.preview.view import ViewedFile, VolumeView
from core.lab.lab import Lab
from core.patches.choose import choose
from core.patches.extract import extract
from core.tomograms.pictures import (
    has_preview,
    make_pictures,
    previews,
    segmentation_name,
    thumbnail_of_patch,
    thumbnail_of_tomogram,
    thumbnails,
    tomogram_name,
    viewed_file,
    want_previews,
)
from core.workspace.workspace import Workspace
from db.errors import UnknownNameError
from db.queries.jobs import JobFilter, list_jobs
from db.queries.volumes import TomogramRecord, get_tomogram, segmentations_of
from db.vocabulary import ChosenBecause, JobKind, PictureState

MIDDLE = Zyx(88, 110, 120)
Registered = Callable[[str], Path]


def tomogram(workspace: Workspace) -> TomogramRecord:
    with workspace.catalog.read() as session:
        return get_tomogram(session, "TS_1")


def segmentation(workspace: Workspace) -> str:
    with workspace.catalog.read() as session:
        return segmentation_name(segmentations_of(session, tomogram(workspace).id)[0].id)


def picture(raw: bytes) -> Image.Image:
    return Image.open(io.BytesIO(raw))


def test_a_preview_shows_the_voxels_of_each_plane(workspace: Any, registered: Registered) -> None:
    path = registered("TS_1")
    name = tomogram_name(tomogram(workspace).id)
    make_pictures(workspace, name)
    with open_volume(path) as volume:
        voxels = volume.read(whole(volume.shape)).astype(float)
    entry = next(iter(previews(workspace).entries()))
    with VolumeView(ViewedFile(path, Look.GRAY), previews(workspace).folder / entry) as view:
        assert view.has_preview
        low, high = view.facts.window
        for axis in PlaneAxis:
            expected = np.clip(
                (np.take(voxels, 30, axis.number) - low) / (high - low) * 255, 0, 255
            )
            assert abs(view.plane(axis, 30) - expected).max() <= 1


def test_the_tomograms_row_says_what_is_ready(workspace: Any, registered: Registered) -> None:
    registered("TS_1")
    assert tomogram(workspace).preview is PictureState.ABSENT
    make_pictures(workspace, tomogram_name(tomogram(workspace).id))
    record = tomogram(workspace)
    assert (record.thumbnail, record.preview) == (PictureState.READY, PictureState.READY)


def test_pictures_are_made_once_and_again_when_the_cache_lost_them(
    workspace: Any, registered: Registered
) -> None:
    registered("TS_1")
    name = tomogram_name(tomogram(workspace).id)
    make_pictures(workspace, name)
    told: list[float] = []
    make_pictures(workspace, name, tell=lambda share, _: told.append(share))
    assert told == []
    previews(workspace).remove(next(iter(previews(workspace).entries())))
    assert not has_preview(workspace, name)
    make_pictures(workspace, name, tell=lambda share, _: told.append(share))
    assert told[-1] == 1.0
    assert has_preview(workspace, name)


def test_a_cancelled_preview_leaves_nothing(workspace: Any, registered: Registered) -> None:
    registered("TS_1")
    with pytest.raises(CancelledError):
        make_pictures(workspace, segmentation(workspace), cancelled=lambda: True)
    assert previews(workspace).entries() == {}


def test_a_file_that_is_no_volume_any_more_is_noted(workspace: Any, registered: Registered) -> None:
    path = registered("TS_1")
    path.write_bytes(b"not a volume")
    with pytest.raises(VolumeError):
        make_pictures(workspace, tomogram_name(tomogram(workspace).id))
    assert tomogram(workspace).thumbnail is PictureState.FAILED


def test_a_link_that_leads_out_of_its_root_is_not_followed(
    workspace: Any, registered: Registered, tmp_path: Path
) -> None:
    path = registered("TS_1")
    outside = path.rename(tmp_path / "elsewhere.mrc")
    path.symlink_to(outside)
    with pytest.raises(VolumeError, match="leads out of its data root"):
        viewed_file(workspace, tomogram_name(tomogram(workspace).id))


@pytest.mark.parametrize(
    "name", ["", "tomogram-", "tomogram-999999", "patch-1", "../1", "tomogram-1e3"]
)
def test_a_name_of_nothing_is_unknown(workspace: Any, name: str) -> None:
    with pytest.raises(UnknownNameError):
        viewed_file(workspace, name)


def test_asking_twice_for_a_preview_is_asking_once(
    workspace: Any, team: Any, registered: Registered
) -> None:
    registered("TS_1")
    name = tomogram_name(tomogram(workspace).id)
    want_previews(workspace, team.admin.id, [name, name, "tomogram-999"])
    want_previews(workspace, team.admin.id, [name])
    with workspace.catalog.read() as session:
        jobs = list_jobs(session, JobFilter(kind=JobKind.PREVIEW)).rows
    assert [dict(job.arguments) for job in jobs].count({"object": name}) == 1


def test_a_tomograms_thumbnail_is_small_and_keeps_its_sides(
    workspace: Any, registered: Registered
) -> None:
    registered("TS_1")
    image = picture(thumbnail_of_tomogram(workspace, tomogram(workspace).id))
    assert image.size == (250, 240)
    assert image.mode == "L"


def test_a_patch_shows_its_place_then_its_voxels_with_the_label_outlined(
    workspace: Any, team: Any, registered: Registered
) -> None:
    registered("TS_1")
    name = choose(
        Lab(workspace, team.cora), "TS_1", [MIDDLE], reason=ChosenBecause.MISSED_MEMBRANE
    )[0].name
    before = picture(thumbnail_of_patch(workspace, name))
    assert (before.size, before.mode) == ((160, 160), "L")
    extract(Lab(workspace, team.cora), [name])
    after = picture(thumbnail_of_patch(workspace, name))
    assert (after.size, after.mode) == ((160, 160), "RGB")
    colors = np.asarray(after, int)
    blue = (colors[:, :, 2] - colors[:, :, 0]) > 60
    assert 200 < blue.sum() < 4000  # the shell's two edges, not the whole picture
    assert not blue[:10].any()  # the border is left out
    assert len(thumbnails(workspace).entries()) == 2
    assert thumbnail_of_patch(workspace, name) == thumbnail_of_patch(workspace, name)
