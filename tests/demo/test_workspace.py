"""The demo's workspace shows every stage and mark, is made once, and is sound."""

import json
from pathlib import Path
from typing import Any

import pytest

from core.cli.main import main
from core.demo.specimens import SPECIMENS
from core.demo.workspace import MARK, PLAN, make_demo
from core.errors import WorkspaceError
from db.vocabulary import Stage


@pytest.fixture(scope="module")
def demo(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("made") / "demo"
    made = make_demo(folder, lambda line: None, tomograms=2)
    assert not made.found
    assert made.tomograms == 2
    assert made.people == 3
    assert all(made.patches[stage] for stage in Stage)
    return folder


def listed(demo: Path, capsys: pytest.CaptureFixture[str], *words: str) -> list[dict[str, Any]]:
    capsys.readouterr()
    assert main([*words, "--json", "--workspace", str(demo)]) == 0
    lines: list[dict[str, Any]] = json.loads(capsys.readouterr().out)
    return lines


def test_the_plan_has_some_forty_patches_and_a_tomogram_to_look_through() -> None:
    assert set(PLAN) == {specimen.token for specimen in SPECIMENS}
    assert all(len(PLAN[each.token]) == each.patches for each in SPECIMENS)
    assert sum(each.patches for each in SPECIMENS) == 40


def test_every_mark_is_there_to_look_at(demo: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for mark in ("--rejected", "--stale", "--waiting", "--withdrawn", "--unassigned"):
        assert listed(demo, capsys, "patches", mark), mark
    events = listed(demo, capsys, "events", "--limit", "500")
    assert {"Ada", "Ben", "Chloe"} <= {event["person"] for event in events}
    assert {"rejected", "commented", "comment settled"} <= {event["action"] for event in events}


def test_its_jobs_are_done_and_its_labels_can_be_made_again(
    demo: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert {job["state"] for job in listed(demo, capsys, "jobs")} == {"done"}
    accepted = listed(demo, capsys, "patches", "--stage", "accepted")
    verified = listed(demo, capsys, "merge", "--all", "--verify")
    assert {line["name"] for line in accepted} <= {line["name"] for line in verified}


def test_doctor_finds_nothing_bad(demo: Path, capsys: pytest.CaptureFixture[str]) -> None:
    main(["doctor", "--json", "--workspace", str(demo)])
    findings = json.loads(capsys.readouterr().out)
    assert [each for each in findings if each["state"] == "bad"] == []


def test_its_patches_are_shared_once_their_owners_permit(
    demo: Path, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    here = ["--workspace", str(demo)]
    bundle = [
        "export",
        "bundle",
        str(tmp_path / "out"),
        "--title",
        "Cells",
        "--description",
        "Synthetic cells",
        "--licence",
        "CC-BY-4.0",
        *here,
    ]
    assert main(bundle) == 1
    permit = ["permit", "TS_002", "--scope", "public", "--licence", "CC-BY-4.0", "--by", "Ada"]
    assert main([*permit, *here]) == 0
    assert main(bundle) == 0
    assert "--sign" in capsys.readouterr().out
    assert not (tmp_path / "out").exists()
    assert main([*bundle, "--sign", "Ada"]) == 0
    assert (tmp_path / "out" / "bundle.json").is_file()
    public = "".join(p.read_text() for p in (tmp_path / "out").glob("*.json"))
    assert "TS_001" not in public
    lab = ["--workspace", str(tmp_path / "lab")]
    assert main(["init", str(tmp_path / "lab")]) == 0
    assert main(["import-bundle", str(tmp_path / "out"), "--dry-run", *lab]) == 0
    assert listed(tmp_path / "lab", capsys, "patches") == []
    assert main(["import-bundle", str(tmp_path / "out"), *lab]) == 0
    assert {each["stage"] for each in listed(tmp_path / "lab", capsys, "patches")} == {"accepted"}


def test_segmentations_are_scored_against_accepted_labels(
    demo: Path, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    here = ["--workspace", str(demo)]
    accepted = listed(demo, capsys, "patches", "--stage", "accepted")
    assert main(["score", "--all", *here]) == 0
    scores = listed(demo, capsys, "scores")
    assert {score["name"] for score in scores} == {patch["name"] for patch in accepted}
    assert all(0.5 < score["dice"] < 1 for score in scores)
    assert main(["export", "training-set", str(tmp_path / "set"), *here]) == 0
    zarr = ["export", "convert", str(tmp_path / "set"), str(tmp_path / "zarr"), "--to"]
    assert main([*zarr, "ome-zarr"]) == 0
    assert main([*zarr, "ome-tiff"]) == 1
    assert "did you mean ome-zarr" in capsys.readouterr().err
    (written,) = [
        each for each in listed(demo, capsys, "export", "list") if each["kind"] == "training_set"
    ]
    assert main(["trained", str(written["id"]), scores[0]["model"], *here]) == 0
    assert any(score["in_training"] for score in listed(demo, capsys, "scores"))
    assert main(["trained", "999", "no-model", *here]) == 1
    assert main(["scores", "--patch", "no_such_patch0", *here]) == 1


def test_a_second_demo_finds_the_first(demo: Path) -> None:
    before = (demo / MARK).stat().st_mtime_ns
    again = make_demo(demo, lambda line: None)
    assert again.found
    assert again.tomograms == 2
    assert (demo / MARK).stat().st_mtime_ns == before


def test_a_folder_with_another_workspace_is_left_alone(tmp_path: Path) -> None:
    assert main(["init", str(tmp_path / "lab")]) == 0
    with pytest.raises(WorkspaceError, match="no whole demo"):
        make_demo(tmp_path / "lab", lambda line: None)
    assert not (tmp_path / "lab" / "tomograms").exists()
