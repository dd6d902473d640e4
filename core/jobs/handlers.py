"""Handlers: one function per kind of job, acting as the person who queued it.

Every function may be run twice for the same job (its worker can die at any moment), so each step
takes what is there already for done. Modules are imported when their kind comes up.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from core.access.os_user import acting_person
from core.errors import CancelledError, JobError
from core.imaging.hashes import file_hash
from core.jobs.engines import Executor
from core.lab.lab import Lab
from core.workspace.results import FAILED, Outcome
from core.workspace.workspace import Workspace
from db.queries.jobs import JobRecord, parts_of
from db.queries.people import PersonRecord, person_by_id
from db.vocabulary import BackupKind, JobKind, JobState

HASH_LIMIT_S = 6 * 3600.0
"""A file that takes longer lies on a disk that hangs."""

FAILURES_KEPT = 1000
"""Of a batch's report."""


@dataclass(frozen=True)
class Task:
    """A job as its function sees it; ``tell`` takes the share done (0 to 1) and a few words."""

    workspace: Workspace
    job: JobRecord
    tell: Callable[[float, str], None]
    cancelled: Callable[[], bool]
    executor: Executor

    @property
    def arguments(self) -> Mapping[str, Any]:
        return self.job.arguments

    @property
    def by(self) -> PersonRecord:
        """Whoever queued the job; the account that runs the worker where nobody did."""
        if self.job.created_by_id is not None:
            with self.workspace.catalog.read() as session:
                person = person_by_id(session, self.job.created_by_id)
            if person is not None:
                return person
        return acting_person(self.workspace)


Doing = Callable[[Task], dict[str, Any]]


def do(task: Task) -> dict[str, Any]:
    """Do a job and give its result, what JSON has.

    Errors: JobError and every error that the step itself raises.
    """
    if "batch" in task.arguments:
        return _report(task)
    return KINDS[task.job.kind](task)


def _extract(task: Task) -> dict[str, Any]:
    from core.patches.extract import extract

    names = _names(task)
    return _outcomes(extract(Lab(task.workspace, task.by), names, progress=_teller(task, names)))


def _merge(task: Task) -> dict[str, Any]:
    from core.labels.merge import merge

    names = _names(task)
    nothing = bool(task.arguments.get("nothing_to_change"))
    tell = _teller(task, names)
    return _outcomes(
        merge(Lab(task.workspace, task.by), names, nothing_to_change=nothing, progress=tell)
    )


def _collect(task: Task) -> dict[str, Any]:
    from core.corrections.collect import collect

    names = _names(task)
    return _outcomes(collect(Lab(task.workspace, task.by), names, progress=_teller(task, names)))


def _hash(task: Task) -> dict[str, Any]:
    from core.tomograms.source_files import file_to_hash, note_hash

    name = str(task.arguments["object"])
    path = file_to_hash(task.workspace, name)
    task.tell(0.0, f"reads {path.name}")
    sha256 = task.executor.submit(file_hash, path, limit_s=HASH_LIMIT_S, cancelled=task.cancelled)
    same = note_hash(task.workspace, task.by, name, sha256)
    return {"object": name, "sha256": sha256, "same_bytes": list(same)}


def _preview(task: Task) -> dict[str, Any]:
    from core.tomograms.pictures import make_pictures

    name = str(task.arguments["object"])
    make_pictures(
        task.workspace, name, task.job.created_by_id, tell=task.tell, cancelled=task.cancelled
    )
    return {"object": name}


def _export(task: Task) -> dict[str, Any]:
    from core.bundles.job import run_export

    return _outcomes(
        run_export(Lab(task.workspace, task.by), task.arguments, task.tell, task.cancelled)
    )


def _import(task: Task) -> dict[str, Any]:
    from core.bundles.import_bundle import import_bundle

    file = Path(str(task.arguments["file"]))
    return _outcomes(
        import_bundle(Lab(task.workspace, task.by), file, progress=_teller(task, None))
    )


def _score(task: Task) -> dict[str, Any]:
    from core.evaluation.scores import score_segmentations

    names = _names(task)
    return _outcomes(
        score_segmentations(Lab(task.workspace, task.by), names, progress=_teller(task, names))
    )


def _backup(task: Task) -> dict[str, Any]:
    from core.maintenance.backup import back_up

    kind = BackupKind(task.arguments.get("kind", BackupKind.ASKED))
    made = back_up(task.workspace, task.job.created_by_id, kind, tell=task.tell)
    return {"name": made.name, "path": str(made.path), "warnings": list(made.warnings)}


def _propose(task: Task) -> dict[str, Any]:
    from core.proposals.propose import Wish, propose
    from core.proposals.reading import Inputs
    from core.proposals.scan import Cells, scan

    def look(inputs: Inputs) -> Cells:
        task.tell(0.0, f"looks through {inputs.tomogram.name}")
        return task.executor.submit(scan, inputs, cancelled=task.cancelled)

    names = _names(task)
    wish = Wish(**task.arguments.get("wish", {}))
    tell = _teller(task, names)
    return _outcomes(propose(Lab(task.workspace, task.by), names, wish, look=look, progress=tell))


KINDS: Mapping[JobKind, Doing] = {
    JobKind.EXTRACT: _extract,
    JobKind.MERGE: _merge,
    JobKind.COLLECT: _collect,
    JobKind.HASH: _hash,
    JobKind.PREVIEW: _preview,
    JobKind.EXPORT: _export,
    JobKind.IMPORT: _import,
    JobKind.SCORE: _score,
    JobKind.BACKUP: _backup,
    JobKind.PROPOSE: _propose,
}
"""Every kind has its function (a test looks)."""


def _names(task: Task) -> Sequence[str] | None:
    names = task.arguments.get("names")
    return None if names is None else [str(name) for name in names]


def _teller(task: Task, names: Sequence[str] | None) -> Callable[[Outcome], None]:
    """Progress by the number of names that came out; it is also where a cancel takes hold."""
    seen = 0

    def told(outcome: Outcome) -> None:
        nonlocal seen
        seen += 1
        task.tell(
            min(1.0, seen / len(names)) if names else 0.0, f"{outcome.name}: {outcome.outcome}"
        )
        if task.cancelled():
            raise CancelledError("the job was cancelled; what was done before stays.")

    return told


def _outcomes(outcomes: Sequence[Outcome]) -> dict[str, Any]:
    """A report for the job's row.

    Errors: JobError where nothing but failures came out.
    """
    counts: dict[str, int] = {}
    for outcome in outcomes:
        counts[outcome.outcome] = counts.get(outcome.outcome, 0) + 1
    failures = [outcome for outcome in outcomes if outcome.outcome == FAILED]
    if failures and len(failures) == len(outcomes):
        more = f" (and {len(failures) - 1} more)" if len(failures) > 1 else ""
        raise JobError(f"{failures[0].message}{more}")
    told = [_line(failure.name, failure.message) for failure in failures[:FAILURES_KEPT]]
    return {"counts": counts, "failures": told, "findings": _findings(outcomes)}


def _findings(outcomes: Sequence[Outcome]) -> list[str]:
    lines = [f"{outcome.name}: {said}" for outcome in outcomes for said in outcome.findings]
    return lines[:FAILURES_KEPT]


def _report(task: Task) -> dict[str, Any]:
    """Report the results of a batch after all its parts ended."""
    with task.workspace.catalog.read() as session:
        parts = parts_of(session, task.job.id)
    counts: dict[str, int] = {}
    for part in parts:
        counts[part.state] = counts.get(part.state, 0) + 1
    bad = [part for part in parts if part.state != JobState.DONE]
    told = [_line(_name_of(part), part.error or part.state) for part in bad[:FAILURES_KEPT]]
    if bad and len(bad) == len(parts):
        raise JobError(f"none of {len(parts)} succeeded; the first: {told[0]['said']}")
    return {"counts": counts, "failures": told}


def _name_of(part: JobRecord) -> str:
    return ", ".join(map(str, part.arguments.get("names") or [part.key]))


def _line(name: str, message: str | None) -> dict[str, str]:
    return {"name": name, "said": message or "failed"}
