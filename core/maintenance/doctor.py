"""Examine a workspace and say what somebody should see to; it changes nothing."""

from collections.abc import Callable, Iterator, Mapping
from pathlib import Path

from core.maintenance.checks import files, installation, security
from core.maintenance.checks.backups import backups_of
from core.maintenance.checks.catalog import catalog_of, clock_of, machines_of
from core.maintenance.checks.findings import BAD, OK, WARN, Finding
from core.maintenance.checks.jobs import jobs_of, workers_of
from core.workspace.workspace import Workspace, open_workspace
from db.errors import TomocurateError

__all__ = ["BAD", "OK", "WARN", "Finding", "examine", "examine_folder"]


def examine(workspace: Workspace, *, thorough: bool = False) -> tuple[Finding, ...]:
    """All findings on a workspace; ``thorough`` reads the extracted images, too."""
    return tuple(_examine(workspace, thorough))


def examine_folder(folder: Path, *, thorough: bool = False) -> tuple[Finding, ...]:
    """All findings on a folder, also where its catalog does not open."""
    try:
        with open_workspace(folder, network_file_ok=True) as workspace:
            return examine(workspace, thorough=thorough)
    except TomocurateError as error:
        return (Finding("catalog", BAD, str(error)),)


def _examine(workspace: Workspace, thorough: bool) -> Iterator[Finding]:
    for name, check in CHECKS.items():
        try:
            yield from check(workspace)
        except (TomocurateError, OSError) as error:
            yield Finding(name, BAD, f"this check could not be made: {error}")
    if thorough:
        yield from files.images_of(workspace)


CHECKS: Mapping[str, Callable[[Workspace], Iterator[Finding]]] = {
    "catalog": catalog_of,
    "clock": clock_of,
    "machines": machines_of,
    "backup": backups_of,
    "jobs": jobs_of,
    "workers": workers_of,
    "disks": installation.file_systems,
    "sqlite": installation.sqlite_library,
    "versions": installation.versions_of,
    "folders": installation.folders_of,
    "disk space": installation.disk_space,
    "secrets": installation.secrets_of,
    "openness": security.openness_of,
    "store": files.store_of,
    "patches": files.check_extracted,
    "merged": files.check_merged,
    "records": files.records_of,
    "tomograms": files.originals_of,
    "partial files": files.check_partial_files,
}
"""Every check of doctor, in the order of its report; a new one is a line here."""
