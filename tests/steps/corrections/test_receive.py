"""Receiving corrections: versions, hostile names and files, conflicts, and nothing lost."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from core.corrections.collect import collect
from core.corrections.receive import receive
from core.corrections.store import MAX_REFUSED, Store, refuse
from core.corrections.withdraw import withdraw_correction
from core.errors import CorrectionError, StoreError
from core.lab import lab as core_lab
from core.lab.lab import Lab
from core.labels.merge import merge
from core.labels.review import accept, withdraw
from core.workspace.workspace import open_workspace
from db.errors import ConflictError, NotAllowedError, StepError, UnknownNameError
from db.queries.life import EventFilter, list_events
from db.vocabulary import CorrectionKind, Origin, Stage

ADD, OTHER = np.s_[80, 80, 70:90], np.s_[80, 90, 70:90]


def stored(lab: Any) -> set[bytes]:
    files = [p for p in lab.folders.store.rglob("*") if p.is_file() and "refused" not in p.parts]
    return {path.read_bytes() for path in files}


def there(lab: Any) -> list[Path]:
    return sorted(path for path in lab.folders.root.rglob("*") if "locks" not in path.parts)


def test_a_correction_is_stored_placed_and_recorded(lab: Any) -> None:
    data = lab.bytes("Add1.nrrd", ADD)
    outcome = receive(lab.by.annika, lab.name, "Add1.nrrd", data)
    assert outcome.outcome == "done"
    assert outcome.details["version"] == 1
    assert outcome.details["painted"] == {"add": 20}
    assert lab.file("Add1.nrrd").read_bytes() == data
    slot = lab.slots()["Add1.nrrd"]
    latest = slot.latest
    assert (slot.kind, latest.author, latest.software) == (CorrectionKind.ADD, "annika", "MITK")
    assert (latest.origin, latest.received_by) == (Origin.UPLOADED, "annika")
    assert Store(lab.folders.store).path_of(latest.sha256).read_bytes() == data
    assert (lab.patch().stage, lab.patch().correction_count) == (Stage.CORRECTING, 1)


def test_the_same_bytes_again_are_kept(lab: Any) -> None:
    data = lab.bytes("Add1.nrrd", ADD)
    receive(lab.by.annika, lab.name, "Add1.nrrd", data)
    again = receive(lab.by.anton, lab.name, "Add1.nrrd", data)
    assert (again.outcome, again.details["version"]) == ("kept", 1)
    assert len(lab.slots()["Add1.nrrd"].versions) == 1


def test_other_bytes_are_the_slot_s_next_version(lab: Any) -> None:
    first, second = lab.bytes("Add1.nrrd", ADD), lab.bytes("Add1.nrrd", OTHER)
    receive(lab.by.annika, lab.name, "Add1.nrrd", first)
    outcome = receive(lab.by.anton, lab.name, "Add1.nrrd", second, expected=1)
    assert outcome.details["version"] == 2
    assert lab.file("Add1.nrrd").read_bytes() == second
    assert {first, second} <= stored(lab)
    assert [v.author for v in lab.slots()["Add1.nrrd"].versions] == ["annika", "anton"]


def test_a_file_that_nobody_collected_becomes_a_version_first(lab: Any) -> None:
    standing = lab.save("Add1.nrrd", ADD).read_bytes()
    data = lab.bytes("Add1.nrrd", OTHER)
    with pytest.raises(ConflictError, match=r"saved another file .* version 1 now"):
        receive(lab.by.annika, lab.name, "Add1.nrrd", data, expected=0)
    assert lab.file("Add1.nrrd").read_bytes() == standing
    outcome = receive(lab.by.annika, lab.name, "Add1.nrrd", data, expected=1)
    assert outcome.details["version"] == 2
    first, second = lab.slots()["Add1.nrrd"].versions
    assert (first.origin, second.origin) == (Origin.COLLECTED, Origin.UPLOADED)
    assert {standing, data} <= stored(lab)


def test_even_a_broken_file_that_stood_there_is_not_lost(lab: Any) -> None:
    lab.file("Add1.nrrd").write_bytes(b"half a file")
    data = lab.bytes("Add1.nrrd", OTHER)
    with pytest.raises(ConflictError, match="version 1 now"):
        receive(lab.by.annika, lab.name, "Add1.nrrd", data)
    receive(lab.by.annika, lab.name, "Add1.nrrd", data, expected=1)
    assert b"half a file" in stored(lab)
    assert [bool(v.error) for v in lab.slots()["Add1.nrrd"].versions] == [True, False]


def test_a_file_that_stands_there_already_is_taken_as_it_is_sent(lab: Any) -> None:
    """The process that placed it was killed before it could note it."""
    data = lab.bytes("Add1.nrrd", ADD)
    lab.file("Add1.nrrd").write_bytes(data)
    receive(lab.by.annika, lab.name, "Add1.nrrd", data)
    (version,) = lab.slots()["Add1.nrrd"].versions
    assert (version.origin, version.author) == (Origin.UPLOADED, "annika")


def test_a_refused_file_is_noted_kept_apart_and_stops_the_merge(lab: Any) -> None:
    receive(lab.by.annika, lab.name, "Add1.nrrd", lab.bytes("Add1.nrrd", ADD))
    good = lab.file("Add1.nrrd").read_bytes()
    bad = b"NRRD0004\ntype: uint8\ndimension: 2\nsizes: 3 3\n\n123456789"
    outcome = receive(lab.by.annika, lab.name, "Add1.nrrd", bad)
    assert outcome.outcome == "failed"
    assert outcome.message is not None
    assert outcome.message.startswith("Add1.nrrd")
    assert str(lab.folders.root) not in outcome.message
    assert lab.file("Add1.nrrd").read_bytes() == good
    assert bad not in stored(lab)
    assert [path.read_bytes() for path in lab.folders.refused.iterdir()] == [bad]
    (merged,) = merge(lab.by.annika)
    assert merged.outcome == "failed"
    # The folder's own file is what it was: collecting changes nothing.
    (collected,) = collect(lab.by.annika)
    assert collected.outcome == "kept"
    again = receive(lab.by.annika, lab.name, "Add1.nrrd", bad)
    assert (again.outcome, again.message) == ("failed", outcome.message)
    receive(lab.by.annika, lab.name, "Add1.nrrd", good)
    assert merge(lab.by.annika)[0].outcome == "done"


def test_refused_files_are_bounded(lab: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("core.corrections.store.MAX_REFUSED", 3)
    store = Store(lab.folders.store)
    for number in range(6):
        with store.arrive(b"bad file %d" % number) as arrived:
            refuse(arrived, lab.folders.refused)
    assert len(list(lab.folders.refused.iterdir())) == 3
    assert MAX_REFUSED >= 100


@pytest.mark.parametrize(
    "name",
    [
        "../Add1.nrrd",
        "/etc/Add1.nrrd",
        "a/Add1.nrrd",
        "..\\Add1.nrrd",
        "C:\\fakepath\\Add1.nrrd",
        "Add1.nrrd\0.txt",
        "Add1\n.nrrd",
        "Add\u202e1.nrrd",
        "Add" + "1" * 300 + ".nrrd",
        "Add" + "\U0001f9ea" * 60 + ".nrrd",
        "notes.txt",
        "",
        ".",
        "..",
        ".Add1.nrrd",
        "Add1.nrrd ",
        "Add1.",
        "-Add1.nrrd",
        "=cmd|Add1.nrrd",
        "Thumbs.db",
        "Add1.docx",
        "Add1.nrrd\udcff",
        "<img src=x>.nrrd",
    ],
)
def test_a_hostile_name_gets_one_sentence_and_changes_nothing(name: str, lab: Any) -> None:
    before = there(lab)
    with pytest.raises(CorrectionError) as refused:
        receive(lab.by.annika, lab.name, name, b"NRRD0004\n")
    said = str(refused.value)
    assert said.isprintable()
    assert len(said) < 400
    assert there(lab) == before
    assert lab.slots() == {}


@pytest.mark.parametrize(
    "name", ["Add 1 (copy).nrrd", "remove_été.nrrd", "IGNORE膜.nrrd", "Add%_.nrrd"]
)
def test_a_name_in_any_script_is_a_slot(name: str, lab: Any) -> None:
    outcome = receive(lab.by.annika, lab.name, name, lab.bytes("Add1.nrrd", ADD))
    assert outcome.outcome == "done"
    assert list(lab.slots()) == [name]


def test_labels_named_in_the_file_make_any_nrrd_a_correction(lab: Any) -> None:
    outcome = receive(lab.by.annika, lab.name, "mine.nrrd", lab.bytes("Add1.nrrd", ADD))
    assert outcome.details["painted"] == {"add": 20}
    assert lab.slots()["mine.nrrd"].kind is None


def test_a_file_larger_than_the_limit_is_refused_before_it_is_kept(lab: Any) -> None:
    (lab.folders.root / "tomocurate.toml").write_text("upload_mb = 1\n")
    with open_workspace(lab.folders.root) as workspace:
        big = lab.data / "Add1.nrrd"
        with big.open("wb") as file:
            file.truncate(2 << 20)
        for source in (big, big.read_bytes()):
            with pytest.raises(StoreError, match="more than the 1 MB"):
                receive(Lab(workspace, lab.annika), lab.name, "Add1.nrrd", source)
    assert not any("partial" in path.name for path in lab.folders.store.iterdir())


def test_links_pipes_and_folders_are_no_uploads(lab: Any, tmp_path: Path) -> None:
    import os

    secret = tmp_path / "secret"
    secret.write_bytes(lab.bytes("Add1.nrrd", ADD))
    link, pipe = tmp_path / "link", tmp_path / "pipe"
    link.symlink_to(secret)
    os.mkfifo(pipe)
    for source in (link, pipe, tmp_path, tmp_path / "nothing"):
        with pytest.raises(StoreError):
            receive(lab.by.annika, lab.name, "Add1.nrrd", source)


def test_a_link_in_the_folder_is_not_written_through(lab: Any, tmp_path: Path) -> None:
    target = tmp_path / "precious"
    target.write_text("mine")
    lab.file("Add1.nrrd").symlink_to(target)
    with pytest.raises(StoreError, match="is a symbolic link"):
        receive(lab.by.annika, lab.name, "Add1.nrrd", lab.bytes("Add1.nrrd", ADD))
    assert target.read_text() == "mine"


def test_two_people_who_saw_the_same_version(lab: Any) -> None:
    first, second = (lab.bytes("Add1.nrrd", np.s_[80, 80, 70:end]) for end in (80, 85))
    for seen, data in enumerate((first, second)):
        receive(lab.by.annika, lab.name, "Add1.nrrd", data, expected=seen)
        third = lab.bytes("Add1.nrrd", OTHER)
        with pytest.raises(ConflictError, match=rf"annika changed it .*you saw {seen}"):
            receive(lab.by.anton, lab.name, "Add1.nrrd", third, expected=seen)
    assert lab.file("Add1.nrrd").read_bytes() == second
    withdraw_correction(lab.by.annika, lab.name, "Add1.nrrd")
    with pytest.raises(ConflictError, match="withdrawn since"):
        receive(lab.by.anton, lab.name, "Add1.nrrd", third, expected=2)


def test_nobody_replaces_unseen_what_somebody_else_painted(lab: Any) -> None:
    first, second = lab.bytes("Add1.nrrd", ADD), lab.bytes("Add1.nrrd", OTHER)
    receive(lab.by.annika, lab.name, "Add1.nrrd", first)
    receive(lab.by.annika, lab.name, "Add2.nrrd", first)
    with pytest.raises(ConflictError, match=r"annika painted .* your file Add3\.nrrd"):
        receive(lab.by.anton, lab.name, "Add1.nrrd", second)
    assert lab.file("Add1.nrrd").read_bytes() == first
    receive(lab.by.annika, lab.name, "Add1.nrrd", second)
    assert len(lab.slots()["Add1.nrrd"].versions) == 2


def test_a_conflict_at_the_last_moment_brings_the_folder_back(
    lab: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    first = lab.bytes("Add1.nrrd", ADD)
    receive(lab.by.annika, lab.name, "Add1.nrrd", first)

    def late(*_: object, **__: object) -> None:
        raise ConflictError("somebody was first")

    monkeypatch.setattr(core_lab, "lock_patch", late)
    for slot, seen in (("Add1.nrrd", 1), ("Add2.nrrd", 0)):
        data = lab.bytes("Add1.nrrd", OTHER)
        with pytest.raises(ConflictError, match="somebody was first"):
            receive(lab.by.anton, lab.name, slot, data, expected=seen)
    assert lab.file("Add1.nrrd").read_bytes() == first
    assert not lab.file("Add2.nrrd").exists()


def test_a_correction_after_acceptance_marks_the_label_stale(lab: Any) -> None:
    receive(lab.by.annika, lab.name, "Add1.nrrd", lab.bytes("Add1.nrrd", ADD))
    merge(lab.by.annika)
    accept(lab.by.rolf, lab.name)
    receive(lab.by.annika, lab.name, "Add2.nrrd", lab.bytes("Add2.nrrd", OTHER))
    patch = lab.patch()
    assert (patch.stage, patch.stale, patch.newer_corrections_wait) == (Stage.ACCEPTED, True, True)


def test_a_withdrawn_slot_counts_again_when_it_is_sent_again(lab: Any) -> None:
    data = lab.bytes("Add1.nrrd", ADD)
    receive(lab.by.annika, lab.name, "Add1.nrrd", data)
    withdraw_correction(lab.by.annika, lab.name, "Add1.nrrd")
    outcome = receive(lab.by.annika, lab.name, "Add1.nrrd", data)
    assert (outcome.outcome, outcome.details["version"]) == ("done", 1)
    assert lab.file("Add1.nrrd").read_bytes() == data
    assert lab.slots()["Add1.nrrd"].counts


def test_who_may_not_and_what_cannot(lab: Any) -> None:
    data = lab.bytes("Add1.nrrd", ADD)
    with pytest.raises(NotAllowedError):
        receive(lab.by.vera, lab.name, "Add1.nrrd", data)
    with pytest.raises(UnknownNameError):
        receive(lab.by.annika, "other_TS_001_patch9", "Add1.nrrd", data)
    withdraw(lab.by.cora, lab.name, "a bead")
    with pytest.raises(StepError, match="withdrawn"):
        receive(lab.by.annika, lab.name, "Add1.nrrd", data)
    assert stored(lab) == set()


def test_who_painted_may_be_somebody_else_than_who_sends(lab: Any) -> None:
    data = lab.bytes("Add1.nrrd", ADD)
    with pytest.raises(NotAllowedError, match="assign work to others"):
        receive(lab.by.annika, lab.name, "Add1.nrrd", data, author=lab.anton)
    receive(lab.by.cora, lab.name, "Add1.nrrd", data, author=lab.anton)
    latest = lab.slots()["Add1.nrrd"].latest
    assert (latest.author, latest.received_by) == ("anton", "cora")


def test_every_correction_leaves_an_event(lab: Any) -> None:
    receive(lab.by.annika, lab.name, "Add1.nrrd", lab.bytes("Add1.nrrd", ADD))
    with lab.workspace.catalog.read() as session:
        events = list_events(session, EventFilter(patch_id=lab.patch().id))
    assert [e.action for e in events[:2]] == ["correcting began", "correction received"]
    assert {e.person for e in events[:2]} == {"annika"}


def test_a_refused_file_alone_is_not_work(lab: Any) -> None:
    refused = receive(lab.by.annika, lab.name, "Add1.nrrd", b"no correction")
    assert refused.outcome == "failed"
    assert lab.patch().stage is Stage.EXTRACTED
    receive(
        lab.by.annika,
        lab.name,
        "Add1.nrrd",
        lab.bytes("Add1.nrrd", ADD),
        expected=1,
    )
    assert lab.patch().stage is Stage.CORRECTING
