"""A name that is unknown is answered with the nearest ones, quickly, however many there are."""

import time

from db.errors import UnknownNameError

MANY = [f"other_TS_{tomogram:04}_patch{n}" for tomogram in range(5000) for n in range(5)]


def test_the_nearest_names_are_told() -> None:
    error = UnknownNameError.among("patch", "other_TS_0042_patch9", MANY)
    assert str(error).startswith("there is no patch 'other_TS_0042_patch9'; did you mean other_TS_")
    assert "other_TS_0042_patch" in str(error).split("mean")[1]


def test_a_name_near_to_none_is_told_alone() -> None:
    assert str(UnknownNameError.among("person", "xyz", ["annika"])) == "there is no person 'xyz'."


def test_a_monstrous_name_is_cut() -> None:
    assert len(str(UnknownNameError.among("patch", "x" * 100_000, MANY))) < 300


def test_many_names_cost_less_than_a_second() -> None:
    began = time.process_time()
    UnknownNameError.among("patch", "other_TS_0042_patch9", MANY)
    assert time.process_time() - began < 1.0
