"""What all tests share: Hypothesis without deadlines, and catalogs on SQLite and PostgreSQL.

PostgreSQL is a throwaway cluster of our own, once a test process, on a socket in a temporary
folder; no existing cluster is touched. Without a server on this machine its tests are skipped,
and in CI that is a failure.
"""

import itertools
import os
import pwd
import shutil
import signal
import subprocess
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

import hypothesis
import pytest
import sqlalchemy as sa

from db.engine import Catalog
from db.schema import create_catalog, open_catalog

hypothesis.settings.register_profile("tomocurate", deadline=None, max_examples=60, database=None)
hypothesis.settings.load_profile("tomocurate")

if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
    # Of a script's background job. Programs that tests start and interrupt would inherit it.
    signal.signal(signal.SIGINT, signal.default_int_handler)

_numbers = itertools.count()
_QUICK = (
    "listen_addresses=",
    "fsync=off",
    "synchronous_commit=off",
    "full_page_writes=off",
    "max_connections=60",
    "shared_buffers=32MB",
    "autovacuum=off",
    "max_wal_size=256MB",
)


class Cluster:
    """A PostgreSQL cluster in a temporary folder, reached by a socket there."""

    def __init__(self, programs: Path) -> None:
        self.folder = Path(tempfile.mkdtemp(prefix="tomocurate-pg-"))
        self._as: dict[str, object] = {"cwd": self.folder}
        if os.getuid() == 0:  # PostgreSQL does not run as root
            account = pwd.getpwnam("postgres")
            os.chown(self.folder, account.pw_uid, account.pw_gid)
            self._as |= {"user": "postgres", "group": "postgres", "extra_groups": []}
        data = str(self.folder / "data")
        self._run(
            programs / "initdb",
            "-D",
            data,
            "-U",
            "postgres",
            "-A",
            "trust",
            "--no-sync",
            "-E",
            "UTF8",
            "--locale=C",
        )
        settings = [part for setting in _QUICK for part in ("-c", setting)]
        self._log = (self.folder / "log").open("wb")
        self._server = subprocess.Popen(  # type: ignore[call-overload]
            [programs / "postgres", "-D", data, "-k", self.folder, *settings],
            stdout=self._log,
            stderr=self._log,
            **self._as,
        )
        self._admin = sa.create_engine(self.url("postgres"), isolation_level="AUTOCOMMIT")
        self._wait()
        self._admin_run("CREATE DATABASE made")
        create_catalog(self.url("made")).close()

    def url(self, name: str) -> sa.URL:
        return sa.URL.create(
            "postgresql+psycopg", "postgres", database=name, query={"host": str(self.folder)}
        )

    def new(self, template: str) -> sa.URL:
        name = f"test_{next(_numbers)}"
        self._admin_run(f"CREATE DATABASE {name} TEMPLATE {template}")
        return self.url(name)

    def drop(self, url: sa.URL) -> None:
        self._admin_run(f"DROP DATABASE IF EXISTS {url.database} WITH (FORCE)")

    def stop(self) -> None:
        self._admin.dispose()
        self._server.terminate()
        self._server.wait()
        self._log.close()
        shutil.rmtree(self.folder)

    def _admin_run(self, statement: str) -> None:
        with self._admin.connect() as connection:
            connection.execute(sa.text(statement))

    def _run(self, *command: object) -> None:
        subprocess.run(
            list(map(str, command)),
            check=True,
            capture_output=True,
            **self._as,  # type: ignore[call-overload]
        )

    def _wait(self) -> None:
        for _ in range(300):
            try:
                return self._admin.connect().close()
            except sa.exc.OperationalError:
                time.sleep(0.05)
        raise RuntimeError((self.folder / "log").read_text())


@pytest.fixture(scope="session")
def postgresql() -> Iterator[Cluster]:
    programs = sorted(Path("/usr/lib/postgresql").glob("*/bin/postgres"))
    found = programs[-1] if programs else shutil.which("postgres")
    if found is None:
        message = "no PostgreSQL server on this machine (Debian: apt install postgresql)"
        if os.environ.get("CI"):
            pytest.fail(message + "; in CI these tests must run")
        pytest.skip(message)
    cluster = Cluster(Path(found).parent)
    yield cluster
    cluster.stop()


@pytest.fixture(scope="session")
def _sqlite_template(tmp_path_factory: pytest.TempPathFactory) -> Path:
    file = tmp_path_factory.mktemp("template") / "catalog.sqlite"
    create_catalog(f"sqlite:///{file}").close()
    return file


@pytest.fixture(params=["sqlite", pytest.param("postgresql", marks=pytest.mark.postgresql)])
def database(request: pytest.FixtureRequest) -> str:
    """Each kind of database in turn."""
    return str(request.param)


@pytest.fixture
def empty_url(database: str, tmp_path: Path, request: pytest.FixtureRequest) -> Iterator[sa.URL]:
    """Where a catalog can be made: nothing is there."""
    if database == "sqlite":
        yield sa.URL.create("sqlite", database=str(tmp_path / "catalog.sqlite"))
        return
    cluster = request.getfixturevalue("postgresql")
    url = cluster.new("template1")
    yield url
    cluster.drop(url)


@pytest.fixture
def catalog_url(database: str, tmp_path: Path, request: pytest.FixtureRequest) -> Iterator[sa.URL]:
    """A catalog that was just made."""
    if database == "sqlite":
        file = tmp_path / "catalog.sqlite"
        shutil.copy(request.getfixturevalue("_sqlite_template"), file)
        yield sa.URL.create("sqlite", database=str(file))
        return
    cluster = request.getfixturevalue("postgresql")
    url = cluster.new("made")
    yield url
    cluster.drop(url)


@pytest.fixture
def catalog(catalog_url: sa.URL) -> Iterator[Catalog]:
    """A catalog that was just made, opened."""
    with open_catalog(catalog_url) as opened:
        yield opened
