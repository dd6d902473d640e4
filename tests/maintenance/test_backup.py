"""A backup is whole, is kept by rule, restores to the same, and refuses to be anything less."""

import json
import os
import resource
import shutil
import signal
import threading
import time
from datetime import UTC, datetime, timedelta
from pathlib import Path

import numpy as np
import pytest
import sqlalchemy as sa

from core.corrections.store import Store
from core.errors import BackupError, OutputError
from core.imaging.hashes import file_hash
from core.lab.lab import Lab
from core.maintenance.backup import back_up, list_backups, make_backup
from core.maintenance.manifest import STAMP, manifests, read_manifest
from core.maintenance.restore import restore
from core.maintenance.retention import backups_to_keep
from core.maintenance.verify_backup import try_backup, verify_backup
from core.painting.draft import keep_draft, read_draft
from core.workspace.workspace import Workspace, open_workspace
from db import backup as copies
from db.errors import CatalogError, NotAllowedError
from db.queries.life import comments_of, merges_of, slots_of
from db.queries.maintenance import stored_hashes
from db.queries.patches import list_patches
from db.queries.people import PersonRecord, get_person
from db.vocabulary import BackupKind
from db.writes.events import Change
from db.writes.people import add_person

ON_SQLITE = pytest.mark.parametrize("database", ["sqlite"])
"""What has nothing to do with the kind of database."""


def lives(workspace: Workspace) -> list[object]:
    """Everything that people see of the patches."""
    with workspace.catalog.read() as session:
        return [
            (
                patch,
                slots_of(session, patch.id),
                merges_of(session, patch.id),
                comments_of(session, patch.id),
            )
            for patch in list_patches(session)
        ]


@pytest.fixture
def catalog_for_restore(database: str, request: pytest.FixtureRequest) -> str | None:
    """Where a restored catalog goes: a file of its own, or a new PostgreSQL database."""
    if database == "sqlite":
        return None
    url: sa.URL = request.getfixturevalue("postgresql").new("template1")
    return url.render_as_string(hide_password=False)


def test_a_backup_restores_to_the_same_workspace(
    lab: Workspace, admin: PersonRecord, tmp_path: Path, catalog_for_restore: str | None
) -> None:
    made = make_backup(lab, admin)
    before = lives(lab)
    files = {
        folder: {p.name: p.read_bytes() for p in getattr(lab.folders, folder).rglob("*.nii.gz")}
        for folder in ("labels", "images", "merged")
    }
    corrections = sorted(p.relative_to(lab.folder) for p in lab.folders.corrections.rglob("*.nrrd"))
    folder = restore(made.path, tmp_path / "again", catalog_for_restore)
    with open_workspace(folder) as restored:
        assert lives(restored) == before
        assert restored.settings.nobody_reviews_own_work
        for name, there in files.items():
            found = getattr(restored.folders, name).rglob("*.nii.gz")
            assert {p.name: p.read_bytes() for p in found} == there
        assert (
            sorted(p.relative_to(folder) for p in restored.folders.corrections.rglob("*.nrrd"))
            == corrections
        )
        with restored.catalog.read() as session:
            store = Store(restored.folders.store)
            assert all(file_hash(store.path_of(each)) == each for each in stored_hashes(session))
        assert sorted(p.name for p in restored.folders.records.iterdir()) == [
            f"other_TS_001_patch{n}.json" for n in range(3)
        ]
        with restored.catalog.write() as session:  # this machine may write at once
            add_person(session, Change.now(None), "new", get_person(session, "anna").role)


def test_an_unsaved_draft_is_there_after_a_restore(
    lab: Workspace, admin: PersonRecord, tmp_path: Path, catalog_for_restore: str | None
) -> None:
    drawing = np.full((16, 16, 16), 2, np.uint8)
    name = "other_TS_001_patch0"
    keep_draft(Lab(lab, admin), name, drawing, 0, base={}, continued={"Add1.nrrd": 2})
    draft = read_draft(Lab(lab, admin), name)
    folder = restore(make_backup(lab, admin).path, tmp_path / "again", catalog_for_restore)
    with open_workspace(folder) as restored:
        assert read_draft(Lab(restored, admin), name) == draft


@ON_SQLITE
def test_a_backup_keeps_each_file_once_and_takes_only_new_ones_later(
    lab: Workspace, admin: PersonRecord
) -> None:
    first = make_backup(lab, admin)
    corrections, merged, labels, images = 3 * 2, 1, 3, 3  # both merged labels are the same
    assert first.files == first.new_files == corrections + merged + labels + images
    second = back_up(lab, admin.id, BackupKind.ASKED, now=datetime.now(UTC) + timedelta(hours=1))
    assert (second.files, second.new_files) == (first.files, 0)


@ON_SQLITE
def test_a_store_file_on_the_same_disk_takes_no_more_space(
    lab: Workspace, admin: PersonRecord
) -> None:
    make_backup(lab, admin)
    live, there = Store(lab.folders.store), Store(lab.backup_folder / "store")
    with lab.catalog.read() as session:
        for sha256 in stored_hashes(session):
            assert there.path_of(sha256).samefile(live.path_of(sha256))


@ON_SQLITE
def test_an_extracted_label_is_copied_since_people_may_write_over_it(
    lab: Workspace, admin: PersonRecord
) -> None:
    made = make_backup(lab, admin)
    label = lab.folders.label_of("other_TS_001_patch0")
    label.write_bytes(b"painted over")
    kept_hash = read_manifest(made.path).labels["other_TS_001_patch0"]
    assert file_hash(Store(lab.backup_folder / "store").path_of(kept_hash)) == kept_hash
    assert try_backup(lab, admin.id).files == made.files


@ON_SQLITE
def test_a_backup_on_the_disk_of_the_catalog_is_warned_about(
    lab: Workspace, admin: PersonRecord
) -> None:
    assert any("same disk" in said for said in make_backup(lab, admin).warnings)


@ON_SQLITE
def test_a_file_that_is_gone_from_the_store_is_told(lab: Workspace, admin: PersonRecord) -> None:
    with lab.catalog.read() as session:
        sha256 = next(iter(stored_hashes(session)))
    path = Store(lab.folders.store).path_of(sha256)
    path.unlink()
    assert any("1 files are gone" in said for said in make_backup(lab, admin).warnings)


def test_a_verified_backup_says_so(lab: Workspace, admin: PersonRecord) -> None:
    made = make_backup(lab, admin)
    verified = verify_backup(lab, admin)
    assert verified.name == made.name
    assert verified.files == made.files
    assert list_backups(lab)[0].verified_at is not None


@ON_SQLITE
def test_only_an_admin_backs_up_and_verifies(lab: Workspace) -> None:
    with lab.catalog.read() as session:
        anna = get_person(session, "anna")
    for step in (make_backup, verify_backup):
        with pytest.raises(NotAllowedError):
            step(lab, anna)


def test_a_backup_under_write_load_is_one_moment_of_the_catalog(
    lab: Workspace, admin: PersonRecord
) -> None:
    stop = threading.Event()
    written: list[str] = []

    def write() -> None:
        while not stop.is_set():
            name = f"person {len(written)}"
            with lab.catalog.write() as session:
                add_person(session, Change.now(admin.id), name, admin.role)
            written.append(name)
            time.sleep(0.005)

    writer = threading.Thread(target=write)
    writer.start()
    try:
        while len(written) < 3:
            time.sleep(0.001)
        acknowledged = len(written)
        made = make_backup(lab, admin)
    finally:
        stop.set()
        writer.join()
    counts = read_manifest(made.path).counts
    assert counts["people"] >= 2 + acknowledged
    # Each person came with one event, in one transaction.
    others = counts["events"] - counts["people"]
    with lab.catalog.read() as session:
        events = session.scalar(sa.text("SELECT count(*) FROM events WHERE subject = 'backup'"))
        all_events = session.scalar(sa.text("SELECT count(*) FROM events"))
    assert others == (all_events or 0) - (events or 0) - (2 + len(written))
    verify_backup(lab, admin)


def broken(folder: Path, how: str) -> None:
    """Damage the one backup of a folder."""
    manifest = manifests(folder)[0]
    archive = folder / read_manifest(manifest).archive
    stored = next(p for p in (folder / "store").rglob("*") if p.is_file())
    if how == "truncated":
        os.truncate(archive, archive.stat().st_size // 2)
    elif how == "bit flipped":
        data = bytearray(archive.read_bytes())
        data[len(data) // 2] ^= 1
        archive.write_bytes(data)
    elif how == "archive gone":
        archive.unlink()
    elif how == "file flipped":
        data = bytearray(stored.read_bytes())
        data[0] ^= 1
        stored.chmod(0o644)
        stored.write_bytes(data)
    elif how == "file gone":
        stored.unlink()
    elif how == "manifest gone":
        manifest.unlink()
    elif how == "manifest cut":
        os.truncate(manifest, manifest.stat().st_size // 2)
    elif how == "manifest of another":
        manifest.write_text(json.dumps({"format": "zip", "format_version": 1}))
    elif how == "hostile name":
        table = json.loads(manifest.read_text())
        table["backup"]["labels"]["../../evil"] = "0" * 64
        manifest.write_text(json.dumps(table))


DAMAGES = (
    "truncated",
    "bit flipped",
    "archive gone",
    "file flipped",
    "file gone",
    "manifest gone",
    "manifest cut",
    "manifest of another",
    "hostile name",
)


@ON_SQLITE
@pytest.mark.parametrize("how", DAMAGES)
def test_a_damaged_backup_is_refused_by_verify_and_restore(
    lab: Workspace, admin: PersonRecord, tmp_path: Path, how: str, database: str
) -> None:
    made = make_backup(lab, admin)
    elsewhere = tmp_path / "elsewhere"
    shutil.copytree(lab.backup_folder, elsewhere)  # linked files stay as they are
    broken(elsewhere, how)
    shutil.rmtree(lab.backup_folder)
    shutil.copytree(elsewhere, lab.backup_folder)
    with pytest.raises(BackupError):
        verify_backup(lab, admin)
    with pytest.raises(BackupError):
        restore(made.path, tmp_path / "again")
    assert not (tmp_path / "again").exists()
    assert [p for p in tmp_path.iterdir() if p.name.startswith(".partial-")] == []


@ON_SQLITE
def test_a_backup_is_restored_to_no_folder_that_holds_something(
    lab: Workspace, admin: PersonRecord, tmp_path: Path
) -> None:
    made = make_backup(lab, admin)
    full = tmp_path / "full"
    full.mkdir()
    (full / "thesis.tex").write_text("x")
    with pytest.raises(BackupError, match="is not empty"):
        restore(made.path, full)
    assert [p.name for p in full.iterdir()] == ["thesis.tex"]
    with pytest.raises(BackupError, match="no folder"):
        restore(made.path, tmp_path / "no" / "such")


def test_an_empty_folder_is_restored_into(
    lab: Workspace, admin: PersonRecord, tmp_path: Path, catalog_for_restore: str | None
) -> None:
    made = make_backup(lab, admin)
    (tmp_path / "again").mkdir()
    restore(lab.backup_folder, tmp_path / "again", catalog_for_restore)
    assert made.path.exists()


def test_a_postgresql_backup_asks_for_an_empty_database(
    lab: Workspace, admin: PersonRecord, tmp_path: Path
) -> None:
    made = make_backup(lab, admin)
    url = "postgresql+psycopg://nobody@/nowhere" if lab.catalog.file else None
    with pytest.raises(CatalogError, match="cannot be loaded"):
        restore(made.path, tmp_path / "again", url)
    assert not (tmp_path / "again").exists()


def test_nothing_is_restored_into_a_database_with_tables(
    lab: Workspace, admin: PersonRecord, tmp_path: Path
) -> None:
    made = make_backup(lab, admin)
    url = lab.catalog.url.render_as_string(hide_password=False)
    with pytest.raises(CatalogError, match=r"there already|has tables already"):
        restore(made.path, tmp_path / "again", url)


@ON_SQLITE
def test_a_password_is_neither_in_the_manifest_nor_on_a_command_line(
    lab: Workspace, admin: PersonRecord
) -> None:
    toml = lab.folder / "tomocurate.toml"
    secrets = 'client_secret = "s3cret"\n'
    address = 'catalog = "postgresql+psycopg://lab:s3cret@db/lab"\n'
    toml.write_text(address + secrets + "cache_gb = 5\n")
    made = make_backup(lab, admin)
    assert "s3cret" not in made.path.read_text()
    assert "cache_gb = 5" in read_manifest(made.path).settings
    url = sa.make_url("postgresql+psycopg://lab:s3cret@db:99/lab?sslmode=require")
    told = copies._environment(url)
    assert told["PGPASSWORD"] == "s3cret"
    assert told["PGSSLMODE"] == "require"


@ON_SQLITE
def test_a_full_disk_is_told_in_one_sentence_and_leaves_nothing(
    lab: Workspace, admin: PersonRecord
) -> None:
    (lab.folder / "backups").rmdir()
    (lab.folder / "backups").write_text("a file in the way")
    with pytest.raises(BackupError, match="the backup failed"):
        make_backup(lab, admin)
    failed = list_backups(lab)[0]
    assert failed.error


@ON_SQLITE
def test_two_backups_in_one_second_do_not_overwrite_each_other(
    lab: Workspace, admin: PersonRecord
) -> None:
    now = datetime.now(UTC)
    first = back_up(lab, admin.id, BackupKind.ASKED, now=now)
    before = first.path.read_bytes()
    second = back_up(lab, admin.id, BackupKind.ASKED, now=now)
    assert second.path != first.path
    assert first.path.read_bytes() == before


@ON_SQLITE
def test_an_archive_without_a_manifest_is_swept_the_day_after(
    lab: Workspace, admin: PersonRecord, database: str
) -> None:
    lab.backup_folder.mkdir(exist_ok=True)
    now = datetime.now(UTC)
    left = {}
    for hours in (1, 30):
        at = now - timedelta(hours=hours)
        left[hours] = lab.backup_folder / f"catalog-{at.strftime(STAMP)}-daily.sqlite"
        left[hours].write_bytes(b"of a backup that was killed")
    back_up(lab, admin.id, BackupKind.ASKED, now=now)
    assert left[1].exists()
    assert not left[30].exists()


def test_seven_days_four_weeks_and_twelve_months_are_kept() -> None:
    newest = datetime(2026, 11, 25, 3, tzinfo=UTC)
    times = {Path(f"{n}"): newest - timedelta(days=n) for n in range(500)}
    keep = backups_to_keep(times)
    days = sorted((newest - times[path]).days for path in keep)
    assert days[:7] == list(range(7))
    assert 7 + 2 + 10 <= len(keep) <= 7 + 4 + 12
    assert max(days) > 300
    assert backups_to_keep({}) == set()
    assert backups_to_keep({Path("a"): newest}) == {Path("a")}


def test_several_backups_of_a_day_leave_the_newest() -> None:
    day = datetime(2026, 11, 25, tzinfo=UTC)
    times = {Path(f"{hour}"): day + timedelta(hours=hour) for hour in range(24)}
    assert backups_to_keep(times) == {Path("23")}


@ON_SQLITE
def test_old_backups_leave_but_never_the_last_verified_nor_foreign_files(
    lab: Workspace, admin: PersonRecord
) -> None:
    old = datetime.now(UTC) - timedelta(days=800)
    verified = back_up(lab, admin.id, BackupKind.DAILY, now=old)  # the first is also tried out
    foreign = lab.backup_folder / "catalog-mine.json"
    foreign.write_text("{}")
    link = lab.backup_folder / "catalog-20200101T000000Z-daily.json"
    link.symlink_to(foreign)
    later = [
        back_up(lab, admin.id, BackupKind.ASKED, now=datetime.now(UTC) - timedelta(days=day))
        for day in (*range(790, 10, -40), 5, 1, 0)  # more than twelve months
    ]
    asked = back_up(lab, admin.id, BackupKind.ASKED)
    make_backup(lab, admin)
    assert asked.path.exists()
    there = {path.name for path in manifests(lab.backup_folder)}
    assert verified.path.name in there, "the rule alone would not keep it"
    assert later[0].path.name not in there, "nor is the next one, which nobody verified, kept"
    assert foreign.exists()
    assert link.is_symlink()
    gone = [each for each in list_backups(lab) if each.removed_at]
    assert gone
    assert all(not Path(each.path).exists() for each in gone)


@ON_SQLITE
def test_a_disk_without_space_fails_the_backup_and_keeps_the_catalog(
    lab: Workspace, admin: PersonRecord, tmp_path: Path
) -> None:
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    lives_before = lives(lab)
    handler = signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    resource.setrlimit(resource.RLIMIT_FSIZE, (8192, before[1]))
    try:
        with pytest.raises((BackupError, OutputError)):
            make_backup(lab, admin)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
        signal.signal(signal.SIGXFSZ, handler)
    assert manifests(lab.backup_folder) == []
    assert list(lab.backup_folder.glob(".partial-*")) == []
    assert lives(lab) == lives_before
