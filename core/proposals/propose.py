"""Look through tomograms and propose places: a job, one transaction a tomogram.

What was looked through is kept, so that a job that was killed goes on where it was, and a new
round costs no reading.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy.orm import Session

from core.access.permissions import Action, require
from core.errors import SegmentationError, VolumeError
from core.imaging.geometry import PATCH_SIDE, Zyx
from core.lab.lab import Lab
from core.proposals.choose import AUDIT_EVERY, Proposal, Settings, choose_boxes
from core.proposals.learned import corrected_patches
from core.proposals.reading import Inputs
from core.proposals.scan import Cells, scan
from core.proposals.score import Corrected, Learned, learn
from core.proposals.store_cells import cells_key, find_cells, keep_cells, open_cells
from core.tomograms.discovery.pairing import evidence_files
from core.tomograms.pictures import segmentation_name, tomogram_name, want_previews
from core.tomograms.source_files import check_unchanged
from core.workspace.results import DONE, FAILED, KEPT, SKIPPED, Outcome, Progress, silent
from core.workspace.workspace import Workspace
from db.errors import TomocurateError
from db.queries.page import MAX_LIMIT
from db.queries.patches import patches_in
from db.queries.proposals import (
    ProposalFilter,
    count_proposed,
    decided_rounds,
    list_proposals,
)
from db.queries.volumes import (
    SegmentationRecord,
    TomogramLine,
    TomogramRecord,
    get_tomogram,
    list_roots,
    list_tomograms,
    segmentations_of,
)
from db.vocabulary import ProposalState
from db.writes.events import Change
from db.writes.proposals import MadeProposal, add_proposals

FIRST_ROUND, LATER_ROUNDS = 2, 5
"""Patches of one tomogram: other tomograms teach more."""

Scan = Callable[[Inputs], Cells]


@dataclass(frozen=True)
class Wish:
    """Request for proposals; None leaves a value to the round."""

    per_tomogram: int | None = None
    budget: int | None = None
    """Of all tomograms together, those with the highest expected gain."""
    seed: int = 0


@dataclass(frozen=True)
class _Place:
    """A tomogram, its newest segmentation, and what is chosen or proposed there."""

    tomogram: TomogramRecord
    segmentation: SegmentationRecord
    inputs: Inputs
    taken: tuple[Zyx, ...]
    waiting: int
    round: int


@dataclass(frozen=True)
class _Found:
    """Proposals of one scanned tomogram."""

    place: _Place
    proposals: tuple[Proposal, ...]
    findings: tuple[str, ...]


def propose(
    lab: Lab,
    names: Sequence[str] | None = None,
    wish: Wish = Wish(),
    *,
    look: Scan = scan,
    progress: Progress = silent,
) -> tuple[Outcome, ...]:
    """Propose places in tomograms; None are all that have a segmentation.

    One bad tomogram stops no other. ``look`` is what scans: a worker lets another process do it.

    Errors: NotAllowedError; UnknownNameError.
    """
    with lab.catalog.read() as session:
        require(session, lab.person, Action.CHOOSE)
        tomograms = _tomograms(session, names)
        corrected = corrected_patches(session)
        made = count_proposed(session)
    outcomes: list[Outcome] = []
    found: list[_Found] = []
    for tomogram in tomograms:
        outcome = _look(lab.workspace, tomogram, wish, corrected, made, look)
        if isinstance(outcome, _Found):
            made += len(outcome.proposals)
            if wish.budget is not None:
                found.append(outcome)
                progress(Outcome(tomogram.name, DONE, "looked through"))
                continue
            outcome = _write(lab, outcome, wish.seed)
        outcomes.append(outcome)
        progress(outcome)
    for best in _within_budget(found, wish.budget or 0):
        outcomes.append(_write(lab, best, wish.seed))
    return tuple(outcomes)


def _tomograms(session: Session, names: Sequence[str] | None) -> list[TomogramRecord]:
    """Those that were named; or all, those with the fewest patches first."""
    if names is not None:
        return [get_tomogram(session, name) for name in names]
    lines: list[TomogramLine] = []
    offset = 0
    while page := list_tomograms(session, offset=offset, limit=MAX_LIMIT).rows:
        lines += page
        offset += len(page)
    with_segmentation = [line for line in lines if line.segmentations]
    with_segmentation.sort(key=lambda line: (sum(line.patches.values()), line.tomogram.name))
    return [line.tomogram for line in with_segmentation]


def _look(
    workspace: Workspace,
    tomogram: TomogramRecord,
    wish: Wish,
    corrected: Sequence[Corrected],
    made: int,
    look: Scan,
) -> _Found | Outcome:
    try:
        with workspace.catalog.read() as session:
            place = _place(session, tomogram)
        due = FIRST_ROUND if place.round == 1 else LATER_ROUNDS
        count = (due if wish.per_tomogram is None else wish.per_tomogram) - place.waiting
        if count < 1:
            return Outcome(tomogram.name, KEPT, f"{place.waiting} proposals wait already")
        cells = _cells(workspace, place, look)
        learned = learn(corrected, tomogram.dataset)
        settings = _settings(place, wish, learned, made, count)
        return _Found(place, choose_boxes(cells, settings), cells.findings)
    except (TomocurateError, OSError) as error:
        return Outcome(tomogram.name, FAILED, str(error))


def _place(session: Session, tomogram: TomogramRecord) -> _Place:
    check_unchanged(tomogram.on_disk)
    every = segmentations_of(session, tomogram.id)
    if not every:
        raise SegmentationError(
            f"tomogram {tomogram.name}: has no segmentation to correct; register one with "
            "tomocurate register TOMOGRAM --segmentation FILE."
        )
    newest = every[0]
    check_unchanged(newest.on_disk)
    taken = [patch.center for patch in patches_in(session, tomogram.id) if not patch.withdrawn]
    wanted = ProposalFilter(state=None, tomogram_id=tomogram.id)
    proposals = list_proposals(session, wanted, limit=MAX_LIMIT).rows
    waiting = [
        proposal
        for proposal in proposals
        if proposal.state is ProposalState.WAITING and proposal.segmentation_id == newest.id
    ]
    taken += [
        proposal.center
        for proposal in proposals
        if proposal in waiting or proposal.state is ProposalState.DISMISSED
    ]
    return _Place(
        tomogram=tomogram,
        segmentation=newest,
        inputs=_inputs(session, tomogram, every),
        taken=tuple(Zyx(*center) for center in taken if center is not None),
        waiting=len(waiting),
        round=decided_rounds(session, tomogram.id) + 1,
    )


def inputs_of(session: Session, tomogram: TomogramRecord) -> Inputs | None:
    """The files of a tomogram that a look reads; None where it has no segmentation."""
    every = segmentations_of(session, tomogram.id)
    return _inputs(session, tomogram, every) if every else None


def _inputs(
    session: Session, tomogram: TomogramRecord, every: Sequence[SegmentationRecord]
) -> Inputs:
    """The newest segmentation with its evidence, and the newest of another model beside it."""
    newest = every[0]
    scores, uncertainty = evidence_files(tomogram.on_disk.file, newest.on_disk.file)
    other = next((s for s in every[1:] if s.on_disk.path != newest.on_disk.path), None)
    return Inputs(
        tomogram=tomogram.on_disk.file,
        segmentation=newest.on_disk.file,
        threshold=newest.threshold,
        membrane_label=newest.membrane_label,
        voxel_size=tomogram.voxel_size,
        scores=scores,
        uncertainty=uncertainty,
        second=other.on_disk.file if other else None,
        second_threshold=other.threshold if other else None,
        second_label=other.membrane_label if other else None,
        within=tuple(root for root in list_roots(session)),
    )


def _cells(workspace: Workspace, place: _Place, look: Scan) -> Cells:
    cache = open_cells(workspace.folders.cache)
    key = cells_key(place.inputs)
    kept = find_cells(cache, key)
    if kept is not None:
        return kept
    cells = look(place.inputs)
    if cells_key(place.inputs) != key:
        raise VolumeError(f"{place.tomogram.name}: its files changed while they were read.")
    keep_cells(cache, key, cells)
    return cells


def _settings(place: _Place, wish: Wish, learned: Learned, made: int, count: int) -> Settings:
    return Settings(
        count=count,
        seed=wish.seed,
        name=place.tomogram.name,
        weights=learned.weights,
        taken=place.taken,
        numbered_from=made,
        round=place.round,
        at_random=not learned.predicts,
    )


def _within_budget(found: Sequence[_Found], budget: int) -> list[_Found]:
    """The best proposals over all tomograms, a sixth of them audits."""
    every = [(number, p) for number, one in enumerate(found) for p in one.proposals]
    audits = [item for item in every if item[1].audit]
    ranked = sorted((e for e in every if not e[1].audit), key=lambda e: (-e[1].score, e[0]))
    taken = ranked[: max(0, budget - min(len(audits), budget // AUDIT_EVERY))]
    taken += audits[: budget - len(taken)]
    kept: dict[int, list[Proposal]] = {}
    for number, proposal in taken:
        kept.setdefault(number, []).append(proposal)
    return [
        _Found(one.place, tuple(kept[number]), one.findings) if number in kept else
        _Found(one.place, (), (*one.findings, "others are expected to gain more"))
        for number, one in enumerate(found)
    ]  # fmt: skip


def _write(lab: Lab, found: _Found, seed: int) -> Outcome:
    place, name = found.place, found.place.tomogram.name
    if not found.proposals:
        message = "no free place left; its patches and proposals cover it"
        if min(place.tomogram.on_disk.shape) < PATCH_SIDE:
            message = (
                f"is thinner than a patch of {PATCH_SIDE} voxels; choose by hand, with padding"
            )
        return Outcome(name, SKIPPED, message, found.findings)
    made = [_make(proposal, seed, place.round) for proposal in found.proposals]
    with lab.catalog.write() as session:
        person = require(session, lab.person, Action.CHOOSE)
        tomogram = place.tomogram.id, name
        add_proposals(session, Change.now(person.id), tomogram, place.segmentation.id, made)
    names = tomogram_name(place.tomogram.id), segmentation_name(place.segmentation.id)
    want_previews(lab.workspace, lab.person.id, names)
    message = _message(found.proposals)
    return Outcome(name, DONE, message, found.findings, {"proposals": len(made)})


def _message(proposals: Sequence[Proposal]) -> str:
    ranked = [proposal for proposal in proposals if not proposal.audit]
    if not ranked:
        return proposals[0].reason
    expected = round(sum(proposal.score for proposal in ranked))
    audits = len(proposals) - len(ranked)
    more = f", {audits} drawn at random to judge models" if audits else ""
    return f"{len(ranked)} places, about {expected:,} voxels to correct{more}"


def _make(proposal: Proposal, seed: int, number: int) -> MadeProposal:
    pins: list[dict[str, Any]] = [
        {"channel": pin.channel.value, "center": list(pin.center), "voxels": pin.voxels}
        for pin in proposal.pins
    ]
    z, y, x = proposal.center
    return MadeProposal(
        center=(z, y, x),
        score=proposal.score,
        parts={channel.value: voxels for channel, voxels in proposal.parts.items()},
        evidence={channel.value: voxels for channel, voxels in proposal.evidence.items()},
        pins=pins,
        reason=proposal.reason,
        audit=proposal.audit,
        rule=proposal.rule,
        seed=seed,
        round=number,
    )
