"""The whole guide by tomocurate gives the voxels of the drop-in and of MemBrain-seg (see gold)."""

import hashlib
import json
import shutil
from pathlib import Path

import mrcfile
import numpy as np
import pytest

from core.cli import patch_corrections
from core.cli.main import main
from core.imaging.formats.volume import open_volume
from core.imaging.geometry import whole

GOLD = Path(__file__).parents[1] / "data" / "gold"
CASE = next(c for c in json.loads((GOLD / "extract.json").read_text()) if "coords_file" in c)
NAMES = [f"other_tomo_patch{number}" for number in range(3)]


def read(path: Path) -> np.ndarray:
    with open_volume(path) as volume:
        return volume.read(whole(volume.shape))


def sha256(voxels: np.ndarray) -> str:
    return hashlib.sha256(np.ascontiguousarray(voxels).tobytes()).hexdigest()


def save(target: Path, packed: Path) -> Path:
    with mrcfile.new(target) as mrc:
        mrc.set_data(read(packed))
        mrc.voxel_size = 10.0
    return target


@pytest.fixture(scope="module")
def lab(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The gold's tomogram, worked on from register to accepted labels."""
    folder = tmp_path_factory.mktemp("guide")
    tomogram = save(folder / "tomo.mrc", GOLD / "inputs" / "tomo.mrc.gz")
    segmentation = save(folder / "seg.mrc", GOLD / "inputs" / "tomo_seg.mrc.gz")
    (folder / "multi.csv").write_text("128,160,100\n100,200,90\n150,120,110\n")
    lab = folder / "lab"

    def run(*words: object) -> None:
        assert main([*map(str, words), "--workspace", str(lab)]) == 0, words

    assert main(["init", str(lab)]) == 0
    run("register", tomogram, "--segmentation", segmentation)
    run("choose", "tomo", "--from", folder / "multi.csv", "--why", "missed_membrane")
    run("extract", "--all")
    for source in (GOLD / "merge" / "m03_all_overlap" / "corr" / "p").iterdir():
        (lab / "corrections" / NAMES[0]).mkdir(exist_ok=True)
        shutil.copy(source, lab / "corrections" / NAMES[0])
    run("collect")
    run("merge", "--all")
    run("submit", NAMES[0])
    run("accept", NAMES[0])
    run("submit", NAMES[1], "--nothing-to-change")
    run("accept", NAMES[1])
    return lab


def test_extracted_voxels_are_those_of_membrain_seg(lab: Path) -> None:
    for expected in CASE["outputs"]:
        voxels = read(lab / "patches" / expected["file"])
        key = "sha256_of_voxels_zyx" if "dtype" in expected else "sha256_of_uint8_voxels_zyx"
        assert sha256(voxels) == expected[key]


def test_the_drop_in_merges_the_same_folders_to_the_same_voxels(lab: Path, tmp_path: Path) -> None:
    (lab / "corrections" / NAMES[1]).mkdir(exist_ok=True)
    by_hand = ["merge_corrections", "--labels-dir", str(lab / "patches" / "labelsCorr")]
    by_hand += ["--corrections-dir", str(lab / "corrections"), "--out-dir", str(tmp_path)]
    assert patch_corrections.main([*by_hand, "--nothing-to-change"]) == 0
    for name in NAMES[:2]:
        expected = read(tmp_path / f"{name}.nii.gz")
        assert np.array_equal(read(lab / "merged" / f"{name}.nii.gz"), expected)


def test_accepted_labels_can_be_made_again_from_their_record(
    lab: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["merge", "--all", "--verify", "--json", "--workspace", str(lab)]) == 0
    verified = json.loads(capsys.readouterr().out)
    assert {line["name"] for line in verified} == set(NAMES[:2])


def test_accepted_labels_are_put_back_where_they_were_cut(
    lab: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "curated.mrc"
    assert main(["put-back", "tomo", str(out), "--workspace", str(lab)]) == 0
    assert "2 accepted labels are put back" in capsys.readouterr().out
    before, after = read(lab.parent / "seg.mrc"), read(out)
    label = read(lab / "merged" / f"{NAMES[1]}.nii.gz")
    assert (before != after).any()
    inside = after[10:170, 120:280, 20:180]  # the later acceptance wins where they overlap
    assert np.array_equal(inside[label != 2], label[label != 2])
