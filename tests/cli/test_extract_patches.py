"""patch_corrections extract_patches, as a person at a terminal or a script uses it."""

import json
import os
import resource
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import mrcfile
import nrrd
import numpy as np
import pytest

from core.cli.patch_corrections import main
from core.imaging.formats.volume import open_volume
from core.imaging.geometry import whole

SHAPE = (170, 180, 190)


def save(
    path: Path, voxels: np.ndarray, voxel_size: float | tuple[float, float, float] = 10.0
) -> Path:
    with mrcfile.new(path, overwrite=True) as mrc:
        mrc.set_data(voxels)
        mrc.voxel_size = voxel_size
    return path


@pytest.fixture(scope="module")
def inputs(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    folder = tmp_path_factory.mktemp("inputs")
    rng = np.random.default_rng(5)
    tomogram = save(folder / "TS_001.mrc", rng.normal(size=SHAPE).astype(np.float32))
    segmentation = save(folder / "seg.mrc", (rng.random(SHAPE) > 0.9).astype(np.int8))
    return tomogram, segmentation


def extract(inputs: tuple[Path, Path], out: Path, *more: str) -> int:
    tomogram, segmentation = inputs
    return main(
        ["extract_patches", "--tomogram-path", str(tomogram)]
        + ["--segmentation-path", str(segmentation), "--out-folder", str(out), *more]
    )


def center(x: int, y: int, z: int) -> list[str]:
    return ["--x", str(x), "--y", str(y), "--z", str(z)]


def names(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir()) if folder.exists() else []


def files_below(folder: Path) -> dict[str, bytes]:
    return {str(p.relative_to(folder)): p.read_bytes() for p in folder.rglob("*") if p.is_file()}


def one_sentence(capsys: pytest.CaptureFixture[str], *words: str) -> str:
    err = capsys.readouterr().err
    assert "Traceback" not in err
    for word in words:
        assert word in err, err
    return err


def test_several_centers_in_one_call_are_numbered_from_idx_add(
    inputs: tuple[Path, Path], tmp_path: Path
) -> None:
    more = [*center(80, 80, 80), *center(110, 100, 90), "--idx-add", "7", "--ds-token", "chlamy"]
    assert extract(inputs, tmp_path, *more) == 0
    expected = ["chlamy_TS_001_patch7.nii.gz", "chlamy_TS_001_patch8.nii.gz"]
    assert names(tmp_path / "imagesCorr") == names(tmp_path / "labelsCorr") == expected


def test_the_patch_lies_in_the_world_where_it_lay_in_the_tomogram(
    inputs: tuple[Path, Path], tmp_path: Path
) -> None:
    assert extract(inputs, tmp_path, *center(110, 100, 90)) == 0
    for folder in ("imagesCorr", "labelsCorr"):
        with open_volume(tmp_path / folder / "other_TS_001_patch0.nii.gz") as patch:
            assert patch.voxel_size == 10.0
            assert patch.grid is not None
            assert patch.grid.origin_xyz == pytest.approx((300.0, 200.0, 100.0))


def test_a_failed_row_keeps_its_number_and_stops_no_other(
    inputs: tuple[Path, Path], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    coords = tmp_path / "c.csv"
    coords.write_text("80,80,80\n300,80,80\n81,81,81\n")
    out = tmp_path / "out"
    assert extract(inputs, out, "--coords-file", str(coords)) == 1
    one_sentence(capsys, "300,80,80", "x 80..110")
    assert names(out / "imagesCorr") == ["other_TS_001_patch0.nii.gz", "other_TS_001_patch2.nii.gz"]


def test_a_rerun_keeps_what_is_there_and_makes_no_doubles(
    inputs: tuple[Path, Path], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    more = [*center(80, 80, 80), *center(90, 90, 90)]
    assert extract(inputs, tmp_path, *more) == 0
    before = files_below(tmp_path)
    assert extract(inputs, tmp_path, *more) == 0
    assert files_below(tmp_path) == before
    assert "0 written, 2 there already" in capsys.readouterr().out


def test_a_taken_name_gets_the_next_number_that_no_row_wants(
    inputs: tuple[Path, Path], tmp_path: Path
) -> None:
    assert extract(inputs, tmp_path, *center(80, 80, 80)) == 0
    before = files_below(tmp_path)
    more = [*center(95, 95, 85), *center(90, 90, 90)]
    for _ in range(2):
        assert extract(inputs, tmp_path, *more) == 0
        after = files_below(tmp_path)
        assert before.items() <= after.items(), "the first call's files are as they were"
        expected = [f"other_TS_001_patch{n}.nii.gz" for n in (0, 1, 2)]
        assert names(tmp_path / "imagesCorr") == expected


def test_a_hand_edited_label_is_never_overwritten(
    inputs: tuple[Path, Path], tmp_path: Path
) -> None:
    assert extract(inputs, tmp_path, *center(80, 80, 80)) == 0
    label = tmp_path / "labelsCorr" / "other_TS_001_patch0.nii.gz"
    (tmp_path / "imagesCorr" / "other_TS_001_patch0.nii.gz").unlink()
    label.write_bytes(b"edited by hand")
    assert extract(inputs, tmp_path, *center(80, 80, 80)) == 0
    assert label.read_bytes() == b"edited by hand"
    assert names(tmp_path / "imagesCorr") == ["other_TS_001_patch1.nii.gz"]


def test_near_the_border_a_center_is_shifted_on_request(
    inputs: tuple[Path, Path], tmp_path: Path
) -> None:
    assert extract(inputs, tmp_path, *center(5, 80, 80), "--near-border", "shift") == 0
    assert extract(inputs, tmp_path / "direct", *center(80, 80, 80)) == 0
    shifted, direct = files_below(tmp_path / "imagesCorr"), files_below(tmp_path / "direct")
    assert shifted["other_TS_001_patch0.nii.gz"] == direct["imagesCorr/other_TS_001_patch0.nii.gz"]


def test_the_report_for_machines_names_every_patch_in_both_units(
    inputs: tuple[Path, Path], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    code = extract(inputs, tmp_path, *center(80, 80, 80), *center(1, 1, 1), "--json")
    assert code == 1
    report = json.loads(capsys.readouterr().out)
    first, second = report["patches"]
    assert first["outcome"] == "written"
    assert first["box"]["start"] == {"z": 0, "y": 0, "x": 0}
    assert second["outcome"] == "failed"
    assert report["voxel_size"] == 10.0


def test_an_unknown_voxel_size_is_told_and_can_be_stated(
    inputs: tuple[Path, Path], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    tomogram = save(tmp_path / "t.mrc", np.zeros(SHAPE, np.float32), voxel_size=0)
    pair = (tomogram, inputs[1])
    assert extract(pair, tmp_path / "a", *center(80, 80, 80)) == 0
    assert "--voxel-size" in capsys.readouterr().out
    assert extract(pair, tmp_path / "b", *center(80, 80, 80), "--voxel-size", "13.5") == 0
    with open_volume(tmp_path / "b" / "imagesCorr" / "other_t_patch0.nii.gz") as patch:
        assert patch.voxel_size == 13.5


def test_a_voxel_size_that_differs_by_axis_is_told_and_not_averaged(
    inputs: tuple[Path, Path], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    tomogram = save(tmp_path / "t.mrc", np.zeros(SHAPE, np.float32), voxel_size=(10, 10, 20))
    assert extract((tomogram, inputs[1]), tmp_path / "a", *center(80, 80, 80)) == 0
    assert "differs by axis: 10, 10, 20" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("more", "said"),
    [
        (["--ds-token", "a_b"], "underscore"),
        (["--token", "a/b"], "token 'a/b'"),
        (["--token", "../../etc"], "token"),
        (["--token", ".."], "token"),
        (["--token", "a\nb"], "token"),
        (["--token", "x" * 300], "at most"),
    ],
)
def test_a_token_that_is_no_file_name_is_refused(
    inputs: tuple[Path, Path],
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    more: Any,
    said: Any,
) -> None:
    assert extract(inputs, tmp_path, *center(80, 80, 80), *more) == 1
    one_sentence(capsys, said)
    assert names(tmp_path) == []


def test_a_segmentation_of_another_size_is_refused_with_both(
    inputs: tuple[Path, Path], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    binned = save(tmp_path / "binned.mrc", np.zeros((85, 90, 95), np.int8))
    assert extract((inputs[0], binned), tmp_path / "out", *center(80, 80, 80)) == 1
    one_sentence(capsys, "95,90,85", "190,180,170")
    assert names(tmp_path / "out" / "imagesCorr") == []


def test_scores_are_refused_without_a_threshold_and_cut_with_one(
    inputs: tuple[Path, Path], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    rng = np.random.default_rng(1)
    scores = save(tmp_path / "scores.mrc", rng.normal(size=SHAPE).astype(np.float32))
    assert extract((inputs[0], scores), tmp_path / "out", *center(80, 80, 80)) == 1
    one_sentence(capsys, "scores.mrc", "--threshold")
    assert names(tmp_path / "out" / "labelsCorr") == []
    pair = (inputs[0], scores)
    assert extract(pair, tmp_path / "out", *center(80, 80, 80), "--threshold", "0.5") == 0


@pytest.mark.parametrize("kind", ["missing", "folder", "fifo", "empty", "text", "truncated"])
def test_a_tomogram_that_is_none_is_refused_at_once(
    inputs: tuple[Path, Path], tmp_path: Path, capsys: pytest.CaptureFixture[str], kind: Any
) -> None:
    path = tmp_path / "bad.mrc"
    if kind == "folder":
        path.mkdir()
    elif kind == "fifo":
        os.mkfifo(path)
    elif kind != "missing":
        raw = {"empty": b"", "text": b"hello" * 400, "truncated": inputs[0].read_bytes()[:-9]}
        path.write_bytes(raw[kind])
    assert extract((path, inputs[1]), tmp_path / "out", *center(80, 80, 80)) == 1
    one_sentence(capsys, str(path))
    assert not (tmp_path / "out").exists()


def test_a_missing_parent_of_the_output_is_named_and_not_made(
    inputs: tuple[Path, Path], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert extract(inputs, tmp_path / "no" / "out", *center(80, 80, 80)) == 1
    one_sentence(capsys, str(tmp_path / "no"), "make it first")
    assert names(tmp_path) == []


def test_an_output_that_is_a_file_is_refused(
    inputs: tuple[Path, Path], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "out").write_text("mine")
    assert extract(inputs, tmp_path / "out", *center(80, 80, 80)) == 1
    one_sentence(capsys, "a file is in the way")


@pytest.mark.parametrize(
    "more",
    [
        [],
        ["--x", "80", "--y", "80"],
        ["--x", "80", "--y", "80", "--z", "80", "--z", "81"],
        ["--coords-file", "c.csv", "--x", "80"],
        ["--near-border", "guess", "--x", "80", "--y", "80", "--z", "80"],
        ["--x", "eighty"],
    ],
)
def test_wrong_usage_is_status_2_and_writes_nothing(
    inputs: tuple[Path, Path], tmp_path: Path, capsys: pytest.CaptureFixture[str], more: Any
) -> None:
    assert extract(inputs, tmp_path / "out", *more) == 2
    one_sentence(capsys)
    assert not (tmp_path / "out").exists()


def test_without_any_option_the_help_teaches(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["extract_patches"]) == 2
    out = capsys.readouterr()
    assert "--coords-file" in out.out + out.err
    assert "imagesCorr" in out.out + out.err


def command(*arguments: str) -> list[str]:
    program = "import sys; from core.cli.patch_corrections import main; sys.exit(main())"
    return [sys.executable, "-c", program, *arguments]


def arguments(inputs: tuple[Path, Path], out: Path, count: int) -> list[str]:
    centers = [c for n in range(count) for c in center(80 + n % 20, 80 + n // 20, 80)]
    options = ["--tomogram-path", str(inputs[0]), "--segmentation-path", str(inputs[1])]
    return ["extract_patches", *options, "--out-folder", str(out), *centers]


def test_a_full_disk_leaves_no_partial_file_and_a_sentence(
    inputs: tuple[Path, Path], tmp_path: Path
) -> None:
    def small_files_only() -> None:
        signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
        resource.setrlimit(resource.RLIMIT_FSIZE, (2_000_000, 2_000_000))

    done = subprocess.run(
        command(*arguments(inputs, tmp_path / "out", 2)),
        preexec_fn=small_files_only,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.returncode == 1
    assert "cannot be written" in done.stderr
    assert "Traceback" not in done.stderr
    assert files_below(tmp_path / "out") == {}


def test_ctrl_c_leaves_whole_files_only(inputs: tuple[Path, Path], tmp_path: Path) -> None:
    out = tmp_path / "out"
    process = subprocess.Popen(
        command(*arguments(inputs, out, 60)), stderr=subprocess.PIPE, stdout=subprocess.DEVNULL
    )
    while not names(out / "imagesCorr"):
        time.sleep(0.01)
        assert process.poll() is None
    process.send_signal(signal.SIGINT)
    _, err = process.communicate(timeout=60)
    assert process.returncode == 130
    assert b"interrupted" in err
    written = files_below(out)
    assert 0 < len(written) < 120
    for name in written:
        assert name.split("/")[1].startswith("other_")
        with open_volume(out / name) as volume:
            volume.read(whole(volume.shape))


def test_a_bare_start_loads_no_catalog_and_nothing_heavy() -> None:
    program = (
        "import sys; from core.cli.patch_corrections import main; main(['extract_patches', '-h'])\n"
        "import core.imaging.extraction, core.imaging.merging, core.imaging.formats.mrc\n"
        "heavy = {'sqlalchemy', 'streamlit', 'alembic', 'pandas', 'starfile', 'tifffile', 'PIL',"
        " 'nrrd', 'plotly', 'scipy'}\n"
        "sys.exit(','.join(heavy & set(sys.modules)) or 0)"
    )
    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr


def test_the_same_center_twice_is_one_patch(
    inputs: tuple[Path, Path], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    more = [*center(110, 100, 90), *center(80, 80, 80), *center(110, 100, 90), "--json"]
    assert extract(inputs, tmp_path, *more) == 0
    assert names(tmp_path / "imagesCorr") == [f"other_TS_001_patch{n}.nii.gz" for n in (0, 1)]
    patches = json.loads(capsys.readouterr().out)["patches"]
    assert [patch["outcome"] for patch in patches] == ["written", "written", "kept"]
    assert patches[2]["findings"] == ["same patch as number 0, not cut twice"]


def test_centers_that_shift_to_one_place_are_one_patch(
    inputs: tuple[Path, Path], tmp_path: Path
) -> None:
    more = [*center(10, 10, 10), *center(20, 5, 7), "--near-border", "shift"]
    assert extract(inputs, tmp_path, *more) == 0
    assert names(tmp_path / "imagesCorr") == ["other_TS_001_patch0.nii.gz"]


@pytest.mark.parametrize("near_border", ["refuse", "shift", "pad"])
@pytest.mark.parametrize("xyz", [(190, 90, 85), (-1, 90, 85), (90, 90, 170)])
def test_a_center_outside_the_tomogram_is_refused(
    inputs: tuple[Path, Path],
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    xyz: Any,
    near_border: Any,
) -> None:
    assert extract(inputs, tmp_path, *center(*xyz), "--near-border", near_border) == 1
    one_sentence(capsys, "lies outside the tomogram of 190,180,170")
    assert names(tmp_path / "imagesCorr") == []


def classes(folder: Path) -> np.ndarray:
    voxels = np.zeros(SHAPE, np.int8)
    voxels[:, :, 90:93], voxels[:, :, 100:103] = 1, 2
    return voxels


def test_of_several_classes_one_is_membrane_by_label(
    inputs: tuple[Path, Path], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    voxels = classes(tmp_path)
    segmentation = save(tmp_path / "classes.mrc", voxels)
    for value in (1, 2):
        out = tmp_path / str(value)
        pair = (inputs[0], segmentation)
        assert extract(pair, out, *center(95, 90, 85), "--label", str(value)) == 0
        with open_volume(out / "labelsCorr" / "other_TS_001_patch0.nii.gz") as label:
            inside = label.read(whole(label.shape))[16:-16, 16:-16, 16:-16]
        box = voxels[5:165, 10:170, 15:175][16:-16, 16:-16, 16:-16]
        np.testing.assert_array_equal(inside, box == value)
    assert extract(pair, tmp_path / "all", *center(95, 90, 85)) == 0
    assert "--label N takes one of them" in capsys.readouterr().out
    assert extract(pair, out, *center(95, 90, 85), "--label", "1", "--threshold", "0") == 1
    one_sentence(capsys, "not both")


def test_names_of_classes_are_told_and_a_value_that_is_not_there_too(
    inputs: tuple[Path, Path], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    fields = {"Segment0_Name": "ER", "Segment1_Name": "membrane", "Segment1_LabelValue": "2"}
    nrrd.write(str(tmp_path / "named.nrrd"), classes(tmp_path), fields, index_order="C")
    pair = (inputs[0], tmp_path / "named.nrrd")
    assert extract(pair, tmp_path / "a", *center(95, 90, 85)) == 0
    assert "(1 ER, 2 membrane) all count as membrane" in capsys.readouterr().out
    assert extract(pair, tmp_path / "b", *center(95, 90, 85), "--label", "7") == 0
    assert "no voxel of this patch has the value 7" in capsys.readouterr().out
