"""A workspace to try everything on: synthetic tomograms, three people, patches in every stage.

Everything is done by the steps that people take, so that its record is a true one.
"""

import itertools
import json
from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path

from core.access import people
from core.corrections.receive import receive
from core.demo.specimens import MODEL, OTHER_MODEL, SPECIMENS, Places, Specimen, make_specimens
from core.errors import WorkspaceError
from core.files.atomic import whole_file
from core.imaging.geometry import Zyx
from core.jobs.worker import run_worker
from core.lab.lab import Lab
from core.labels import review
from core.labels.merge import merge
from core.patches import assign
from core.patches.choose import choose
from core.patches.extract import extract
from core.proposals.propose import Wish, propose
from core.tomograms.data_permissions import permit, pin
from core.tomograms.discovery.pairing import Pairing, Predicted
from core.tomograms.register import register
from core.workspace.results import FAILED, Outcome
from core.workspace.settings import FILE_NAME
from core.workspace.workspace import Workspace, init_workspace, open_workspace
from db.queries.people import PersonRecord, list_people
from db.queries.progress import progress
from db.vocabulary import ChosenBecause, Licence, Role, Scope, Split, Stage

MARK = "demo.json"
"""Written last: a folder without it holds no whole demo."""

PROPOSED = 4
"""Places in the tomogram that nobody has looked at yet."""

PLAN: Mapping[str, tuple[str, ...]] = {
    "TS_001": (
        "accepted",
        "resubmitted",
        "in review",
        "merged",
        "correcting",
        "extracted",
        "rejected",
    ),
    "TS_002": ("accepted", "accepted", "in review", "stale", "waiting", "chosen", "withdrawn"),
    "TS_003": (
        "accepted",
        "unchanged",
        "in review",
        "merged",
        "accepted",
        "correcting",
        "extracted",
    ),
    "TS_004": ("accepted", "accepted", "accepted", "in review", "rejected", "merged", "chosen"),
    "TS_005": ("accepted", "accepted", "in review", "correcting", "extracted", "accepted"),
    "TS_006": ("accepted", "accepted", "in review", "merged", "rejected", "chosen"),
    "TS_007": (),
}
"""What becomes of each patch of a tomogram."""

BEGUN = ("correcting", "resubmitted", "rejected", "stale", "waiting")
"""Only Add is painted at first."""
FINISHED = ("accepted", "in review", "merged", "withdrawn")
"""All is painted at once."""
SUBMITTED = ("accepted", "in review", "resubmitted", "rejected", "waiting")
FOR_TESTING = "TS_006"
"""The tomogram whose patches never train."""

REASONS = (
    "the lower vesicle is not closed",
    "a false blob in the ice is still there",
    "Add is too thick at the sheet",
)
NOTES = {
    ChosenBecause.MISSED_MEMBRANE: "the membrane breaks off here",
    ChosenBecause.FALSE_MEMBRANE: "blobs in the ice",
    ChosenBecause.HARD_NEGATIVE: None,
    ChosenBecause.OTHER: "gold beside a membrane",
}


@dataclass(frozen=True)
class DemoWorkspace:
    """A demo that is there."""

    name: str
    folder: Path
    found: bool
    """It was there already, and was left as it is."""
    tomograms: int
    people: int
    patches: Mapping[Stage, int]
    example: str
    """A patch with much to show."""


@dataclass(frozen=True)
class _Patch:
    """A patch of the plan."""

    name: str
    token: str
    number: int
    fate: str


@dataclass(frozen=True)
class _Lab:
    """The workspace, and who works in it."""

    workspace: Workspace
    places: Places
    ada: PersonRecord
    ben: PersonRecord
    chloe: PersonRecord


def make_demo(
    folder: Path, say: Callable[[str], None], tomograms: int = len(SPECIMENS)
) -> DemoWorkspace:
    """Make the demo, or find it; ``tomograms`` is how many of the seven.

    Errors: WorkspaceError where the folder holds another workspace, or a demo that was interrupted.
    """
    folder = folder.absolute()
    if (folder / MARK).is_file():
        return _find_demo(folder)
    if (folder / FILE_NAME).exists():
        raise WorkspaceError(
            f"{folder}: holds a workspace that is no whole demo; name another folder, or remove "
            "this one if it is a demo that was interrupted."
        )
    specimens = SPECIMENS[:tomograms]
    say(f"making {len(specimens)} synthetic tomograms, predictions, and what annotators paint ...")
    done = itertools.count(1)
    make_specimens(
        folder, specimens, lambda each: say(f"  {next(done)} of {len(specimens)}: {each.token}")
    )
    with ExitStack() as stack:
        workspace = stack.enter_context(init_workspace(folder, admin="Ada"))
        patches = _live(_lab(workspace), specimens, say)
        with whole_file(folder / MARK) as partial:
            partial.write_text(json.dumps({"example": _one(patches, "resubmitted").name}))
        return _state(workspace, _one(patches, "resubmitted").name, found=False)


def _live(lab: _Lab, specimens: Sequence[Specimen], say: Callable[[str], None]) -> list[_Patch]:
    """The weeks of three people."""
    say("registering, choosing and extracting ...")
    _register(lab, specimens)
    patches = [patch for specimen in specimens for patch in _choose(lab, specimen)]
    cut = [patch for patch in patches if patch.fate != "chosen"]
    _all_done(extract(Lab(lab.workspace, lab.ben), [patch.name for patch in cut]))
    _assign(lab, patches)
    say("correcting and merging ...")
    _correct(lab, [patch for patch in cut if patch.fate in FINISHED])
    _correct(lab, [patch for patch in cut if patch.fate in BEGUN], kinds=("Add",))
    _merge(lab, [patch for patch in cut if patch.fate in FINISHED or patch.fate in BEGUN[1:]])
    say("reviewing ...")
    _review(lab, cut)
    _permit(lab, specimens)
    untouched = [
        f"{specimen.dataset}/{specimen.token}" for specimen in specimens if not specimen.patches
    ]
    if untouched:
        say("looking for places to correct ...")
        _all_done(propose(Lab(lab.workspace, lab.ada), untouched, Wish(per_tomogram=PROPOSED)))
    say("making pictures ...")
    run_worker(lab.workspace, once=True)
    return patches


def _lab(workspace: Workspace) -> _Lab:
    with workspace.catalog.read() as session:
        ada = list_people(session)[0]
    ben = people.add(workspace, ada, "Ben", Role.ANNOTATOR)
    chloe = people.add(workspace, ada, "Chloe", Role.REVIEWER)
    return _Lab(workspace, Places(workspace.folder), ada, ben, chloe)


def _register(lab: _Lab, specimens: Sequence[Specimen]) -> None:
    pairings = []
    for specimen in specimens:
        models = (OTHER_MODEL, MODEL) if specimen.two_models else (MODEL,)
        predicted = tuple(
            Predicted(lab.places.segmentation(specimen.token, model), model, model)
            for model in models
        )
        path = lab.places.tomogram(specimen.token)
        pairings.append(
            Pairing(path, token=specimen.token, dataset=specimen.dataset, segmentations=predicted)
        )
    _all_done(register(Lab(lab.workspace, lab.ada), pairings, add_roots=True))


def _choose(lab: _Lab, specimen: Specimen) -> Iterable[_Patch]:
    """Choose every center of a tomogram, each for a reason."""
    rows = lab.places.centers(specimen.token).read_text().split()[1:]
    for number, (row, fate) in enumerate(zip(rows, PLAN[specimen.token], strict=True)):
        because = list(ChosenBecause)[number % len(ChosenBecause)]
        center = Zyx.from_xyz([int(word) for word in row.split(",")])
        (outcome,) = choose(
            Lab(lab.workspace, lab.ada),
            f"{specimen.dataset}/{specimen.token}",
            [center],
            reason=because,
            note=NOTES[because],
        )
        _all_done([outcome])
        yield _Patch(outcome.name, specimen.token, number, fate)


def _assign(lab: _Lab, patches: Iterable[_Patch]) -> None:
    """Most to Ben, some to Chloe, who also paints; what is only extracted waits for a claim."""
    for patch in patches:
        if patch.fate not in ("chosen", "extracted"):
            to = lab.chloe if patch.number % 4 == 3 else lab.ben
            assign.assign(Lab(lab.workspace, lab.ada), patch.name, to.name)


def _correct(lab: _Lab, patches: Iterable[_Patch], kinds: Sequence[str] = ()) -> None:
    """Submit what was painted, of some kinds or of all."""
    for patch in patches:
        painter = lab.chloe if patch.number % 4 == 3 else lab.ben
        for file in sorted(lab.places.painted_on(patch.token, patch.number).iterdir()):
            if not kinds or file.name.startswith(tuple(kinds)):
                _all_done([receive(Lab(lab.workspace, painter), patch.name, file.name, file)])


def _merge(lab: _Lab, patches: Sequence[_Patch]) -> None:
    _all_done(merge(Lab(lab.workspace, lab.ben), [patch.name for patch in patches]))


def _review(lab: _Lab, patches: Sequence[_Patch]) -> None:
    fates: dict[str, list[_Patch]] = {}
    for patch in patches:
        fates.setdefault(patch.fate, []).append(patch)
    for patch in (item for fate in SUBMITTED for item in fates.get(fate, ())):
        _submit(lab, patch)
    for patch in (*fates.get("accepted", ()), *fates.get("waiting", ())):
        review.accept(Lab(lab.workspace, lab.ada), patch.name)
    sent_back = (*fates.get("resubmitted", ()), *fates.get("rejected", ()))
    for number, patch in enumerate(sent_back):
        review.reject(Lab(lab.workspace, lab.ada), patch.name, REASONS[number % len(REASONS)])
    for patch in fates.get("resubmitted", ()):
        _resubmit(lab, patch)
    for patch in fates.get("unchanged", ()):
        review.submit(Lab(lab.workspace, lab.ben), patch.name, nothing_to_change=True)
        review.accept(Lab(lab.workspace, lab.chloe), patch.name)
    _correct(lab, fates.get("stale", ()), kinds=("Remove", "Ignore"))
    _correct(lab, fates.get("waiting", ()), kinds=("Remove", "Ignore"))
    for patch in fates.get("withdrawn", ()):
        review.withdraw(Lab(lab.workspace, lab.ada), patch.name, "an ice crystal lies in it")
    for patch in fates.get("in review", ())[::2]:
        review.comment(
            Lab(lab.workspace, lab.ben),
            patch.name,
            "is this a membrane, or the edge of the ice?",
            Zyx(80, 75, 92),
        )


def _submit(lab: _Lab, patch: _Patch) -> None:
    by = lab.chloe if patch.number % 4 == 3 else lab.ben
    review.submit(Lab(lab.workspace, by), patch.name)


def _resubmit(lab: _Lab, patch: _Patch) -> None:
    """A rejection answered: the rest is painted, merged, and accepted."""
    asked = review.comment(Lab(lab.workspace, lab.chloe), patch.name, "see the left edge, too")
    _correct(lab, [patch], kinds=("Remove", "Ignore"))
    _merge(lab, [patch])
    review.resolve_comment(Lab(lab.workspace, lab.ben), patch.name, asked.id)
    _submit(lab, patch)
    review.accept(Lab(lab.workspace, lab.ada), patch.name, merge_number=2)


def _permit(lab: _Lab, specimens: Sequence[Specimen]) -> None:
    """Some owners said how far their tomograms may go; one tomogram is for testing alone."""
    said = {
        "TS_001": (Scope.PUBLIC, Licence.CC_BY),
        "TS_002": (Scope.COLLABORATOR, Licence.CC0),
        "TS_003": (Scope.PUBLIC, Licence.CC_BY),
        "TS_005": (Scope.INTERNAL, None),
    }
    for specimen in specimens:
        name = f"{specimen.dataset}/{specimen.token}"
        if specimen.token in said:
            scope, licence = said[specimen.token]
            permit(
                Lab(lab.workspace, lab.ada),
                name,
                scope=scope,
                licence=licence,
                owner="Ada",
                approved_by="Ada",
            )
        if specimen.token == FOR_TESTING:
            pin(Lab(lab.workspace, lab.ada), name, Split.TEST)


def _find_demo(folder: Path) -> DemoWorkspace:
    try:
        example = str(json.loads((folder / MARK).read_text())["example"])
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise WorkspaceError(f"{folder / MARK}: cannot be read; remove the demo.") from error
    with open_workspace(folder) as workspace:
        return _state(workspace, example, found=True)


def _state(workspace: Workspace, example: str, found: bool) -> DemoWorkspace:
    with workspace.catalog.read() as session:
        now = progress(session)
        number = len(list_people(session))
    return DemoWorkspace(
        name=workspace.folder.name,
        folder=workspace.folder,
        found=found,
        tomograms=now.tomograms,
        people=number,
        patches=now.patches,
        example=example,
    )


def _one(patches: Iterable[_Patch], fate: str) -> _Patch:
    return next(patch for patch in patches if patch.fate == fate)


def _all_done(outcomes: Iterable[Outcome]) -> None:
    """The demo's own steps must not fail."""
    for outcome in outcomes:
        if outcome.outcome == FAILED:
            raise WorkspaceError(f"the demo could not be made: {outcome.message}")
