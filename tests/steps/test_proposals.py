"""Propose, accept, dismiss, learn: on a real lab, from the library and the command line."""

import json
import os
import shutil
from pathlib import Path
from typing import Any, NoReturn

import numpy as np
import pytest

from core.cli.main import main
from core.demo.synthetic import make_tomogram, write_mrc, write_tomogram
from core.imaging.geometry import Zyx
from core.jobs.engines import Inline
from core.jobs.queue import submit
from core.jobs.worker import run_worker
from core.lab.lab import Lab
from core.proposals.channels import Channel
from core.proposals.decide import accept, dismiss
from core.proposals.learned import corrected_patches, corrected_proposals, learned_weights
from core.proposals.propose import Wish, propose
from core.proposals.scan import scan
from core.tomograms.register import plan_registration, register
from core.workspace.results import DONE, FAILED, KEPT
from core.workspace.workspace import Workspace
from db.errors import NotAllowedError
from db.queries.jobs import job_by_id
from db.queries.patches import PatchFilter, get_patch, list_patches
from db.queries.proposals import ProposalFilter, ProposalRecord, list_proposals
from db.queries.volumes import get_tomogram, segmentations_of
from db.vocabulary import ChosenBecause, Dismissal, JobKind, JobState, ProposalState, Stage
from db.writes.corrections import MadeMerge, add_merge
from db.writes.events import Change
from db.writes.patches import adopt_patch, change_patch, lock_patch
from db.writes.proposals import MadeProposal, accept_proposal, add_proposals

SHAPE = Zyx(170, 336, 336)
EVERY = ProposalFilter(state=None)


@pytest.fixture(scope="session")
def volumes(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two tomograms with errors, made once."""
    folder = tmp_path_factory.mktemp("volumes")
    for seed in (1, 2):
        write_tomogram(folder, f"TS_{seed}", make_tomogram(SHAPE, seed))
    return folder


@pytest.fixture
def lab_folder(volumes: Path, tmp_path: Path) -> Path:
    return shutil.copytree(volumes, tmp_path / "volumes", copy_function=os.link)


@pytest.fixture
def looked(workspace: Workspace, team: Any, lab_folder: Path) -> Workspace:
    """A workspace whose two tomograms are registered."""
    plan = plan_registration(workspace, [str(lab_folder)])
    register(Lab(workspace, team.admin), plan, add_roots=True)
    return workspace


def proposals(workspace: Workspace, wanted: ProposalFilter = EVERY) -> tuple[ProposalRecord, ...]:
    with workspace.catalog.read() as session:
        return list_proposals(session, wanted).rows


def test_two_places_a_tomogram_are_proposed_with_their_reasons(
    looked: Workspace, team: Any
) -> None:
    done = propose(Lab(looked, team.annika))
    assert [outcome.outcome for outcome in done] == [DONE, DONE]
    made = proposals(looked)
    assert [p.tomogram for p in sorted(made, key=lambda p: p.id)] == [
        "other/TS_1",
        "other/TS_1",
        "other/TS_2",
        "other/TS_2",
    ]
    assert all("voxels to correct: " in p.reason for p in made)
    assert [p.score for p in made] == sorted((p.score for p in made), reverse=True)
    assert all(p.pins and p.rule == "look 1" and p.round == 1 for p in made)


def test_proposing_again_keeps_what_waits_and_reads_nothing_again(
    looked: Workspace, team: Any
) -> None:
    propose(Lab(looked, team.annika))

    def look(inputs: Any) -> NoReturn:
        raise AssertionError("read again")

    again = propose(Lab(looked, team.annika), look=look)
    assert [outcome.outcome for outcome in again] == [KEPT, KEPT]
    more = propose(Lab(looked, team.annika), ["TS_1"], Wish(per_tomogram=3), look=look)
    assert [outcome.outcome for outcome in more] == [DONE]
    assert len(proposals(looked)) == 5


def test_the_same_seed_proposes_the_same_places(
    looked: Workspace, team: Any, tmp_path: Path
) -> None:
    propose(Lab(looked, team.annika), ["TS_1"], Wish(seed=5))
    first = [(p.center, p.score, p.parts, p.reason) for p in proposals(looked)]
    for proposal in proposals(looked):
        dismiss(Lab(looked, team.annika), [proposal.id], Dismissal.OTHER)
    propose(Lab(looked, team.annika), ["TS_1"], Wish(seed=5, per_tomogram=2))
    later = proposals(looked, ProposalFilter())
    assert not {p.center for p in later} & {center for center, *_ in first}
    assert all(p.round == 2 for p in later)


def test_a_budget_takes_the_best_of_all_tomograms(looked: Workspace, team: Any) -> None:
    propose(Lab(looked, team.annika), None, Wish(per_tomogram=3, budget=2))
    best = {p.score for p in proposals(looked)}
    assert len(best) == 2
    propose(Lab(looked, team.annika), None, Wish(per_tomogram=3))
    assert max(p.score for p in proposals(looked)) in best


def test_accepting_makes_chosen_patches_that_hold_the_record(looked: Workspace, team: Any) -> None:
    propose(Lab(looked, team.annika))
    waiting = [p for p in proposals(looked) if not p.audit][:3]
    done = accept(Lab(looked, team.annika), [p.id for p in waiting])
    assert [outcome.outcome for outcome in done] == [DONE] * 3
    for proposal, outcome in zip(waiting, done, strict=True):
        with looked.catalog.read() as session:
            patch = get_patch(session, outcome.name)
        assert (patch.center, patch.stage) == (proposal.center, Stage.CHOSEN)
        assert patch.segmentation_id == proposal.segmentation_id
        assert patch.note == f"proposal {proposal.id}, look 1: {proposal.reason}"
        assert patch.chosen_because is ChosenBecause.MISSED_MEMBRANE
    again = accept(Lab(looked, team.annika), [waiting[0].id])
    assert (again[0].outcome, again[0].name) == (KEPT, done[0].name)
    assert proposals(looked, ProposalFilter(ProposalState.ACCEPTED))[0].decided_by == "annika"


def test_a_dismissed_place_is_not_proposed_again(looked: Workspace, team: Any) -> None:
    propose(Lab(looked, team.annika), ["TS_1"])
    first = proposals(looked)
    done = dismiss(
        Lab(looked, team.annika), [p.id for p in first], Dismissal.CANNOT_TELL, "too thick"
    )
    assert [outcome.outcome for outcome in done] == [DONE, DONE]
    assert {p.note for p in proposals(looked)} == {"too thick"}
    assert dismiss(Lab(looked, team.annika), [first[0].id], Dismissal.OTHER)[0].outcome == KEPT
    refused = accept(Lab(looked, team.annika), [first[0].id])[0]
    assert (refused.outcome, refused.message) == (FAILED, "was dismissed (cannot_tell).")


def test_a_patch_cannot_be_dismissed_and_an_unknown_number_is_told(
    looked: Workspace, team: Any
) -> None:
    propose(Lab(looked, team.annika), ["TS_1"])
    number = proposals(looked)[0].id
    accept(Lab(looked, team.annika), [number])
    told = dismiss(Lab(looked, team.annika), [number, 999], Dismissal.OTHER)
    assert "is a patch already; withdraw the patch" in (told[0].message or "")
    assert "there is no proposal 999" in (told[1].message or "")


def test_nobody_proposes_who_may_only_look(looked: Workspace, team: Any) -> None:
    with pytest.raises(NotAllowedError, match="choose a center"):
        propose(Lab(looked, team.vera))
    propose(Lab(looked, team.annika), ["TS_1"])
    with pytest.raises(NotAllowedError, match="choose a center"):
        accept(Lab(looked, team.vera), [proposals(looked)[0].id])


def test_one_bad_tomogram_stops_no_other(looked: Workspace, team: Any, lab_folder: Path) -> None:
    file = next(lab_folder.glob("TS_1_*segmented.mrc"))
    file.unlink()
    done = {outcome.name: outcome for outcome in propose(Lab(looked, team.annika))}
    assert done["other/TS_1"].outcome == FAILED
    assert file.name in (done["other/TS_1"].message or "")
    assert done["other/TS_2"].outcome == DONE


def test_a_tomogram_without_segmentation_is_told_when_it_is_named(
    workspace: Any, team: Any, tmp_path: Path
) -> None:
    folder = tmp_path / "alone"
    folder.mkdir()
    write_mrc(folder / "TS_9.mrc", np.zeros((170, 180, 180), np.int8), 10.0)
    plan = plan_registration(workspace, [str(folder)])
    register(Lab(workspace, team.admin), plan, add_roots=True)
    (told,) = propose(Lab(workspace, team.annika), ["TS_9"])
    assert "has no segmentation to correct" in (told.message or "")
    assert propose(Lab(workspace, team.annika)) == ()


def test_a_killed_look_leaves_nothing_and_the_next_goes_on(looked: Workspace, team: Any) -> None:
    seen = []

    def killed(inputs: Any) -> Any:
        seen.append(inputs.tomogram.name)
        if len(seen) == 2:
            raise KeyboardInterrupt
        return scan(inputs)

    with pytest.raises(KeyboardInterrupt):
        propose(Lab(looked, team.annika), look=killed)
    assert {p.tomogram for p in proposals(looked)} == {f"other/{Path(seen[0]).stem}"}
    done = propose(Lab(looked, team.annika))
    assert sorted(outcome.outcome for outcome in done) == [DONE, KEPT]
    assert len(proposals(looked)) == 4


def test_a_worker_proposes(looked: Workspace, team: Any) -> None:
    job = submit(
        Lab(looked, team.annika), JobKind.PROPOSE, {"names": ["TS_1"], "wish": {"seed": 3}}
    )
    run_worker(looked, once=True, executor=Inline())
    with looked.catalog.read() as session:
        assert job_by_id(session, job).state is JobState.DONE
    assert {p.seed for p in proposals(looked)} == {3}


def test_accepted_labels_and_dismissals_teach_the_ranking(looked: Workspace, team: Any) -> None:
    propose(Lab(looked, team.annika))
    made = proposals(looked)
    dismiss(Lab(looked, team.annika), [made[3].id], Dismissal.NOTHING_WRONG)
    for outcome in accept(Lab(looked, team.annika), [p.id for p in made[:3]]):
        accept_label(looked, team, outcome.name, {"added": 700, "removed": 50})
    with looked.catalog.read() as session:
        told = corrected_proposals(session)
        assert [(p.score, p.corrected) for p in told] == [(p.score, 750) for p in made[:3]]
        assert sorted(row.corrected for row in corrected_patches(session)) == [0, 750, 750, 750]
        assert learned_weights(session).patches == 0


def accept_label(workspace: Workspace, team: Any, name: str, counts: dict[str, int]) -> None:
    """A label of a patch that review accepted, by the catalog's own verbs."""
    hashes = {"image_hash": "a" * 64, "label_hash": "b" * 64}
    with workspace.catalog.write() as session:
        change = Change.now(team.rita.id)
        patch = change_patch(
            session, change, lock_patch(session, name), "x", stage=Stage.EXTRACTED, **hashes
        )
        made = MadeMerge("b" * 64, (), "rule", counts, {}, (), False, "d" * 64, "e" * 64, 100)
        merge = add_merge(session, change, patch, made).id
        patch = lock_patch(session, name)
        marks = {"current_merge_id": merge, "accepted_merge_id": merge, "stage": Stage.ACCEPTED}
        change_patch(session, change, patch, "accepted", **marks)


def test_the_command_line_proposes_lists_accepts_and_dismisses(
    looked: Workspace, team: Any, capsys: pytest.CaptureFixture[str]
) -> None:
    at = ["--workspace", str(looked.folder)]

    def said(*words: str) -> list[dict[str, Any]]:
        capsys.readouterr()
        assert main([*words, *at, "--json"]) == 0
        lines: list[dict[str, Any]] = json.loads(capsys.readouterr().out)
        return lines

    assert {line["outcome"] for line in said("propose", "--all", "--seed", "2")} == {"done"}
    listed = said("proposals")
    assert set(listed[0]) >= {"id", "tomogram", "center", "score", "parts", "reason", "audit"}
    x, y, z = listed[0]["center"]
    assert (z, y, x) == proposals(looked, ProposalFilter())[0].center
    accepted = said("propose", "accept", str(listed[0]["id"]), str(listed[1]["id"]))
    assert [line["outcome"] for line in accepted] == ["done", "done"]
    number = str(listed[2]["id"])
    assert said("propose", "dismiss", number, "--reason", "nothing_wrong")[0]["outcome"] == "done"
    assert len(said("proposals")) == 1
    assert len(said("proposals", "--state", "accepted")) == 2
    with looked.catalog.read() as session:
        assert list_patches(session, PatchFilter()).total == 2
    assert main(["propose", *at]) == 2


def corrected_lab(workspace: Workspace, team: Any, registered: Any, factor: float) -> None:
    """Twelve accepted proposals of three tomograms, corrected by a factor of what was missed."""
    evidence = [100 * number + 50 for number in range(12)]
    for number, missed in enumerate(evidence):
        token = f"TS_{number % 3}"
        if number < 3:
            registered(token)
        with workspace.catalog.write() as session:
            change = Change.now(team.annika.id)
            tomogram = get_tomogram(session, token)
            segmentation = segmentations_of(session, tomogram.id)[0].id
            one = MadeProposal(
                (88, 90, 90 + number), missed, {}, {"missed": missed}, (), "why", False, "x", 0, 1
            )
            add_proposals(session, change, (tomogram.id, tomogram.name), segmentation, [one])
            values = {"token": token, "shape_z": 160, "shape_y": 160, "shape_x": 160}
            values |= {"stage": Stage.CHOSEN, "chosen_because": ChosenBecause.OTHER}
            patch = adopt_patch(session, change, "other", f"other_{token}_patch{number}", values)
            accept_proposal(session, change, number + 1, (patch.id, patch.name))
        voxels = round(2000 + factor * missed)
        accept_label(workspace, team, patch.name, {"added": voxels, "removed": 0})


def test_after_ten_corrected_patches_the_ranking_is_the_labs_own(
    workspace: Any, team: Any, registered: Any, capsys: pytest.CaptureFixture[str]
) -> None:
    corrected_lab(workspace, team, registered, factor=3)
    assert main(["proposals", "--workspace", str(workspace.folder)]) == 0
    said = capsys.readouterr().out
    assert "The weights are fitted to 12 corrected patches; rank correlation 1.00" in said
    with workspace.catalog.read() as session:
        assert learned_weights(session, "other").weights[Channel.MISSED] > 2


def test_a_ranking_that_predicts_nothing_says_so_and_draws_at_random(
    workspace: Any, team: Any, registered: Any, capsys: pytest.CaptureFixture[str]
) -> None:
    corrected_lab(workspace, team, registered, factor=-1)
    at = ["--workspace", str(workspace.folder)]
    assert main(["proposals", *at]) == 0
    assert "does not predict your corrections: places are drawn at random" in " ".join(
        capsys.readouterr().out.split()
    )
    done = propose(Lab(workspace, team.annika), ["TS_0"], Wish(per_tomogram=2))
    assert [outcome.outcome for outcome in done] == [DONE]
    reasons = {p.reason for p in proposals(workspace, ProposalFilter())}
    assert reasons == {"drawn at random: the ranking does not predict your corrections"}


def test_every_sixth_proposal_is_an_audit_and_says_so(
    looked: Workspace, team: Any, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["propose", "--all", "--per-tomogram", "3", "--workspace", str(looked.folder)]) == 0
    made = proposals(looked)
    assert [p.audit for p in sorted(made, key=lambda p: p.id)] == [False] * 5 + [True]
    assert made[-1].reason == "drawn at random, to judge models; not ranked"
    assert "1 drawn at random to judge models" in capsys.readouterr().out
    (chosen,) = accept(Lab(looked, team.annika), [made[-1].id])
    with looked.catalog.read() as session:
        note = get_patch(session, chosen.name).note
    assert note is not None
    assert note.startswith(f"proposal {made[-1].id} (audit), look 1: ")


def test_a_tomogram_thinner_than_a_patch_is_told(workspace: Any, team: Any, tmp_path: Path) -> None:
    folder = tmp_path / "thin"
    folder.mkdir()
    write_tomogram(folder, "TS_8", make_tomogram(Zyx(100, 180, 180), 1))
    plan = plan_registration(workspace, [str(folder)])
    register(Lab(workspace, team.admin), plan, add_roots=True)
    (told,) = propose(Lab(workspace, team.annika), ["TS_8"])
    assert "is thinner than a patch of 160 voxels" in (told.message or "")
