"""Weights of the channels, and learning them from a lab's corrections.

The score of a box is the weighted sum of its channels: voxels that are expected to be added or
removed. From ten corrected patches on, the weights are refitted; how well they predict is told by
predicting each tomogram's patches from all others'.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from core.proposals.channels import Channel

Values = NDArray[np.float64]

DEFAULT_WEIGHTS: Mapping[Channel, float] = {
    Channel.MISSED: 1.0,
    Channel.UNSUPPORTED: 0.5,
    Channel.SMALL: 0.5,
    Channel.OPEN_EDGE: 0.25,
    Channel.THICK: 0.0,
    Channel.DISAGREEMENT: 0.5,
    Channel.DOUBT: 0.3,
    Channel.UNSTABLE: 0.3,
}
LEAST_PATCHES = 10
LEAST_OF_DATASET = 20
SHRINKAGE = 10.0
"""Patches that the defaults count as."""
LEAST_CORRELATION = 0.2
LEAST_TOMOGRAMS = 3
"""Fewest tomograms for leave-one-tomogram-out validation."""


@dataclass(frozen=True)
class Corrected:
    """A proposal that was accepted and corrected."""

    tomogram: str
    dataset: str
    evidence: Mapping[Channel, float]
    corrected: int
    """Voxels added and removed."""


@dataclass(frozen=True)
class Learned:
    """Weights, and how well such weights predict corrections they have not seen."""

    weights: Mapping[Channel, float]
    patches: int
    """Patches that they were fitted to; 0 where the defaults stand."""
    correlation: float | None = None
    """Spearman's, each tomogram predicted from the others; None where that cannot be told."""

    @property
    def predicts(self) -> bool:
        """Return whether the ranking may be used (it was not shown to be useless)."""
        return self.correlation is None or self.correlation >= LEAST_CORRELATION


def expected(parts: Mapping[Channel, Values], weights: Mapping[Channel, float]) -> Values:
    """The weighted sum of channels: voxels likely to need correction in each box."""
    weighted = [weights.get(channel, 0.0) * values for channel, values in parts.items()]
    return np.asarray(np.sum(weighted, axis=0), np.float64)


def learn(patches: Sequence[Corrected], dataset: str | None = None) -> Learned:
    """Refit the weights to corrected patches: a data set's own from twenty, else all.

    Below ten patches the defaults stand.
    """
    own = [patch for patch in patches if patch.dataset == dataset]
    used = own if len(own) >= LEAST_OF_DATASET else list(patches)
    if len(used) < LEAST_PATCHES:
        return Learned(DEFAULT_WEIGHTS, 0)
    return Learned(fit(used), len(used), _left_out_correlation(used))


def fit(patches: Sequence[Corrected]) -> Mapping[Channel, float]:
    """Solve for weights ≥ 0: least squares, shrunk to the defaults by so many patches' worth."""
    from scipy.optimize import nnls

    channels = list(Channel)
    table = _table(patches)
    known = np.array([DEFAULT_WEIGHTS[channel] for channel in channels])
    # A channel that is the same everywhere teaches nothing: it keeps its default.
    pull = np.sqrt(SHRINKAGE) * np.maximum(table.std(axis=0), 1.0)
    corrected = np.array([patch.corrected for patch in patches], float)
    rows = np.vstack([table, np.diag(pull)])
    solved, _ = nnls(rows, np.concatenate([corrected, pull * known]))
    return dict(zip(channels, solved.tolist(), strict=True))


def rank_correlation(a: Values, b: Values) -> float | None:
    """Spearman's correlation, ties sharing their rank; None where one side is constant."""
    first, second = _ranks(a), _ranks(b)
    if len(a) < 2 or first.std() == 0 or second.std() == 0:
        return None
    return float(np.corrcoef(first, second)[0, 1])


def _left_out_correlation(patches: Sequence[Corrected]) -> float | None:
    tomograms = sorted({patch.tomogram for patch in patches})
    if len(tomograms) < LEAST_TOMOGRAMS:
        return None
    predicted, found = [], []
    for tomogram in tomograms:
        weights = fit([patch for patch in patches if patch.tomogram != tomogram])
        for patch in patches:
            if patch.tomogram == tomogram:
                predicted.append(sum(weights[c] * v for c, v in patch.evidence.items()))
                found.append(patch.corrected)
    return rank_correlation(np.array(predicted, float), np.array(found, float))


def _table(patches: Sequence[Corrected]) -> Values:
    return np.array(
        [[float(patch.evidence.get(channel, 0)) for channel in Channel] for patch in patches]
    )


def _ranks(values: Values) -> Values:
    _, inverse, counts = np.unique(values, return_inverse=True, return_counts=True)
    last = np.cumsum(counts)
    return np.asarray((last - (counts - 1) / 2)[inverse], np.float64)
