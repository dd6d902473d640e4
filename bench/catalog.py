"""The catalog at a lab's full size: every list, filter and count that a page needs.

5,000 tomograms, 25,000 patches, 100,000 corrections, 1,000,000 events (SHARE=0.1 takes a tenth;
POSTGRESQL=url measures an empty database there). Beside each query its bare statements are timed,
by the driver alone and in turn: the ratio is what our own floor costs.
"""

import os
import statistics
import tempfile
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import timedelta
from functools import partial
from pathlib import Path
from typing import Any

from sqlalchemy import Connection, event, text
from sqlalchemy.orm import Session

from bench.full_catalog import MODELS, NOW, Sizes, fill, name_of, token_of
from db.engine import Catalog
from db.queries import jobs, life, maintenance, patches, people, progress, scores, sharing, volumes
from db.queries.life import EventFilter
from db.queries.patches import PatchFilter, PatchSort
from db.queries.volumes import TomogramFilter
from db.schema import create_catalog
from db.vocabulary import ChosenBecause, JobState, Split, Stage

WANTED_MS = 50.0
ROUNDS = 15

Query = Callable[[Session], Any]


@dataclass(frozen=True)
class Cost:
    """What one query took; its statements do not grow with its rows."""

    name: str
    rows: int | None
    statements: int
    median_ms: float
    bare_ms: float


def run() -> None:
    sizes = Sizes().by(float(os.environ.get("SHARE", "1")))
    with tempfile.TemporaryDirectory(prefix="bench-") as folder:
        url = os.environ.get("POSTGRESQL") or f"sqlite:///{Path(folder) / 'catalog.sqlite'}"
        started = time.perf_counter()
        with create_catalog(url) as catalog:
            with catalog.write() as session:
                fill(session.connection(), sizes)
            if not catalog.file:
                with catalog.write() as session:
                    session.execute(text("ANALYZE"))
            print(
                f"# Catalog\n\n{sizes.tomograms} tomograms, {sizes.patches} patches, "
                f"{sizes.corrections} corrections, {sizes.events} events in "
                f"{catalog.url.get_backend_name()}, made in "
                f"{time.perf_counter() - started:.0f} s.\n"
            )
            _tell([measure(catalog, name, query) for name, query in queries(sizes).items()])


def queries(sizes: Sizes) -> dict[str, Query]:
    """Each list, filter and count, by what a person would call it; lists take a limit."""
    patch = sizes.patches // 2
    return {
        **_patch_lists(sizes),
        "patch by name": lambda s: patches.get_patch(s, name_of(patch, sizes)),
        "a patch's corrections": lambda s: life.slots_of(s, patch),
        "a patch's merges": lambda s: life.merges_of(s, patch),
        "a patch's reviews": lambda s: life.reviews_of(s, patch),
        "a patch's comments": lambda s: life.comments_of(s, patch),
        "a patch's exports": lambda s: life.exports_of(s, patch),
        **_tomogram_lists(sizes),
        **_event_lists(sizes),
        "progress: all counts": progress.progress,
        "progress by person": progress.stages_by_person,
        "progress by dataset": progress.stages_by_dataset,
        "verdicts by week": lambda s: progress.verdicts_by_week(s, NOW),
        "reviews that wait": progress.waiting_reviews,
        "rejections": progress.rejections,
        "progress by tomogram": progress.stages_by_tomogram,
        "voxels of labels": progress.label_balance,
        "reasons of rejections": progress.reject_reasons,
        "saved views": lambda s: progress.saved_views(s, 7, "patches"),
        "patches of a tomogram, all": lambda s: patches.patches_in(s, sizes.tomograms // 2),
        "exports": sharing.list_exports,
        "bundles": sharing.list_bundles,
        "scores": scores.list_scores,
        "scores by model": scores.scores_by_model,
        "backups": maintenance.list_backups,
        "workers": jobs.list_workers,
        "people": people.list_people,
        "jobs": jobs.list_jobs,
        "jobs that failed": lambda s: jobs.list_jobs(s, jobs.JobFilter(state=JobState.FAILED)),
        "jobs by state": jobs.jobs_by_state,
        "is a job due": jobs.something_is_due,
    }


def measure(catalog: Catalog, name: str, query: Query) -> Cost:
    """The median of several rounds, of our query and of its bare statements, in turn."""
    sent, answer = statements(catalog, query)
    ours: list[float] = []
    bare: list[float] = []
    for _ in range(ROUNDS):
        for times, step in ((ours, query), (bare, lambda s: _bare(s.connection(), sent))):
            with catalog.read() as session:
                session.connection()
                started = time.perf_counter()
                step(session)
                times.append(1000 * (time.perf_counter() - started))
    rows = len(answer) if hasattr(answer, "__len__") else None
    return Cost(name, rows, len(sent), statistics.median(ours), statistics.median(bare))


def statements(catalog: Catalog, query: Query) -> tuple[list[tuple[str, Any]], Any]:
    """The statements that a query sends, and what it answers."""
    sent: list[tuple[str, Any]] = []
    with catalog.read() as session:

        def seen(_c: Any, _cursor: Any, statement: str, values: Any, *_: Any) -> None:
            sent.append((statement, values))

        event.listen(session.connection(), "before_cursor_execute", seen)
        answer = query(session)
    return sent, answer


def _bare(connection: Connection, sent: Sequence[tuple[str, Any]]) -> None:
    cursor = connection.connection.cursor()
    for statement, values in sent:
        cursor.execute(statement, values)
        cursor.fetchall()
    cursor.close()


def _patch_lists(sizes: Sizes) -> dict[str, Query]:
    filters = {
        "all": PatchFilter(),
        "in review": PatchFilter(stage=(Stage.IN_REVIEW,)),
        "of two stages": PatchFilter(stage=(Stage.EXTRACTED, Stage.CORRECTING)),
        "of a dataset": PatchFilter(dataset="d3"),
        "of a tomogram": PatchFilter(tomogram=token_of(sizes.tomograms // 2)),
        "of a person": PatchFilter(assignee="Person 7"),
        "of a person and stage": PatchFilter(assignee="Person 7", stage=(Stage.CORRECTING,)),
        "of nobody": PatchFilter(unassigned=True),
        "by reason": PatchFilter(chosen_because=ChosenBecause.HARD_NEGATIVE),
        "of a model": PatchFilter(model=MODELS[0]),
        "rejected": PatchFilter(rejected=True),
        "stale": PatchFilter(stale=True),
        "where newer corrections wait": PatchFilter(newer_corrections_wait=True),
        "without correction": PatchFilter(corrected=False),
        "withdrawn": PatchFilter(withdrawn=True),
        "by part of a name": PatchFilter(text="_0042"),
        "by part of no name": PatchFilter(text="no such patch"),
    }
    lists: dict[str, Query] = {}
    for words, wanted in filters.items():
        lists[f"patches {words}"] = partial(patches.list_patches, wanted=wanted)
        lists[f"count of patches {words}"] = partial(patches.count_patches, wanted=wanted)
    return lists | {
        "patches, last changed first": lambda s: patches.list_patches(s, None, PatchSort.UPDATED),
        "patches by stage": lambda s: patches.list_patches(s, None, PatchSort.STAGE),
        "patches, the last page": lambda s: patches.list_patches(s, offset=sizes.patches - 600),
    }


def _tomogram_lists(sizes: Sizes) -> dict[str, Query]:
    filters = {
        "all": TomogramFilter(),
        "of a dataset": TomogramFilter("d3"),
        "by part of a token": TomogramFilter(text="042"),
        "pinned to test": TomogramFilter(split_pin=Split.TEST),
        "without patches": TomogramFilter(without_patches=True),
    }
    lists: dict[str, Query] = {
        f"tomograms {words}": partial(volumes.list_tomograms, wanted=wanted)
        for words, wanted in filters.items()
    }
    middle = sizes.tomograms // 2
    return lists | {
        "tomograms, the last page": lambda s: volumes.list_tomograms(
            s, offset=sizes.tomograms - 100
        ),
        "tomogram by token": lambda s: volumes.get_tomogram(s, token_of(middle)),
        "a tomogram's segmentations": lambda s: volumes.segmentations_of(s, middle),
        "a tomogram's permission": lambda s: volumes.permission_of(s, middle),
        "every tomogram's name": volumes.tomogram_names,
        "tomograms of one size": lambda s: volumes.tomograms_of_size(s, 1_700_000_042),
        "datasets": volumes.list_datasets,
    }


def _event_lists(sizes: Sizes) -> dict[str, Query]:
    filters = {
        "all": EventFilter(),
        "of a patch": EventFilter(patch_id=sizes.patches // 2),
        "of a person": EventFilter(person="Person 7"),
        "of a rare action": EventFilter(action="exported"),
        "of a person and action": EventFilter(person="Person 7", action="accepted"),
        "of a tomogram": EventFilter(subject="tomogram", subject_id=sizes.tomograms // 2),
        "since yesterday": EventFilter(since=NOW - timedelta(days=1)),
        "of a person since yesterday": EventFilter(
            person="Person 7", since=NOW - timedelta(days=1)
        ),
    }
    lists: dict[str, Query] = {
        f"events {words}": partial(life.list_events, wanted=wanted)
        for words, wanted in filters.items()
    }
    middle = sizes.events // 2
    return lists | {"events, a page in the middle": lambda s: life.list_events(s, None, middle)}


def _tell(costs: Sequence[Cost]) -> None:
    width = max(len(cost.name) for cost in costs)
    print(f"{'query':{width}}  {'rows':>6}  {'SQL':>3}  {'ms':>7}  {'bare':>7}  ratio")
    for cost in sorted(costs, key=lambda cost: -cost.median_ms):
        rows = "" if cost.rows is None else cost.rows
        ratio = cost.median_ms / max(cost.bare_ms, 1e-6)
        slow = "" if cost.median_ms <= WANTED_MS else f"  above {WANTED_MS:.0f} ms"
        print(
            f"{cost.name:{width}}  {rows:>6}  {cost.statements:>3}  {cost.median_ms:7.2f}  "
            f"{cost.bare_ms:7.2f}  {ratio:5.1f}{slow}"
        )
    slow_ones = sum(cost.median_ms > WANTED_MS for cost in costs)
    most = max(cost.statements for cost in costs)
    print(
        f"\n{len(costs)} queries, {slow_ones} above {WANTED_MS:.0f} ms; "
        f"at most {most} statements each."
    )
