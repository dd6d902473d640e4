"""Everything in the catalog that no bundle may tell."""

import socket
from collections.abc import Iterable
from pathlib import Path

from core.bundles.facts import BundleFacts
from core.bundles.privacy.names import Secret, SecretKind, dates_in
from core.bundles.privacy.pseudonyms import Pseudonyms, read_or_make_key
from core.exports.selection import Chosen
from core.workspace.workspace import Workspace
from db.queries.sharing import SharedSource, names_to_keep, sources_of

KEY_FILE = "pseudonym.key"


def catalog_secrets(workspace: Workspace, chosen: Chosen, facts: BundleFacts) -> list[Secret]:
    """People, accounts, machines, folders, and what the chosen tomograms are called.

    Dataset tokens that are renamed are secret too; the renaming was asked for a reason.
    """
    with workspace.catalog.read() as session:
        names = names_to_keep(session)
        sources = sources_of(session, [patch_id for patch_id, _ in chosen.ids.values()])
    found = {(SecretKind.PERSON, name) for name in names.people}
    found |= {(SecretKind.EMAIL, name) for name in names.people if "@" in name}
    found |= {(SecretKind.HOST, host) for host in {*names.hosts, socket.gethostname()}}
    found |= {(SecretKind.PATH, folder) for folder in _folders(workspace, names.roots)}
    found |= {(SecretKind.PROJECT, old) for old, new in facts.tokens.items() if old != new}
    for source in sources:
        found |= _of_source(source)
    return [Secret(kind, text) for kind, text in sorted(found)]


def pseudonyms_of(workspace: Workspace) -> Pseudonyms:
    """The pseudonyms of this installation; the key is made on first use and never travels.

    Errors: OutputError; ExportError where others may read the key.
    """
    return Pseudonyms(read_or_make_key(workspace.secret_path(KEY_FILE)))


def _folders(workspace: Workspace, roots: Iterable[Path]) -> set[str]:
    return {
        str(folder) for folder in (workspace.folder, Path.home(), *roots) if len(folder.parts) > 2
    }


def _of_source(source: SharedSource) -> set[tuple[SecretKind, str]]:
    """A tomogram's token, its files' names, its folders, and the days of work on it."""
    names = {source.token, *(Path(path).stem for path in source.paths)}
    folders = {part for path in source.paths for part in Path(path).parent.parts}
    found = {(SecretKind.TOMOGRAM, name) for name in names}
    found |= {(SecretKind.PROJECT, folder) for folder in folders}
    found |= {(SecretKind.DATE, day.isoformat()) for day in source.days}
    found |= {(SecretKind.DATE, day) for name in names | folders for day in dates_in(name)}
    return found
