"""No split separates tomograms of one specimen, nor files that hold the same bytes."""

from typing import Any

import numpy as np
import pytest

from core.exports.training_set import plan_export_set
from core.lab.lab import Lab
from core.tomograms.data_permissions import group, pin
from core.tomograms.pictures import tomogram_name
from core.tomograms.source_files import note_hash
from db.errors import StepError
from db.queries.curated import split_unit
from db.queries.volumes import get_tomogram
from db.vocabulary import Split
from tests.sharing.conftest import membrane

TOKENS = [f"TS_{number:03}" for number in range(1, 6)]


@pytest.fixture
def twins(lab: Any) -> Any:
    """Five tilt series, each with a denoised reconstruction; a patch of every one is accepted."""
    for token in TOKENS:
        lab.accepted(token)
        lab.accepted(f"{token}_denoised")
    return lab


def splits(lab: Any) -> Any:
    plan = plan_export_set(lab.opened)
    plan.check()
    return {case.patch.name: case.split for case in plan.cases}


def unit_of(lab: Any, name: Any) -> Any:
    with lab.workspace.catalog.read() as session:
        return split_unit(session, get_tomogram(session, name).id)


def test_tomograms_of_one_specimen_are_never_on_both_sides(twins: Any) -> None:
    before = splits(twins)
    alike = [before[f"demo_{t}_patch0"] == before[f"demo_{t}_denoised_patch0"] for t in TOKENS]
    assert not all(alike), "the hash alone keeps them together; choose other tokens"
    for token in TOKENS:
        group(Lab(twins.workspace, twins.by), [token, f"{token}_denoised"], token)
    after = splits(twins)
    for token in TOKENS:
        assert after[f"demo_{token}_patch0"] == after[f"demo_{token}_denoised_patch0"]


def test_files_with_the_same_bytes_are_one_unit_without_being_named(twins: Any) -> None:
    for name in ("TS_001", "TS_002_denoised", "TS_003"):
        with twins.workspace.catalog.read() as session:
            record = get_tomogram(session, name)
        sha256 = "a" * 64 if name != "TS_003" else "b" * 64
        note_hash(twins.workspace, twins.by, tomogram_name(record.id), sha256)
    assert unit_of(twins, "TS_001").tomograms == ("demo/TS_001", "demo/TS_002_denoised")
    group(Lab(twins.workspace, twins.by), ["TS_002_denoised", "TS_003"], "second")
    assert unit_of(twins, "TS_003").name == "demo/TS_001"
    assert len(unit_of(twins, "TS_001").tomograms) == 3


def test_a_pin_holds_for_the_whole_specimen(twins: Any) -> None:
    group(Lab(twins.workspace, twins.by), ["TS_001", "TS_001_denoised"], "first")
    outcome = pin(Lab(twins.workspace, twins.by), "TS_001", Split.TEST)
    assert outcome.findings == ("so are demo/TS_001_denoised: one specimen",)
    dealt = splits(twins)
    assert dealt["demo_TS_001_denoised_patch0"] is Split.TEST
    assert pin(Lab(twins.workspace, twins.by), "TS_001_denoised", None).outcome == "done"
    assert unit_of(twins, "TS_001").pins == frozenset()


def test_a_copy_of_a_test_tomogram_never_trains_though_it_was_found_later(twins: Any) -> None:
    pin(Lab(twins.workspace, twins.by), "TS_001", Split.TEST)
    for name in ("TS_001", "TS_002"):
        with twins.workspace.catalog.read() as session:
            record = get_tomogram(session, name)
        note_hash(twins.workspace, twins.by, tomogram_name(record.id), "a" * 64)
    assert splits(twins)["demo_TS_002_patch0"] is Split.TEST


def test_pins_that_disagree_are_settled_before_tomograms_are_grouped(twins: Any) -> None:
    pin(Lab(twins.workspace, twins.by), "TS_001", Split.TEST)
    pin(Lab(twins.workspace, twins.by), "TS_002", Split.TRAIN)
    with pytest.raises(StepError, match="pinned to test and train; pin them to one split first"):
        group(Lab(twins.workspace, twins.by), ["TS_001", "TS_002"], "both")
    assert unit_of(twins, "TS_001").tomograms == ("demo/TS_001",)


def test_labels_that_are_equal_voxel_by_voxel_stay_on_one_side(lab: Any) -> None:
    for number in range(6):
        label = membrane(np.random.default_rng(number))
        lab.accepted(f"A{number}", label=label)
        lab.accepted(f"Z{number}", label=label)
    dealt = splits(lab)
    for number in range(6):
        assert dealt[f"demo_A{number}_patch0"] == dealt[f"demo_Z{number}_patch0"]
