"""Examine what is open to whom it should not be: sign-in, addresses, modes of files and folders."""

import grp
import os
import pwd
import stat
from collections.abc import Iterator
from pathlib import Path

from core.access.sign_in import SECRET_VARIABLE, Oidc, SignIn, is_here
from core.maintenance.checks.findings import BAD, OK, WARN, Finding, name_some
from core.tomograms.data_roots import list_roots
from core.workspace.settings import CATALOG_VARIABLE, SETTINGS_VARIABLE, settings_file
from core.workspace.workspace import Workspace
from db.vocabulary import Role

LONG_SESSION_HOURS = 24
LARGE_UPLOAD_MB = 4096
"""A correction of a patch has a few MB, and an upload is held in memory."""


def openness_of(workspace: Workspace) -> Iterator[Finding]:
    """Each check is a generator of its own; what is as it should be is one sentence."""
    said = [
        *sign_in_of(workspace),
        *client_secret_of(workspace),
        *password_of(workspace),
        *catalog_file_of(workspace),
        *writable_of(workspace),
        *group_of(workspace),
        *limits_of(workspace),
    ]
    yield from said
    if not said:
        yield Finding("openness", OK, "nothing is open that should not be.")


def sign_in_of(workspace: Workspace) -> Iterator[Finding]:
    """Check the sign-in settings."""
    stated = workspace.settings.sign_in
    if stated is None:
        return
    if stated.new_people not in (None, Role.VIEWER):
        yield _warn(
            f"whoever signs in for the first time becomes {stated.new_people}; state viewer as "
            "sign_in.new_people, or leave it out and add people by name."
        )
    if stated.session_hours > LONG_SESSION_HOURS:
        yield _warn(
            f"a session lasts {stated.session_hours:g} hours, so a browser that is left open stays "
            f"signed in; state at most {LONG_SESSION_HOURS} as sign_in.session_hours."
        )
    if stated.address.startswith("http:"):
        yield _warn(
            f"sign_in.address {stated.address} is plain http, good for this machine alone; put "
            "TLS in front and state the https address."
        )
    yield from _way_in(stated)


def _way_in(stated: SignIn) -> Iterator[Finding]:
    if isinstance(stated, Oidc):
        if stated.provider.startswith("http:"):
            yield _warn(
                f"sign_in.provider {stated.provider} is plain http, good for trying out alone."
            )
        return
    here = [proxy for proxy in stated.proxies if is_here(proxy)]
    away = [proxy for proxy in stated.proxies if not is_here(proxy)]
    if here:
        yield _warn(
            f"the header {stated.header} is believed from {name_some(here)}, "
            "so every account of this "
            "machine can sign in as anybody; let nobody else have an account, or use oidc."
        )
    if away:
        yield _warn(
            f"the header {stated.header} is believed from {name_some(away)}; "
            "see that nobody else on "
            "the way can send from there."
        )


def client_secret_of(workspace: Workspace) -> Iterator[Finding]:
    """The secret that the provider knows this dashboard by."""
    stated = workspace.settings.sign_in
    if not isinstance(stated, Oidc) or stated.client_secret_file is None:
        return
    if os.environ.get(SECRET_VARIABLE):
        return
    path = (workspace.folder / stated.client_secret_file).absolute()
    if not path.is_file():
        yield _bad(f"{path}: the client's secret is not there; nobody can sign in.")
        return
    if path.stat().st_mode & 0o077:
        yield _bad(f"{path}: others may read the client's secret; chmod 600, and renew it.")
    if path.is_relative_to(workspace.folder) and _is_shared(workspace.folder):
        yield _warn(
            f"{path}: the client's secret lies in a workspace that others share; move it beside "
            "the service's own settings, such as /etc/tomocurate."
        )


def password_of(workspace: Workspace) -> Iterator[Finding]:
    """A password of the catalog does not stand where others read."""
    file = settings_file(workspace.folder)
    if workspace.settings.holds_password and file.stat().st_mode & 0o077:
        yield _bad(
            f"{file}: holds the catalog's password and others may read it; state the address in "
            f"{CATALOG_VARIABLE}, or the password in ~/.pgpass."
        )


def catalog_file_of(workspace: Workspace) -> Iterator[Finding]:
    """Whoever writes the SQLite file stands above all roles; whoever reads it reads everything."""
    file = workspace.catalog.file
    if file is None:
        return
    if _others_may(file, stat.S_IWOTH) or _others_may(file.parent, stat.S_IWOTH):
        yield _bad(
            f"{file}: every account of this machine may write the catalog; chmod o-w on it and on "
            "its folder."
        )
    elif _others_may(file, stat.S_IROTH):
        yield _warn(f"{file}: every account of this machine may read the catalog; chmod o-r.")


def writable_of(workspace: Workspace) -> Iterator[Finding]:
    """Folders into which everybody could put files."""
    folders = workspace.folders
    ours = (
        workspace.folder,
        folders.images,
        folders.labels,
        folders.records,
        folders.corrections,
        folders.merged,
        folders.exports,
        folders.store,
        folders.cache,
        workspace.backup_folder,
    )
    wide = [str(our) for our in ours if _others_may(our, stat.S_IWOTH)]
    if wide:
        yield _bad(f"every account of this machine may write {name_some(wide)}; chmod o-w.")
    settings = settings_file(workspace.folder)
    if _others_may(settings, stat.S_IWOTH):
        yield _bad(f"{settings}: every account of this machine may change it; chmod o-w.")
    roots = [str(root) for root in list_roots(workspace) if _others_may(root, stat.S_IWOTH)]
    if roots:
        yield _warn(
            f"every account of this machine may put files below the data roots {name_some(roots)}; "
            "chmod o-w."
        )


def group_of(workspace: Workspace) -> Iterator[Finding]:
    """Check what a group may write although it may not write the catalog: rights, backups."""
    file = workspace.catalog.file
    if file is not None and group_may_write(file):
        return  # then the group stands above all roles anyway, as docs/security.md says
    settings = settings_file(workspace.folder)
    if group_may_replace(settings):
        yield _bad(
            f"{settings}: the group of {settings.parent} may replace it, and so decide who signs "
            "in and who reviews; keep it where only the service writes, such as /etc/tomocurate, "
            f"and name it in {SETTINGS_VARIABLE}."
        )
    if group_may_write(workspace.backup_folder):
        yield _warn(
            f"{workspace.backup_folder}: its group may remove or replace backups; chmod g-w."
        )


def group_may_replace(path: Path) -> bool:
    """Return whether members of a group may write a file, or put another in its place."""
    return group_may_write(path) or group_may_write(path.parent)


def group_may_write(path: Path) -> bool:
    """Return whether somebody besides its owner may write a path as a member of its group."""
    try:
        facts = path.stat()
        owner = pwd.getpwuid(facts.st_uid).pw_name
        group = grp.getgrgid(facts.st_gid)
    except (OSError, KeyError):
        return False
    members = {*group.gr_mem, *(item.pw_name for item in pwd.getpwall() if item.pw_gid == group[2])}
    return bool(facts.st_mode & stat.S_IWGRP and members - {owner, "root"})


def limits_of(workspace: Workspace) -> Iterator[Finding]:
    """Check the upload limit and the account that serves."""
    limit = workspace.settings.upload_mb
    if limit > LARGE_UPLOAD_MB:
        yield _warn(
            f"upload_mb is {limit}: one upload may fill the memory; corrections have a few MB, and "
            f"{LARGE_UPLOAD_MB} is plenty."
        )
    if os.geteuid() == 0:
        yield _warn("this account is root; serve as an account that owns the workspace alone.")


def _warn(message: str) -> Finding:
    return Finding("openness", WARN, message)


def _bad(message: str) -> Finding:
    return Finding("openness", BAD, message)


def _is_shared(folder: Path) -> bool:
    return bool(folder.stat().st_mode & (stat.S_IRWXG | stat.S_IRWXO))


def _others_may(path: Path, bit: int) -> bool:
    """Return whether any account has this right, and reaches the path through the folders above
    it.
    """
    try:
        above = all(folder.stat().st_mode & stat.S_IXOTH for folder in path.resolve().parents)
        return above and bool(path.stat().st_mode & bit)
    except OSError:
        return False
