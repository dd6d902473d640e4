"""Choice of boxes, and weights learned from corrections."""

from dataclasses import replace

import numpy as np
import pytest

from core.imaging.geometry import PATCH_SIDE, Zyx
from core.proposals.channels import Channel
from core.proposals.choose import Proposal, Settings, choose_boxes
from core.proposals.explain import explain
from core.proposals.scan import Cells, Piece
from core.proposals.score import (
    DEFAULT_WEIGHTS,
    Corrected,
    fit,
    learn,
    rank_correlation,
)

SHAPE = Zyx(320, 640, 640)


def _cells(seed: int = 0, **channels: float) -> Cells:
    """Suspicion that is large in a corner, and a little of it elsewhere."""
    rng = np.random.default_rng(seed)
    shape = (20, 40, 40)
    held = {}
    for name, scale in channels.items():
        values = rng.gamma(0.3, scale, shape).astype(np.float32)
        values[:10, :10, :10] += 4 * scale
        held[Channel(name)] = values
    pieces = (Piece(Channel.MISSED, Zyx(80, 80, 80), 900),)
    return Cells(SHAPE, 16, held, np.full(shape, 40, np.float32), pieces, 0.95)


def _overlap(a: Proposal, b: Proposal) -> float:
    gaps = [max(0, PATCH_SIDE - abs(p - q)) for p, q in zip(a.center, b.center, strict=True)]
    return float(np.prod(gaps)) / PATCH_SIDE**3


def test_the_same_seed_gives_the_same_proposals_and_another_seed_others() -> None:
    cells = _cells(missed=40.0)
    assert choose_boxes(cells, Settings(4, 1, "A")) == choose_boxes(cells, Settings(4, 1, "A"))
    assert choose_boxes(cells, Settings(4, 1, "A")) != choose_boxes(cells, Settings(4, 2, "A"))


def test_the_best_place_is_proposed_with_its_largest_piece_as_pin() -> None:
    first = choose_boxes(_cells(missed=40.0), Settings(1))[0]
    assert max(first.center) <= 112
    assert first.pins[0].voxels == 900


def test_boxes_lie_in_the_tomogram_and_share_at_most_a_quarter() -> None:
    cells = _cells(missed=40.0)
    taken = Zyx(80, 80, 80)
    proposals = choose_boxes(cells, Settings(6, taken=(taken,)))
    for p in proposals:
        assert all(80 <= c <= n - 80 for c, n in zip(p.center, SHAPE, strict=True))
    others = [*proposals, replace(proposals[0], center=taken)]
    assert max(_overlap(a, b) for a in others for b in others if a is not b) <= 0.25


def test_one_proposal_in_six_is_an_audit() -> None:
    cells = _cells(missed=40.0)
    audits = [choose_boxes(cells, Settings(2, numbered_from=n))[1].audit for n in range(0, 12, 2)]
    assert audits == [False, False, True, False, False, True]


def test_rarer_kinds_of_error_get_their_turn() -> None:
    cells = _cells(missed=40.0, unsupported=82.0)
    proposals = choose_boxes(cells, Settings(4))
    kinds = {max(p.parts, key=lambda channel: p.parts[channel]) for p in proposals}
    assert kinds == {Channel.MISSED, Channel.UNSUPPORTED}


def test_without_evidence_boxes_are_drawn_at_random() -> None:
    blind = replace(_cells(missed=40.0), separation=0.5)
    assert "at random" in choose_boxes(blind, Settings(1))[0].reason


def test_a_ranking_that_does_not_predict_draws_at_random() -> None:
    proposal = choose_boxes(_cells(missed=40.0), Settings(1, at_random=True))[0]
    assert proposal.reason == "drawn at random: the ranking does not predict your corrections"


def test_a_reason_tells_the_largest_kinds_in_two_digits() -> None:
    said = explain({Channel.MISSED: 1139, Channel.UNSUPPORTED: 512, Channel.OPEN_EDGE: 80})
    assert said == (
        "about 1,700 voxels to correct: 1,100 of membrane that the image shows and the "
        "prediction lacks, 510 predicted without support in the image, 80 at open edges"
    )


def _lab(patches: int, noise: float, seed: int = 0) -> list[Corrected]:
    """A lab whose corrections are 3 × unsupported, whatever else is there."""
    rng = np.random.default_rng(seed)
    made = []
    for number in range(patches):
        evidence = {c: float(rng.gamma(2, 400)) for c in (Channel.MISSED, Channel.UNSUPPORTED)}
        corrected = 3 * evidence[Channel.UNSUPPORTED] + noise * rng.normal()
        made.append(Corrected(f"T{number % 5}", "A", evidence, max(0, round(corrected))))
    return made


def test_nothing_is_learned_from_nine_patches() -> None:
    learned = learn(_lab(9, 10))
    assert (learned.weights, learned.patches, learned.predicts) == (DEFAULT_WEIGHTS, 0, True)


def test_weights_move_from_the_defaults_to_what_the_lab_corrects() -> None:
    few, many = learn(_lab(12, 10)), learn(_lab(200, 10))
    assert 0.5 < few.weights[Channel.UNSUPPORTED] < many.weights[Channel.UNSUPPORTED]
    assert many.weights[Channel.UNSUPPORTED] == pytest.approx(3, abs=0.25)
    assert many.weights[Channel.MISSED] < 0.2
    assert many.correlation is not None
    assert many.correlation > 0.9


def test_weights_are_never_negative() -> None:
    rows = [Corrected("T", "A", {Channel.MISSED: float(v)}, 1000 - v) for v in range(0, 1000, 20)]
    assert min(fit(rows).values()) >= 0


def test_corrections_that_nothing_predicts_are_told() -> None:
    rng = np.random.default_rng(4)
    rows = [replace(row, corrected=int(rng.integers(0, 3000))) for row in _lab(60, 0)]
    learned = learn(rows)
    assert not learned.predicts


def test_a_data_set_learns_for_itself_from_twenty_patches() -> None:
    other = [
        replace(row, dataset="B", corrected=round(row.evidence[Channel.MISSED]))
        for row in _lab(40, 0, 1)
    ]
    rows = [*_lab(20, 0), *other]
    assert learn(rows, "A").weights[Channel.MISSED] < learn(rows, "B").weights[Channel.MISSED]
    assert learn([*rows[:19], *other], "A").patches == 59


def test_ranks_share_ties() -> None:
    assert rank_correlation(np.array([1.0, 1, 2, 3]), np.array([2.0, 2, 5, 9])) == pytest.approx(1)
    assert rank_correlation(np.array([1.0, 1, 1]), np.array([1.0, 2, 3])) is None
