"""Catalogs, folders, backups and records carry an identity; what is another's is left alone."""

import json
import shutil
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
import sqlalchemy as sa

from core.access.os_user import acting_person
from core.cli.main import main
from core.errors import WorkspaceError
from core.jobs.schedule import plan_daily_backup
from core.jobs.worker import run_worker
from core.maintenance.backup import back_up, make_backup
from core.maintenance.checks.backups import backups_of
from core.maintenance.checks.catalog import clock_of
from core.maintenance.checks.files import records_of
from core.maintenance.doctor import BAD, OK, examine_folder
from core.maintenance.manifest import manifests, read_manifest
from core.maintenance.restore import restore
from core.maintenance.verify_backup import verify_backup
from core.patches.record import refresh_records, write_record
from core.workspace.workspace import ID_FILE, Workspace, init_workspace, open_workspace
from db.models.work import Event, Job
from db.queries.life import comments_of
from db.queries.patches import get_patch
from db.queries.people import PersonRecord
from db.vocabulary import BackupKind, JobState
from db.writes.events import Change
from db.writes.patches import add_comment

PATCH = "other_TS_001_patch1"
ON_SQLITE = pytest.mark.parametrize("database", ["sqlite"])


def comment(workspace: Workspace, by: PersonRecord, text: str) -> None:
    with workspace.catalog.write() as session:
        add_comment(session, Change.now(by.id), get_patch(session, PATCH), text, (1, 2, 3))
    write_record(workspace, PATCH)


def comments_in_record(workspace: Workspace) -> list[str]:
    record = json.loads(workspace.folders.record_of(PATCH).read_text())
    return [each["text"] for each in record["comments"]]


# A8: one folder, one catalog


def test_a_catalog_of_another_workspace_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    for name in ("one", "two"):
        init_workspace(tmp_path / name).close()
    monkeypatch.setenv("TOMOCURATE_CATALOG", str(tmp_path / "one" / "catalog.sqlite"))
    with pytest.raises(WorkspaceError, match=r"two: belongs to catalog .* unset TOMO"):
        open_workspace(tmp_path / "two")
    assert main(["patches", "--workspace", str(tmp_path / "two")]) == 1
    assert [each.state for each in examine_folder(tmp_path / "two")] == [BAD]
    open_workspace(tmp_path / "one").close()


def test_a_folder_of_an_earlier_version_is_bound_to_its_own_catalog_only(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("one", "two"):
        init_workspace(tmp_path / name).close()
        (tmp_path / name / ID_FILE).unlink()
    monkeypatch.setenv("TOMOCURATE_CATALOG", str(tmp_path / "one" / "catalog.sqlite"))
    open_workspace(tmp_path / "two").close()
    assert not (tmp_path / "two" / ID_FILE).exists()
    monkeypatch.delenv("TOMOCURATE_CATALOG")
    with open_workspace(tmp_path / "two") as opened:
        assert (tmp_path / "two" / ID_FILE).read_text().strip() == opened.catalog_id


# A1: a restored drill beside production


@ON_SQLITE
def test_a_restored_drill_leaves_the_originals_backups_alone(
    lab: Workspace, admin: PersonRecord, tmp_path: Path, database: str
) -> None:
    elsewhere = tmp_path / "backups elsewhere"
    elsewhere.mkdir()
    toml = lab.folder / "tomocurate.toml"
    toml.write_text(toml.read_text() + f'backup_dir = "{elsewhere}"\n')
    with open_workspace(lab.folder) as production:
        made = make_backup(production, admin)
        drill = restore(made.path, tmp_path / "drill")
        with open_workspace(drill) as restored:
            assert restored.catalog_id != production.catalog_id
            assert restored.backup_folder == drill / "backups"
            assert restored.settings.nobody_reviews_own_work
        (drill / "tomocurate.toml").write_text(f'backup_dir = "{elsewhere}"\n')
        with open_workspace(drill) as restored:  # even where somebody names the same folder
            for days in range(40, 0, -2):
                at = datetime.now(UTC) - timedelta(days=days)
                back_up(restored, admin.id, BackupKind.DAILY, now=at)
        assert made.path.exists()
        assert verify_backup(production, admin).name == made.name
        assert [f.state for f in backups_of(production)].count(BAD) == 0


# A2: yesterday's catalog is put back


@ON_SQLITE
def test_records_that_are_newer_than_the_catalog_are_kept_and_told(
    lab: Workspace, admin: PersonRecord, tmp_path: Path, database: str
) -> None:
    file = lab.catalog.file
    assert file
    refresh_records(lab)
    shutil.copy(file, tmp_path / "yesterday.sqlite")
    comment(lab, admin, "of today")
    lab.catalog.close()
    shutil.copy(tmp_path / "yesterday.sqlite", file)
    with open_workspace(lab.folder) as rolled_back:
        (found,) = records_of(rolled_back)
        assert found.state == BAD
        assert "newer than the catalog" in found.said
        assert PATCH in found.said
        back_up(rolled_back, admin.id, BackupKind.DAILY)
        assert "of today" in comments_in_record(rolled_back)
        # Work goes on: the newer record is put aside, and still told.
        for number in range(30):
            comment(rolled_back, admin, f"of tomorrow {number}")
        assert "of tomorrow 29" in comments_in_record(rolled_back)
        (aside,) = (rolled_back.folders.records / "ahead").iterdir()
        assert "of today" in aside.read_text()
        (found,) = records_of(rolled_back)
        assert found.state == BAD
        assert aside.name in found.said


@ON_SQLITE
def test_a_record_of_an_earlier_version_that_is_newer_is_kept(
    lab: Workspace, admin: PersonRecord, database: str
) -> None:
    path = lab.folders.record_of(PATCH)
    refresh_records(lab)
    record = json.loads(path.read_text())
    del record["last_event"], record["catalog_id"]
    path.write_text(json.dumps({**record, "updated_at": "2999-01-01T00:00:00+00:00"}))
    assert refresh_records(lab) == 0
    path.write_text(json.dumps({**record, "updated_at": "2001-01-01T00:00:00+00:00"}))
    assert refresh_records(lab) == 1


@ON_SQLITE
def test_a_record_of_another_catalog_is_not_written_over(
    lab: Workspace, admin: PersonRecord, database: str
) -> None:
    path = lab.folders.record_of(PATCH)
    refresh_records(lab)
    record = json.loads(path.read_text())
    path.write_text(json.dumps({**record, "catalog_id": "another"}))
    assert refresh_records(lab) == 0
    assert [each.state for each in records_of(lab)] == [BAD]


# A3: the clock was ten years ahead

LATER = timedelta(days=3652)


@ON_SQLITE
def test_a_backup_dated_in_the_future_does_not_stop_the_daily_ones(
    lab: Workspace, admin: PersonRecord, database: str
) -> None:
    back_up(lab, admin.id, BackupKind.DAILY, now=datetime.now(UTC) + LATER)
    (found,) = clock_of(lab)
    assert found.state == BAD
    assert "check the system clock" in found.said
    plan_daily_backup(lab)
    with lab.catalog.read() as session:
        due = session.scalars(sa.select(Job.due_at)).one()
    assert due < datetime.now(UTC) + timedelta(days=2)
    now = back_up(lab, admin.id, BackupKind.DAILY)
    assert verify_backup(lab, admin).name == now.name, "the newest that can be"
    assert restore(lab.backup_folder, lab.folder.parent / "again").is_dir()


@ON_SQLITE
def test_a_daily_backup_that_was_planned_by_a_wrong_clock_is_made(
    lab: Workspace, admin: PersonRecord, database: str
) -> None:
    plan_daily_backup(lab)
    with lab.catalog.write() as session:
        session.execute(sa.update(Job).values(due_at=datetime.now(UTC) + LATER))
    assert run_worker(lab, once=True) == 1
    with lab.catalog.read() as session:
        assert session.scalars(sa.select(Job.state)).one() == JobState.DONE
    assert len(manifests(lab.backup_folder)) == 1


@ON_SQLITE
def test_a_sound_clock_has_nothing_to_tell(lab: Workspace, database: str) -> None:
    assert [each.state for each in clock_of(lab)] == [OK]
    with lab.catalog.write() as session:
        at = datetime.now(UTC) + LATER
        session.add(Event(at=at, action="x", subject="patch", name="x"))
    assert [each.state for each in clock_of(lab)] == [BAD]


# C1: modes


def test_copies_of_the_catalog_are_readable_for_no_other_account(
    lab: Workspace, admin: PersonRecord, tmp_path: Path, database: str
) -> None:
    made = make_backup(lab, admin)
    archive = made.path.parent / read_manifest(made.path).archive
    assert archive.stat().st_mode & 0o027 == 0
    assert made.path.stat().st_mode & 0o027 == 0
    if database == "sqlite":
        again = restore(made.path, tmp_path / "again")
        assert (again / "catalog.sqlite").stat().st_mode & 0o007 == 0


def test_a_password_in_the_settings_is_their_owners_alone_and_is_not_shown(
    empty_url: sa.URL, database: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    if database == "sqlite":
        pytest.skip("a SQLite file has no password")
    urls = (empty_url.set(password="s3cret"), empty_url.update_query_dict({"password": "s3cret"}))
    for number, address in enumerate(urls):
        text = address.render_as_string(hide_password=False)
        folder = tmp_path / str(number)
        main(["init", str(folder), "--catalog", text])
        main(["doctor", "--workspace", str(folder)])
        assert "s3cret" not in "".join(capsys.readouterr())
        if (folder / "tomocurate.toml").exists():
            assert (folder / "tomocurate.toml").stat().st_mode & 0o077 == 0


def test_the_person_of_the_lab_is_the_admin(lab: Workspace, admin: PersonRecord) -> None:
    assert acting_person(lab) == admin
    with lab.catalog.read() as session:
        assert comments_of(session, get_patch(session, PATCH).id)
