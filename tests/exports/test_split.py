"""Patches are dealt by tomogram, by a stable hash, and stay where they were."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from core.errors import ExportError
from core.exports.split import SplitItem, SplitRule, deal, folds
from db.vocabulary import Split

RULE = SplitRule()


def items(tomograms: Any, each: Any = 2, **changes: Any) -> Any:
    return [
        SplitItem(f"{t}_patch{n}", (t,), **changes.get(t, {}))
        for t in tomograms
        for n in range(each)
    ]


names = st.lists(
    st.text("abcdef0123", min_size=1, max_size=6), min_size=2, max_size=12, unique=True
)


@given(names)
def test_no_tomogram_lies_in_two_splits_and_neither_side_is_empty(tomograms: Any) -> None:
    result = deal(items(tomograms), RULE)
    assert not result.faults
    for tomogram in tomograms:
        assert len({result.split[f"{tomogram}_patch{n}"] for n in range(2)}) == 1
    assert {Split.TRAIN, Split.VAL} == set(result.split.values())


@given(names, st.text("xyz", min_size=1, max_size=4))
def test_what_was_exported_once_stays_where_it_was_when_a_tomogram_comes(
    tomograms: Any, newcomer: Any
) -> None:
    before = deal(items(tomograms), RULE).split
    recorded = {t: {"recorded": before[f"{t}_patch0"]} for t in tomograms}
    after = deal(items([*tomograms, newcomer], **recorded), RULE)
    assert {name: after.split[name] for name in before} == dict(before)


@given(names)
def test_every_case_validates_in_exactly_one_fold_and_never_trains_beside_its_tomogram(
    tomograms: Any,
) -> None:
    result = deal(items(tomograms), RULE)
    dealt = folds(result.unit, result.split)
    validated = [case for fold in dealt for case in fold["val"]]
    assert len(validated) == len(set(validated))
    for fold in dealt:
        assert sorted(fold["train"] + fold["val"]) == sorted(result.split)
        assert not {result.unit[c] for c in fold["train"]} & {result.unit[c] for c in fold["val"]}
    assert sorted(dealt[0]["val"]) == sorted(c for c, s in result.split.items() if s is Split.VAL)


def test_a_pin_goes_before_the_record() -> None:
    changes = {"a": {"pinned": Split.VAL, "recorded": Split.TRAIN}}
    result = deal(items(["a", "b", "c"], **changes), RULE)
    assert result.split["a_patch0"] is Split.VAL


def test_a_test_tomogram_is_in_no_fold() -> None:
    result = deal(items(["a", "b", "c"], a={"pinned": Split.TEST}), RULE)
    assert result.split["a_patch1"] is Split.TEST
    assert "a_patch1" not in str(folds(result.unit, result.split))


def test_linked_patches_of_two_tomograms_stay_together() -> None:
    tomograms = [str(n) for n in range(12)]
    apart = deal(items(tomograms), RULE).split
    val = next(t for t in tomograms if apart[f"{t}_patch0"] is Split.VAL)
    train = next(t for t in tomograms if apart[f"{t}_patch0"] is Split.TRAIN)
    together = deal(items(tomograms), RULE, [(f"{val}_patch0", f"{train}_patch1")])
    assert together.split[f"{val}_patch0"] == together.split[f"{train}_patch0"]
    assert together.unit[f"{val}_patch1"] == together.unit[f"{train}_patch1"]


def test_linked_tomograms_pinned_apart_are_a_fault() -> None:
    changes = {"a": {"pinned": Split.VAL}, "b": {"pinned": Split.TRAIN}}
    result = deal(items(["a", "b", "c"], **changes), RULE, [("a_patch0", "b_patch0")])
    assert "pinned to train and val" in result.faults[0]


def test_patches_that_went_apart_before_they_were_known_to_be_one_all_train() -> None:
    changes = {"a": {"recorded": Split.VAL}, "b": {"recorded": Split.TRAIN}}
    result = deal(items(["a", "b", "c", "d"], **changes), RULE, [("a_patch0", "b_patch0")])
    assert result.faults == ()
    assert {result.split[name] for name in ("a_patch0", "b_patch1")} == {Split.TRAIN}
    assert "went to train and val" in result.notes[0]


def test_one_tomogram_alone_cannot_validate_and_the_ways_out_are_named() -> None:
    result = deal(items(["a"]), RULE)
    assert "--val-from" in result.faults[0]
    assert "--allow-leaky-val" in result.faults[0]


def test_one_patch_alone_is_not_told_to_leak() -> None:
    for rule in (RULE, SplitRule(allow_leaky_val=True)):
        result = deal(items(["a"], each=1), rule)
        assert "--val-from" in result.faults[0]
        assert "--allow-leaky-val" not in result.faults[0]


def test_leaky_validation_is_allowed_on_request_and_recorded() -> None:
    result = deal(items(["a"], each=5), SplitRule(allow_leaky_val=True))
    assert result.leaky
    assert not result.faults
    assert list(result.split.values()).count(Split.VAL) == 1


def test_leaky_validation_is_not_used_where_there_are_two_tomograms() -> None:
    assert not deal(items(["a", "b"]), SplitRule(allow_leaky_val=True)).leaky


def test_a_validation_share_of_one_is_refused() -> None:
    with pytest.raises(ExportError, match="between 0 and 1"):
        deal(items(["a"]), SplitRule(val_fraction=1.0))
