"""Kits go out and come back: the drop-in, MITK's task list, the napari script, and hostile zips."""

import importlib.util
import io
import json
import stat
import struct
import subprocess
import sys
import zipfile
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from core.cli.patch_corrections import main
from core.corrections import receive as receive_step
from core.corrections.kit import write_kit
from core.corrections.receive import receive, receive_many
from core.errors import ArchiveError, OutputError
from core.files import zips as archive
from core.imaging.correction import read_correction
from core.labels.review import withdraw
from db.errors import NotAllowedError, StepError, UnknownNameError
from db.vocabulary import CorrectionKind

ADD, OTHER = np.s_[80, 80, 70:90], np.s_[80, 90, 70:90]


@pytest.fixture
def kit(lab: Any, tmp_path: Path) -> Path:
    """An unpacked kit of two patches."""
    write_kit(lab.workspace, lab.names[:2], tmp_path / "kit.zip")
    with zipfile.ZipFile(tmp_path / "kit.zip") as zipped:
        assert zipped.testzip() is None
        zipped.extractall(tmp_path / "kit")
    return tmp_path / "kit"


def zipped(*members: tuple[str, bytes]) -> io.BytesIO:
    made = io.BytesIO()
    with zipfile.ZipFile(made, "w") as out:
        for name, data in members:
            out.writestr(name, data)
    return made


def test_the_drop_in_works_on_a_kit_as_it_is(lab: Any, kit: Path, tmp_path: Path) -> None:
    for name in lab.names[:2]:
        label = kit / "labelsCorr" / f"{name}.nii.gz"
        assert label.read_bytes() == lab.folders.label_of(name).read_bytes()
        assert list((kit / "corrections" / name).iterdir()) == []
    (kit / "corrections" / lab.name / "Add1.nrrd").write_bytes(lab.bytes("Add1.nrrd", ADD))
    arguments = ["merge_corrections", "--labels-dir", str(kit / "labelsCorr"), "--out-dir"]
    arguments += [str(tmp_path / "out"), "--corrections-dir", str(kit / "corrections")]
    assert main(arguments) == 0
    assert (tmp_path / "out" / f"{lab.name}.nii.gz").exists()


def test_the_rules_are_those_of_the_guide(kit: Path) -> None:
    rules = (kit / "READ_ME.txt").read_text()
    for rule in ("In doubt, Ignore", "Remove may be coarse", "Add is drawn accurately"):
        assert rule in rules


def test_the_task_list_is_mitk_s_and_its_paths_are_in_the_kit(lab: Any, kit: Path) -> None:
    tasks = json.loads((kit / "mitk_tasks.json").read_text())
    assert (tasks["FileFormat"], tasks["Version"]) == ("MITK Segmentation Task List", 1)
    assert len(tasks["Tasks"]) == 6
    results = [task["Result"] for task in tasks["Tasks"]]
    assert len(set(results)) == 6
    for task in tasks["Tasks"]:
        assert (kit / task["Image"]).is_file()
        assert (kit / task["Result"]).parent.is_dir()
        assert task["LabelName"] in ("Add", "Remove", "Ignore")
    assert f"corrections/{lab.name}/Add1.nrrd" in results


def test_corrections_that_count_lie_in_the_kit_and_their_names_are_taken(
    lab: Any, tmp_path: Path
) -> None:
    data = lab.bytes("Add1.nrrd", ADD)
    receive(lab.by.annika, lab.name, "Add1.nrrd", data)
    made = io.BytesIO()
    write_kit(lab.workspace, [lab.name], made)
    with zipfile.ZipFile(made) as kit:
        assert kit.read(f"corrections/{lab.name}/Add1.nrrd") == data
        tasks = json.loads(kit.read("mitk_tasks.json"))["Tasks"]
    assert [task["Result"].rpartition("/")[2] for task in tasks] == [
        "Add2.nrrd",
        "Remove1.nrrd",
        "Ignore1.nrrd",
    ]
    made.seek(0)
    (back,) = receive_many(lab.by.anton, made)
    assert back.outcome == "kept"
    assert lab.slots()["Add1.nrrd"].latest.author == "annika"


def test_the_same_kit_is_the_same_bytes(lab: Any) -> None:
    first, second = io.BytesIO(), io.BytesIO()
    write_kit(lab.workspace, lab.names, first)
    write_kit(lab.workspace, lab.names, second)
    assert first.getvalue() == second.getvalue()


def test_the_napari_script_saves_what_lies_exactly_on_the_patch(lab: Any, kit: Path) -> None:
    script = load(kit / "correct_in_napari.py")
    image, lps = script.read_volume(kit / "imagesCorr" / f"{lab.name}.nii.gz")
    assert (image == lab.read(lab.folders.image_of(lab.name))).all()
    names = script.free_names(kit / "corrections" / lab.name)
    layers = {kind: np.zeros(image.shape, np.uint8) for kind in script.KINDS}
    layers["Add"][ADD] = 1
    layers["Remove"][OTHER] = 1
    assert script.save(layers, names, lps) == ["Add1.nrrd", "Remove1.nrrd"]
    read = read_correction(names["Add"], lab.label(), lab.grid())
    assert read.findings == ()
    assert np.argwhere(read.masks[CorrectionKind.ADD]).tolist() == [
        [80, 80, x] for x in range(70, 90)
    ]
    layers["Remove"][:] = 0
    assert script.save(layers, names, lps) == ["Add1.nrrd"]
    assert not names["Remove"].exists()
    assert script.free_names(kit / "corrections" / lab.name)["Add"].name == "Add2.nrrd"


def load(path: Path) -> Any:
    spec = importlib.util.spec_from_file_location("correct_in_napari", path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_the_napari_script_opens_image_label_and_three_layers(
    lab: Any, kit: Path, tmp_path: Path
) -> None:
    """Against a stand-in for napari, which is far too large for these tests."""
    (tmp_path / "napari.py").write_text(STAND_IN)
    script = [sys.executable, str(kit / "correct_in_napari.py"), lab.names[1]]
    environment = {"PYTHONPATH": str(tmp_path)}
    run = subprocess.run(script, capture_output=True, text=True, env=environment, check=False)
    assert run.returncode == 0, run.stderr
    assert run.stdout.split("\n")[:5] == ["tomogram", "predicted label", "Add", "Remove", "Ignore"]
    saved = kit / "corrections" / lab.names[1]
    assert sorted(path.name for path in saved.iterdir()) == ["Add1.nrrd"]
    unknown = [*script[:2], "nothing"]
    run = subprocess.run(unknown, capture_output=True, text=True, env=environment, check=False)
    assert "There is no patch nothing in this kit" in run.stderr


STAND_IN = """
layers = {}
class Layer:
    editable = True
class Viewer:
    status = ''
    def __init__(self, title): pass
    def add_image(self, data, name, contrast_limits): print(name)
    def add_labels(self, data, name, opacity, colormap=None):
        print(name); layers[name] = data; return Layer()
    def bind_key(self, key): return lambda function: function
def run():
    layers['Add'][80, 80, 80] = 1
"""


def test_what_no_kit_is_made_of(lab: Any, tmp_path: Path) -> None:
    withdraw(lab.by.cora, lab.name, "a bead")
    with pytest.raises(StepError, match="withdrawn"):
        write_kit(lab.workspace, [lab.name], io.BytesIO())
    with pytest.raises(StepError, match="1 to 200 patches"):
        write_kit(lab.workspace, [], io.BytesIO())
    with pytest.raises(UnknownNameError):
        write_kit(lab.workspace, ["nothing"], io.BytesIO())
    (tmp_path / "kit.zip").write_bytes(b"mine")
    with pytest.raises(OutputError, match="nothing is overwritten"):
        write_kit(lab.workspace, [lab.names[1]], tmp_path / "kit.zip")


def test_a_zip_of_several_patches_is_sorted_by_its_folders(lab: Any) -> None:
    made = zipped(
        (f"corrections/{lab.name}/Add1.nrrd", lab.bytes("Add1.nrrd", ADD)),
        (f"{lab.names[1]}/Remove1.nrrd", lab.bytes("Remove1.nrrd", OTHER, name=lab.names[1])),
        (f"deep/er/{lab.names[2]}/Add1.nrrd", b"broken"),
        (f"corrections/{lab.name}/notes.txt", b"hello"),
        (f"corrections/{lab.name}/withdrawn/Add9.nrrd", b"old"),
        (f"labelsCorr/{lab.name}.nii.gz", b"no matter"),
        ("__MACOSX/corrections/._Add1.nrrd", b"no matter"),
        ("corrections/other_TS_001_patch/Add1.nrrd", b"whose?"),
        ("Add1.nrrd", b"whose?"),
    )
    outcomes = receive_many(lab.by.annika, made)
    told = {(each.name, each.outcome) for each in outcomes}
    assert told == {
        (lab.names[0], "done"),
        (lab.names[1], "done"),
        (lab.names[2], "failed"),
        (lab.names[0], "skipped"),
        ("corrections/other_TS_001_patch/Add1.nrrd", "failed"),
        ("Add1.nrrd", "failed"),
    }
    lonely = next(each for each in outcomes if "TS_001_patch/" in each.name)
    assert "did you mean other_TS_001_patch" in (lonely.message or "")
    assert list(lab.slots()) == ["Add1.nrrd"]
    assert list(lab.slots(lab.names[1])) == ["Remove1.nrrd"]


def crafted(name: str, mode: int = 0, flags: int = 0) -> io.BytesIO:
    made = io.BytesIO()
    with zipfile.ZipFile(made, "w") as out:
        info = zipfile.ZipInfo(name)
        info.external_attr = mode << 16
        out.writestr(info, b"/etc/hostname")
    if flags:
        data = bytearray(made.getvalue())
        at = data.rfind(b"PK\x01\x02")
        struct.pack_into("<H", data, at + 8, flags)
        made = io.BytesIO(bytes(data))
    return made


def bomb(size: int) -> io.BytesIO:
    made = io.BytesIO()
    with zipfile.ZipFile(made, "w", zipfile.ZIP_DEFLATED) as out:
        out.writestr("other_TS_001_patch0/Add1.nrrd", bytes(size))
    return made


def claiming(size: int) -> io.BytesIO:
    """A member that says it is far larger than its bytes can be."""
    data = bytearray(bomb(1000).getvalue())
    at = data.rfind(b"PK\x01\x02")
    struct.pack_into("<I", data, at + 24, size)
    return io.BytesIO(bytes(data))


HOSTILE = {
    "a name that climbs": (crafted("../Add1.nrrd"), "leaves the archive"),
    "a name in the middle that climbs": (crafted("a/../../Add1.nrrd"), "leaves the archive"),
    "an absolute name": (crafted("/etc/Add1.nrrd"), "absolute path"),
    "a backslash": (crafted("..\\Add1.nrrd"), "leaves the archive"),
    "a drive": (crafted("C:/Add1.nrrd"), "absolute path"),
    "a link": (crafted("a/Add1.nrrd", stat.S_IFLNK | 0o777), "is a link"),
    "a device": (crafted("a/Add1.nrrd", stat.S_IFCHR | 0o666), "a link or a device"),
    "a password": (crafted("a/Add1.nrrd", flags=1), "encrypted"),
    "twins in another case": (
        zipped(("a/Add1.nrrd", b""), ("A/ADD1.nrrd", b"")),
        "differ in more than case",
    ),
    "a size that is a lie": (claiming(3 << 30), "possible zip bomb"),
    "no zip": (io.BytesIO(b"not at all"), "is not a zip"),
    "an empty file": (io.BytesIO(b""), "is not a zip"),
    "half a zip": (io.BytesIO(bomb(10_000_000).getvalue()[-200:]), "was cut short"),
    "a directory of Zip64": (
        io.BytesIO(b"PK\x06\x07" + bytes(16) + b"PK\x05\x06" + bytes(18)),
        "holds no file|damaged",
    ),
    "a directory without end": (
        io.BytesIO(b"PK\x05\x06" + struct.pack("<HHHHIIH", 0, 0, 1, 1, 1 << 30, 0, 0)),
        "holds more than",
    ),
}


@pytest.mark.parametrize("case", HOSTILE)
def test_a_zip_that_is_not_safe_is_refused_whole(case: str, lab: Any) -> None:
    made, said = HOSTILE[case]
    with pytest.raises(ArchiveError, match=said):
        receive_many(lab.by.annika, made)
    assert lab.slots() == {}


def test_more_members_than_any_kit_has_are_refused(
    lab: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(archive, "MAX_MEMBERS", 3)
    made = zipped(*((f"a/Add{n}.nrrd", b"") for n in range(4)))
    with pytest.raises(ArchiveError, match="holds more than 3 files"):
        receive_many(lab.by.annika, made)


def test_a_bomb_is_not_inflated_beyond_the_limit(lab: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(receive_step, "MAX_KIT_BYTES", 1 << 20)
    with pytest.raises(ArchiveError, match="possible zip bomb"):
        receive_many(lab.by.annika, bomb(4 << 20))


def test_damaged_bytes_fail_their_own_file_alone(lab: Any) -> None:
    good = lab.bytes("Add1.nrrd", ADD)
    made = zipped((f"{lab.name}/Add1.nrrd", good), (f"{lab.names[1]}/Add1.nrrd", b"x" * 1000))
    data = made.getvalue().replace(b"x" * 1000, b"x" * 999 + b"y")
    outcomes = receive_many(lab.by.annika, io.BytesIO(data))
    assert [each.outcome for each in outcomes] == ["done", "failed"]
    assert "is damaged" in (outcomes[1].message or "")
    assert lab.slots(lab.names[1]) == {}


def test_a_zip_on_disk_is_named(lab: Any, tmp_path: Path) -> None:
    with pytest.raises(ArchiveError, match="cannot be read"):
        receive_many(lab.by.annika, tmp_path / "nothing.zip")
    with pytest.raises(NotAllowedError):
        receive_many(lab.by.vera, tmp_path / "nothing.zip")
