"""Rebuild a lost catalog from the records beside the patches and the files of the store.

What comes back: patches with their whole history, the tomograms and segmentations they were cut
from with their permissions, the bundles they came with, people by name, and the list of backups.
What does not: the event log, identities and roles (see ``roles_of``), tomograms that have no patch,
segmentations that no patch uses, unsaved drafts (their files are put aside), jobs, saved filters
and scores. Everybody but who rebuilds is disabled: records do not tell who was, nor whose role was
taken back.
"""

from collections.abc import Iterator, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from sqlalchemy.exc import SQLAlchemyError

from core.access.account import current_account
from core.corrections.store import Store
from core.errors import RecordError
from core.maintenance.checks.findings import name_some
from core.maintenance.manifest import own_manifests, read_manifest, time_of
from core.patches.record import read_record, refresh_records
from core.workspace.folders import DRAFT, Folders, make_shared
from core.workspace.results import DONE, FAILED, Outcome, Progress, silent
from core.workspace.settings import read_settings
from core.workspace.workspace import Workspace, bind, read_identity
from db.engine import Catalog
from db.errors import TomocurateError
from db.queries.sharing import IMPORTED
from db.schema import create_catalog
from db.vocabulary import BackupKind, Role
from db.writes.backups import add_backup
from db.writes.events import Change
from db.writes.people import add_person, change_person
from db.writes.rebuild import rebuild_patch

AT_ONCE = 200
"""Patches of one transaction."""


def rebuild(
    folder: Path, catalog_url: str | None = None, progress: Progress = silent
) -> tuple[Outcome, ...]:
    """Make a workspace's catalog anew; one outcome a record, and one for who is disabled.

    The catalog must not be there: a damaged one is moved away first, by hand. This account
    becomes admin.

    Errors: WorkspaceError; RecordError where there is no record at all; CatalogError where a
    catalog is there.
    """
    folder = folder.resolve()
    settings = read_settings(folder)
    if catalog_url is not None:
        settings = replace(settings, catalog=catalog_url)
    paths = sorted(Folders(folder).records.glob("*.json"))
    if not paths:
        raise RecordError(
            f"{Folders(folder).records}: holds no records, so there is nothing to make a catalog "
            "from; restore a backup."
        )
    identity = read_identity(folder)
    with create_catalog(settings.catalog_url(folder), catalog_id=identity) as catalog:
        workspace = Workspace(folder, settings, catalog)
        outcomes = [*_rebuilt(workspace, paths, identity, progress), *_put_drafts_aside(workspace)]
        _list_backups(workspace)
        refresh_records(workspace, keep_newer=False)
        bind(workspace)
    return tuple(outcomes)


def roles_of(records: list[Mapping[str, Any]]) -> dict[str, Role]:
    """Everybody whom records name: reviewers who reviewed, curators who registered or assigned.

    Others are annotators. It is a guess from past acts; an admin sets roles right.
    """
    roles: dict[str, Role] = {}
    for name, role in _acts(records):
        if name is not None and list(Role).index(role) > list(Role).index(
            roles.get(name, Role.VIEWER)
        ):
            roles[name] = role
    return roles


def accounts_of(records: list[Mapping[str, Any]]) -> dict[str, str]:
    """The account of each author whose corrections were all the file of one account."""
    seen: dict[str, set[str]] = {}
    for record in records:
        for slot in record["slots"]:
            for version in slot["versions"]:
                if version["author"] and version["author_account"]:
                    seen.setdefault(version["author"], set()).add(version["author_account"])
    single = {name: accounts.pop() for name, accounts in seen.items() if len(accounts) == 1}
    taken = list(single.values())
    return {name: account for name, account in single.items() if taken.count(account) == 1}


def _rebuilt(
    workspace: Workspace, found: list[Path], identity: str | None, progress: Progress
) -> Iterator[Outcome]:
    catalog = workspace.catalog
    records: list[Mapping[str, Any]] = []
    for path in found:
        try:
            records.append(_check_record(path, read_record(path), identity))
        except TomocurateError as error:
            yield _report(Outcome(path.stem, FAILED, str(error)), progress)
    people = _add_people(catalog, records)
    store = Store(workspace.folders.store)
    for start in range(0, len(records), AT_ONCE):
        with catalog.write() as session:
            outcomes = [
                _one(session, record, people, store) for record in records[start : start + AT_ONCE]
            ]
        for outcome in outcomes:
            yield _report(outcome, progress)
    others = sorted(name for name, its in people.items() if its != people[_ADMIN])
    if others:
        yield _report(_disable_all(others), progress)


def _disable_all(names: list[str]) -> Outcome:
    message = (
        f"{name_some(names)}: disabled, their roles guessed from what they did; look at the roles, "
        "then let them work with tomocurate people enable."
    )
    return Outcome("people", DONE, findings=(message,))


def _list_backups(workspace: Workspace) -> None:
    """List the backups that are there, which are the lost catalog's."""
    own = own_manifests(workspace.backup_folder, workspace.catalog_id, workspace.catalog.name)
    for path in own:
        made = read_manifest(path)
        change = Change(None, time_of(path))
        digest = made.sha256, made.size_bytes
        with workspace.catalog.write() as session:
            add_backup(session, change, BackupKind(made.kind), str(path), digest, made.counts)


def _put_drafts_aside(workspace: Workspace) -> Iterator[Outcome]:
    """Move drafts away: their names hold numbers that others have now."""
    drafts = sorted(workspace.folders.drafts.glob(f"*{DRAFT}"))
    if not drafts:
        return
    aside = workspace.folders.drafts / "lost"
    make_shared(aside)
    for path in drafts:
        path.replace(aside / path.name)
    message = f"{len(drafts)} unsaved drafts were not rebuilt; their files lie in {aside}."
    yield Outcome("drafts", DONE, findings=(message,))


def _check_record(path: Path, record: dict[str, Any], identity: str | None) -> Mapping[str, Any]:
    """Return a record whose name is its file's, of this catalog, whose lists can be walked."""
    if identity and record.get("catalog_id", identity) != identity:
        raise RecordError(
            f"{path}: is a record of another catalog ({str(record['catalog_id'])[:8]}); move it "
            "back to its own workspace."
        )
    if record.get("name") != path.stem:
        raise RecordError(f"{path}: is the record of {str(record.get('name'))[:80]!r}.")
    try:
        roles_of([record])
        accounts_of([record])
        imported = any(merge["rule"] == IMPORTED for merge in record["merges"])
    except (KeyError, TypeError, AttributeError) as error:
        raise RecordError(f"{path}: lacks a part of a record ({error}).") from error
    if imported and not record.get("bundle"):
        raise RecordError(
            f"{path}: is the record of an imported patch and lacks its bundle, so its licence and "
            "attribution; restore a backup, or import the bundle again."
        )
    return record


def _one(
    session: Any, record: Mapping[str, Any], people: Mapping[str, int], store: Store
) -> Outcome:
    name = str(record["name"])
    change = Change.now(people[_ADMIN])
    try:
        with session.begin_nested():
            rebuild_patch(session, change, record, people)
    except (KeyError, TypeError, ValueError, SQLAlchemyError) as error:
        said = str(getattr(error, "orig", None) or error).split("\n")[0]
        return Outcome(name, FAILED, f"{name}: its record breaks a rule of the catalog ({said}).")
    versions = [version for slot in record["slots"] for version in slot["versions"]]
    hashes = [version["sha256"] for version in versions if version["error"] is None]
    hashes += [merge["file_sha256"] for merge in record["merges"]]
    gone = [sha256[:12] for sha256 in hashes if not store.holds(sha256)]
    findings = (f"not in the store: {', '.join(gone)}; restore them from a backup.",)
    return Outcome(name, DONE, findings=findings if gone else ())


_ADMIN = "\0admin"
"""Not a name that anybody can have."""


def _add_people(catalog: Catalog, records: list[Mapping[str, Any]]) -> dict[str, int]:
    """Add everybody, disabled but for this account: it is the admin, under the name that its
    corrections have.
    """
    account = current_account()
    roles, accounts = roles_of(records), accounts_of(records)
    mine = next((name for name, its in accounts.items() if its == account), None)
    mine = mine or (account if account not in roles else f"{account} (admin)")
    ids: dict[str, int] = {}
    with catalog.write() as session:
        change = Change.now(None)
        admin = add_person(session, change, mine, Role.ADMIN, os_user=account)
        ids |= {mine: admin.id, _ADMIN: admin.id}
        for name, role in sorted(roles.items()):
            if name != mine:
                own = accounts.get(name)
                own = None if own == account else own
                ids[name] = add_person(session, change, name, role, os_user=own).id
                change_person(session, change, name, disabled=True)
    return ids


def _acts(records: list[Mapping[str, Any]]) -> Iterator[tuple[str | None, Role]]:
    for record in records:
        yield record["chosen"]["by"], Role.ANNOTATOR
        yield record["marks"]["assignee"], Role.ANNOTATOR
        yield record["updated_by"], Role.ANNOTATOR
        if record["tomogram"]:
            yield record["tomogram"]["registered_by"], Role.CURATOR
        for slot in record["slots"]:
            for version in slot["versions"]:
                yield version["author"], Role.ANNOTATOR
                yield version["received_by"], Role.ANNOTATOR
        for merge in record["merges"]:
            yield merge["made_by"], Role.ANNOTATOR
        if record.get("bundle"):
            yield record["bundle"]["imported_by"], Role.CURATOR
        for review in record["reviews"]:
            yield review["reviewer"], Role.REVIEWER
        for comment in record["comments"]:
            yield comment["author"], Role.ANNOTATOR
            yield comment["resolved_by"], Role.ANNOTATOR


def _report(outcome: Outcome, progress: Progress) -> Outcome:
    progress(outcome)
    return outcome
