"""A lab's folder that was filled by the guide becomes the workspace's, and stays as it was."""

import getpass
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from core.adopt.adopt import ADOPTED_RULE, adopt, plan_adoption
from core.adopt.guide_folders import PatchName, parse_name
from core.corrections.receive import receive
from core.corrections.withdraw import withdraw_correction
from core.errors import AdoptionError
from core.imaging.extraction import ExtractionPlan, WantedPatch, extract_patches
from core.imaging.formats.nifti import write_nifti
from core.imaging.formats.volume import open_volume
from core.imaging.geometry import Grid, Zyx, whole
from core.imaging.merging import MergeFolders, merge_folders, read_label
from core.lab.lab import Lab as ActingLab
from core.labels.merge import merge
from core.labels.verify import verify
from core.patches.history import show
from core.patches.record import read_record
from core.tomograms.register import plan_registration, register
from core.tomograms.voxel_size import set_voxel_size
from core.workspace.results import DONE, FAILED, KEPT
from db.errors import NotAllowedError
from db.queries.patches import list_patches
from db.vocabulary import Stage

CENTERS = (Zyx(88, 110, 120), Zyx(90, 112, 122), Zyx(92, 114, 124))


class Lab:
    """The guide's folders: three patches, corrections of two, a merged label of one."""

    def __init__(self, folder: Path, tomogram: Path, segmentation: Path) -> None:
        self.folder = folder
        folder.mkdir()
        wanted = [WantedPatch(center, n) for n, center in enumerate(CENTERS)]
        with open_volume(tomogram) as volume, open_volume(segmentation) as predicted:
            extract_patches(volume, predicted, wanted, ExtractionPlan(folder, "TS_1"))
        self.images, self.labels = folder / "imagesCorr", folder / "labelsCorr"
        self.corrections, self.merged = folder / "corrections", folder / "merged"
        self.correct(1, "Add1.nii.gz")
        self.correct(2, "Remove1.nii.gz")
        (self.corrections / self.name(2) / "notes.txt").write_text("ask Rolf")
        self.merge()
        (self.merged / f"{self.name(1)}.nii.gz").unlink()

    @staticmethod
    def name(number: int) -> str:
        return f"other_TS_1_patch{number}"

    def correct(self, number: int, file: str) -> Path:
        folder = self.corrections / self.name(number)
        folder.mkdir(parents=True, exist_ok=True)
        _, grid = read_label(self.labels / f"{self.name(number)}.nii.gz")
        painted = np.zeros((160, 160, 160), np.uint8)
        painted[60:80, 60:80, 40:120] = 1
        write_nifti(folder / file, painted, grid or Grid.aligned())
        return folder / file

    def merge(self) -> None:
        self.merged.mkdir(exist_ok=True)
        merge_folders(MergeFolders(self.labels, self.corrections, self.merged))

    def tree(self) -> dict[str, bytes]:
        return {str(p): p.read_bytes() for p in sorted(self.folder.rglob("*")) if p.is_file()}


@pytest.fixture
def lab(tmp_path: Path, files: Any) -> Any:
    tomogram = files.tomogram("TS_1.mrc")
    segmentation = files.segmentation("TS_1_model.ckpt_segmented.mrc")
    return Lab(tmp_path / "lab", tomogram, segmentation)


@pytest.fixture
def registered_lab(lab: Any, workspace: Any, team: Any, files: Any) -> Any:
    register(
        ActingLab(workspace, team.admin),
        plan_registration(workspace, [files.folder]),
        add_roots=True,
    )
    return lab


def stages(workspace: Any) -> Any:
    with workspace.catalog.read() as session:
        return {patch.name: patch.stage for patch in list_patches(session)}


def test_patches_get_the_stage_that_their_files_show(
    workspace: Any, team: Any, registered_lab: Any
) -> None:
    lab = registered_lab
    before = lab.tree()
    outcomes = adopt(ActingLab(workspace, team.cora), lab.folder)
    assert [o.outcome for o in outcomes] == [DONE] * 3
    assert stages(workspace) == {
        lab.name(0): Stage.EXTRACTED,
        lab.name(1): Stage.CORRECTING,
        lab.name(2): Stage.MERGED,
    }
    assert lab.tree() == before
    for number in range(3):
        life = show(workspace, lab.name(number))
        assert (life.patch.center, life.patch.model) == (CENTERS[number], "model")
        assert life.tomogram
        assert life.tomogram.name == "other/TS_1"
        image = lab.images / f"{lab.name(number)}.nii.gz"
        assert workspace.folders.image_of(life.patch.name).read_bytes() == image.read_bytes()
        assert workspace.folders.record_of(life.patch.name).is_file()
    assert "notes.txt: not a correction file; it is left out" in outcomes[2].findings


def test_a_merged_label_that_its_corrections_give_is_their_merge(
    workspace: Any, team: Any, registered_lab: Any
) -> None:
    lab = registered_lab
    adopt(ActingLab(workspace, team.cora), lab.folder)
    merged = show(workspace, lab.name(2)).current_merge
    assert merged
    assert [each["slot"] for each in merged.inputs] == ["Remove1.nii.gz"]
    assert merged.rule != ADOPTED_RULE
    assert [o.outcome for o in verify(workspace, [lab.name(2)])] == [DONE]


def test_a_merged_label_that_differs_is_kept_as_it_was_and_said(
    workspace: Any, team: Any, registered_lab: Any
) -> None:
    lab = registered_lab
    path = lab.merged / f"{lab.name(2)}.nii.gz"
    label, grid = read_label(path)
    assert grid is not None
    label[80, 80, 30:40] = 1 - label[80, 80, 30:40]
    write_nifti(path, label, grid)
    outcome = adopt(ActingLab(workspace, team.cora), lab.folder)[2]
    assert "its label differs in 10 voxels from what its corrections give; it was kept" in (
        outcome.findings
    )
    life = show(workspace, lab.name(2))
    assert life.current_merge
    assert life.current_merge.rule == ADOPTED_RULE
    assert (life.patch.stage, life.patch.stale) == (Stage.MERGED, False)
    kept, _ = read_label(workspace.folders.merged_of(lab.name(2)))
    assert (kept == label).all()


def test_a_patch_of_no_registered_tomogram_has_an_unknown_position(
    workspace: Any, team: Any, lab: Any
) -> None:
    outcomes = adopt(ActingLab(workspace, team.cora), lab.folder)
    assert [o.outcome for o in outcomes] == [DONE] * 3
    assert all("position unknown" in o.findings[0] for o in outcomes)
    patch = show(workspace, lab.name(0)).patch
    assert (patch.tomogram_id, patch.start, patch.voxel_size) == (None, None, 10.0)
    assert [o.outcome for o in merge(ActingLab(workspace, team.annika), [lab.name(1)])] == [DONE]


def test_a_patch_whose_header_states_no_place_is_found_by_its_voxels(
    workspace: Any, team: Any, registered_lab: Any
) -> None:
    lab = registered_lab
    path = lab.images / f"{lab.name(0)}.nii.gz"
    with open_volume(path) as volume:
        voxels = volume.read(whole(volume.shape))
    write_nifti(path, voxels, Grid.aligned())
    outcome = adopt(ActingLab(workspace, team.cora), lab.folder)[0]
    assert "found in other/TS_1, center 120,110,88 (x, y, z)" in outcome.findings
    assert show(workspace, lab.name(0)).patch.center == CENTERS[0]


def test_adopting_again_keeps_and_completes(workspace: Any, team: Any, registered_lab: Any) -> None:
    lab = registered_lab
    adopt(ActingLab(workspace, team.cora), lab.folder)
    again = adopt(ActingLab(workspace, team.cora), lab.folder)
    assert [o.outcome for o in again] == [KEPT] * 3
    lab.correct(0, "Ignore1.nii.gz")
    completed = adopt(ActingLab(workspace, team.cora), lab.folder)
    assert [o.outcome for o in completed] == [DONE, KEPT, KEPT]
    assert stages(workspace)[lab.name(0)] is Stage.CORRECTING


def test_the_workspace_s_own_folders_are_taken_in_place(
    workspace: Any, team: Any, registered_lab: Any
) -> None:
    lab = registered_lab
    for source, target in (
        (lab.images, workspace.folders.images),
        (lab.labels, workspace.folders.labels),
        (lab.corrections, workspace.folders.corrections),
        (lab.merged, workspace.folders.merged),
    ):
        shutil.copytree(source, target, dirs_exist_ok=True)
    outcomes = adopt(ActingLab(workspace, team.cora), workspace.folder)
    assert [o.outcome for o in outcomes] == [DONE] * 3
    assert sorted(stages(workspace).values()) == [Stage.CORRECTING, Stage.EXTRACTED, Stage.MERGED]


def test_a_correction_is_its_file_owner_s_work(
    workspace: Any, team: Any, registered_lab: Any
) -> None:
    lab = registered_lab
    adopt(ActingLab(workspace, team.cora), lab.folder)
    version = show(workspace, lab.name(1)).slots[0].latest
    assert (version.author, version.author_account) == ("admin", getpass.getuser())
    assert version.received_by == "cora"


def test_a_bad_correction_is_told_and_stops_nothing(
    workspace: Any, team: Any, registered_lab: Any
) -> None:
    lab = registered_lab
    (lab.corrections / lab.name(1) / "Add2.nrrd").write_bytes(b"NRRD0004\nnonsense")
    outcomes = adopt(ActingLab(workspace, team.cora), lab.folder)
    assert [o.outcome for o in outcomes] == [DONE] * 3
    assert any("Add2.nrrd" in finding for finding in outcomes[1].findings)


def test_a_dry_run_adopts_nothing(workspace: Any, team: Any, registered_lab: Any) -> None:
    outcomes = adopt(ActingLab(workspace, team.cora), registered_lab.folder, dry_run=True)
    assert [o.outcome for o in outcomes] == [DONE] * 3
    assert stages(workspace) == {}
    assert list(workspace.folders.images.iterdir()) == []


def test_incomplete_patches_fail_alone(workspace: Any, team: Any, registered_lab: Any) -> None:
    lab = registered_lab
    (lab.labels / f"{lab.name(0)}.nii.gz").unlink()
    write_nifti(
        lab.labels / f"{lab.name(1)}.nii.gz", np.full((160,) * 3, 7, np.uint8), Grid.aligned()
    )
    outcomes = adopt(ActingLab(workspace, team.cora), lab.folder)
    assert [o.outcome for o in outcomes] == [FAILED, FAILED, DONE]
    assert "has no volume in labelsCorr" in (outcomes[0].message or "")


def test_another_patch_of_the_same_name_is_not_overwritten(
    workspace: Any, team: Any, registered_lab: Any
) -> None:
    lab = registered_lab
    adopt(ActingLab(workspace, team.cora), lab.folder)
    other = lab.images / f"{lab.name(0)}.nii.gz"
    shutil.copy(lab.images / f"{lab.name(1)}.nii.gz", other)
    outcome = adopt(ActingLab(workspace, team.cora), lab.folder)[0]
    assert (outcome.outcome, "another patch has this name" in (outcome.message or "")) == (
        FAILED,
        True,
    )


def test_folders_that_cannot_be_told_apart_are_to_be_named(
    workspace: Any, team: Any, registered_lab: Any
) -> None:
    lab = registered_lab
    shutil.copytree(lab.merged, lab.folder / "merged_old")
    with pytest.raises(AdoptionError, match="name one with --merged"):
        plan_adoption(lab.folder)
    plan = plan_adoption(lab.folder, merged=lab.merged)
    assert plan.merged == lab.merged


def test_a_folder_that_is_not_the_guide_s_is_told(
    workspace: Any, team: Any, tmp_path: Path
) -> None:
    with pytest.raises(AdoptionError, match="holds no folder imagesCorr"):
        adopt(ActingLab(workspace, team.cora), tmp_path)
    with pytest.raises(AdoptionError, match="not a folder"):
        adopt(ActingLab(workspace, team.cora), tmp_path / "absent")
    with pytest.raises(NotAllowedError, match="adopt a folder takes a curator"):
        adopt(ActingLab(workspace, team.annika), tmp_path)


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("other_TS_1_patch0", PatchName("other", "TS_1", 0)),
        ("chlamy_a_patch12", PatchName("chlamy", "a", 12)),
        ("chlamy_something", PatchName("chlamy", "something", None)),
        ("plain", PatchName("other", "plain", None)),
    ],
)
def test_a_name_is_read_by_membrain_seg_s_rule(name: Any, said: Any) -> None:
    assert parse_name(name) == said


def test_adopting_again_leaves_what_was_changed_since(
    workspace: Any, team: Any, registered_lab: Any
) -> None:
    lab = registered_lab
    adopt(ActingLab(workspace, team.cora), lab.folder)
    newer = np.zeros((160, 160, 160), np.uint8)
    newer[70:75, 60:80, 40:120] = 1
    path = lab.folder / "Add1.nii.gz"
    write_nifti(path, newer, Grid.aligned())
    other = lab.name(1)
    receive(ActingLab(workspace, team.cora), other, "Add1.nii.gz", path, expected=1)
    withdraw_correction(ActingLab(workspace, team.cora), lab.name(2), "Remove1.nii.gz")
    before = [show(workspace, lab.name(number)) for number in (1, 2)]
    outcomes = adopt(ActingLab(workspace, team.cora), lab.folder)
    assert [o.outcome for o in outcomes] == [KEPT] * 3
    after = [show(workspace, lab.name(number)) for number in (1, 2)]
    assert [life.slots for life in after] == [life.slots for life in before]
    assert [life.patch for life in after] == [life.patch for life in before]
    assert after[1].patch.stale
    write_nifti(lab.corrections / other / "Add1.nii.gz", newer[::-1].copy(), Grid.aligned())
    (again,) = [o for o in adopt(ActingLab(workspace, team.cora), lab.folder) if o.name == other]
    assert again.outcome == KEPT
    assert any("differs from every version" in finding for finding in again.findings)
    assert show(workspace, other).slots == before[0].slots


def as_floats(path: Any, grid: Any = None) -> None:
    with open_volume(path) as volume:
        voxels, there = volume.read(whole(volume.shape)), volume.grid
    assert there is not None
    write_nifti(path, voxels.astype(np.float32), grid or there)


@pytest.mark.parametrize("grid", [None, Grid.aligned()], ids=["its place stated", "no place"])
def test_a_float_copy_of_an_integer_tomogram_is_found(
    workspace: Any, team: Any, registered_lab: Any, grid: Any
) -> None:
    as_floats(registered_lab.images / f"{registered_lab.name(0)}.nii.gz", grid)
    adopt(ActingLab(workspace, team.cora), registered_lab.folder)
    assert show(workspace, registered_lab.name(0)).patch.center == CENTERS[0]


def test_a_patch_finds_its_place_when_its_tomogram_is_registered_later(
    workspace: Any, team: Any, lab: Any, files: Any
) -> None:
    adopt(ActingLab(workspace, team.cora), lab.folder)
    assert show(workspace, lab.name(0)).patch.start is None
    register(
        ActingLab(workspace, team.admin),
        plan_registration(workspace, [files.folder]),
        add_roots=True,
    )
    again = adopt(ActingLab(workspace, team.cora), lab.folder)
    assert [o.outcome for o in again] == [DONE] * 3
    life = show(workspace, lab.name(0))
    assert life.tomogram is not None
    assert (life.patch.center, life.tomogram.name) == (CENTERS[0], "other/TS_1")
    assert [o.outcome for o in adopt(ActingLab(workspace, team.cora), lab.folder)] == [KEPT] * 3


def test_the_voxel_size_of_a_patch_without_a_tomogram_can_be_stated(
    workspace: Any, team: Any, lab: Any
) -> None:
    for folder in (lab.images, lab.labels):
        path = folder / f"{lab.name(0)}.nii.gz"
        with open_volume(path) as volume:
            write_nifti(path, volume.read(whole(volume.shape)), Grid.aligned())
    adopt(ActingLab(workspace, team.cora), lab.folder)
    assert show(workspace, lab.name(0)).patch.voxel_size is None
    assert adopt(ActingLab(workspace, team.cora), lab.folder, voxel_size=12.5)[0].outcome == DONE
    patch = show(workspace, lab.name(0)).patch
    assert (patch.voxel_size, patch.grid_spacing) == (12.5, 1.0)
    assert read_record(workspace.folders.record_of(lab.name(0)))["voxel_size"] == 12.5
    set_voxel_size(ActingLab(workspace, team.cora), [lab.name(0)], 13.0)
    assert show(workspace, lab.name(0)).patch.voxel_size == 13.0
