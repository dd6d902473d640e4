"""Painting as a step: one's own slots, holds, drafts, and going on with the work of others."""

import subprocess
import sys
from datetime import timedelta
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from core.access import people
from core.access.os_user import acting_person
from core.corrections.receive import receive
from core.corrections.withdraw import withdraw_correction
from core.errors import DrawingError
from core.imaging.correction import write_correction
from core.imaging.geometry import Zyx
from core.imaging.merging import read_label
from core.lab.lab import Lab
from core.labels.merge import merge, preview_merge
from core.labels.review import withdraw
from core.painting.codec import claims, drawing_of
from core.painting.draft import keep_draft, read_draft
from core.painting.open import hold, open_painting, own_drawing
from core.painting.save import save_painting
from core.patches.choose import choose
from core.patches.extract import extract
from core.tomograms.discovery.pairing import Pairing
from core.tomograms.register import plan_registration, register
from core.workspace.workspace import Workspace
from db.errors import ConflictError, NotAllowedError, StepError
from db.queries.life import SlotRecord, slots_of
from db.queries.patches import get_patch
from db.vocabulary import ChosenBecause, CorrectionKind, Origin, Role
from db.writes.events import Change
from db.writes.patches import HOLD_LASTS, hold_patch, lock_patch

SHAPE = (160, 160, 160)
ADD, REMOVE, IGNORE = 1, 2, 3

SAVE = """
import sys
from pathlib import Path
import numpy as np
from core.lab.lab import Lab
from core.painting.save import save_painting
from core.workspace.workspace import open_workspace
from db.errors import ConflictError
from db.queries.people import get_person

drawing = np.zeros((160, 160, 160), np.uint8)
drawing[int(sys.argv[3]), 80, 20:40] = 1
with open_workspace(Path(sys.argv[1])) as workspace:
    with workspace.catalog.read() as session:
        annika = get_person(session, "annika")
    print("ready", flush=True)
    sys.stdin.readline()
    try:
        save_painting(Lab(workspace, annika), sys.argv[2], drawing, base={"Add1.nrrd": 1})
        print("saved")
    except ConflictError as error:
        print(error)
"""


class Painted:
    """A workspace on one of the databases, with its people and one extracted patch."""

    def __init__(self, workspace: Workspace, pairings: tuple[Pairing, ...]) -> None:
        self.workspace = workspace
        self.admin = acting_person(workspace)
        self.annika = people.add(workspace, self.admin, "annika", Role.ANNOTATOR)
        self.anton = people.add(workspace, self.admin, "anton", Role.ANNOTATOR)
        self.vera = people.add(workspace, self.admin, "vera", Role.VIEWER)
        register(Lab(workspace, self.admin), pairings, add_roots=True)
        center = Zyx(88, 110, 120)
        (chosen,) = choose(Lab(workspace, self.admin), "t1", [center], reason=ChosenBecause.OTHER)
        self.patch = chosen.name
        assert [each.outcome for each in extract(Lab(workspace, self.admin), [self.patch])] == [
            "done"
        ]

    def slots(self) -> dict[str, SlotRecord]:
        with self.workspace.catalog.read() as session:
            found = slots_of(session, get_patch(session, self.patch).id)
        return {slot.name: slot for slot in found}


@pytest.fixture
def lab(any_workspace: Workspace, files: Any) -> Painted:
    files.tomogram("t1.mrc")
    files.segmentation("t1_model.ckpt_segmented.mrc")
    return Painted(any_workspace, plan_registration(any_workspace, [files.folder / "t1*.mrc"]))


def test_a_life_of_painting(lab: Painted, tmp_path: Path) -> None:
    """Save, save again, others beside, continue, merge: the label is what the masks say."""
    workspace, annika, anton = lab.workspace, lab.annika, lab.anton
    grid = read_label(workspace.folders.label_of(lab.patch))[1]
    random = np.random.default_rng(2)
    first = random.choice(4, SHAPE, p=[0.97, 0.01, 0.01, 0.01]).astype(np.uint8)
    save_painting(Lab(workspace, annika), lab.patch, first, base={})
    assert (own_drawing(workspace, open_painting(Lab(workspace, annika), lab.patch)) == first).all()

    hand_made = random.random(SHAPE) > 0.99
    assert grid is not None
    write_correction(tmp_path / "Add2.nrrd", hand_made, grid, CorrectionKind.ADD)
    receive(Lab(workspace, anton), lab.patch, "Add2.nrrd", tmp_path / "Add2.nrrd")
    second = random.choice(4, SHAPE, p=[0.97, 0.01, 0.01, 0.01]).astype(np.uint8)
    saved = save_painting(Lab(workspace, anton), lab.patch, second, base={})
    assert saved.versions == {"Add3.nrrd": 1, "Remove2.nrrd": 1, "Ignore2.nrrd": 1}
    before = preview_merge(workspace, lab.patch).label

    painting = open_painting(Lab(workspace, annika), lab.patch)
    assert {slot.name for slot in painting.mine.values()} == {
        "Add1.nrrd",
        "Remove1.nrrd",
        "Ignore1.nrrd",
    }
    others = {s.name: s.latest.number for s in painting.slots if s not in painting.mine.values()}
    add, remove, ignore = CorrectionKind.ADD, CorrectionKind.REMOVE, CorrectionKind.IGNORE
    masks = [
        {add: drawing == ADD, remove: drawing == REMOVE, ignore: drawing == IGNORE}
        for drawing in (first, second)
    ]
    joined = drawing_of(claims([*masks, {add: hand_made}], Zyx(*SHAPE)))
    done = save_painting(
        Lab(workspace, annika), lab.patch, joined, base=painting.base, continued=others
    )
    assert set(done.withdrawn) == {"Add2.nrrd", "Add3.nrrd", "Remove2.nrrd", "Ignore2.nrrd"}
    assert {name for name, slot in lab.slots().items() if slot.counts} == set(painting.base)
    after = preview_merge(workspace, lab.patch).label
    assert before is not None
    assert after is not None
    assert np.array_equal(before, after)
    again = save_painting(
        Lab(workspace, annika), lab.patch, joined, base=painting.base, continued=others
    )
    assert (again.versions, again.withdrawn) == ({}, ())
    assert [each.outcome for each in merge(Lab(workspace, annika), [lab.patch])] == ["done"]
    assert np.array_equal(read_label(workspace.folders.merged_of(lab.patch))[0], after)


def test_what_hinders_a_save_is_said(lab: Painted) -> None:
    workspace, annika, anton = lab.workspace, lab.annika, lab.anton
    drawing = np.zeros(SHAPE, np.uint8)
    drawing[80, 80, 20:40] = ADD
    with pytest.raises(NotAllowedError, match="annotator"):
        save_painting(Lab(workspace, lab.vera), lab.patch, drawing, base={})
    with pytest.raises(DrawingError, match="shape"):
        save_painting(Lab(workspace, annika), lab.patch, drawing[:-1], base={})
    saved = save_painting(Lab(workspace, annika), lab.patch, drawing, base={})
    changed = drawing.copy()
    changed[81, 80, 20:40] = ADD
    with pytest.raises(ConflictError, match=r"annika changed it .*version 1, you saw 0"):
        save_painting(Lab(workspace, annika), lab.patch, changed, base={})
    withdraw_correction(Lab(workspace, annika), lab.patch, "Add1.nrrd", reason="no")
    with pytest.raises(ConflictError, match=r"Add1\.nrrd was withdrawn since"):
        save_painting(Lab(workspace, annika), lab.patch, changed, base=saved.painting.base)
    new = save_painting(Lab(workspace, annika), lab.patch, changed, base={})
    assert new.versions == {"Add2.nrrd": 1}  # what was withdrawn stays as it is
    with pytest.raises(ConflictError, match="changed it"):
        save_painting(
            Lab(workspace, anton), lab.patch, changed, base={}, continued={"Add2.nrrd": 7}
        )
    hold(Lab(workspace, anton), lab.patch)
    with pytest.raises(ConflictError, match="anton paints on it since"):
        save_painting(Lab(workspace, annika), lab.patch, drawing, base=new.painting.base)
    withdraw(Lab(workspace, lab.admin), lab.patch, "test")
    with pytest.raises(StepError, match="withdrawn"):
        save_painting(Lab(workspace, anton), lab.patch, drawing, base={})
    assert open_painting(Lab(workspace, anton), lab.patch).may_paint is False


def test_a_hold_ends_ten_minutes_after_its_last_heartbeat(lab: Painted) -> None:
    workspace, annika, anton = lab.workspace, lab.annika, lab.anton
    assert timedelta(minutes=10) == HOLD_LASTS
    with workspace.catalog.write() as session:
        long_ago = Change(annika.id, Change.now(None).at - HOLD_LASTS - timedelta(seconds=1))
        hold_patch(session, long_ago, lock_patch(session, lab.patch))
    assert open_painting(Lab(workspace, anton), lab.patch).hold is None
    since = hold(Lab(workspace, anton), lab.patch).since
    assert hold(Lab(workspace, anton), lab.patch).since == since  # a heartbeat
    with pytest.raises(ConflictError, match="anton"):
        hold(Lab(workspace, annika), lab.patch)
    with pytest.raises(ConflictError, match="anton"):
        hold(Lab(workspace, annika), lab.patch, take_over_from=since - timedelta(minutes=1))
    assert hold(Lab(workspace, annika), lab.patch, take_over_from=since).person == "annika"


def test_drafts_are_kept_apart_and_count_for_nothing(lab: Painted) -> None:
    workspace, annika, anton = lab.workspace, lab.annika, lab.anton
    drawing = np.full(SHAPE, IGNORE, np.uint8)
    draft = keep_draft(Lab(workspace, annika), lab.patch, drawing, 0)
    keep_draft(Lab(workspace, anton), lab.patch, drawing // 3, 0)
    assert read_draft(Lab(workspace, annika), lab.patch)[0] == draft
    with pytest.raises(ConflictError, match=r"draft of .*version 1, you saw 0"):
        keep_draft(Lab(workspace, annika), lab.patch, drawing, 0)
    assert lab.slots() == {}
    painting = open_painting(Lab(workspace, annika), lab.patch)
    assert painting.draft == draft
    assert painting.base == {}


def test_ones_own_upload_is_not_what_one_paints_into(lab: Painted, tmp_path: Path) -> None:
    workspace, annika = lab.workspace, lab.annika
    grid = read_label(workspace.folders.label_of(lab.patch))[1]
    mask = np.zeros(SHAPE, bool)
    mask[80, 80, 20:30] = True
    assert grid is not None
    write_correction(tmp_path / "Add1.nrrd", mask, grid, CorrectionKind.ADD)
    receive(Lab(workspace, annika), lab.patch, "Add1.nrrd", tmp_path / "Add1.nrrd")
    assert open_painting(Lab(workspace, annika), lab.patch).base == {}
    saved = save_painting(Lab(workspace, annika), lab.patch, mask.astype(np.uint8), base={})
    assert saved.versions == {"Add2.nrrd": 1}
    assert lab.slots()["Add2.nrrd"].latest.origin is Origin.PAINTED


def test_of_three_processes_that_opened_one_version_one_saves(lab: Painted) -> None:
    drawing = np.zeros(SHAPE, np.uint8)
    drawing[80, 80, 20:40] = ADD
    save_painting(Lab(lab.workspace, lab.annika), lab.patch, drawing, base={})
    running = [
        subprocess.Popen(
            [sys.executable, "-c", SAVE, str(lab.workspace.folder), lab.patch, str(z)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        for z in (81, 82, 83)
    ]
    for process in running:
        assert process.stdout
        assert process.stdout.readline() == "ready\n"
    for process in running:
        assert process.stdin
        process.stdin.write("\n")
        process.stdin.flush()
    told = [process.communicate(timeout=60)[0].strip() for process in running]
    assert told.count("saved") == 1
    assert sum("Add1.nrrd: annika changed it" in each for each in told) == 2
    assert lab.slots()["Add1.nrrd"].latest.number == 2
