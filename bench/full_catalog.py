"""A catalog as a lab has it after years, filled in bulk: the same rows for the same sizes."""

import itertools
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

from sqlalchemy import Connection, insert, text

from db.models.tables import metadata
from db.vocabulary import (
    ChosenBecause,
    CorrectionKind,
    ExportKind,
    JobKind,
    JobState,
    Origin,
    PictureState,
    Role,
    Scope,
    Split,
    Stage,
    Verdict,
)

NOW = datetime(2026, 11, 25, 12, tzinfo=UTC)
MODELS = ("MemBrain_seg_v10_alpha", "MemBrain_seg_v10_beta")
ACTIONS = (
    "patch chosen",
    "extracted",
    "correction received",
    "merged",
    "submitted",
    "accepted",
    "rejected",
    "assigned",
    "commented",
    "job queued",
)
BLOCK = 20_000
HASH = "0123456789abcdef" * 4
SHARE_OF_STAGES = {
    Stage.CHOSEN: 10,
    Stage.EXTRACTED: 15,
    Stage.CORRECTING: 15,
    Stage.MERGED: 10,
    Stage.IN_REVIEW: 5,
    Stage.ACCEPTED: 45,
}
"""Per cent."""
STAGES = tuple(itertools.chain(*([stage] * n for stage, n in SHARE_OF_STAGES.items())))
MERGED = (Stage.MERGED, Stage.IN_REVIEW, Stage.ACCEPTED)


@dataclass(frozen=True)
class Sizes:
    """How many rows; five patches a tomogram, and four slots a corrected patch."""

    tomograms: int = 5_000
    corrections: int = 100_000
    events: int = 1_000_000
    people: int = 50
    datasets: int = 20
    jobs: int = 20_000

    @property
    def patches(self) -> int:
        return 5 * self.tomograms

    def by(self, share: float) -> "Sizes":
        """A share of everything but people and datasets."""
        return Sizes(
            round(self.tomograms * share),
            round(self.corrections * share),
            round(self.events * share),
            self.people,
            self.datasets,
            round(self.jobs * share),
        )


def token_of(tomogram: int) -> str:
    return f"TS_{tomogram:05d}"


def dataset_of(tomogram: int, sizes: Sizes) -> int:
    return tomogram % sizes.datasets + 1


def name_of(patch: int, sizes: Sizes) -> str:
    tomogram, number = (patch - 1) // 5 + 1, (patch - 1) % 5
    return f"d{dataset_of(tomogram, sizes)}_{token_of(tomogram)}_patch{number}"


def stage_of(patch: int) -> Stage:
    return STAGES[patch * 7919 % 100]


def fill(connection: Connection, sizes: Sizes) -> None:
    """Insert everything, in blocks; two statements then bind patches to their merges."""
    for table, rows in _tables(sizes).items():
        while block := list(itertools.islice(rows, BLOCK)):
            connection.execute(insert(metadata.tables[table]), block)
    for stage in MERGED:
        accepted = "id" if stage is Stage.ACCEPTED else "NULL"
        connection.execute(
            text(
                f"UPDATE patches SET stage = '{stage}', current_merge_id = id, "
                f"accepted_merge_id = {accepted} WHERE note = '{stage}'"
            )
        )


def _tables(sizes: Sizes) -> Mapping[str, Iterator[dict[str, Any]]]:
    """Rows by table, in the order of their foreign keys."""
    return {
        "people": map(_person, range(1, sizes.people + 1)),
        "datasets": map(_dataset, range(1, sizes.datasets + 1)),
        "data_roots": iter([{"id": 1, "path": "/data", "added_at": NOW, "added_by_id": 1}]),
        "tomograms": (_tomogram(n, sizes) for n in range(1, sizes.tomograms + 1)),
        "segmentations": map(_segmentation, range(1, sizes.tomograms + 1)),
        "permissions": map(_permission, range(2, sizes.tomograms + 1, 2)),
        "patches": (_patch(n, sizes) for n in range(1, sizes.patches + 1)),
        "correction_slots": (_slot(n, sizes) for n in range(1, sizes.corrections + 1)),
        "correction_versions": (_version(n, sizes) for n in range(1, sizes.corrections + 1)),
        "merges": (_merge(n, sizes) for n in _merged(sizes)),
        "reviews": (_review(n, sizes) for n in _merged(sizes)),
        "scores": (_score(n) for n in _merged(sizes) if stage_of(n) is Stage.ACCEPTED),
        "exports": map(_export, range(1, 201)),
        "comments": (_comment(n, sizes) for n in range(1, sizes.patches + 1, 2)),
        "jobs": (_job(n, sizes) for n in range(1, sizes.jobs + 1)),
        "events": (_event(n, sizes) for n in range(1, sizes.events + 1)),
    }


def _merged(sizes: Sizes) -> Iterator[int]:
    """The patches that have a merge."""
    return (n for n in range(1, sizes.patches + 1) if stage_of(n) in MERGED)


def _at(number: int, of: int) -> datetime:
    """Times spread over a year, the later the higher the number."""
    return NOW - timedelta(days=365) * (1 - number / of)


def _who(number: int, sizes: Sizes) -> int:
    return number * 31 % sizes.people + 1


def _changed(number: int, of: int) -> dict[str, Any]:
    return {"version": 1, "updated_at": _at(number, of), "updated_by_id": number % 50 + 1}


def _person(number: int) -> dict[str, Any]:
    return {
        "id": number,
        "name": f"Person {number}",
        "os_user": f"person{number}",
        "role": list(Role)[number % 5],
        "disabled": False,
        "created_at": NOW,
        "version": 1,
        "updated_at": NOW,
        "updated_by_id": None,
    }


def _dataset(number: int) -> dict[str, Any]:
    return {"id": number, "token": f"d{number}", "created_at": NOW}


def _file(number: int, end: str) -> dict[str, Any]:
    return {
        "root_id": 1,
        "path": f"{token_of(number)}{end}",
        "shape_z": 500,
        "shape_y": 928,
        "shape_x": 960,
        "dtype": "float32",
        "size_bytes": 1_700_000_000 + number,
        "mtime_ns": 1,
        "content_hash": f"{number:064x}",
    }


def _tomogram(number: int, sizes: Sizes) -> dict[str, Any]:
    return {
        "id": number,
        "dataset_id": dataset_of(number, sizes),
        "token": token_of(number),
        **_file(number, ".mrc"),
        "voxel_size": 10.0,
        "voxel_size_is_override": False,
        "header": {},
        "split_pin": Split.TEST if number % 25 == 0 else None,
        "thumbnail": PictureState.READY,
        "preview": PictureState.READY,
        "registered_at": _at(number, sizes.tomograms),
        "registered_by_id": 1,
        **_changed(number, sizes.tomograms),
    }


def _segmentation(number: int) -> dict[str, Any]:
    return {
        "id": number,
        "tomogram_id": number,
        **_file(number, "_segmented.mrc"),
        "model": MODELS[number % 2],
        "checkpoint": "ckpt",
        "threshold": None,
        "registered_at": NOW,
        "registered_by_id": 1,
    }


def _permission(number: int) -> dict[str, Any]:
    return {
        "tomogram_id": number,
        "owner": "Ada",
        "scope": Scope.INTERNAL,
        "licence": None,
        "approved_by": "Ada",
        "until": None,
        "embargo": None,
        **_changed(number, 100_000),
    }


def _patch(number: int, sizes: Sizes) -> dict[str, Any]:
    tomogram, of_tomogram = (number - 1) // 5 + 1, (number - 1) % 5
    stage = stage_of(number)
    z, y, x = 100 + number % 300, 100 + number % 700, 100 + number % 750
    return {
        "id": number,
        "name": name_of(number, sizes),
        "dataset_id": dataset_of(tomogram, sizes),
        "token": token_of(tomogram),
        "tomogram_id": tomogram,
        "number": of_tomogram,
        "segmentation_id": tomogram,
        "bundle_id": None,
        "center_z": z,
        "center_y": y,
        "center_x": x,
        "start_z": z - 80,
        "start_y": y - 80,
        "start_x": x - 80,
        "shape_z": 160,
        "shape_y": 160,
        "shape_x": 160,
        "padded": False,
        "shifted": False,
        "voxel_size": 10.0,
        "threshold": None,
        "chosen_at": _at(number, sizes.patches),
        "chosen_by_id": _who(number, sizes),
        "chosen_because": list(ChosenBecause)[number % 4],
        "note": stage.value,
        "stage": Stage.CORRECTING if stage in MERGED else stage,
        "assignee_id": None if number % 6 == 0 else _who(number, sizes),
        "rejected_reason": "not closed" if stage is Stage.CORRECTING and number % 3 == 0 else None,
        "stale": stage in MERGED and number % 40 == 0,
        "withdrawn": number % 50 == 0,
        "extracted_at": NOW,
        "image_hash": f"{number:064x}",
        "label_hash": HASH,
        "current_merge_id": None,
        "accepted_merge_id": None,
        "correction_count": 4 if number <= sizes.corrections // 4 else 0,
        "merge_count": int(stage in MERGED),
        "comment_count": number % 2,
        **_changed(number, sizes.patches),
    }


def _slot(number: int, sizes: Sizes) -> dict[str, Any]:
    kind = list(CorrectionKind)[number % 3]
    return {
        "id": number,
        "patch_id": (number - 1) // 4 % sizes.patches + 1,
        "name": f"{kind.capitalize()}{number % 4}.nrrd",
        "kind": kind,
        "latest": 1,
        "withdrawn": False,
        "missing": False,
    }


def _version(number: int, sizes: Sizes) -> dict[str, Any]:
    return {
        "id": number,
        "slot_id": number,
        "number": 1,
        "sha256": f"{number:064x}",
        "size_bytes": 40_000,
        "author_id": _who(number, sizes),
        "author_account": None,
        "software": "MITK",
        "findings": [],
        "painted": {"add": 1234},
        "error": None,
        "origin": Origin.COLLECTED,
        "received_at": _at(number, sizes.corrections),
        "received_by_id": 1,
    }


def _merge(patch: int, sizes: Sizes) -> dict[str, Any]:
    return {
        "id": patch,
        "patch_id": patch,
        "number": 1,
        "predicted_hash": HASH,
        "inputs": [{"slot": "Add1.nrrd", "version": 1, "sha256": HASH}],
        "rule": "r1",
        "counts": {"added": 1234},
        "values": {"membrane": 1},
        "findings": [],
        "nothing_to_change": False,
        "label_hash": HASH,
        "file_sha256": f"{patch:064x}",
        "size_bytes": 50_000,
        "made_at": _at(patch, sizes.patches),
        "made_by_id": _who(patch, sizes),
    }


def _review(patch: int, sizes: Sizes) -> dict[str, Any]:
    rejected = patch % 5 == 0
    return {
        "patch_id": patch,
        "merge_id": patch,
        "verdict": Verdict.REJECT if rejected else Verdict.ACCEPT,
        "reason": "not closed" if rejected else None,
        "reviewer_id": _who(patch + 1, sizes),
        "decided_at": _at(patch, sizes.patches),
    }


def _score(patch: int) -> dict[str, Any]:
    return {
        "segmentation_id": (patch - 1) // 5 + 1,
        "patch_id": patch,
        "merge_id": patch,
        "dice": 0.9,
        "surface_dice": 0.92,
        "method": "m1",
        "compared_voxels": 2_000_000,
        "in_training": False,
        "scored_at": NOW,
    }


def _export(number: int) -> dict[str, Any]:
    return {
        "id": number,
        "kind": ExportKind.TRAINING_SET,
        "path": f"/exports/{number}",
        "manifest_sha256": HASH,
        "options": {},
        "scope": None,
        "licence": None,
        "patch_count": 100,
        "made_at": NOW,
        "made_by_id": 1,
    }


def _comment(patch: int, sizes: Sizes) -> dict[str, Any]:
    return {
        "patch_id": patch,
        "author_id": _who(patch, sizes),
        "text": "is this a membrane?",
        "at_z": 80,
        "at_y": 75,
        "at_x": 92,
        "made_at": _at(patch, sizes.patches),
        "resolved_at": None,
        "resolved_by_id": None,
    }


def _job(number: int, sizes: Sizes) -> dict[str, Any]:
    state = JobState.FAILED if number % 200 == 0 else JobState.DONE
    return {
        "id": number,
        "kind": list(JobKind)[number % 5],
        "arguments": {"object": number},
        "idempotency_key": f"job {number}",
        "state": state,
        "priority": 0,
        "attempts": 1,
        "max_attempts": 3,
        "due_at": NOW,
        "fence": 1,
        "progress": 1.0,
        "cancel_requested": False,
        "created_at": _at(number, sizes.jobs),
        "created_by_id": _who(number, sizes),
    }


def _event(number: int, sizes: Sizes) -> dict[str, Any]:
    patch = number * 7919 % sizes.patches + 1
    of_patch = number % 10 != 0
    return {
        "id": number,
        "at": _at(number, sizes.events),
        "person_id": _who(number, sizes),
        "action": "exported" if number % 10_000 == 0 else ACTIONS[number % 10],
        "subject": "patch" if of_patch else "tomogram",
        "subject_id": patch if of_patch else patch // 5 + 1,
        "name": name_of(patch, sizes),
        "patch_id": patch if of_patch else None,
        "before": None,
        "after": {"stage": "merged"},
        "reason": None,
    }
