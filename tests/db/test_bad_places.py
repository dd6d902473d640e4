"""A catalog that cannot be written, or not safely, says so in a sentence and stays as it was."""

import hashlib
import os
import resource
import signal
import sqlite3
import subprocess
import sys
import tempfile
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
import sqlalchemy as sa

from db import filesystems
from db.engine import HOST_QUIET, Catalog, wal_is_safe
from db.errors import CatalogError
from db.models.work import Host
from db.queries.people import list_people
from db.schema import create_catalog, open_catalog
from db.vocabulary import Role
from db.writes.events import Change
from db.writes.people import add_person

pytestmark = pytest.mark.parametrize("database", ["sqlite"])


def add(catalog: Catalog, name: str) -> None:
    with catalog.write() as session:
        add_person(session, Change.now(None), name, Role.VIEWER)


def people(catalog: Catalog) -> int:
    with catalog.read() as session:
        return len(list_people(session))


def sound(file: Path) -> bool:
    connection = sqlite3.connect(file)
    try:
        return bool(connection.execute("PRAGMA integrity_check").fetchone() == ("ok",))
    finally:
        connection.close()


@contextmanager
def files_no_larger_than(size: int) -> Iterator[None]:
    """As a full disk: a write beyond fails."""
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    handler = signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, before[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
        signal.signal(signal.SIGXFSZ, handler)


def test_a_full_disk_is_told_and_nothing_is_changed(catalog: Catalog, database: str) -> None:
    add(catalog, "anna")
    assert catalog.file

    def fill() -> None:
        for number in range(2000):
            with catalog.write() as session:
                for each in range(50):
                    add_person(session, Change.now(None), f"{number} {each}", Role.VIEWER)

    with (
        files_no_larger_than(catalog.file.stat().st_size),
        pytest.raises(CatalogError, match=r"disk is full|disk reports an error"),
    ):
        fill()
    assert sound(catalog.file)
    assert people(catalog) % 50 == 1
    add(catalog, "bert")


def test_a_catalog_is_not_half_made_on_a_full_disk(tmp_path: Path, database: str) -> None:
    file = tmp_path / "catalog.sqlite"
    with files_no_larger_than(20_000), pytest.raises(CatalogError, match="disk"):
        create_catalog(f"sqlite:///{file}")
    with pytest.raises(CatalogError):
        open_catalog(f"sqlite:///{file}")


@pytest.mark.skipif(os.getuid() != 0, reason="another account is needed, so this takes root")
def test_a_read_only_catalog_can_be_read_and_says_that_it_cannot_be_written(database: str) -> None:
    folder = Path(tempfile.mkdtemp(prefix="tomocurate-"))
    file = folder / "catalog.sqlite"
    create_catalog(f"sqlite:///{file}").close()
    folder.chmod(0o755)
    file.chmod(0o644)

    def read_and_write() -> str:
        with open_catalog(f"sqlite:///{file}") as catalog:
            found = people(catalog)
            try:
                add(catalog, "anna")
            except CatalogError as error:
                return f"{found} {error}"
        return "it was written"

    before = hashlib.sha256(file.read_bytes()).hexdigest()
    assert as_nobody(read_and_write).startswith(f"0 {file}: the catalog is read-only")
    assert hashlib.sha256(file.read_bytes()).hexdigest() == before
    file.unlink()
    folder.rmdir()


def as_nobody(function: Callable[[], str]) -> str:
    """Run a function in a child that has given up root."""
    reading, writing = os.pipe()
    child = os.fork()
    if child == 0:
        try:
            os.setgroups([])
            os.setgid(65534)
            os.setuid(65534)
            said = function()
        except BaseException as error:
            said = repr(error)
        os.write(writing, said.encode())
        os._exit(0)
    os.close(writing)
    with os.fdopen(reading) as told:
        said = told.read()
    os.waitpid(child, 0)
    return said


@pytest.fixture
def on_nfs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder that the kernel's own table calls a network file system."""
    folder = tmp_path / "shared"
    folder.mkdir()
    table = tmp_path / "mountinfo"
    table.write_text(
        "1 0 8:1 / / rw - ext4 /dev/sda1 rw\n"
        f"2 1 0:50 / {str(folder).replace(' ', chr(92) + '040')} rw - nfs4 server:/lab rw\n"
    )
    monkeypatch.setattr(filesystems, "MOUNTS", table)
    return folder


def test_no_catalog_is_made_on_a_network_file_system(on_nfs: Path, database: str) -> None:
    with pytest.raises(CatalogError, match=r"network file system \(nfs4 .* into PostgreSQL"):
        create_catalog(f"sqlite:///{on_nfs}/catalog.sqlite")
    assert list(on_nfs.iterdir()) == []


def test_a_catalog_on_a_network_file_system_is_read_and_written_only_if_forced(
    on_nfs: Path, database: str
) -> None:
    url = f"sqlite:///{on_nfs}/catalog.sqlite"
    create_catalog(url, network_file_ok=True).close()
    with open_catalog(url) as catalog:
        assert people(catalog) == 0
        assert not catalog.wal
        with pytest.raises(CatalogError, match="loses data"):
            add(catalog, "anna")
    with open_catalog(url, network_file_ok=True) as catalog:
        add(catalog, "anna")


def machine(catalog: Catalog, name: str, boot_id: str, ago: timedelta) -> None:
    at = datetime.now(UTC) - ago
    with catalog.write() as session:
        session.add(Host(name=name, boot_id=boot_id, first_seen=at, last_seen=at))


def test_a_second_machine_is_named_and_refused(catalog_url: sa.URL, database: str) -> None:
    with open_catalog(catalog_url) as catalog:
        machine(catalog, "tomo-server", "another", timedelta(minutes=1))
    with open_catalog(catalog_url) as again:
        with pytest.raises(CatalogError, match=r"tomo-server wrote to it on .* PostgreSQL"):
            add(again, "anna")
        assert people(again) == 0


def test_a_machine_that_stopped_long_ago_and_a_container_here_are_no_hindrance(
    catalog_url: sa.URL, database: str
) -> None:
    boot_id = Path("/proc/sys/kernel/random/boot_id").read_text().strip()
    with open_catalog(catalog_url) as catalog:
        machine(catalog, "old-server", "another", HOST_QUIET + timedelta(minutes=1))
        machine(catalog, "a-container", boot_id, timedelta(minutes=1))
    with open_catalog(catalog_url) as again:
        add(again, "anna")


@pytest.mark.parametrize(
    ("version", "safe"),
    [
        ((3, 40, 1), False),
        ((3, 44, 5), False),
        ((3, 44, 6), True),
        ((3, 45, 0), False),
        ((3, 50, 6), False),
        ((3, 50, 7), True),
        ((3, 51, 2), False),
        ((3, 51, 3), True),
    ],
)
def test_a_library_with_the_wal_bug_gets_no_wal(
    version: tuple[int, int, int], safe: bool, database: str
) -> None:
    assert wal_is_safe(version) == safe


def test_foreign_keys_are_on_in_every_thread(catalog: Catalog, database: str) -> None:
    found = []

    def ask() -> None:
        for opened in (catalog.read, catalog.write):
            with opened() as session:
                pragma = session.connection().exec_driver_sql("PRAGMA foreign_keys")
                found.append(pragma.scalar())

    threads = [threading.Thread(target=ask) for _ in range(4)]
    for each in threads:
        each.start()
    for each in threads:
        each.join()
    assert found == [1] * 8


def test_a_reader_cannot_write(catalog: Catalog, database: str) -> None:
    with pytest.raises(CatalogError), catalog.read() as session:
        session.execute(sa.text("DELETE FROM facts"))


def test_a_time_without_a_zone_is_refused(catalog: Catalog, database: str) -> None:
    naive = datetime(2026, 3, 29, 2, 30)
    with pytest.raises((CatalogError, sa.exc.StatementError), match="no time zone"):  # noqa: SIM117
        with catalog.write() as session:
            add_person(session, Change(None, naive), "anna", Role.VIEWER)
    assert people(catalog) == 0


def test_the_journal_of_a_killed_writer_is_rolled_back_by_the_next_reader(
    catalog_url: sa.URL, database: str
) -> None:
    file = Path(str(catalog_url.database))
    script = (
        "import os, sqlite3, sys\n"
        "c = sqlite3.connect(sys.argv[1], isolation_level=None)\n"
        "c.execute('PRAGMA cache_size=1')\n"
        "c.execute('BEGIN IMMEDIATE')\n"
        "c.execute('CREATE TABLE half (x)')\n"
        "c.executemany('INSERT INTO half VALUES (?)', ((os.urandom(900),) for _ in range(900)))\n"
        "os.kill(os.getpid(), 9)\n"
    )
    subprocess.run([sys.executable, "-c", script, str(file)], check=False)
    assert Path(f"{file}-journal").exists()
    with open_catalog(catalog_url) as catalog:
        assert people(catalog) == 0
        add(catalog, "anna")
    assert sound(file)
