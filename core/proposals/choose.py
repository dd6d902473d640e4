"""Choose boxes to propose: where most is expected, of several kinds, and some at random.

Choosing by score biases any evaluation on the chosen patches (Farquhar et al., ICLR 2021), so one
proposal in six is drawn uniformly; only those may judge a model. The noise follows Gumbel's trick
(ClaSP PE, TMLR 2026), but less of it, since a prediction is there to look for errors in.
"""

import zlib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from core.imaging.geometry import BORDER, PATCH_SIDE, Box, Zyx, box_around
from core.proposals.boxes import Boxes, Values, legal_boxes, shared_fraction
from core.proposals.channels import Channel
from core.proposals.explain import explain, explain_audit, explain_random
from core.proposals.scan import Cells, Piece
from core.proposals.score import DEFAULT_WEIGHTS, expected

RULE = "look 1"
"""Name and version of this rule; it stands in the record of every proposal."""
MOST_SHARED = 0.25
AUDIT_EVERY = 6
LEAST_EXPECTED = 2000.0
"""Voxels in a core of 2 million, below which nothing stands out."""
LEAST_SHARE = 0.07
"""Of the predicted voxels of a core: a good prediction's evidence is not perfect either."""
SURE = (
    Channel.MISSED, Channel.UNSUPPORTED, Channel.SMALL, Channel.DISAGREEMENT, Channel.DOUBT,
    Channel.UNSTABLE,
)  # fmt: skip
"""Channels that are near zero where the prediction is right."""
FIRST_SHARPNESS, LAST_SHARPNESS, LAST_ROUND = 40.0, 100.0, 5
KIND_TOLERANCE = 0.9
"""A box with this share of the best score is taken if its kind of error is rarer so far."""
WORTH_AN_AUDIT = 0.005
"""Share of a core that must be predicted or missed, so that an audit patch shows membrane."""
PINS = 3
_CORE_VOXELS = float((PATCH_SIDE - 2 * BORDER) ** 3)


@dataclass(frozen=True)
class Settings:
    """Settings for choosing the boxes of one tomogram."""

    count: int = 2
    seed: int = 0
    name: str = ""
    """Of the tomogram; with the seed it decides what is random."""
    weights: Mapping[Channel, float] = field(default_factory=lambda: DEFAULT_WEIGHTS)
    taken: tuple[Zyx, ...] = ()
    """Centers that are chosen or proposed already."""
    numbered_from: int = 0
    """Proposals made before, over all tomograms: every sixth is an audit."""
    round: int = 1
    at_random: bool = False
    """The ranking does not predict this lab's corrections."""


@dataclass(frozen=True)
class Proposal:
    """A place to look at."""

    center: Zyx
    score: float
    """Voxels that are likely to need correction; 0 for one drawn at random."""
    parts: Mapping[Channel, int]
    """Weighted voxels of each channel."""
    evidence: Mapping[Channel, int]
    """Unweighted voxels of each channel: what learning uses."""
    reason: str
    audit: bool
    pins: tuple[Piece, ...] = ()
    rule: str = RULE


def choose_boxes(cells: Cells, settings: Settings) -> tuple[Proposal, ...]:
    """Choose up to ``settings.count`` boxes; the same cells and settings give the same ones.

    Where nothing stands out, one audit patch is proposed.
    """
    boxes = legal_boxes(cells)
    if not len(boxes) or settings.count < 1:
        return ()
    rng = np.random.default_rng((settings.seed, zlib.crc32(settings.name.encode())))
    return tuple(_Choice(cells, boxes, settings, rng).proposals())


def draws_at_random(cells: Cells) -> bool:
    """Tell whether neither the image nor another file can rank the places."""
    others = {Channel.DISAGREEMENT, Channel.DOUBT, Channel.UNSTABLE} & set(cells.channels)
    return not cells.has_image_evidence and not others


def stands_out(parts: Mapping[Channel, Values], predicted: Values) -> NDArray[np.bool_]:
    """Tell in which boxes more is expected than a good prediction's evidence amounts to."""
    sure = expected({c: parts[c] for c in SURE if c in parts}, DEFAULT_WEIGHTS)
    return np.asarray(sure >= np.maximum(LEAST_EXPECTED, LEAST_SHARE * predicted))


class _Choice:
    """The choice in one tomogram: which boxes are free, what was taken."""

    def __init__(
        self, cells: Cells, boxes: Boxes, settings: Settings, rng: np.random.Generator
    ) -> None:
        self._cells, self._boxes, self._settings, self._rng = cells, boxes, settings, rng
        self._scores = expected(boxes.parts, settings.weights)
        self._free = np.ones(len(boxes), bool)
        for center in settings.taken:
            self._block([c - PATCH_SIDE // 2 for c in center])
        self._kinds: dict[Channel, int] = {}

    def proposals(self) -> Iterator[Proposal]:
        random = self._settings.at_random or draws_at_random(self._cells)
        ranked = np.zeros(len(self._boxes), bool)
        if not random:
            ranked = stands_out(self._boxes.parts, self._boxes.predicted)
        nothing = not random and not (ranked & self._free).any()
        for number in range(1 if nothing else self._settings.count):
            made = self._settings.numbered_from + number
            audit = nothing or made % AUDIT_EVERY == AUDIT_EVERY - 1
            chosen = self._draw() if audit or random else self._best(ranked)
            if chosen is None:
                return
            self._block(self._boxes.starts[chosen].tolist())
            yield self._proposal(chosen, audit, random, nothing)

    def _best(self, ranked: NDArray[np.bool_]) -> int | None:
        """The best box that is left, or nearly the best one of a rarer kind."""
        sharpness = self._sharpness()
        noise = self._rng.gumbel(size=len(self._boxes)) / sharpness
        scores = np.where(self._free & ranked, self._scores * np.exp(noise), -1)
        best = float(scores.max())
        if best < 0:
            return None
        near = np.flatnonzero(scores >= KIND_TOLERANCE * best)
        order = near[np.argsort(-scores[near], kind="stable")].tolist()
        chosen: int = min(order, key=lambda number: self._kinds.get(self._kind(number), 0))
        kind = self._kind(chosen)
        self._kinds[kind] = self._kinds.get(kind, 0) + 1
        return chosen

    def _draw(self) -> int | None:
        """Any free box with some membrane; any free box where none has."""
        shown = self._boxes.predicted + self._boxes.parts.get(Channel.MISSED, 0)
        worth = self._free & (shown >= WORTH_AN_AUDIT * _CORE_VOXELS)
        among = np.flatnonzero(worth if worth.any() else self._free)
        return int(self._rng.choice(among)) if among.size else None

    def _sharpness(self) -> float:
        share = min(self._settings.round - 1, LAST_ROUND - 1) / (LAST_ROUND - 1)
        return float(FIRST_SHARPNESS * (LAST_SHARPNESS / FIRST_SHARPNESS) ** share)

    def _kind(self, number: int) -> Channel:
        """The channel that expects most in a box."""
        weights = self._settings.weights
        return max(
            self._boxes.parts,
            key=lambda channel: weights.get(channel, 0.0) * self._boxes.parts[channel][number],
        )

    def _block(self, start: list[int]) -> None:
        self._free &= shared_fraction(self._boxes.starts, start) <= MOST_SHARED

    def _proposal(self, number: int, audit: bool, random: bool, nothing: bool) -> Proposal:
        evidence = {c: round(float(v[number])) for c, v in self._boxes.parts.items()}
        weights = self._settings.weights
        parts = {c: round(weights.get(c, 0.0) * v) for c, v in evidence.items()}
        parts = {channel: voxels for channel, voxels in parts.items() if voxels}
        reason = explain(parts)
        if audit:
            reason = explain_audit(nothing)
        elif random:
            reason = explain_random(self._settings.at_random)
        center = self._boxes.center(number)
        return Proposal(
            center=center, score=round(float(self._scores[number]), 1), parts=parts,
            evidence=evidence, reason=reason, audit=audit, pins=self._pins(center),
        )  # fmt: skip

    def _pins(self, center: Zyx) -> tuple[Piece, ...]:
        """The largest pieces in the core that the score counts."""
        core = box_around(center, PATCH_SIDE - 2 * BORDER)
        weights = self._settings.weights
        inside = (
            piece
            for piece in self._cells.pieces
            if weights.get(piece.channel, 0) > 0 and _holds(core, piece.center)
        )
        return tuple(piece for piece, _ in zip(inside, range(PINS), strict=False))


def _holds(box: Box, at: Zyx) -> bool:
    return all(a <= v < b for a, v, b in zip(box.start, at, box.stop, strict=True))
