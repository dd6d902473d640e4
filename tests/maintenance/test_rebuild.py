"""A catalog that is lost comes back from the records and the store, with the same lists."""

import dataclasses
import getpass
import json
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import URL

from core.errors import RecordError
from core.maintenance.backup import back_up, list_backups
from core.maintenance.doctor import BAD, examine
from core.maintenance.rebuild import rebuild, roles_of
from core.patches.record import read_record, write_record
from core.workspace.folders import DRAFT
from core.workspace.results import DONE, FAILED
from core.workspace.workspace import Workspace, open_workspace
from db.errors import CatalogError
from db.queries.life import comments_of, merges_of, reviews_of, slots_of
from db.queries.patches import list_patches
from db.queries.people import get_person, person_by_account
from db.vocabulary import BackupKind, Role

NUMBERED_ANEW = {
    "id",
    "tomogram_id",
    "segmentation_id",
    "current_merge_id",
    "accepted_merge_id",
    "assignee_id",
    "author_id",
}


def lists(workspace: Workspace) -> list[object]:
    """All lists of a catalog, without the numbers of rows."""
    with workspace.catalog.read() as session:
        return [
            (
                without_ids(patch),
                [
                    without_ids(each)
                    for query in (slots_of, merges_of, reviews_of, comments_of)
                    for each in query(session, patch.id)
                ],
            )
            for patch in list_patches(session)
        ]


def without_ids(record: Any) -> Any:
    if isinstance(record, tuple):
        return [without_ids(each) for each in record]
    if not dataclasses.is_dataclass(record):
        return record
    names = {field.name for field in dataclasses.fields(record)} - NUMBERED_ANEW
    return {name: without_ids(getattr(record, name)) for name in sorted(names)}


@pytest.fixture
def lost(lab: Workspace, database: str) -> Workspace:
    """The lab, closed, its catalog away."""
    for path in lab.folders.records.iterdir():
        write_record(lab, path.stem)
    return lab


@pytest.fixture
def target(database: str, request: pytest.FixtureRequest) -> str | None:
    if database == "sqlite":
        return None
    url: URL = request.getfixturevalue("postgresql").new("template1")
    return url.render_as_string(hide_password=False)


def lose(workspace: Workspace, target: str | None) -> None:
    """Take the catalog away: the file, or the database that the settings name."""
    workspace.catalog.close()
    if workspace.catalog.file:
        workspace.catalog.file.unlink()
    else:
        (workspace.folder / "tomocurate.toml").write_text(f'catalog = "{target}"\n')


def test_a_lost_catalog_is_rebuilt_with_the_same_lists(lost: Workspace, target: str | None) -> None:
    before = lists(lost)
    lose(lost, target)
    outcomes = rebuild(lost.folder)
    assert [(each.outcome, each.findings) for each in outcomes][:3] == [(DONE, ())] * 3
    with open_workspace(lost.folder) as again:
        assert lists(again) == before
        assert [each for each in examine(again, thorough=True) if each.state == BAD] == []
        for path in again.folders.records.iterdir():
            old = read_record(path)
            write_record(again, path.stem)
            assert read_record(path) == old
        assert [path.name for path in again.folders.records.iterdir() if path.is_dir()] == []


@pytest.mark.parametrize("database", ["sqlite"])
def test_who_rebuilds_becomes_admin_and_others_come_back_disabled_with_the_role_of_their_acts(
    lost: Workspace, target: str | None
) -> None:
    lose(lost, target)
    said = rebuild(lost.folder)[-1]
    assert (said.name, said.outcome) == ("people", DONE)
    assert "admin: disabled" in said.findings[0]
    with open_workspace(lost.folder) as again, again.catalog.read() as session:
        mine = person_by_account(session, getpass.getuser())
        assert mine
        assert (mine.role, mine.disabled) == (Role.ADMIN, False)
        assert get_person(session, "admin").disabled
        assert get_person(session, "admin").role == Role.REVIEWER  # who reviewed under this name


@pytest.mark.parametrize("database", ["sqlite"])
def test_a_bad_record_stops_no_other(lost: Workspace, database: str) -> None:
    lose(lost, None)
    records = sorted(lost.folders.records.iterdir())
    table = json.loads(records[0].read_text())
    del table["chosen"]
    records[0].write_text(json.dumps(table))
    table = json.loads(records[1].read_text())
    table["stage"] = "accepted"
    table["accepted_merge"] = None
    records[1].write_text(json.dumps(table))
    (lost.folders.records / "strange.json").write_text("[]")
    outcomes = {each.name: each for each in rebuild(lost.folder)}
    assert [outcomes[path.stem].outcome for path in records] == [FAILED, FAILED, DONE]
    assert outcomes["strange"].outcome == FAILED
    assert "lacks a part" in str(outcomes[records[0].stem].message)
    assert "breaks a rule of the catalog" in str(outcomes[records[1].stem].message)
    with open_workspace(lost.folder) as again, again.catalog.read() as session:
        assert list_patches(session).total == 1


@pytest.mark.parametrize("database", ["sqlite"])
def test_a_file_that_is_gone_from_the_store_is_told(lost: Workspace, database: str) -> None:
    lose(lost, None)
    next(path for path in lost.folders.store.glob("??/*")).unlink()
    told = [finding for each in rebuild(lost.folder) for finding in each.findings]
    assert any("restore them from a backup" in said for said in told)


@pytest.mark.parametrize("database", ["sqlite"])
def test_a_catalog_that_is_there_is_not_rebuilt_over(lost: Workspace, database: str) -> None:
    with pytest.raises(CatalogError, match="there already"):
        rebuild(lost.folder)


@pytest.mark.parametrize("database", ["sqlite"])
def test_a_workspace_without_records_is_told_to_restore(
    workspace: Workspace, database: str
) -> None:
    lose(workspace, None)
    with pytest.raises(RecordError, match="restore a backup"):
        rebuild(workspace.folder)
    assert not Path(str(workspace.catalog.file)).exists()


def test_a_reviewer_is_more_than_an_annotator_and_a_curator_more_than_a_reviewer() -> None:
    record = {
        "chosen": {"by": "a"},
        "marks": {"assignee": None},
        "updated_by": "b",
        "tomogram": {"registered_by": "c"},
        "slots": [],
        "merges": [{"made_by": "b"}],
        "reviews": [{"reviewer": "b"}, {"reviewer": "c"}],
        "comments": [],
    }
    assert roles_of([record]) == {"a": Role.ANNOTATOR, "b": Role.REVIEWER, "c": Role.CURATOR}


@pytest.mark.parametrize("database", ["sqlite"])
def test_a_rebuilt_catalog_knows_its_backups_and_puts_drafts_aside(
    lost: Workspace, database: str
) -> None:
    made = back_up(lost, None, BackupKind.ASKED)
    identity = lost.catalog_id
    (lost.folders.drafts).mkdir(exist_ok=True)
    (lost.folders.drafts / f"1-1-abc{DRAFT}").write_bytes(b"strokes")
    lose(lost, None)
    outcomes = {each.name: each for each in rebuild(lost.folder)}
    assert "1 unsaved drafts were not rebuilt" in outcomes["drafts"].findings[0]
    assert (lost.folders.drafts / "lost" / f"1-1-abc{DRAFT}").read_bytes() == b"strokes"
    with open_workspace(lost.folder) as again:
        assert again.catalog_id == identity
        assert [each.path for each in list_backups(again)] == [str(made.path)]


@pytest.mark.parametrize("database", ["sqlite"])
def test_a_record_of_another_catalog_is_not_rebuilt(lost: Workspace, database: str) -> None:
    path = lost.folders.record_of("other_TS_001_patch0")
    path.write_text(json.dumps({**read_record(path), "catalog_id": "f00f00f00"}))
    lose(lost, None)
    failed = [each for each in rebuild(lost.folder) if each.outcome == "failed"]
    assert [each.name for each in failed] == ["other_TS_001_patch0"]
    assert "of another catalog (f00f00f0)" in str(failed[0].message)
