"""Folders of reconstruction programs: every tomogram is paired, no half map is listed as one."""

from pathlib import Path
from typing import Any

import mrcfile
import numpy as np
import pytest

from core.errors import VolumeError
from core.lab.lab import Lab
from core.tomograms.discovery.layouts import Layout, guess_layout, read_layout
from core.tomograms.register import plan_registration, register
from db.queries.volumes import get_tomogram, segmentations_of

SEGMENTED = "_MemBrain_seg_v10_alpha.ckpt_segmented.mrc"

FOLDERS = {
    Layout.WARP: {
        "warp_tiltseries/reconstruction/TS_1_10.00Apx.mrc": 10.0,
        "warp_tiltseries/reconstruction/TS_2_10.00Apx.mrc": 0.0,
        "warp_tiltseries/reconstruction/even/TS_1_10.00Apx.mrc": 10.0,
        "warp_tiltseries/reconstruction/odd/TS_1_10.00Apx.mrc": 10.0,
        "warp_tiltseries/reconstruction/deconv/TS_1_10.00Apx.mrc": 10.0,
        f"segmentations/TS_1_10.00Apx{SEGMENTED}": 10.0,
        f"segmentations/TS_2_10.00Apx{SEGMENTED}": 10.0,
        "segmentations/TS_1_10.00Apx_scores.mrc": 10.0,
    },
    Layout.ARETOMO3: {
        "TS_1_Vol.mrc": 10.0,
        "TS_1_EVN_Vol.mrc": 10.0,
        "TS_1_ODD_Vol.mrc": 10.0,
        "TS_1_2ND_Vol.mrc": 10.0,
        "TS_2_Vol.mrc": 10.0,
        f"TS_1_Vol{SEGMENTED}": 10.0,
        f"TS_2_Vol{SEGMENTED}": 10.0,
    },
    Layout.IMOD: {
        "TS_1/TS_1_rec.mrc": 10.0,
        "TS_1/TS_1_full_rec.mrc": 10.0,
        "TS_1/TS_1_ali.mrc": 10.0,
        "TS_1/TS_1_preali.mrc": 10.0,
        "TS_1/TS_1.st": 10.0,
        "TS_2/TS_2_rec.mrc": 10.0,
        f"out/TS_1_rec{SEGMENTED}": 10.0,
        f"out/TS_2_rec{SEGMENTED}": 10.0,
    },
    Layout.EASYMODE: {
        "TS_1_10.00Apx.mrc": 10.0,
        "TS_1_10.00Apx__membrane.mrc": 10.0,
        "TS_1_10.00Apx__ribosome.mrc": 10.0,
        "TS_2_10.00Apx.mrc": 1.0,
        "TS_2_10.00Apx__membrane.mrc": 10.0,
    },
    Layout.PORTAL: {
        "TS_1/Reconstructions/VoxelSpacing10.000/Tomograms/100/TS_1.mrc": 10.0,
        "TS_1/Reconstructions/VoxelSpacing10.000/Annotations/101/membrane-1.0_segmask.mrc": 10.0,
        "TS_1/Reconstructions/VoxelSpacing10.000/Annotations/102/ribosome-1.0_segmask.mrc": 10.0,
        "TS_2/Reconstructions/VoxelSpacing10.000/Tomograms/200/TS_2.mrc": 10.0,
        "TS_2/Reconstructions/VoxelSpacing10.000/Annotations/201/membrane-1.0_segmask.mrc": 10.0,
    },
    Layout.RELION5: {
        "Tomograms/job006/tomograms/rec_TS_1.mrc": 10.0,
        "Tomograms/job006/tomograms/rec_TS_1_half1.mrc": 10.0,
        "Tomograms/job006/tomograms/rec_TS_1_half2.mrc": 10.0,
        "Tomograms/job006/tomograms/rec_TS_2.mrc": 1.25,
        f"segmented/rec_TS_1{SEGMENTED}": 10.0,
        f"segmented/rec_TS_2{SEGMENTED}": 10.0,
    },
}

STAR = """
data_global

loop_
_rlnTomoName #1
_rlnTomoTiltSeriesPixelSize #2
_rlnTomoTomogramBinning #3
_rlnTomoReconstructedTomogram #4
_rlnTomoReconstructedTomogramHalf1 #5
TS_1 1.25 8.0 Tomograms/job006/tomograms/rec_TS_1.mrc Tomograms/job006/tomograms/rec_TS_1_half1.mrc
TS_2 1.25 8.0 Tomograms/job006/tomograms/rec_TS_2.mrc Tomograms/job006/tomograms/rec_TS_2_half1.mrc
"""


def save(path: Path, voxel_size: float, voxels: np.ndarray) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    with mrcfile.new(path) as mrc:
        mrc.set_data(voxels)
        mrc.voxel_size = voxel_size


def make(folder: Path, layout: Layout) -> Path:
    for name, voxel_size in FOLDERS[layout].items():
        predicted = any(mark in name for mark in ("segmented", "__", "segmask"))
        voxels = np.zeros((4, 5, 6), np.int8)
        voxels[1:3] = 127 if "__" in name else predicted
        save(folder / name, voxel_size, voxels)
    if layout is Layout.RELION5:
        (folder / "Tomograms/job006/tomograms.star").write_text(STAR)
    return folder


@pytest.mark.parametrize("layout", Layout)
def test_a_folder_is_paired_completely_and_no_half_map_is_a_tomogram(
    tmp_path: Path, layout: Layout
) -> None:
    folder = make(tmp_path, layout)
    assert guess_layout(folder) is layout
    pairings = read_layout(folder, layout)
    assert [each.token for each in pairings] == ["TS_1", "TS_2"]
    assert [len(each.segmentations) for each in pairings] == [1, 1]
    assert [each.voxel_size or each.header_voxel_size for each in pairings] == [10.0, 10.0]
    assert all(each.error is None for each in pairings)


@pytest.mark.parametrize("layout", Layout)
def test_a_folder_is_registered_with_what_its_program_states(
    workspace: Any, team: Any, tmp_path: Path, layout: Any
) -> None:
    folder = make(tmp_path / "project", layout)
    plan = plan_registration(workspace, [folder], layout=layout, dataset="lab")
    outcomes = register(Lab(workspace, team.admin), plan, add_roots=True)
    assert [each.outcome for each in outcomes] == ["done", "done"], outcomes
    with workspace.catalog.read() as session:
        for token in ("TS_1", "TS_2"):
            tomogram = get_tomogram(session, f"lab/{token}")
            assert tomogram.voxel_size == pytest.approx(10.0)
            (segmentation,) = segmentations_of(session, tomogram.id)
            assert (segmentation.threshold == 63.5) == (layout is Layout.EASYMODE)
    again = plan_registration(workspace, [folder], layout=layout)
    assert [each.outcome for each in register(Lab(workspace, team.admin), again)] == [
        "kept",
        "kept",
    ]


def test_what_is_left_out_is_said(tmp_path: Path) -> None:
    pairing = read_layout(make(tmp_path, Layout.ARETOMO3), Layout.ARETOMO3)[0]
    assert pairing.findings == (
        "left out as no tomograms of their own: TS_1_2ND_Vol.mrc, TS_1_EVN_Vol.mrc, "
        "TS_1_ODD_Vol.mrc",
    )


def test_a_header_that_disagrees_with_the_program_is_said(tmp_path: Path) -> None:
    pairing = read_layout(make(tmp_path, Layout.RELION5), Layout.RELION5)[1]
    assert pairing.voxel_size == 10.0
    assert "relion5 states 10 Å, the header 1.25 Å; relion5 counts" in pairing.findings


def test_other_names_of_segmentations_are_given_by_a_pattern(tmp_path: Path) -> None:
    folder = make(tmp_path, Layout.ARETOMO3)
    save(folder / "TS_1_Vol_tardis.mrc", 10.0, np.zeros((4, 5, 6), np.int8))
    without, pattern = (
        read_layout(folder, Layout.ARETOMO3, given)[0] for given in (None, "*_tardis.mrc")
    )
    assert [len(each.segmentations) for each in (without, pattern)] == [1, 2]


def test_a_plain_folder_has_no_layout(tmp_path: Path) -> None:
    for name in ("TS_1.mrc", f"TS_1{SEGMENTED}", "a_rec.mrc"):
        save(tmp_path / name, 10.0, np.zeros((4, 5, 6), np.int8))
    assert guess_layout(tmp_path) is None
    with pytest.raises(VolumeError, match="holds no tomogram as warp writes it"):
        read_layout(tmp_path, Layout.WARP)
    (tmp_path / "tomograms.star").write_bytes(b"\0\xff nonsense")
    with pytest.raises(VolumeError, match="holds no tomogram as relion5 writes it"):
        read_layout(tmp_path, Layout.RELION5)
