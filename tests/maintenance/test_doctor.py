"""The doctor finds what is missing, changed, late or open, and changes nothing."""

import os
import sqlite3
import time
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
import sqlalchemy as sa

from core.corrections.store import Store
from core.maintenance.backup import back_up, make_backup
from core.maintenance.checks.files import store_of
from core.maintenance.checks.installation import FLOORS, disk_space, file_systems, versions
from core.maintenance.doctor import BAD, OK, WARN, Finding, examine, examine_folder
from core.maintenance.verify_backup import verify_backup
from core.workspace.workspace import Workspace
from db.models.work import Host, Job
from db.queries.maintenance import current_labels, stored_hashes
from db.queries.people import PersonRecord
from db.vocabulary import BackupKind, JobKind
from db.writes.backups import add_backup
from db.writes.events import Change
from db.writes.jobs import add_job, claim_job, start_worker

P0, P1, P2 = (f"other_TS_001_patch{number}" for number in range(3))


def found(workspace: Workspace, check: str, state: str) -> str:
    """All that the doctor says of a check in a state."""
    return "\n".join(
        each.said for each in examine(workspace) if (each.check, each.state) == (check, state)
    )


def bad(findings: tuple[Finding, ...]) -> list[str]:
    return [f"{each.check}: {each.said}" for each in findings if each.state == BAD]


def test_a_healthy_workspace_has_nothing_bad(lab: Workspace, admin: PersonRecord) -> None:
    make_backup(lab, admin)
    verify_backup(lab, admin)
    findings = examine(lab, thorough=True)
    assert bad(findings) == []
    assert {each.check for each in findings if each.state == OK} >= {
        "catalog",
        "store",
        "patches",
        "merged",
        "records",
        "tomograms",
        "versions",
        "secrets",
        "backup",
        "jobs",
        "partial files",
        "folders",
    }
    assert all(each.said.endswith(".") and "\n" not in each.said for each in findings)


def a_stored(workspace: Workspace) -> Path:
    with workspace.catalog.read() as session:
        sha256 = sorted(stored_hashes(session))[0]
    return Store(workspace.folders.store).path_of(sha256)


def flip(path: Path) -> None:
    data = bytearray(path.read_bytes())
    data[-1] ^= 1
    path.chmod(0o644)
    path.write_bytes(data)


def open_secret(workspace: Workspace) -> None:
    workspace.secret_path("cookie.key").write_text("x")
    workspace.secret_path("cookie.key").chmod(0o644)


FAULTS: dict[str, tuple[Callable[[Workspace], object], str, str, str]] = {
    "a file gone from the store": (
        lambda ws: a_stored(ws).unlink(),
        "store",
        BAD,
        "1 files are gone",
    ),
    "a file of the store changed": (
        lambda ws: flip(a_stored(ws)),
        "store",
        BAD,
        "1 files changed",
    ),
    "an extracted image is gone": (
        lambda ws: ws.folders.image_of(P0).unlink(),
        "patches",
        WARN,
        f"not there: patches/imagesCorr/{P0}.nii.gz",
    ),
    "an extracted label holds other voxels": (
        lambda ws: ws.folders.label_of(P1).replace(ws.folders.label_of(P0)),
        "patches",
        BAD,
        f"other voxels than were cut: patches/labelsCorr/{P0}.nii.gz",
    ),
    "an extracted label is no volume": (
        lambda ws: ws.folders.label_of(P0).write_bytes(b"x"),
        "patches",
        BAD,
        P0,
    ),
    "a label of no patch": (
        lambda ws: (ws.folders.labels / "strange.nii.gz").write_bytes(b""),
        "patches",
        WARN,
        "labels of no patch of the catalog: strange",
    ),
    "a merged label is gone": (
        lambda ws: ws.folders.merged_of(P1).unlink(),
        "merged",
        WARN,
        f"not there: {P1}",
    ),
    "a merged label was written over": (
        lambda ws: ws.folders.merged_of(P2).write_bytes(b"x"),
        "merged",
        BAD,
        P2,
    ),
    "a record is gone": (
        lambda ws: ws.folders.record_of(P0).unlink(),
        "records",
        WARN,
        P0,
    ),
    "a folder is gone": (
        lambda ws: ws.folders.exports.rmdir(),
        "folders",
        WARN,
        "exports",
    ),
    "a folder is not shared": (
        lambda ws: ws.folders.merged.chmod(0o755),
        "folders",
        WARN,
        "chmod g+ws",
    ),
    "a secret is open to others": (
        open_secret,
        "secrets",
        BAD,
        "cookie.key",
    ),
    "a killed process left a partial file": (
        lambda ws: old_file(ws.folders.merged / ".partial-1-abc"),
        "partial files",
        WARN,
        "abc",
    ),
}


def old_file(path: Path) -> None:
    path.write_text("x")
    os.utime(path, (time.time() - 7200,) * 2)


@pytest.mark.parametrize("database", ["sqlite"])
@pytest.mark.parametrize("fault", FAULTS)
def test_a_fault_is_found_and_nothing_is_changed(lab: Workspace, fault: str, database: str) -> None:
    make, check, state, said = FAULTS[fault]
    make(lab)
    before = sorted(str(path) for path in lab.folder.rglob("*"))
    assert said in found(lab, check, state)
    assert sorted(str(path) for path in lab.folder.rglob("*")) == before


@pytest.mark.parametrize("database", ["sqlite"])
def test_a_changed_image_is_found_when_asked_to_be_thorough(lab: Workspace) -> None:
    lab.folders.image_of(P1).replace(lab.folders.image_of(P0))
    assert not any("other voxels" in each.said for each in examine(lab))
    assert any("other voxels" in each.said for each in examine(lab, thorough=True))


@pytest.mark.parametrize("database", ["sqlite"])
def test_a_file_that_no_row_names_is_told_and_harmless(lab: Workspace) -> None:
    Store(lab.folders.store).put_bytes(b"of a step that was broken off")
    assert [each.state for each in store_of(lab)] == [OK, OK]
    assert "1 files that no correction or label names" in found(lab, "store", OK)


def test_no_backup_a_late_an_old_and_a_failed_one_are_told(
    lab: Workspace, admin: PersonRecord
) -> None:
    assert "there is none yet" in found(lab, "backup", WARN)
    now = datetime.now(UTC)
    back_up(lab, admin.id, BackupKind.DAILY, now=now - timedelta(days=9))
    assert "more than a week ago" in found(lab, "backup", BAD)
    back_up(lab, admin.id, BackupKind.ASKED, now=now - timedelta(days=2))
    assert "more than a day ago" in found(lab, "backup", WARN)
    made = make_backup(lab, admin)
    assert found(lab, "backup", BAD) == ""
    assert "same disk" in found(lab, "backup", WARN)
    made.path.unlink()
    assert "is gone" in found(lab, "backup", BAD)
    with lab.catalog.write() as session:
        add_backup(
            session, Change.now(None), BackupKind.DAILY, "x", None, None, error="the disk is full."
        )
    assert "the last one failed: the disk is full" in found(lab, "backup", BAD)


def test_stuck_late_and_failed_jobs_and_an_absent_worker_are_told(lab: Workspace) -> None:
    assert "none runs (last heard of: never)" in found(lab, "workers", WARN)
    long_ago = datetime.now(UTC) - timedelta(hours=1)
    with lab.catalog.write() as session:
        add_job(session, Change(None, long_ago), JobKind.MERGE, {}, "a")
        add_job(session, Change(None, long_ago), JobKind.MERGE, {}, "b")
        claim_job(session, "dead", timedelta(seconds=-1))
        start_worker(session, "w", "host", 1)
    assert "the worker of job 1 (merge) stopped responding" in found(lab, "jobs", WARN)
    assert "1 jobs wait for more than ten minutes" in found(lab, "jobs", WARN)
    assert "1 alive: w" in found(lab, "workers", OK)
    with lab.catalog.write() as session:
        session.execute(sa.update(Job).values(state="failed", error="it broke.", lease_until=None))
    assert "2 failed, the last is job 2: it broke." in found(lab, "jobs", WARN)


@pytest.mark.parametrize("database", ["sqlite"])
def test_two_machines_on_one_sqlite_file_are_told(lab: Workspace, database: str) -> None:
    with lab.catalog.write() as session:
        now = datetime.now(UTC)
        session.add(Host(name="elsewhere", boot_id="x", first_seen=now, last_seen=now))
    assert "all wrote to this SQLite file lately" in found(lab, "machines", BAD)


MOUNTS = "1 0 0:1 / / rw - ext4 /dev/x rw\n2 1 0:2 / {point} rw - {kind} server:/x rw\n"


@pytest.mark.parametrize("database", ["sqlite"])
@pytest.mark.parametrize(
    ("kind", "state"), [("nfs4", BAD), ("lustre", BAD), ("fuse.sshfs", BAD), ("tmpfs", WARN)]
)
def test_a_catalog_on_a_disk_that_loses_it_is_told(
    lab: Workspace, kind: str, state: str, database: str
) -> None:
    assert lab.catalog.file
    mounts = MOUNTS.format(point=lab.catalog.file.parent, kind=kind)
    first = next(iter(file_systems(lab, mounts)))
    assert (first.check, first.state) == ("catalog disk", state)
    assert kind in first.said


def test_a_library_that_is_too_old_is_told() -> None:
    assert [each.state for each in versions(FLOORS)] == [OK]
    told = next(iter(versions({"numpy": (99, 1), "no-such-thing": (1,)})))
    assert told.state == BAD
    assert "is older than 99.1" in told.said
    assert "no-such-thing is not installed" in told.said


@pytest.mark.parametrize("database", ["sqlite"])
def test_free_space_is_told_once_a_disk(lab: Workspace) -> None:
    assert len(list(disk_space(lab))) >= 1


@pytest.mark.parametrize("database", ["sqlite"])
def test_a_damaged_catalog_is_one_bad_finding(lab: Workspace, database: str) -> None:
    assert lab.catalog.file
    lab.catalog.close()
    os.truncate(lab.catalog.file, 5000)
    (only,) = examine_folder(lab.folder)
    assert (only.check, only.state) == ("catalog", BAD)
    assert "truncated" in only.said


@pytest.mark.parametrize("database", ["sqlite"])
def test_a_row_without_its_parent_is_found(lab: Workspace, database: str) -> None:
    assert lab.catalog.file
    connection = sqlite3.connect(lab.catalog.file)
    connection.execute("UPDATE patches SET assignee_id = 77 WHERE id = 1")
    connection.commit()
    connection.close()
    assert "a row of patches without its people" in found(lab, "catalog", BAD)


def test_a_folder_that_is_no_workspace_is_one_bad_finding(tmp_path: Path) -> None:
    (only,) = examine_folder(tmp_path)
    assert only.state == BAD
    assert "is no workspace" in only.said


@pytest.mark.parametrize("database", ["sqlite"])
def test_the_current_labels_are_those_of_the_patches(lab: Workspace) -> None:
    with lab.catalog.read() as session:
        assert [each.patch for each in current_labels(session)] == [P1, P2]
