"""Care: jobs, backups and their restore, what doctor finds, migrations, moving the catalog."""

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from core.cli.context import (
    PATH,
    Call,
    Defaulted,
    json_option,
    on_workspace,
    queue_option,
    say_queued,
    say_workspace,
    steps,
    tell_lines,
    word_of,
)
from core.cli.run import DONE, FAILED
from core.cli.tables import say_json, say_table
from db.json_values import to_json
from db.vocabulary import JobKind, JobState

if TYPE_CHECKING:
    from collections.abc import Sequence

    from core.maintenance.doctor import Finding
    from db.queries.jobs import JobRecord

FOLDER_HELP = "The workspace's folder.  [default: $TOMOCURATE_WORKSPACE, else this folder]"


@click.group(cls=Defaulted)
def jobs() -> None:
    """List background jobs; cancel or repeat them.

    \b
    tomocurate jobs
    tomocurate jobs repeat 12
    """


@jobs.command("list")
@click.option("--state", type=word_of(JobState))
@click.option("--kind", type=word_of(JobKind))
@click.option("--limit", type=click.IntRange(1), default=50, show_default=True)
@on_workspace
def list_jobs(call: Call, state: str | None, kind: str | None, limit: int) -> int:
    """List jobs, the newest first.

    \b
    tomocurate jobs list --state failed
    """
    from core.jobs.queue import list_jobs as jobs_of
    from core.jobs.queue import list_workers
    from db.queries.jobs import JobFilter

    wanted = JobFilter(JobState(state) if state else None, JobKind(kind) if kind else None)
    page = jobs_of(call.workspace, wanted, limit=limit)
    headings = ("job", "kind", "state", "done", "of", "queued (UTC)", "message")
    call.tell(headings, map(_job_row, page), [_job_value(job) for job in page])
    working = sum(worker.stopped_at is None for worker in list_workers(call.workspace))
    if not working and any(job.is_active for job in page):
        call.say("no worker runs; start one: tomocurate worker.")
    return DONE


@jobs.command("cancel", no_args_is_help=True)
@click.argument("job", type=int)
@on_workspace
def cancel_job(call: Call, job: int) -> int:
    """Cancel a job: immediately if it is queued, at its next step if it is running.

    \b
    tomocurate jobs cancel 12
    """
    from core.jobs.queue import cancel

    return _tell_job(call, cancel(call.lab, job))


@jobs.command("repeat", no_args_is_help=True)
@click.argument("job", type=int)
@on_workspace
def repeat_job(call: Call, job: int) -> int:
    """Queue a failed or cancelled job again.

    \b
    tomocurate jobs repeat 12
    """
    from core.jobs.queue import repeat

    return _tell_job(call, repeat(call.lab, job))


@click.group(cls=Defaulted, default="make")
def backup() -> None:
    """Make, list and verify backups.

    It holds the catalog, the corrections and the labels. The worker makes one a day by itself;
    backup_dir in tomocurate.toml puts them on another disk.

    \b
    tomocurate backup
    tomocurate backup verify
    """


@backup.command("make")
@queue_option
@on_workspace
def make_backup(call: Call, queue: bool) -> int:
    """Make a backup now.

    \b
    tomocurate backup make
    """
    from db.vocabulary import BackupKind

    if queue:
        from core.jobs.queue import submit

        job = submit(call.lab, JobKind.BACKUP, {"kind": BackupKind.ASKED.value})
        return say_queued(call, job, "backup")
    from core.maintenance.backup import make_backup as make

    made = make(call.workspace, call.by, BackupKind.ASKED)
    if call.as_json:
        say_json(made)
    call.say(f"{made.path} is made. Try it: tomocurate backup verify")
    for warning in made.warnings:
        call.say(f"warning: {warning}")
    return DONE


@backup.command("list")
@on_workspace
def list_backups(call: Call) -> int:
    """List backups, the newest first.

    \b
    tomocurate backup list
    """
    from core.maintenance.backup import list_backups as backups_of

    found = backups_of(call.workspace)
    rows = [
        (
            str(b.path),
            b.kind,
            f"{b.made_at:%Y-%m-%d %H:%M}",
            b.size_bytes,
            f"{b.verified_at:%Y-%m-%d}" if b.verified_at else "not yet",
        )
        for b in found
    ]
    values = [{"name": Path(item.path).stem} | to_json(item) for item in found]
    call.tell(("backup", "kind", "made (UTC)", "bytes", "verified"), rows, values)
    return DONE


@backup.command("verify")
@click.argument("name", required=False)
@on_workspace
def verify_backup(call: Call, name: str | None) -> int:
    """Verify a backup (by default the newest): restore it on trial and compare every file.

    \b
    tomocurate backup verify
    """
    from core.maintenance.verify_backup import verify_backup as verify

    verified = verify(call.workspace, call.by, name)
    if call.as_json:
        say_json(verified)
    call.say(
        f"{verified.name} restores: {verified.rows} rows and {verified.files} files are what "
        "they were."
    )
    return DONE


@click.command(no_args_is_help=True)
@click.argument("archive", type=PATH, metavar="BACKUP")
@click.option("--to", type=PATH, required=True, help="A new folder; nothing is overwritten.")
@click.option("--catalog", metavar="URL", help="An empty database, for a PostgreSQL backup.")
@json_option
def restore(archive: Path, to: Path, catalog: str | None, as_json: bool) -> int:
    """Restore a backup into a new folder.

    BACKUP is one backup's file, or a folder of backups: then its newest is taken.

    \b
    tomocurate restore lab/backups --to lab-restored
    """
    from core.maintenance.restore import restore as restore_backup

    done = restore_backup(archive, to, catalog)
    if as_json:
        say_json({"name": to.name, "folder": done})
    else:
        click.echo(f"{to} is a workspace again. Look at it: tomocurate doctor --workspace {to}")
    return DONE


@click.command()
@click.option("--workspace", type=PATH, help=FOLDER_HELP)
@click.option("--catalog", metavar="FILE|URL", help="Where the new catalog lies.")
@json_option
def rebuild(workspace: Path | None, catalog: str | None, as_json: bool) -> int:
    """Rebuild a lost catalog from the patches' records.

    A backup is better: records do not hold the event log, identities and roles, tomograms without
    patches, segmentations that no patch uses, unsaved drafts, jobs, views and scores. Everybody but
    you comes back disabled. What is there is not touched: move a damaged catalog away first.

    \b
    tomocurate rebuild --workspace lab
    """
    from core.maintenance.rebuild import rebuild as rebuild_catalog
    from core.workspace.workspace import find_workspace

    folder = find_workspace(workspace)
    say_workspace(folder, as_json)
    with steps("rebuilding") as told:
        done = rebuild_catalog(folder, catalog, told)
    return tell_lines(done, "rebuilt", as_json)


@click.command()
@click.option("--workspace", type=PATH, help=FOLDER_HELP)
@click.option("--thorough", is_flag=True, help="Read the extracted images, too.")
@json_option
def doctor(workspace: Path | None, thorough: bool, as_json: bool) -> int:
    """Check catalog, files, backups, permissions and disk space.

    Exit status 1 where something is bad, 0 where all is well or only worth a look.

    \b
    tomocurate doctor --workspace lab
    """
    from core.maintenance.doctor import examine_folder
    from core.workspace.workspace import find_workspace

    folder = find_workspace(workspace)
    say_workspace(folder, as_json)
    findings = examine_folder(folder, thorough=thorough)
    if as_json:
        say_json([{"name": finding.check} | to_json(finding) for finding in findings])
    else:
        say_table(("", "what", ""), [(f.state, f.check, f.said) for f in findings])
        click.echo(_diagnosis(findings))
    return FAILED if any(finding.state == "bad" for finding in findings) else DONE


@click.command()
@click.option("--workspace", type=PATH, help=FOLDER_HELP)
@json_option
def migrate(workspace: Path | None, as_json: bool) -> int:
    """Migrate the catalog to this version's schema.

    A backup is made first.

    \b
    tomocurate migrate --workspace lab
    """
    from core.maintenance.migrate import migrate_workspace
    from core.workspace.workspace import find_workspace

    folder = find_workspace(workspace)
    say_workspace(folder, as_json)
    before, after = migrate_workspace(folder)
    if as_json:
        say_json({"name": str(folder), "before": before, "after": after})
    elif before == after:
        click.echo(f"{folder}: the catalog is at schema {after} already.")
    else:
        click.echo(f"{folder}: the catalog went from schema {before} to {after}.")
    return DONE


@click.group()
def catalog() -> None:
    """Move the catalog.

    \b
    tomocurate catalog copy --to postgresql+psycopg://lab@db.example.org/lab
    """


@catalog.command("copy", no_args_is_help=True)
@click.option("--to", required=True, metavar="FILE|URL", help="Where nothing is yet.")
@on_workspace
def copy_catalog(call: Call, to: str) -> int:
    """Copy the catalog to another database and compare all rows; then set it in tomocurate.toml.

    \b
    tomocurate catalog copy --to postgresql+psycopg://lab@db.example.org/lab
    """
    from core.maintenance.copy import copy_catalog as copy
    from db.engine import parse_url, sqlite_url

    url = parse_url(to) if "://" in to else sqlite_url(Path(to).absolute())
    with steps("copying") as told:
        counts = copy(call.workspace, call.by, url, lambda table, rows: told.count(rows))
    rows = list(counts.items())
    call.tell(("table", "rows"), rows, [{"name": name, "rows": number} for name, number in rows])
    call.say(f"Now write  catalog = ...  into {call.workspace.folder / 'tomocurate.toml'}.")
    return DONE


def _job_row(job: "JobRecord") -> "Sequence[Any]":
    state = "lost" if job.lost else job.state
    return (
        job.id,
        job.kind,
        state,
        f"{job.progress:.0%}",
        job.created_by,
        f"{job.created_at:%Y-%m-%d %H:%M}",
        job.error or job.message,
    )


def _job_value(job: "JobRecord") -> dict[str, Any]:
    return {"name": f"job {job.id}", **to_json(job)}


def _tell_job(call: Call, job: "JobRecord") -> int:
    if call.as_json:
        say_json(_job_value(job))
    asked = ", at its next step" if job.cancel_requested and job.is_active else ""
    call.say(f"job {job.id} ({job.kind}) is {job.state}{asked}.")
    return DONE


def _diagnosis(findings: "Sequence[Finding]") -> str:
    bad = sum(finding.state == "bad" for finding in findings)
    warned = sum(finding.state == "warn" for finding in findings)
    if bad:
        return f"{bad} bad, {warned} worth a look."
    return f"{warned} worth a look, nothing bad." if warned else "All is well."
