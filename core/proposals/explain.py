"""One sentence why a place is proposed, in a microscopist's words."""

from collections.abc import Mapping

from core.proposals.channels import Channel

WORDS = {
    Channel.MISSED: "of membrane that the image shows and the prediction lacks",
    Channel.UNSUPPORTED: "predicted without support in the image",
    Channel.SMALL: "in small pieces",
    Channel.OPEN_EDGE: "at open edges",
    Channel.THICK: "in unusually thick places",
    Channel.DISAGREEMENT: "where a second segmentation disagrees",
    Channel.DOUBT: "where the scores are undecided",
    Channel.UNSTABLE: "where the prediction changes when the volume is flipped",
}


NAMES = {
    Channel.MISSED: "Missed membrane",
    Channel.UNSUPPORTED: "Predicted without support",
    Channel.SMALL: "Small pieces",
    Channel.OPEN_EDGE: "Open edges",
    Channel.THICK: "Unusually thick",
    Channel.DISAGREEMENT: "Second segmentation disagrees",
    Channel.DOUBT: "Undecided scores",
    Channel.UNSTABLE: "Changes when flipped",
}
"""Short names, as the pages write them."""


def explain(parts: Mapping[Channel, int]) -> str:
    """Tell the expected voxels and the three kinds that contribute most."""
    total = sum(parts.values())
    largest = sorted(parts.items(), key=lambda part: -part[1])[:3]
    named = ", ".join(f"{_round(voxels)} {WORDS[channel]}" for channel, voxels in largest)
    return f"about {_round(total)} voxels to correct: {named}"


def explain_audit(nothing_stands_out: bool) -> str:
    """Tell why a place was drawn to judge models."""
    if nothing_stands_out:
        return "nothing stands out in this tomogram; drawn at random, to judge models"
    return "drawn at random, to judge models; not ranked"


def explain_random(learned: bool) -> str:
    """Tell why nothing is ranked: what was learned, or the image."""
    if learned:
        return "drawn at random: the ranking does not predict your corrections"
    return "drawn at random: the image shows no more at predicted membranes than elsewhere"


def _round(voxels: int) -> str:
    """Two digits are all that an estimate deserves."""
    if voxels < 100:
        return str(voxels)
    digits = len(str(voxels)) - 2
    return f"{round(voxels, -digits):,}"
