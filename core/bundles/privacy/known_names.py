"""Read from the catalog what no bundle may tell, and the key of its pseudonyms."""

import secrets
import socket
from collections.abc import Iterable
from pathlib import Path

from core.bundles.facts import BundleFacts
from core.bundles.privacy.names import Secret, SecretKind, session_days
from core.bundles.privacy.pseudonyms import KEY_BYTES, Pseudonyms, read_key_file
from core.exports.selection import Chosen
from core.workspace.workspace import Workspace
from db.queries.sharing import SharedSource, list_exports, names_to_keep, pseudonym_key, sources_of
from db.vocabulary import ExportKind
from db.writes.sharing import keep_pseudonym_key

KEY_FILE = "pseudonym.key"
"""Where the key lay before the catalog kept it."""

LOST_KEY = (
    "the key of earlier bundles' pseudonyms is missing, so tomograms are called otherwise than "
    "there; to keep their names, restore the catalog that made them from a backup"
)


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


def pseudonyms_of(workspace: Workspace) -> tuple[Pseudonyms, tuple[str, ...]]:
    """Read the catalog's pseudonym key, made on first use; and what a person should know of it.

    The key belongs to the catalog: every account, a moved workspace and a restored backup give
    the same pseudonyms. A key file of before it did is taken over.

    Errors: ExportError for a key file that cannot be read.
    """
    with workspace.catalog.read() as session:
        key = pseudonym_key(session)
        bundles = list_exports(session, ExportKind.BUNDLE, limit=1)
    notes: tuple[str, ...] = ()
    if key is None:
        kept = read_key_file(workspace.secret_path(KEY_FILE))
        if kept is None and bundles:
            notes = (LOST_KEY,)
        with workspace.catalog.write() as session:
            key = keep_pseudonym_key(session, (kept or secrets.token_bytes(KEY_BYTES)).hex())
    return Pseudonyms(bytes.fromhex(key)), notes


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
    found |= {(SecretKind.DATE, day) for name in names | folders for day in session_days(name)}
    return found
