"""What each command of a workspace does, says and refuses, as a person or a script sees it."""

import json
import os
import shutil
import unicodedata
from pathlib import Path
from typing import Any

import pytest

from core.imaging.formats.volume import open_volume

PATCH = "other_TS_001_patch0"


def names(listed: list[dict[str, object]]) -> list[object]:
    return [line["name"] for line in listed]


def test_a_glob_is_shown_first_and_a_script_must_agree(lab: Any) -> None:
    shown = lab("register", f"{lab.data}/*.mrc", "--dataset", "again")
    assert shown.status == 2
    assert "TS_001_v10.ckpt_segmented.mrc" in shown.out
    assert "--yes" in shown.err
    assert len(lab.done("tomograms", "--json").json) == 1


def test_agreed_pairs_are_registered_and_again_are_kept(lab: Any) -> None:
    said = lab.done("register", f"{lab.data}/*.mrc", "--yes", "--json")
    assert said.json[0]["outcome"] == "kept"


def test_a_dry_run_of_register_writes_nothing(lab: Any) -> None:
    said = lab.done("register", f"{lab.data}/*.mrc", "--dry-run", "--json")
    assert said.json[0]["token"] == "TS_001"
    assert len(lab.done("events", "--json").json) == len(lab.done("events", "--json").json)


def test_a_missing_tomogram_is_named(lab: Any) -> None:
    said = lab("register", "gone.mrc", "--segmentation", "seg.mrc")
    assert said.status == 1
    assert "gone.mrc" in said.err


def test_centers_come_as_x_y_z_and_a_bad_one_stops_no_other(lab: Any) -> None:
    said = lab(
        "choose",
        "TS_001",
        "--at",
        "110,100,90",
        "--at",
        "1,2,3",
        "--at",
        "100,90,85",
        "--why",
        "hard_negative",
        "--json",
    )
    assert said.status == 1
    assert [line["outcome"] for line in said.json] == ["kept", "failed", "done"]
    assert "1,2,3" in said.err
    added = lab.done("show", "other_TS_001_patch1", "--json").json
    assert added["name"] == "other_TS_001_patch1"
    assert added["patch"]["center"] == [85, 90, 100]
    assert added["patch"]["chosen_because"] == "hard_negative"


def test_a_points_file_is_read_and_told(lab: Any, tmp_path: Path) -> None:
    (tmp_path / "centers.csv").write_text("x,y,z\n100,90,85\n1000,1,1\n")
    said = lab("choose", "TS_001", "--from", "centers.csv", "--dry-run")
    assert said.status == 1
    assert "centers read as" in said.out
    assert "1 to choose, 1 failed" in said.out
    assert len(lab.done("patches", "--json").json) == 1


@pytest.mark.parametrize(
    "words",
    [
        ["choose", "TS_001"],
        ["choose", "TS_001", "--at", "1,2"],
        ["choose", "TS_001", "--at", "1,2,x"],
        ["choose", "TS_001", "--at", "1,2,3", "--from", "c.csv"],
        ["choose", "TS_001", "--at", "110,100,90", "--why", "because"],
        ["extract"],
        ["extract", PATCH, "--all"],
        ["merge"],
        ["reject", PATCH],
        ["withdraw", PATCH],
        ["patches", "--stage", "finished"],
        ["pin", "TS_001", "validation"],
        ["permit", "TS_001", "--scope", "public"],
        ["people", "add", "Ben", "--issuer", "https://id.example.org"],
        ["people", "account", "Ada"],
        ["people", "drop", "Ada"],
        ["jobs", "cancel", "one"],
        ["hash"],
        ["import-bundle", "folder", "--title", "Cells"],
        ["no-such-command"],
    ],
)
def test_wrong_usage_is_status_2_and_says_what_is_right(lab: Any, words: Any) -> None:
    said = lab(*words)
    assert said.status == 2
    assert "Error" in said.err or "Usage" in said.err


def test_unknown_names_get_the_nearest_ones(lab: Any) -> None:
    for words, near in (
        (["show", "other_TS_001_patch1"], PATCH),
        (["choose", "TS_01", "--at", "110,100,90"], "TS_001"),
        (["patches", "--tomogram", "TS_01"], "TS_001"),
        (["patches", "--assignee", "Adda"], "Ada"),
        (["patches", "--dataset", "othr"], "other"),
        (["events", "--person", "Adda"], "Ada"),
        (["assign", PATCH, "Adda"], "Ada"),
        (["people", "role", "Adda", "viewer"], "Ada"),
        (["pin", "TS_01", "test"], "TS_001"),
    ):
        said = lab(*words)
        assert said.status == 1, words
        assert f"did you mean {near}" in said.err, said.err


def test_a_move_that_is_not_legal_says_what_would_be(lab: Any) -> None:
    for words in (["accept", PATCH], ["submit", PATCH], ["reject", PATCH, "--reason", "no"]):
        said = lab(*words)
        assert said.status == 1
        assert f"error: {PATCH}: is extracted" in said.err


def test_the_life_of_a_patch_from_correction_to_acceptance(lab: Any) -> None:
    lab.paint()
    (taken,) = lab.done("collect", "--json").json
    assert taken["details"]["files"][0]["version"] == 1
    merged = lab.done("merge", "--all", "--json").json
    assert names(merged) == [PATCH]
    assert "submitted for review" in lab.done("submit", PATCH).out
    assert lab.done("accept", PATCH, "--merge", "1", "--json").json["stage"] == "accepted"
    with open_volume(lab.folder / "merged" / f"{PATCH}.nii.gz") as label:
        assert label.shape == (160, 160, 160)
    told = lab.done("show", PATCH).out
    for word in ("accepted", "Add1.nrrd", "110,100,90", "Ada"):
        assert word in told


def test_a_second_run_of_each_step_does_nothing_twice(lab: Any) -> None:
    lab.merged()
    before = lab.done("show", PATCH, "--json").json
    for words in (["extract", "--all"], ["collect"], ["merge", "--all"]):
        lab.done(*words)
    after = lab.done("show", PATCH, "--json").json
    assert after["merges"] == before["merges"]
    assert after["slots"] == before["slots"]


def test_dry_runs_say_what_would_be_and_write_nothing(lab: Any) -> None:
    lab.done("choose", "TS_001", "--at", "100,90,85")
    lab.paint()
    before = {path for path in lab.folder.rglob("*") if "catalog" not in path.name}
    extracted = lab.done("extract", "--all", "--dry-run", "--json").json
    assert names(extracted) == ["other_TS_001_patch1"]
    lab.done("collect", "--dry-run")
    lab.done("merge", PATCH, "--dry-run")
    assert {path for path in lab.folder.rglob("*") if "catalog" not in path.name} == before
    assert lab.done("show", PATCH, "--json").json["slots"] == []


def test_a_bad_correction_fails_its_patch_alone(lab: Any) -> None:
    lab.done("choose", "TS_001", "--at", "100,90,85")
    lab.done("extract", "--all")
    lab.paint()
    bad = lab.folder / "corrections" / "other_TS_001_patch1"
    bad.mkdir(exist_ok=True)
    (bad / "Add1.nrrd").write_bytes(b"no volume")
    said = lab("collect", "--json")
    assert said.status == 1
    outcomes = {line["outcome"] for line in said.json}
    assert outcomes == {"done", "failed"}
    assert "Add1.nrrd" in said.err
    assert lab("merge", "--all").status in (0, 1)
    assert lab.done("show", PATCH, "--json").json["patch"]["stage"] == "merged"


def test_a_correction_is_withdrawn_and_reinstated(lab: Any) -> None:
    lab.merged()
    lab.paint("Add2.nrrd", at=90)
    lab.done("collect")
    lab.done("withdraw", PATCH, "--correction", "Add2.nrrd", "--reason", "twice")
    assert (lab.folder / "corrections" / PATCH / "withdrawn" / "Add2.nrrd").is_file()
    lab.done("reinstate", PATCH, "--correction", "Add2.nrrd")
    assert (lab.folder / "corrections" / PATCH / "Add2.nrrd").is_file()
    said = lab("withdraw", PATCH, "--correction", "Add3.nrrd")
    assert said.status == 1
    assert "Add3.nrrd" in said.err


def test_a_patch_is_withdrawn_with_a_reason_and_comes_back(lab: Any) -> None:
    lab.done("withdraw", PATCH, "--reason", "ice")
    assert lab.done("patches", "--json").json == []
    assert names(lab.done("patches", "--withdrawn", "--json").json) == [PATCH]
    assert lab("claim", PATCH).status == 1
    lab.done("reinstate", PATCH)
    assert names(lab.done("patches", "--json").json) == [PATCH]


def test_work_is_assigned_claimed_transferred_and_released(lab: Any) -> None:
    lab.done("people", "add", "Ben", "--role", "annotator")
    assert lab.done("assign", PATCH, "Ben", "--json").json["assignee"] == "Ben"
    assert names(lab.done("patches", "--assignee", "Ben", "--json").json) == [PATCH]
    said = lab("claim", PATCH)
    assert said.status == 1
    assert "Ben has it" in said.err
    lab.done("transfer", PATCH, "Ada")
    assert names(lab.done("patches", "--mine", "--json").json) == [PATCH]
    lab.done("release", PATCH)
    assert names(lab.done("patches", "--unassigned", "--json").json) == [PATCH]


def test_comments_stand_at_a_voxel_until_they_are_settled(lab: Any) -> None:
    said = lab.done("comment", PATCH, "is it?", "--at", "92,75,80", "--json").json
    assert said["comment"]["at"] == [80, 75, 92]
    number = said["comment"]["id"]
    assert "92,75,80" in lab.done("show", PATCH).out
    lab.done("settle", PATCH, str(number))
    assert lab.done("show", PATCH, "--json").json["comments"][0]["resolved_by"] == "Ada"
    assert lab("settle", PATCH, "999").status == 1
    assert lab("comment", PATCH, "far", "--at", "160,0,0").status == 1


def test_people_are_added_changed_and_disabled(lab: Any) -> None:
    lab.done("people", "add", "Ben", "--account", "ben", "--role", "reviewer")
    lab.done("people", "role", "Ben", "curator")
    lab.done("people", "disable", "Ben")
    listed = {person["name"]: person for person in lab.done("people", "--json").json}
    assert listed["Ben"]["role"] == "curator"
    assert listed["Ben"]["disabled"] is True
    lab.done("people", "enable", "Ben")
    assert lab("people", "add", "Ben").status == 1
    assert lab("people", "role", "Ada", "viewer").status == 1, "the last admin stays"


def test_what_one_may_not_do_is_refused_and_noted(lab: Any) -> None:
    lab.done("people", "add", "Zoe", "--role", "admin", "--account", "zoe")
    lab.done("people", "role", "Ada", "viewer")
    said = lab("withdraw", PATCH, "--reason", "no")
    assert said.status == 1
    assert "takes a curator" in said.err
    assert "refused" in [event["action"] for event in lab.done("events", "--json").json]
    assert lab("events", "export", "log.jsonl").status == 1


def test_the_record_is_written_as_json_lines_and_never_over_a_file(
    lab: Any, tmp_path: Path
) -> None:
    lab.done("events", "export", "log.jsonl")
    lines = (tmp_path / "log.jsonl").read_text().splitlines()
    assert "patch chosen" in [json.loads(line)["action"] for line in lines]
    again = lab("events", "export", "log.jsonl")
    assert again.status == 1
    assert "already" in again.err


def test_events_are_filtered(lab: Any) -> None:
    of_patch = lab.done("events", "list", "--patch", PATCH, "--json").json
    assert {event["name"] for event in of_patch} == {PATCH}
    assert lab.done("events", "--since", "2999-01-01", "--json").json == []
    assert len(lab.done("events", "--limit", "2", "--json").json) == 2


def test_queued_work_is_done_by_a_worker(lab: Any) -> None:
    lab.done("choose", "TS_001", "--at", "100,90,85")
    (queued,) = lab.done("extract", "--all", "--queue", "--json").json
    assert queued["outcome"] == "queued"
    assert "no worker runs" in lab.done("jobs").out
    lab.done("worker", "--once")
    listed = {job["id"]: job for job in lab.done("jobs", "--json").json}
    assert listed[queued["job"]]["state"] == "done"
    shown = lab.done("show", "other_TS_001_patch1", "--json").json
    assert shown["patch"]["stage"] == "extracted"
    assert lab("jobs", "cancel", "99999").status == 1


def test_hashes_are_made_at_once_or_by_a_worker(lab: Any) -> None:
    done = lab.done("hash", "TS_001", "--json").json
    assert names(done)[0] == "other/TS_001"
    assert len(done[0]["details"]["sha256"]) == 64
    assert "0 hashed" in lab.done("hash", "--all").out
    assert "queued" in lab.done("hash", "TS_001", "--queue").out


def test_a_backup_is_made_verified_and_restored(lab: Any, tmp_path: Path) -> None:
    lab.merged()
    made = lab.done("backup", "--json").json
    assert Path(made["path"]).is_file()
    assert names([made]) == names([lab.done("backup", "verify", "--json").json])
    assert len(lab.done("backup", "list", "--json").json) == 1
    lab.done("restore", str(lab.folder / "backups"), "--to", "again")
    restored = lab.done("patches", "--json", "--workspace", "again").json
    assert restored == lab.done("patches", "--json").json
    assert lab("restore", str(lab.folder / "backups"), "--to", "again").status == 1


def test_doctor_examines_a_workspace(lab: Any) -> None:
    said = lab("doctor", "--json")
    assert {finding["state"] for finding in said.json} <= {"ok", "warn", "bad"}
    assert all(finding["name"] for finding in said.json)


def test_a_catalog_at_this_schema_needs_no_migration(lab: Any) -> None:
    assert "already" in lab.done("migrate").out


def test_labels_are_put_back_into_a_copy(lab: Any, tmp_path: Path) -> None:
    lab.merged()
    lab.done("accept", PATCH)
    lab.done("put-back", "TS_001", "curated.mrc", "--dry-run")
    assert not (tmp_path / "curated.mrc").exists()
    lab.done("put-back", "TS_001", "curated.mrc")
    assert (tmp_path / "curated.mrc").is_file()
    assert lab("put-back", "TS_001", "curated.mrc").status == 1, "nothing is overwritten"


def test_a_training_set_of_one_tomogram_says_how_to_validate(lab: Any, tmp_path: Path) -> None:
    lab.merged()
    refused = lab("export", "training-set", "set")
    assert refused.status == 1
    lab.done("accept", PATCH)
    lab.done("choose", "TS_001", "--at", "100,90,85")
    lab.done("extract", "--all")
    lab.done("submit", "other_TS_001_patch1", "--nothing-to-change")
    lab.done("accept", "other_TS_001_patch1")
    said = lab("export", "training-set", "set")
    assert said.status == 1
    assert "--allow-leaky-val" in said.err
    lab.done("export", "training-set", "set", "--allow-leaky-val", "--dry-run")
    assert not (tmp_path / "set").exists()
    assert "2 patches" in lab.done("export", "training-set", "set", "--allow-leaky-val").out
    assert (tmp_path / "set" / "dataset.json").is_file()


def test_a_bundle_waits_for_permission_and_for_a_signature(lab: Any, tmp_path: Path) -> None:
    lab.merged()
    lab.done("accept", PATCH)
    bundle = ["export", "bundle", "out", "--title", "Cells", "--description", "One patch"]
    bundle += ["--licence", "CC0-1.0"]
    said = lab(*bundle)
    assert said.status == 1
    assert "its owner's permission is not recorded" in said.err
    assert "Traceback" not in said.out
    assert not (tmp_path / "out").exists()
    assert lab(*bundle, "--creator", "Byron, Ada;not-an-orcid").status == 1


def test_an_accepted_patch_is_taken_back_with_a_reason(lab: Any) -> None:
    lab.merged()
    lab.done("accept", PATCH)
    assert lab("reject", PATCH, "--reason", "on second thought").status == 1
    lab.done("reject", PATCH, "--reason", "on second thought", "--take-back")
    (patch,) = lab.done("patches", "--rejected", "--json").json
    assert patch["rejected_reason"] == "on second thought"


def test_permissions_and_pins_are_stated(lab: Any) -> None:
    public = ["permit", "TS_001", "--scope", "public", "--by", "Ada"]
    said = lab.done(*public, "--licence", "CC-BY-4.0")
    assert "1 stated" in said.out
    assert lab(*public).status == 1
    lab.done("pin", "TS_001", "test")
    (tomogram,) = lab.done("tomograms", "--split", "test", "--json").json
    assert tomogram["name"] == "other/TS_001"
    lab.done("pin", "TS_001", "none")
    assert lab.done("tomograms", "--split", "test", "--json").json == []


def test_data_roots_are_listed_and_added(lab: Any, tmp_path: Path) -> None:
    assert names(lab.done("roots", "--json").json) == [str(lab.data)]
    (tmp_path / "more").mkdir()
    lab.done("roots", "add", "more")
    assert len(lab.done("roots", "list", "--json").json) == 2
    assert lab("roots", "add", "/etc").status == 1
    assert lab("roots", "add", "gone").status == 1


def test_a_kit_goes_out_once_and_comes_back(lab: Any, tmp_path: Path) -> None:
    lab.paint()
    lab.done("collect")
    lab.done("kit", PATCH, "--out", "ben.zip")
    assert lab("kit", PATCH, "--out", "ben.zip").status == 1
    lab.done("people", "add", "Ben")
    lab.done("receive", "ben.zip", "--author", "Ben")
    assert lab("receive", "gone.zip").status == 1


@pytest.mark.parametrize(
    "name",
    [
        "膜_TS_001_patch0",
        "🧬",
        "line\nbreak",
        "../../etc/passwd",
        "a/b",
        "..",
        "x" * 300,
        "=cmd()",
        "\x1b[31mred",
        "",
        " ",
        "%s%n",
        "'; DROP TABLE patches; --",
        "\u202eevil",
        os.fsdecode(b"\xff\xfe"),
    ],
)
def test_hostile_names_get_one_sentence_and_make_no_file(lab: Any, name: Any) -> None:
    before = sorted(lab.folder.rglob("*"))
    for words in (
        ["show", "--", name],
        ["extract", "--", name],
        ["submit", "--", name],
        ["collect", "--", name],
        ["merge", "--", name],
        ["kit", "--out", "k.zip", "--", name],
        ["choose", "--at", "1,2,3", "--", name],
        ["assign", "--", PATCH, name],
        ["pin", "--", name, "test"],
    ):
        said = lab(*words)
        assert said.status in (1, 2), words
        assert "\x1b" not in said.err
        assert "line\nbreak" not in said.err
    after = [path for path in sorted(lab.folder.rglob("*")) if "catalog" not in path.name]
    assert [path for path in after if path not in before and path.parent.name != "locks"] == []


def test_a_folder_that_is_no_workspace_is_named_with_the_way_out(lab: Any, tmp_path: Path) -> None:
    said = lab("patches", "--workspace", str(tmp_path))
    assert said.status == 1
    assert "tomocurate init" in said.err
    assert lab("patches", "--workspace", "gone").status == 1


def test_a_workspace_is_not_made_over_another(lab: Any) -> None:
    said = lab("init", str(lab.folder))
    assert said.status == 1
    assert "already" in said.err


def test_a_catalog_that_is_damaged_or_something_else_is_left_alone(lab: Any) -> None:
    catalog = lab.folder / "catalog.sqlite"
    for content in (b"", b"hello" * 1000, catalog.read_bytes()[:5000]):
        catalog.write_bytes(content)
        for words in (["patches"], ["collect"], ["doctor"]):
            assert lab(*words).status == 1, words
        assert catalog.read_bytes() == content


def test_a_stranger_is_told_how_to_come_in(lab: Any) -> None:
    lab.done("people", "account", "Ada", "--account", "somebody-else")
    said = lab("patches")
    assert said.status == 1
    assert "people add" in said.err


def test_init_takes_a_name_and_a_place_for_the_catalog(lab: Any, tmp_path: Path) -> None:
    made = lab.done(
        "init", "new", "--name", "Zoe", "--catalog", str(tmp_path / "c.sqlite"), "--json"
    )
    assert made.json["admin"] == "Zoe"
    assert (tmp_path / "c.sqlite").is_file()
    assert not (tmp_path / "new" / "catalog.sqlite").exists()
    said = lab("init", "other", "--catalog", "mysql://x/y")
    assert said.status == 1
    assert "postgresql" in said.err


def test_tables_are_for_people_and_say_how_many(lab: Any) -> None:
    assert PATCH in lab.done("patches").out
    assert "1 patches" in lab.done("patches").out
    assert "other/TS_001" in lab.done("tomograms").out
    assert os.linesep in lab.done("people").out


def test_a_lost_catalog_is_made_again_from_the_records(lab: Any) -> None:
    lab.merged()
    lab.done("accept", PATCH)
    before = lab.done("patches", "--json").json
    assert lab("rebuild").status == 1, "what is there is not touched"
    (lab.folder / "catalog.sqlite").rename(lab.folder / "damaged.sqlite")
    assert names(lab.done("rebuild", "--json").json) == [PATCH]
    (patch,) = lab.done("patches", "--json").json
    assert patch["stage"] == "accepted"
    assert patch["label_hash"] == before[0]["label_hash"]


def test_a_catalog_is_copied_to_where_nothing_is(lab: Any, tmp_path: Path) -> None:
    counted = {
        row["name"]: row["rows"]
        for row in lab.done("catalog", "copy", "--to", str(tmp_path / "copy.sqlite"), "--json").json
    }
    assert counted["patches"] == 1
    assert lab("catalog", "copy", "--to", str(tmp_path / "copy.sqlite")).status == 1


def test_a_folder_of_the_guide_is_adopted(lab: Any, tmp_path: Path) -> None:
    cut = lab.folder / "patches"
    old = tmp_path / "old"
    for folder in ("imagesCorr", "labelsCorr"):
        (old / folder).mkdir(parents=True)
        source = cut / folder / f"{PATCH}.nii.gz"
        (old / folder / "old_TS_001_patch7.nii.gz").write_bytes(source.read_bytes())
    shown = lab.done("adopt", "old", "--dry-run", "--json").json
    assert names(shown) == ["old_TS_001_patch7"]
    lab.done("adopt", "old")
    adopted = lab.done("show", "old_TS_001_patch7", "--json").json
    assert adopted["patch"]["start"] == [10, 20, 30], "found by its voxels"
    assert "there already" in lab.done("adopt", "old").out


def test_a_file_name_that_is_no_utf8_is_reported_as_json_that_parses(
    lab: Any, tmp_path: Path
) -> None:
    kit = os.fsdecode(b"kit\xff.zip")
    said = lab.done("kit", PATCH, "--out", kit, "--json")
    assert said.json[0]["kit"] == kit
    assert (tmp_path / kit).is_file()


def test_columns_stand_under_each_other_in_every_script(lab: Any) -> None:
    for name in ("膜の人", "Zoé", "Ben"):
        lab.done("people", "add", name, "--account", f"account-{name}")
    lines = lab.done("people").out.splitlines()
    (line,) = [line for line in lines if line.startswith("膜の人")]
    assert lines[0].index("role") == line.index("annotator") + 3, "three characters of two columns"


def test_every_list_for_programs_is_an_array_of_objects_with_a_name(lab: Any) -> None:
    lab.done("backup")
    lab.done("people", "add", "Ben")
    lists = [
        "patches",
        "tomograms",
        "people",
        "events",
        "jobs",
        "roots",
        "backup list",
        "doctor",
        "hash TS_001",
        "collect",
        "extract --all",
        "merge --all",
    ]
    for words in lists:
        listed = lab(*words.split(), "--json").json
        assert isinstance(listed, list), words
        assert all(isinstance(each["name"], str) and each["name"] for each in listed), words


def test_a_correction_folder_that_macos_named_decomposed_belongs_to_its_patch(
    lab: Any, tmp_path: Path
) -> None:
    suffix = "_v10.ckpt_segmented.mrc"
    shutil.copy(lab.data / "TS_001.mrc", tmp_path / "Hülle.mrc")
    shutil.copy(lab.data / f"TS_001{suffix}", tmp_path / f"Hülle{suffix}")
    lab.done("register", tmp_path / "Hülle.mrc", "--segmentation", tmp_path / f"Hülle{suffix}")
    lab.done("choose", "Hülle", "--at", "110,100,90")
    lab.done("extract", "--all")
    decomposed = unicodedata.normalize("NFD", "other_Hülle_patch0")
    lab.paint(patch=decomposed)
    told = lab.done("collect")
    assert "1 taken" in told.out
    lab.paint(patch="other_Hülle_patch0", name="Add2.nrrd")
    both = lab("collect")
    assert both.status == 1
    assert "no patch has this name" in both.err, "two folders of one name are told, not guessed"
