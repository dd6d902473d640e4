"""The catalog's accepted patches become a training set, and the catalog knows it."""

from datetime import date
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from core.errors import ExportError
from core.evaluation.label_figures import label_figures, measure_labels
from core.exports.case import Recipe
from core.exports.plan import SetOptions
from core.exports.selection import Choice, choose_curated
from core.exports.split import SplitRule
from core.exports.training_set import export_training_set, plan_export_set
from core.imaging.formats.nifti import write_nifti
from core.imaging.formats.volume import open_volume
from core.imaging.geometry import whole
from core.lab.lab import Lab
from core.labels.review import reject
from core.patches.record import read_record
from core.tomograms.data_permissions import permit, pin
from db.errors import ConflictError, NotAllowedError
from db.queries.life import exports_of
from db.queries.patches import PatchFilter
from db.queries.sharing import labels_by_id, list_exports
from db.vocabulary import Licence, Scope, Split
from db.writes.events import Change
from db.writes.patches import change_patch, lock_patch
from tests.exports.layout import check_layout


def test_a_curated_patch_carries_what_the_catalog_knows(lab: Any) -> None:
    made = lab.accepted("TS_001", 80)
    lab.permit_all(tomograms=1)
    chosen = choose_curated(lab.opened, Choice())
    patch = chosen.patches[0]
    assert patch.name == made.name
    assert (patch.box.start.to_xyz(), patch.voxel_size) == ((80, 16, 8), 10.0)
    assert patch.method.annotators == ("Annika Notator",)
    assert patch.method.reviewer == "Rolf Reviewson"
    assert patch.permission is not None
    assert patch.permission.owner == "Maria Ownerly"
    assert patch.model == "MemBrain_v10"
    assert patch.image_path.is_file()
    assert patch.label_path.is_file()
    assert chosen.ids[made.name] == (made.id, made.accepted_merge_id)


def test_an_export_loads_and_the_catalog_records_it(ready: Any, tmp_path: Path) -> None:
    done = export_training_set(ready.opened, tmp_path / "Dataset501_Demo")
    assert check_layout(tmp_path / "Dataset501_Demo") == []
    assert done.details["patches"] == 6
    assert any(line.startswith("membrain finetune") for line in done.details["commands"])
    with ready.workspace.catalog.read() as session:
        records = exports_of(session, ready.patch("demo_TS_001_patch0").id)
        assert [record.path for record in records] == [str(tmp_path / "Dataset501_Demo")]
        assert list_exports(session)[0].patch_count == 6
    record = read_record(ready.workspace.folders.record_of("demo_TS_001_patch0"))
    assert record["exports"]


def test_the_same_export_again_is_kept_and_recorded_once(
    ready: Any, tmp_path: Path, tree: Any
) -> None:
    export_training_set(ready.opened, tmp_path / "set")
    before = tree(tmp_path / "set")
    again = export_training_set(ready.opened, tmp_path / "set")
    assert again.outcome == "kept"
    assert tree(tmp_path / "set") == before
    with ready.workspace.catalog.read() as session:
        assert len(list_exports(session)) == 1


def test_figures_of_labels_come_from_the_catalog_without_reading_one(ready: Any) -> None:
    for patch in choose_curated(ready.opened, Choice()).patches:
        patch.label_path.unlink()
    figures = label_figures(ready.opened)
    assert [figure.patch for figure in figures] == sorted(figure.patch for figure in figures)
    assert len(figures) == 6
    first = ready.patch(figures[0].patch)
    with ready.workspace.catalog.read() as session:
        values = labels_by_id(session, [first.accepted_merge_id])[first.accepted_merge_id].values
    labelled = values["membrane"] + values["background"]
    assert figures[0].membrane_share == values["membrane"] / labelled
    assert figures[0].ignore_share == 0
    assert figures[0].split is None


def test_a_split_is_kept_when_tomograms_are_added(ready: Any, tmp_path: Path) -> None:
    export_training_set(ready.opened, tmp_path / "one")
    first = choose_curated(ready.opened, Choice())
    was = {patch.name: patch.recorded for patch in first.patches}
    for number in range(4, 9):
        ready.accepted(f"TS_{number:03}")
    plan = plan_export_set(ready.opened)
    assert {c.patch.name: c.split for c in plan.cases if c.patch.name in was} == was


def test_only_accepted_patches_go_in_unless_forced(ready: Any, tmp_path: Path) -> None:
    merged = ready.merged("TS_009")
    assert merged.name not in {c.patch.name for c in plan_export_set(ready.opened).cases}
    forced = plan_export_set(ready.opened, Choice(merged_too=True))
    forced.check()
    assert merged.name in {c.patch.name for c in forced.cases}
    export_training_set(ready.opened, tmp_path / "set", Choice(merged_too=True))
    with ready.workspace.catalog.read() as session:
        assert list_exports(session)[0].options["accepted_only"] is False


def test_a_rejected_or_withdrawn_patch_stays_at_home(lab: Any) -> None:
    rejected, withdrawn = lab.fill(2, 1)
    reject(Lab(lab.workspace, lab.person("Rolf Reviewson")), rejected.name, "no", take_back=True)
    with lab.workspace.catalog.write() as session:
        change = Change.now(lab.by.id)
        change_patch(session, change, lock_patch(session, withdrawn.name), "test", withdrawn=True)
    assert choose_curated(lab.opened, Choice()).patches == ()


def test_a_choice_by_filter_and_by_name(ready: Any) -> None:
    by_filter = Choice(PatchFilter(tomogram="TS_002"))
    chosen = choose_curated(ready.opened, by_filter)
    assert {patch.tomogram for patch in chosen.patches} == {"TS_002"}
    by_name = choose_curated(ready.opened, Choice(names=("demo_TS_001_patch0",)))
    assert [patch.name for patch in by_name.patches] == ["demo_TS_001_patch0"]


def test_a_pin_moves_a_tomogram_and_test_never_trains(ready: Any) -> None:
    pin(Lab(ready.workspace, ready.by), "TS_002", Split.TEST)
    plan = plan_export_set(ready.opened)
    assert {c.split for c in plan.cases if c.patch.tomogram == "TS_002"} == {Split.TEST}
    assert pin(Lab(ready.workspace, ready.by), "TS_002", Split.TEST).outcome == "kept"


def test_validation_from_another_set(lab: Any, make_lab: Any, tmp_path: Path) -> None:
    other = make_lab("other")
    other.fill(dataset="old")
    export_training_set(other.opened, tmp_path / "old")
    lab.accepted("TS_050")
    options = SetOptions(val_from=tmp_path / "old")
    export_training_set(lab.opened, tmp_path / "new", options=options)
    assert check_layout(tmp_path / "new") == []


def test_a_leaky_validation_is_said_and_leaves_no_record_of_a_split(
    lab: Any, tmp_path: Path
) -> None:
    lab.fill(1, 2)
    with pytest.raises(ExportError, match="--allow-leaky-val"):
        export_training_set(lab.opened, tmp_path / "set")
    options = SetOptions(rule=SplitRule(allow_leaky_val=True))
    done = export_training_set(lab.opened, tmp_path / "set", options=options)
    assert done.details["leaky_validation"] is True
    chosen = choose_curated(lab.opened, Choice())
    assert {patch.recorded for patch in chosen.patches} == {None}


def test_a_viewer_may_not_export_nor_permit(lab: Any, tmp_path: Path) -> None:
    lab.fill(2, 1)
    viewer = lab.person("Vera View")
    with pytest.raises(NotAllowedError, match="viewer"):
        export_training_set(Lab(lab.workspace, viewer), tmp_path / "set")
    with pytest.raises(NotAllowedError, match="curator"):
        permit(Lab(lab.workspace, viewer), "TS_001", scope=Scope.INTERNAL, approved_by="me")
    assert not (tmp_path / "set").exists()


@pytest.mark.parametrize(
    ("values", "said"),
    [
        ({"scope": Scope.PUBLIC, "approved_by": "P"}, "need a licence"),
        ({"scope": Scope.INTERNAL, "approved_by": " "}, "names who gave it"),
        ({"scope": Scope.INTERNAL, "approved_by": "P", "until": date(2020, 1, 1)}, "has ended"),
        (
            {
                "scope": Scope.INTERNAL,
                "approved_by": "P",
                "until": date(2090, 1, 1),
                "embargo": date(2091, 1, 1),
            },
            "before the embargo",
        ),
    ],
)
def test_a_permission_that_cannot_be_meant_is_refused(lab: Any, values: Any, said: Any) -> None:
    lab.tomogram("TS_001")
    with pytest.raises(ExportError, match=said):
        permit(Lab(lab.workspace, lab.by), "TS_001", **values)


def test_a_permission_is_stated_once_and_a_conflict_is_told(lab: Any) -> None:
    lab.tomogram("TS_001")
    given: dict[str, Any] = {
        "scope": Scope.PUBLIC,
        "licence": Licence.CC0,
        "approved_by": "P. Owner",
    }
    assert permit(Lab(lab.workspace, lab.by), "TS_001", **given).outcome == "done"
    assert permit(Lab(lab.workspace, lab.by), "TS_001", **given).outcome == "kept"
    permit(Lab(lab.workspace, lab.by), "TS_001", scope=Scope.INTERNAL, approved_by="P. Owner")
    with pytest.raises(ConflictError, match="Ada Min"):
        permit(Lab(lab.workspace, lab.by), "TS_001", **given, seen=1)


def test_a_rejected_merge_is_left_out_and_the_accepted_one_stays(lab: Any) -> None:
    first, new = lab.accepted("TS_001"), lab.merged("TS_002")
    for patch in (first, new):
        lab.corrected(patch)
        reject(Lab(lab.workspace, lab.person("Rolf Reviewson")), patch.name, "too thick")
    taken = {first.name: (first.id, first.accepted_merge_id)}
    assert choose_curated(lab.opened, Choice()).ids == taken
    assert choose_curated(lab.opened, Choice(merged_too=True)).ids == taken
    again = lab.corrected(new, 30)
    both = taken | {new.name: (new.id, again.current_merge_id)}
    assert choose_curated(lab.opened, Choice(merged_too=True)).ids == both


def test_an_image_or_label_that_changed_since_is_refused_and_named(
    ready: Any, tmp_path: Path
) -> None:
    name = "demo_TS_002_patch0"
    image = ready.workspace.folders.image_of(name)
    with open_volume(image) as volume:
        voxels, grid = volume.read(whole(volume.shape)), volume.grid
    assert grid is not None
    write_nifti(image, np.ascontiguousarray(voxels[:, ::-1]), grid)
    other = "demo_TS_003_patch1"
    patches = {p.name: p for p in choose_curated(ready.opened, Choice()).patches}
    label = patches[other].label_path
    label.chmod(0o644)
    label.write_bytes(patches["demo_TS_003_patch0"].label_path.read_bytes())
    for recipe in (Recipe(), Recipe(core_only=True)):
        with pytest.raises(ExportError) as refused:
            export_training_set(ready.opened, tmp_path / "set", options=SetOptions(recipe=recipe))
        assert refused.value.faults == (
            f"{name}: its image differs from the recorded voxels; restore it from a backup.",
            f"{other}: its label differs from the recorded voxels; restore it from a backup.",
        )
    assert not (tmp_path / "set").exists()
    assert "other bytes" in (measure_labels(ready.opened, [other])[0].fault or "")
