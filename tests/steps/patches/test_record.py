"""A patch's record beside its volumes: whole, the same each time, and refreshed when behind."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from core.corrections.collect import collect
from core.corrections.receive import receive
from core.errors import RecordError
from core.labels.merge import merge
from core.labels.review import accept, comment, reject
from core.maintenance.checks.files import records_of
from core.maintenance.checks.findings import WARN
from core.patches.assign import assign
from core.patches.record import read_record, refresh_records, write_record
from db.queries.life import slots_of
from db.vocabulary import Stage

ADD, OTHER = np.s_[80, 80, 70:90], np.s_[80, 90, 70:90]


def record(lab: Any, name: str | None = None) -> dict[str, Any]:
    return read_record(lab.folders.record_of(name or lab.name))


def test_the_record_holds_the_whole_life(lab: Any) -> None:
    assign(lab.by.cora, lab.name, "annika")
    lab.save("Add1.nrrd", ADD)
    collect(lab.by.cora)
    data = lab.bytes("Add1.nrrd", OTHER)
    receive(lab.by.admin, lab.name, "Add1.nrrd", data)
    merge(lab.by.annika)
    reject(lab.by.rolf, lab.name, "the top is missing")
    receive(lab.by.annika, lab.name, "Add2.nrrd", lab.bytes("Add2.nrrd", ADD))
    merge(lab.by.annika)
    comment(lab.by.rolf, lab.name, "now it is — très bien 膜", (1, 2, 3))
    accept(lab.by.rolf, lab.name, merge_number=2)
    made, patch = record(lab), lab.patch()
    assert made["stage"] == Stage.ACCEPTED
    assert made["version"] == patch.version
    assert made["marks"] == {
        "assignee": "annika",
        "rejected_reason": None,
        "stale": False,
        "withdrawn": False,
    }
    assert made["tomogram"]["path"] == "TS_001.mrc"
    assert made["tomogram"]["root"] == str(lab.originals)
    assert made["segmentation"]["model"] == patch.model
    assert (made["center"], made["number"]) == (list(patch.center), 0)
    assert made["extracted"]["label_hash"] == patch.label_hash
    first, second = made["slots"]
    assert [v["origin"] for v in first["versions"]] == ["collected", "uploaded"]
    assert second["versions"][0]["painted"] == {"add": 20}
    assert [m["number"] for m in made["merges"]] == [1, 2]
    assert made["merges"][1]["inputs"][1]["slot"] == "Add2.nrrd"
    assert (made["current_merge"], made["accepted_merge"]) == (2, 2)
    assert [(r["merge"], r["verdict"], r["reviewer"]) for r in made["reviews"]] == [
        (1, "reject", "rolf"),
        (2, "accept", "rolf"),
    ]
    assert made["comments"][0]["text"] == "now it is — très bien 膜"


def test_the_same_life_gives_the_same_bytes(lab: Any) -> None:
    lab.save("Add1.nrrd", ADD)
    collect(lab.by.cora)
    path = lab.folders.record_of(lab.name)
    before = path.read_bytes()
    path.unlink()
    assert write_record(lab.workspace, lab.name) == path
    assert path.read_bytes() == before
    assert json.loads(before)["slots"][0]["name"] == "Add1.nrrd"


def test_every_step_leaves_the_record_up_to_date(lab: Any) -> None:
    lab.save("Add1.nrrd", ADD)
    steps: list[Callable[[], Any]] = [lambda: collect(lab.by.cora), lambda: merge(lab.by.cora)]
    for step in steps:
        step()
        assert record(lab)["version"] == lab.patch().version
    assert refresh_records(lab.workspace) == 0


def test_records_that_are_gone_damaged_or_behind_are_written_again(lab: Any) -> None:
    lab.folders.record_of(lab.names[0]).unlink()
    lab.folders.record_of(lab.names[1]).write_bytes(b'{"format": ')
    behind = lab.folders.record_of(lab.names[2]).read_bytes()
    receive(
        lab.by.annika,
        lab.names[2],
        "Add1.nrrd",
        lab.bytes("Add1.nrrd", ADD, name=lab.names[2]),
    )
    lab.folders.record_of(lab.names[2]).write_bytes(behind)
    assert refresh_records(lab.workspace) == 3
    for name in lab.names:
        with lab.workspace.catalog.read() as session:
            slots = slots_of(session, lab.patch(name).id)
        assert len(record(lab, name)["slots"]) == len(slots)


def test_a_record_that_lacks_the_latest_version_of_a_correction_is_behind(lab: Any) -> None:
    for box in (ADD, OTHER):
        lab.save("Add1.nrrd", box)
        collect(lab.by.cora)
        merge(lab.by.cora)
    lab.save("Add1.nrrd", ADD, OTHER)
    collect(lab.by.cora)
    behind = lab.folders.record_of(lab.name).read_bytes()
    lab.save("Add1.nrrd", np.s_[81, 80, 70:90])
    collect(lab.by.cora)
    newest = lab.folders.record_of(lab.name).read_bytes()
    lab.folders.record_of(lab.name).write_bytes(behind)
    (found,) = records_of(lab.workspace)
    assert found.state == WARN
    assert lab.name in found.said
    assert refresh_records(lab.workspace) == 1
    assert lab.folders.record_of(lab.name).read_bytes() == newest


@pytest.mark.parametrize(
    ("data", "said"),
    [
        (b"", "is no JSON"),
        (b"[" * 100_000, "is no JSON"),
        (b"[]", "is no record of a patch"),
        (b'{"format": "tomocurate patch record", "format_version": 2}', "of version 2"),
        (b"\xff\xfe\x00", "is no JSON"),
    ],
)
def test_what_is_no_record_is_refused(data: bytes, said: str, tmp_path: Path) -> None:
    path = tmp_path / "record.json"
    path.write_bytes(data)
    with pytest.raises(RecordError, match=said):
        read_record(path)


def test_a_record_that_is_not_there_is_said(tmp_path: Path) -> None:
    with pytest.raises(RecordError, match="cannot be read"):
        read_record(tmp_path / "nothing.json")
