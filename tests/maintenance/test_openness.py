"""The doctor warns about every unsafe setting that it can see."""

import grp
import os
import shutil
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from core.access.os_user import acting_person
from core.cli.serve import serve_workspace
from core.errors import ServeError
from core.lab.lab import Lab
from core.maintenance.checks.security import openness_of
from core.maintenance.doctor import BAD, OK, WARN, examine
from core.tomograms.data_roots import add_root
from core.workspace.folders import Folders
from core.workspace.settings import FILE_NAME
from core.workspace.workspace import Workspace, init_workspace, open_workspace


@pytest.fixture
def folder() -> Iterator[Path]:
    """A workspace that every account reaches, but may neither read nor write much of."""
    above = Path(tempfile.mkdtemp(prefix="tomocurate-open-"))
    above.chmod(0o755)
    (above / "data").mkdir(mode=0o755)
    (above / "lab").mkdir(mode=0o755)
    with init_workspace(above / "lab", admin="Mia") as workspace:
        add_root(Lab(workspace, acting_person(workspace)), above / "data")
        assert workspace.catalog.file
        workspace.catalog.file.chmod(0o640)
    yield above / "lab"
    shutil.rmtree(above)


def settings(text: str) -> Callable[[Path], object]:
    def write(folder: Path) -> None:
        path = folder / FILE_NAME
        path.write_text('catalog = "catalog.sqlite"\n' + text)
        path.chmod(0o644)

    return write


def mode(name: str, mode: int) -> Callable[[Path], object]:
    return lambda folder: (folder / name).chmod(mode)


def secret(mode: int) -> Callable[[Path], object]:
    def write(folder: Path) -> None:
        settings(OIDC.replace("LINE", 'client_secret_file = "client.secret"'))(folder)
        (folder / "client.secret").write_text("x")
        (folder / "client.secret").chmod(mode)

    return write


def open_key(folder: Path) -> None:
    (folder / "tomocurate.key").write_bytes(b"k" * 32)
    (folder / "tomocurate.key").chmod(0o640)


OIDC = (
    '[sign_in]\nby = "oidc"\nprovider = "https://a.example/x"\nclient_id = "x"\n'
    'address = "https://lab.example"\nLINE\n'
)
PROXY = '[sign_in]\nby = "proxy"\nheader = "X-User"\naddress = "https://lab.example"\n'

UNSAFE: dict[str, tuple[Callable[[Path], object], str, str]] = {
    "strangers become annotators": (
        settings(OIDC.replace("LINE", 'new_people = "annotator"')),
        WARN,
        "becomes annotator",
    ),
    "sessions of a week": (
        settings(OIDC.replace("LINE", "session_hours = 168")),
        WARN,
        "lasts 168 hours",
    ),
    "a plain address": (
        settings(OIDC.replace("https://lab.example", "http://127.0.0.1:8501").replace("LINE", "")),
        WARN,
        "plain http, good for this machine alone",
    ),
    "a plain provider": (
        settings(OIDC.replace("https://a.example", "http://127.0.0.1:9").replace("LINE", "")),
        WARN,
        "good for trying out alone",
    ),
    "a proxy on a machine of many": (
        settings(PROXY + 'proxies = ["127.0.0.1"]\n'),
        WARN,
        "can sign in as anybody",
    ),
    "a proxy elsewhere": (
        settings(PROXY + 'proxies = ["10.1.2.3"]\n'),
        WARN,
        "can send from there",
    ),
    "a client's secret that others read": (secret(0o644), BAD, "others may read the client's"),
    "a client's secret in a shared folder": (secret(0o600), WARN, "workspace that others share"),
    "a client's secret that is gone": (
        settings(OIDC.replace("LINE", 'client_secret_file = "none"')),
        BAD,
        "is not there",
    ),
    "a catalog that others write": (
        mode("catalog.sqlite", 0o666),
        BAD,
        "may write the catalog",
    ),
    "a catalog that others read": (mode("catalog.sqlite", 0o644), WARN, "may read the catalog"),
    "a workspace that others write": (mode(".", 0o777), BAD, "may write"),
    "corrections that others write": (
        mode("corrections", 0o2777),
        BAD,
        "corrections; chmod o-w",
    ),
    "settings that others change": (mode(FILE_NAME, 0o666), BAD, "may change it"),
    "a data root that others write": (mode("../data", 0o777), WARN, "below the data roots"),
    "uploads without end": (settings("upload_mb = 100000\n"), WARN, "upload_mb is 100000"),
    "a key that others read": (
        open_key,
        BAD,
        "tomocurate.key",
    ),
}


def told(folder: Path) -> list[tuple[str, str]]:
    with open_workspace(folder) as workspace:
        return [(each.state, each.said) for each in examine(workspace)]


@pytest.mark.parametrize("kind", UNSAFE)
def test_what_is_unsafe_is_told(folder: Path, kind: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("TOMOCURATE_CLIENT_SECRET", raising=False)
    make, state, said = UNSAFE[kind]
    assert not [each for each in told(folder) if said in each[1]]
    make(folder)
    found = [each for each in told(folder) if said in each[1]]
    assert {each[0] for each in found} == {state}
    assert all(each[1].endswith(".") and "\n" not in each[1] for each in found)


def test_a_password_in_settings_that_others_read_is_told(folder: Path) -> None:
    address = "postgresql+psycopg://lab:s3cret@db.example/lab"
    with open_workspace(folder) as opened:
        (folder / FILE_NAME).write_text(f'catalog = "{address}"\n')
        (folder / FILE_NAME).chmod(0o644)
        stated = type(opened.settings)(catalog=address)
        found = [each.said for each in openness_of(Workspace(folder, stated, opened.catalog))]
    assert any("holds the catalog's password" in said for said in found)
    assert not any("s3cret" in said for said in found)


def test_a_closed_workspace_has_nothing_to_tell(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("os.geteuid", lambda: 1000)
    with open_workspace(folder) as workspace:
        assert [each.state for each in openness_of(workspace)] == [OK]
        assert Folders(folder).images.is_dir()
        monkeypatch.setattr("os.geteuid", lambda: 0)
        assert [each.state for each in openness_of(workspace)] == [WARN]


@pytest.mark.skipif(os.getuid() != 0, reason="to give files away takes root")
def test_what_a_group_may_replace_is_told_where_it_decides_about_rights(
    folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As with a service's account, its group, and a catalog that only the service writes."""
    group = next(each for each in grp.getgrall() if set(each.gr_mem) - {"root"} or each.gr_gid == 1)
    private = tmp_path / "private"
    private.mkdir(mode=0o700)
    (folder / "catalog.sqlite").rename(private / "catalog.sqlite")
    settings(PROXY + 'proxies = ["10.1.2.3"]\n')(folder)
    text = (folder / FILE_NAME).read_text()
    (folder / FILE_NAME).write_text(text.replace("catalog.sqlite", f"{private}/catalog.sqlite"))
    for path in (folder, folder / "backups"):
        os.chown(path, -1, group.gr_gid)
        path.chmod(0o2775)
    said = [each for each in told(folder) if "its group may" in each[1] or "may replace" in each[1]]
    assert [state for state, _ in said] == [BAD, WARN]
    with pytest.raises(ServeError, match="TOMOCURATE_SETTINGS"):
        serve_workspace(folder, 0, "127.0.0.1", False)
    own = private / "lab.toml"
    (folder / FILE_NAME).rename(own)
    monkeypatch.setenv("TOMOCURATE_SETTINGS", str(own))
    assert not [each for each in told(folder) if "may replace" in each[1]]


def test_a_groups_own_catalog_is_not_told_since_it_stands_above_roles(folder: Path) -> None:
    assert not [each for each in told(folder) if "may replace" in each[1]]
