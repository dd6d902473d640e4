"""Evidence, channels and cells: on small tomograms whose errors are known."""

import os
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from core.demo.synthetic import make_tomogram, write_mrc
from core.errors import SegmentationError, VolumeError
from core.imaging.formats.volume import open_volume
from core.imaging.geometry import Zyx, whole
from core.proposals import reading
from core.proposals.boxes import core_sums, legal_boxes, shared_fraction
from core.proposals.channels import (
    Channel,
    disagreement,
    doubt,
    normals,
    open_edges,
    small_components,
    thick,
)
from core.proposals.choose import Settings, choose_boxes
from core.proposals.reading import Inputs, Scale
from core.proposals.scan import Cells, scan
from core.proposals.sheet_filters import eigenvalues, first_vectors, pool

SHAPE = Zyx(160, 192, 192)


@pytest.fixture(scope="module")
def files(tmp_path_factory: pytest.TempPathFactory) -> Inputs:
    """A tomogram whose prediction lacks a slab of membrane and has a false plate."""
    folder = tmp_path_factory.mktemp("look")
    tomogram = make_tomogram(SHAPE, seed=3)
    right = tomogram.membrane & tomogram.visible
    predicted = right.copy()
    predicted[:, 96:, :] = False
    predicted[20:60, 20:60, 176:180] = True
    write_mrc(folder / "T.mrc", tomogram.density, 10.0)
    write_mrc(folder / "S.mrc", predicted.astype(np.int8), 10.0)
    write_mrc(folder / "right.mrc", right.astype(np.int8), 10.0)
    return Inputs(folder / "T.mrc", folder / "S.mrc", voxel_size=10.0)


@pytest.fixture(scope="module")
def cells(files: Inputs) -> Cells:
    return scan(files)


def test_missed_membrane_is_found_where_the_prediction_lacks_it(cells: Cells) -> None:
    missed = cells.channels[Channel.MISSED]
    assert missed[:, 6:].sum() > 10 * missed[:, :6].sum()
    assert missed.sum() > 5000


def test_what_is_predicted_without_support_is_found(cells: Cells) -> None:
    plate = cells.channels[Channel.UNSUPPORTED][1:4, 1:4, 10:12].sum()
    assert plate > 0.5 * cells.channels[Channel.UNSUPPORTED].sum()


def test_the_same_files_give_the_same_bytes(files: Inputs, cells: Cells) -> None:
    again = scan(files)
    assert all(again.channels[c].tobytes() == v.tobytes() for c, v in cells.channels.items())
    assert again.pieces == cells.pieces


def test_blocks_give_what_one_block_gives(
    files: Inputs, cells: Cells, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(reading, "CORE", Zyx(48, 48, 48))
    parts = scan(files)
    assert np.array_equal(parts.predicted, cells.predicted)
    for channel, values in cells.channels.items():
        close = np.abs(parts.channels[channel] - values).sum() <= 0.05 * values.sum() + 500
        assert close, channel


def test_a_right_prediction_proposes_audit_patches_only(files: Inputs) -> None:
    right = scan(replace(files, segmentation=files.segmentation.with_name("right.mrc")))
    proposals = choose_boxes(right, Settings(count=3))
    assert [p.audit for p in proposals] == [True]
    assert "nothing stands out" in proposals[0].reason


def test_pure_noise_is_said_to_be_drawn_at_random(files: Inputs, tmp_path: Path) -> None:
    noise = np.random.default_rng(1).normal(size=SHAPE).astype(np.float32)
    write_mrc(tmp_path / "noise.mrc", noise, 10.0)
    found = scan(replace(files, tomogram=tmp_path / "noise.mrc"))
    assert not found.has_image_evidence
    assert any("draws at random" in sentence for sentence in found.findings)
    assert choose_boxes(found, Settings(count=1))[0].reason.startswith("drawn at random")


def test_an_empty_prediction_is_said_to_be_drawn_at_random(files: Inputs, tmp_path: Path) -> None:
    write_mrc(tmp_path / "none.mrc", np.zeros(SHAPE, np.int8), 10.0)
    found = scan(replace(files, segmentation=tmp_path / "none.mrc"))
    assert any("too little is predicted" in sentence for sentence in found.findings)


def test_voxels_that_are_no_numbers_count_as_background(files: Inputs, tmp_path: Path) -> None:
    voxels = make_tomogram(SHAPE, seed=3).density
    voxels[80, 30:40, 100] = np.nan
    with pytest.warns(RuntimeWarning, match="NaN"):
        write_mrc(tmp_path / "T.mrc", voxels, 10.0)
    found = scan(replace(files, tomogram=tmp_path / "T.mrc"))
    assert any("10 voxels are no numbers" in sentence for sentence in found.findings)
    assert all(np.isfinite(values).all() for values in found.channels.values())


def test_a_scores_file_of_another_shape_is_left_out(files: Inputs, tmp_path: Path) -> None:
    write_mrc(tmp_path / "S_scores.mrc", np.zeros((8, 8, 8), np.float32), 10.0)
    found = scan(replace(files, scores=tmp_path / "S_scores.mrc"))
    assert found.findings == (
        "S_scores.mrc: has shape 8 × 8 × 8 (x, y, z), the tomogram 192 × 192 × 160; left out.",
    )
    assert Channel.DOUBT not in found.channels


def test_a_second_segmentation_on_another_grid_is_left_out(files: Inputs, tmp_path: Path) -> None:
    write_mrc(tmp_path / "other.mrc", np.zeros((80, 96, 96), np.int8), 20.0)
    found = scan(replace(files, second=tmp_path / "other.mrc"))
    assert "left out" in found.findings[0]
    assert Channel.DISAGREEMENT not in found.channels


def test_scores_of_a_later_model_are_left_out(files: Inputs, tmp_path: Path) -> None:
    path = tmp_path / "S_scores.mrc"
    write_mrc(path, np.ones(SHAPE, np.float32), 10.0)
    later = files.segmentation.stat().st_mtime + 7200
    os.utime(path, (later, later))
    found = scan(replace(files, scores=path))
    assert "newer than S.mrc" in found.findings[0]


def test_scores_that_agree_with_their_segmentation_are_used(files: Inputs, tmp_path: Path) -> None:
    with open_volume(files.segmentation) as volume:
        label = volume.read(whole(SHAPE))
    path = tmp_path / "S_scores.mrc"
    write_mrc(path, np.where(label > 0, 3.0, -3.0).astype(np.float32), 10.0)
    later = files.segmentation.stat().st_mtime + 7200
    os.utime(path, (later, later))
    found = scan(replace(files, scores=path))
    assert found.findings == ()
    assert Channel.DOUBT in found.channels


def test_logits_given_as_segmentation_are_refused(files: Inputs, tmp_path: Path) -> None:
    write_mrc(tmp_path / "logits.mrc", np.full(SHAPE, -1.5, np.float32), 10.0)
    with pytest.raises(SegmentationError, match=r"logits\.mrc: .*scores.*--threshold"):
        scan(replace(files, segmentation=tmp_path / "logits.mrc"))


def test_a_segmentation_of_another_shape_is_refused(files: Inputs, tmp_path: Path) -> None:
    write_mrc(tmp_path / "S.mrc", np.zeros((10, 10, 10), np.int8), 10.0)
    with pytest.raises(SegmentationError, match="has shape 10 × 10 × 10"):
        scan(replace(files, segmentation=tmp_path / "S.mrc"))


def test_a_tomogram_that_is_gone_is_refused(files: Inputs, tmp_path: Path) -> None:
    with pytest.raises(VolumeError, match=r"gone\.mrc"):
        scan(replace(files, tomogram=tmp_path / "gone.mrc"))


def test_progress_reaches_one_and_can_stop_it(files: Inputs) -> None:
    shares: list[float] = []
    scan(files, shares.append)
    assert shares[-1] == 1.0

    class StopError(Exception):
        pass

    def stop(share: float) -> None:
        raise StopError

    with pytest.raises(StopError, match=r"^$"):
        scan(files, stop)


@pytest.mark.parametrize(
    ("voxel_size", "factor", "spacing"),
    [(10.0, 2, 20.0), (13.9, 1, 13.9), (7.0, 2, 14.0), (5.0, 4, 20.0), (None, 2, 20.0)],
)
def test_the_working_voxel_is_about_two_nanometres(
    voxel_size: float | None, factor: int, spacing: float
) -> None:
    scale = Scale.of(Zyx(200, 200, 200), voxel_size)
    assert (scale.factor, scale.spacing) == (factor, spacing)


def test_blocks_cover_every_voxel_once() -> None:
    scale = Scale.of(Zyx(401, 700, 333), 10.0)
    seen = np.zeros(scale.working, np.int8)
    for box in scale.blocks():
        seen[box.slices] += 1
    assert (seen == 1).all()


def test_eigenvalues_and_vectors_are_those_of_a_library() -> None:
    rng = np.random.default_rng(0)
    full = rng.normal(size=(500, 3, 3)).astype(np.float32)
    full = full + full.transpose(0, 2, 1)
    parts = [full[:, a, b] for a, b in ((0, 0), (1, 1), (2, 2), (0, 1), (0, 2), (1, 2))]
    values, vectors = np.linalg.eigh(full)
    ours = eigenvalues(parts)
    assert np.allclose(ours.first, values[:, 2], atol=2e-3)
    assert np.allclose(ours.third, values[:, 0], atol=2e-3)
    found = np.stack(first_vectors(parts, ours), -1)
    along = np.abs((found * vectors[:, :, 2]).sum(-1))
    assert np.mean(along > 0.999) > 0.97


def test_pooling_averages_and_fills_the_last_bin() -> None:
    values = np.arange(27, dtype=np.float32).reshape(3, 3, 3)
    assert pool(values, 2)[0, 0, 0] == values[:2, :2, :2].mean()
    assert pool(values, 2)[1, 1, 1] == values[2, 2, 2]


def test_a_small_piece_is_found_and_one_that_leaves_the_block_is_spared() -> None:
    predicted = np.zeros((40, 40, 40), np.float32)
    predicted[10:12, 10:14, 10:14] = 1
    predicted[0:3, 30, 30] = 1
    small = small_components(predicted, predicted > 0, 20.0)
    assert small.sum() == 32


def test_a_sheet_that_ends_has_an_open_edge_and_a_whole_one_has_none() -> None:
    sheet = np.zeros((40, 40, 40), bool)
    sheet[:, :, 19:21] = True
    at = np.flatnonzero(sheet)
    assert open_edges(sheet, at, normals(sheet, at, 20.0), 20.0).sum() == 0
    sheet[:, 20:, :] = False
    at = np.flatnonzero(sheet)
    edges = open_edges(sheet, at, normals(sheet, at, 20.0), 20.0)
    assert edges[20, 18:20].sum() > 0
    assert edges[20, :14].sum() == 0


def test_a_blob_is_thick_and_a_sheet_is_not() -> None:
    predicted = np.zeros((40, 40, 40), np.float32)
    predicted[:, :, 5:8] = 1
    assert thick(predicted, predicted > 0, 3.0).sum() == 0
    predicted[10:20, 10:20, 20:30] = 1
    assert thick(predicted, predicted > 0, 3.0).sum() == 1000


def test_segmentations_disagree_beyond_a_tolerance_only() -> None:
    first = np.zeros((30, 30, 30), np.float32)
    first[10:12] = 1
    assert disagreement(first, np.roll(first, 1, 0), 20.0).sum() == 0
    assert disagreement(first, np.roll(first, 8, 0), 20.0).sum() == 2 * first.sum()


def test_the_usual_doubt_of_a_rim_is_no_doubt() -> None:
    mask = np.zeros((10, 10, 10), bool)
    scores: NDArray[np.float32] = np.full((10, 10, 10), 0.5, np.float32)
    assert doubt(scores, mask, (0.0, 0.0, 0.0)).sum() == pytest.approx(1000 * np.log(2), rel=1e-4)
    assert doubt(scores, mask, (0.0, 0.0, np.log(2))).sum() == pytest.approx(0, abs=1e-3)


def test_a_core_sums_its_own_cells() -> None:
    values = np.random.default_rng(0).random((12, 12, 12)).astype(np.float32)
    found = core_sums(values, np.array([[16, 0, 32]]), 16)
    assert found[0] == pytest.approx(values[2:10, 1:9, 3:11].sum(), rel=1e-5)


def test_a_thin_tomogram_has_no_legal_box(cells: Cells) -> None:
    thin = replace(cells, shape=Zyx(159, 192, 192))
    assert len(legal_boxes(thin)) == 0
    assert choose_boxes(thin, Settings()) == ()


def test_boxes_share_what_they_share() -> None:
    starts = np.array([[0, 0, 0], [80, 0, 0], [160, 0, 0]])
    assert shared_fraction(starts, (0, 0, 0)).tolist() == [1.0, 0.5, 0.0]
