"""The first page: what has most left to do, and what waits longest, comes first."""

from typing import Any

from core.imaging.geometry import Zyx
from core.lab.lab import Lab
from core.patches.choose import choose
from db.queries.progress import stages_by_tomogram, waiting_reviews
from db.vocabulary import ChosenBecause, Stage

CENTERS = [Zyx(88, 100 + n, 110) for n in range(3)]


def test_the_tomograms_with_most_unfinished_patches_are_shown(
    workspace: Any, team: Any, registered: Any
) -> None:
    for token, number in (("TS_1", 1), ("TS_2", 3), ("TS_3", 2)):
        registered(token)
        lab = Lab(workspace, team.cora)
        choose(lab, token, CENTERS[:number], reason=ChosenBecause.OTHER)
    with workspace.catalog.read() as session:
        two = stages_by_tomogram(session, limit=2)
        every = stages_by_tomogram(session)
    assert two == {"other/TS_2": {Stage.CHOSEN: 3}, "other/TS_3": {Stage.CHOSEN: 2}}
    assert list(every) == ["other/TS_1", "other/TS_2", "other/TS_3"]


def test_the_patch_that_waits_longest_for_a_review_comes_first(
    workspace: Any, patches: Any
) -> None:
    names = [f"other_TS_{number}_patch0" for number in range(3)]
    for name in names:
        patches.at(Stage.IN_REVIEW, name)
    patches.mark(names[0], note="submitted again")
    with workspace.catalog.read() as session:
        waiting = [each.name for each in waiting_reviews(session)]
        first = [each.name for each in waiting_reviews(session, limit=1)]
    assert waiting == [names[1], names[2], names[0]]
    assert first == [names[1]]
