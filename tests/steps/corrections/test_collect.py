"""Collecting from the correction folders: files new, changed or gone; authors; watching."""

import dataclasses
import getpass
import os
import pwd
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from core.access import people
from core.corrections import folder as standing
from core.corrections.collect import collect
from core.errors import StoreError
from core.labels.merge import merge
from core.labels.review import withdraw
from db.errors import NotAllowedError, UnknownNameError
from db.vocabulary import Origin, Stage

ADD, OTHER = np.s_[80, 80, 70:90], np.s_[80, 90, 70:90]


def files(outcome: Any) -> dict[str, str]:
    return {file.slot: file.outcome for file in outcome.details["files"]}


def test_new_changed_same_and_gone_files_are_told_apart(lab: Any) -> None:
    lab.save("Add1.nrrd", ADD)
    lab.save("Remove1.nrrd", ADD)
    (first,) = collect(lab.by.cora)
    assert (first.name, files(first)) == (lab.name, {"Add1.nrrd": "new", "Remove1.nrrd": "new"})
    lab.save("Add1.nrrd", OTHER)
    lab.file("Remove1.nrrd").unlink()
    lab.save("Ignore1.nrrd", OTHER)
    (second,) = collect(lab.by.cora)
    assert files(second) == {"Add1.nrrd": "changed", "Ignore1.nrrd": "new", "Remove1.nrrd": "gone"}
    (third,) = collect(lab.by.cora)
    assert (third.outcome, files(third)) == ("kept", {"Add1.nrrd": "same", "Ignore1.nrrd": "same"})
    slots = lab.slots()
    assert len(slots["Add1.nrrd"].versions) == 2
    assert (slots["Remove1.nrrd"].missing, lab.patch().correction_count) == (True, 2)


def test_a_file_that_comes_back_counts_again(lab: Any) -> None:
    lab.save("Add1.nrrd", ADD)
    collect(lab.by.cora)
    merge(lab.by.cora)
    lab.file("Add1.nrrd").rename(lab.data / "Add1.nrrd")
    collect(lab.by.cora)
    assert lab.patch().stale
    (lab.data / "Add1.nrrd").rename(lab.file("Add1.nrrd"))
    collect(lab.by.cora)
    assert lab.slots()["Add1.nrrd"].counts
    assert len(lab.slots()["Add1.nrrd"].versions) == 1
    assert not lab.patch().stale


def test_the_author_is_the_owner_of_the_file_never_who_collects(
    lab: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    accounts = {1001: "anton-account", 1002: "guest"}

    class Entry:
        def __init__(self, name: str) -> None:
            self.pw_name = name

    def getpwuid(uid: int) -> Entry:
        return Entry(accounts[uid])

    monkeypatch.setattr(pwd, "getpwuid", getpwuid)
    owners = {"Add1.nrrd": 1001, "Add2.nrrd": 1002, "Add3.nrrd": 4242}
    read = standing.snapshot

    def owned(path: Path, limit: int | None = None) -> standing.FileSnapshot:
        return dataclasses.replace(read(path, limit), uid=owners[path.name])

    monkeypatch.setattr("core.corrections.collect.snapshot", owned)
    for number, slot in enumerate(owners):
        lab.save(slot, np.s_[80, 80, 60 + number : 90])
    collect(lab.by.cora)
    found = {name: slot.latest for name, slot in lab.slots().items()}
    assert (found["Add1.nrrd"].author, found["Add1.nrrd"].author_account) == (
        "anton",
        "anton-account",
    )
    assert (found["Add2.nrrd"].author, found["Add2.nrrd"].author_account) == (None, "guest")
    assert (found["Add3.nrrd"].author, found["Add3.nrrd"].author_account) == (None, "uid 4242")
    assert {version.received_by for version in found.values()} == {"cora"}
    assert {version.origin for version in found.values()} == {Origin.COLLECTED}


def test_the_account_of_this_process_is_a_person_where_it_is_one(lab: Any) -> None:
    assert lab.ada.os_user == getpass.getuser()
    lab.save("Add1.nrrd", ADD)
    collect(lab.by.cora)
    assert lab.slots()["Add1.nrrd"].latest.author == "ada"


def test_folders_without_a_patch_name_the_nearest_one(lab: Any) -> None:
    (lab.folders.corrections / "other_TS_001_patch00").mkdir()
    (lab.folders.corrections / "readme.txt").write_text("hello")
    outcomes = {each.name: each for each in collect(lab.by.cora)}
    lonely = outcomes["other_TS_001_patch00"]
    assert lonely.outcome == "failed"
    assert "did you mean other_TS_001_patch0?" in (lonely.message or "")
    assert outcomes["readme.txt"].outcome == "skipped"


def test_ignored_files_are_named_and_harm_nothing(lab: Any) -> None:
    lab.save("Add1.nrrd", ADD)
    for name in ("notes.txt", ".DS_Store", "Add1.nrrd.bak"):
        lab.file(name).write_text("x")
    lab.file("old").mkdir()
    (outcome,) = collect(lab.by.cora)
    assert outcome.outcome == "done"
    assert outcome.details["ignored_files"] == ["Add1.nrrd.bak", "notes.txt"]
    assert "'notes.txt' is not a correction" in outcome.findings


def test_a_bad_file_fails_every_time_and_stops_no_other(lab: Any) -> None:
    lab.save("Add1.nrrd", ADD)
    lab.file("Remove1.am").write_bytes(b"# AmiraMesh")
    lab.save("Add1.nrrd", ADD, name=lab.names[1])
    for outcome in ("done", "kept"):
        bad, good = collect(lab.by.cora)
        assert (bad.outcome, good.outcome) == ("failed", outcome)
        assert "export it as NRRD" in (bad.message or "")
    assert len(lab.slots()["Remove1.am"].versions) == 1
    assert lab.folders.refused.joinpath(lab.slots()["Remove1.am"].latest.sha256).exists()
    lab.file("Remove1.am").unlink()
    collect(lab.by.cora)
    assert merge(lab.by.cora)[0].outcome == "done"


def test_another_patch_s_correction_is_refused(lab: Any) -> None:
    source = lab.save("Add1.nrrd", np.s_[80, 80, 140:155], name=lab.names[2])
    shutil.copy(source, lab.file("Add1.nrrd"))
    bad, good = collect(lab.by.cora)
    assert (bad.name, bad.outcome, good.outcome) == (lab.name, "failed", "done")


def test_links_and_pipes_are_not_followed(lab: Any, tmp_path: Path) -> None:
    secret = tmp_path / "secret.nrrd"
    secret.write_bytes(lab.bytes("Add1.nrrd", ADD))
    lab.file("Add1.nrrd").symlink_to(secret)
    os.mkfifo(lab.file("Add2.nrrd"))
    (outcome,) = collect(lab.by.cora)
    assert files(outcome) == {"Add1.nrrd": "refused", "Add2.nrrd": "refused"}
    assert "is a symbolic link" in (outcome.message or "")
    assert lab.slots() == {}


@pytest.mark.parametrize("name", ["Add1\n.nrrd", "Add1\u202e.nrrd", "Adde\u0301.nrrd"])
def test_a_name_that_cannot_be_a_slot_is_refused(name: str, lab: Any) -> None:
    lab.file(name).write_bytes(lab.bytes("Add1.nrrd", ADD))
    (outcome,) = collect(lab.by.cora)
    assert outcome.outcome == "failed"
    assert outcome.message is not None
    assert outcome.message.isprintable()
    assert lab.slots() == {}


def test_a_file_that_changes_while_it_is_read_waits(
    lab: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    lab.save("Add1.nrrd", ADD)
    monkeypatch.setattr(standing, "same_moment", lambda before, after: False)
    (outcome,) = collect(lab.by.cora)
    assert (outcome.outcome, files(outcome)) == ("skipped", {"Add1.nrrd": "restless"})
    assert lab.slots() == {}


def test_a_withdrawn_patch_is_left_alone(lab: Any) -> None:
    lab.save("Add1.nrrd", ADD)
    withdraw(lab.by.cora, lab.name, "a bead")
    (outcome,) = collect(lab.by.cora)
    assert (outcome.outcome, lab.slots()) == ("skipped", {})


def test_a_dry_run_tells_and_changes_nothing(lab: Any) -> None:
    lab.save("Add1.nrrd", ADD)
    (outcome,) = collect(lab.by.cora, dry_run=True)
    assert (outcome.outcome, files(outcome)) == ("done", {"Add1.nrrd": "new"})
    assert (lab.slots(), lab.patch().stage) == ({}, Stage.EXTRACTED)


def test_a_corrections_folder_that_is_not_mounted_loses_no_correction(lab: Any) -> None:
    lab.save("Add1.nrrd", ADD)
    collect(lab.by.cora)
    lab.folders.corrections.rename(lab.folders.root / "away")
    with pytest.raises(StoreError, match="is its disk mounted"):
        collect(lab.by.cora)
    assert lab.slots()["Add1.nrrd"].counts


def test_a_folder_that_is_gone_leaves_its_corrections_out(lab: Any) -> None:
    lab.save("Add1.nrrd", ADD)
    collect(lab.by.cora)
    shutil.rmtree(lab.folders.corrections_of(lab.name))
    (outcome,) = collect(lab.by.cora)
    assert files(outcome) == {"Add1.nrrd": "gone"}


def test_who_may_not_and_what_is_not_there(lab: Any) -> None:
    with pytest.raises(NotAllowedError):
        collect(lab.by.vera)
    with pytest.raises(UnknownNameError):
        collect(lab.by.cora, ["nothing"])


def test_somebody_who_is_disabled_collects_no_more(lab: Any) -> None:
    people.disable(lab.workspace, lab.admin, "cora")
    with pytest.raises(NotAllowedError, match="disabled"):
        collect(lab.by.cora)
