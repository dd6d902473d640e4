"""Withdrawing a correction and taking it back: the drop-in agrees, nothing is deleted."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from core.cli.patch_corrections import main
from core.corrections.collect import collect
from core.corrections.withdraw import reinstate_correction, withdraw_correction
from core.lab import lab as core_lab
from core.labels.merge import merge
from db.errors import ConflictError, NotAllowedError, StepError, UnknownNameError
from db.queries.life import EventFilter, list_events

ADD, OTHER = np.s_[80, 80, 70:90], np.s_[80, 90, 70:90]


@pytest.fixture
def merged(lab: Any) -> Any:
    """The lab with one merged patch of two corrections."""
    lab.save("Add1.nrrd", ADD)
    lab.save("Add2.nrrd", OTHER)
    collect(lab.by.annika)
    merge(lab.by.annika)
    return lab


def test_a_withdrawn_correction_is_left_out_by_us_and_by_the_drop_in(
    merged: Any, tmp_path: Path
) -> None:
    lab = merged
    outcome = withdraw_correction(lab.by.annika, lab.name, "Add2.nrrd", reason="wrong")
    assert outcome.outcome == "done"
    assert not lab.file("Add2.nrrd").exists()
    assert (lab.folders.withdrawn_of(lab.name) / "Add2.nrrd").exists()
    assert lab.patch().stale
    merge(lab.by.annika)
    arguments = ["merge_corrections", "--labels-dir", str(lab.folders.labels), "--out-dir"]
    arguments += [str(tmp_path / "out"), "--corrections-dir", str(lab.folders.corrections)]
    assert main(arguments) == 0
    dropped = tmp_path / "out" / f"{lab.name}.nii.gz"
    assert dropped.read_bytes() == lab.folders.merged_of(lab.name).read_bytes()
    with lab.workspace.catalog.read() as session:
        reasons = [e.reason for e in list_events(session, EventFilter(patch_id=lab.patch().id))]
    assert "wrong" in reasons


def test_collecting_afterwards_changes_nothing(merged: Any) -> None:
    lab = merged
    withdraw_correction(lab.by.annika, lab.name, "Add2.nrrd")
    (outcome,) = collect(lab.by.annika)
    assert outcome.outcome == "kept"
    slot = lab.slots()["Add2.nrrd"]
    assert (slot.withdrawn, slot.missing) == (True, False)


def test_taken_back_the_label_holds_all_again(merged: Any) -> None:
    lab = merged
    data = lab.file("Add2.nrrd").read_bytes()
    withdraw_correction(lab.by.annika, lab.name, "Add2.nrrd")
    assert reinstate_correction(lab.by.anton, lab.name, "Add2.nrrd").outcome == "done"
    assert lab.file("Add2.nrrd").read_bytes() == data
    assert list(lab.folders.withdrawn_of(lab.name).iterdir()) == []
    assert not lab.patch().stale
    assert merge(lab.by.annika, [lab.name])[0].outcome == "kept"


def test_twice_is_kept(merged: Any) -> None:
    lab = merged
    withdraw_correction(lab.by.annika, lab.name, "Add2.nrrd")
    assert withdraw_correction(lab.by.annika, lab.name, "Add2.nrrd").outcome == "kept"
    reinstate_correction(lab.by.annika, lab.name, "Add2.nrrd")
    assert reinstate_correction(lab.by.annika, lab.name, "Add2.nrrd").outcome == "kept"


def test_a_file_that_changed_since_it_was_collected_is_not_put_away(merged: Any) -> None:
    lab = merged
    lab.save("Add2.nrrd", ADD)
    with pytest.raises(StepError, match="collect it first"):
        withdraw_correction(lab.by.annika, lab.name, "Add2.nrrd")
    assert lab.file("Add2.nrrd").exists()


def test_another_file_in_its_place_is_not_overwritten(merged: Any) -> None:
    lab = merged
    withdraw_correction(lab.by.annika, lab.name, "Add2.nrrd")
    other = lab.save("Add2.nrrd", ADD).read_bytes()
    with pytest.raises(StepError, match="another file of this name"):
        reinstate_correction(lab.by.annika, lab.name, "Add2.nrrd")
    assert lab.file("Add2.nrrd").read_bytes() == other


def test_a_withdrawn_file_that_is_lost_comes_back_from_the_store(merged: Any) -> None:
    lab = merged
    withdraw_correction(lab.by.annika, lab.name, "Add2.nrrd")
    (lab.folders.withdrawn_of(lab.name) / "Add2.nrrd").unlink()
    reinstate_correction(lab.by.annika, lab.name, "Add2.nrrd")
    assert lab.file("Add2.nrrd").exists()


def test_a_conflict_brings_the_file_back(merged: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    lab = merged
    with pytest.raises(ConflictError):
        withdraw_correction(lab.by.annika, lab.name, "Add2.nrrd", seen=1)
    assert lab.file("Add2.nrrd").exists()
    withdraw_correction(lab.by.annika, lab.name, "Add2.nrrd")

    def late(*_: object, **__: object) -> None:
        raise ConflictError("somebody was first")

    monkeypatch.setattr(core_lab, "lock_patch", late)
    with pytest.raises(ConflictError):
        reinstate_correction(lab.by.annika, lab.name, "Add2.nrrd")
    assert not lab.file("Add2.nrrd").exists()
    assert (lab.folders.withdrawn_of(lab.name) / "Add2.nrrd").exists()


def test_who_may_not_and_what_is_not_there(merged: Any) -> None:
    lab = merged
    with pytest.raises(NotAllowedError):
        withdraw_correction(lab.by.vera, lab.name, "Add2.nrrd")
    with pytest.raises(UnknownNameError, match=r"did you mean Add[12].nrrd"):
        withdraw_correction(lab.by.annika, lab.name, "Add3.nrrd")
