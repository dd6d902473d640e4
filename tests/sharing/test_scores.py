"""Segmentations are scored against accepted labels, and jobs do what a page handed over."""

import json
import os
from datetime import date
from pathlib import Path
from typing import Any

import mrcfile
import numpy as np
import pytest

from core.bundles.facts import BundleFacts, Creator
from core.bundles.job import bundle_arguments, run_export, set_arguments
from core.corrections.store import Store
from core.errors import CancelledError, ExportError
from core.evaluation.scores import score_segmentations, state_training
from core.exports.plan import SetOptions
from core.exports.selection import Choice, choose_curated
from core.exports.training_set import export_training_set
from core.exports.validate import read_label
from core.lab.lab import Lab
from core.tomograms.data_permissions import pin
from db.errors import NotAllowedError, UnknownNameError
from db.queries.life import merge_by_id
from db.queries.patches import PatchFilter
from db.queries.scores import list_scores, scores_by_model
from db.queries.sharing import list_exports
from db.queries.volumes import get_tomogram
from db.vocabulary import Licence, Split
from db.writes.events import Change
from db.writes.volumes import FoundFile, add_root, add_segmentation
from tests.exports.layout import check_layout


def segmentation(lab: Any, tmp_path: Path, token: Any, model: Any, worse: Any) -> None:
    """Register another segmentation of a tomogram: the accepted labels, some of it lost."""
    folder = tmp_path / "predictions"
    folder.mkdir(exist_ok=True)
    with lab.workspace.catalog.read() as session:
        tomogram = get_tomogram(session, token)
    voxels = np.zeros(tomogram.on_disk.shape, np.int8)
    for number in range(2):
        patch = lab.patch(f"demo_{token}_patch{number}")
        with lab.workspace.catalog.read() as session:
            merge = merge_by_id(session, patch.accepted_merge_id)
        label = read_label(Store(lab.workspace.folders.store).path_of(merge.file_sha256))
        label = np.where(label == 1, 1, 0)
        label[:, :, ::3] = np.where(worse, 0, label[:, :, ::3])
        z, y, x = patch.start
        voxels[z : z + 64, y : y + 64, x : x + 64] = label
    path = folder / f"{token}_{model}.mrc"
    with mrcfile.new(path) as mrc:
        mrc.set_data(voxels)
    with lab.workspace.catalog.write() as session:
        change = Change.now(lab.by.id)
        add_root(session, change, folder)
        seen = path.stat()
        shape = tomogram.on_disk.shape
        found = FoundFile(path, shape, "int8", seen.st_size, seen.st_mtime_ns)
        add_segmentation(session, change, tomogram, found, model)


@pytest.fixture
def scored(ready: Any, tmp_path: Path) -> Any:
    segmentation(ready, tmp_path, "TS_001", "before", worse=True)
    segmentation(ready, tmp_path, "TS_001", "after", worse=False)
    score_segmentations(ready.opened)
    return ready


def scores(lab: Any, model: Any) -> Any:
    with lab.workspace.catalog.read() as session:
        return [score for score in list_scores(session) if score.model == model]


def test_a_better_model_scores_better_where_labels_do_not_ignore(scored: Any) -> None:
    assert {score.dice for score in scores(scored, "after")} == {1.0}
    before = scores(scored, "before")
    assert len(before) == 2
    assert all(0.5 < score.dice < 0.9 for score in before)
    assert all("ignore left out" in score.method for score in before)
    assert all(score.dice == 0 for score in scores(scored, "MemBrain_v10"))


def test_a_score_is_the_dice_of_what_both_label(scored: Any) -> None:
    for score in scores(scored, "before"):
        with scored.workspace.catalog.read() as session:
            merge = merge_by_id(session, score.merge_id)
        label = read_label(Store(scored.workspace.folders.store).path_of(merge.file_sha256))
        wanted = label == 1
        kept = wanted.copy()
        kept[:, :, ::3] = False
        assert score.dice == pytest.approx(2 * kept.sum() / (wanted.sum() + kept.sum()))
        assert score.compared_voxels == (label != 2).sum()


def test_models_are_summed_up_by_the_mean_of_their_patches(scored: Any) -> None:
    with scored.workspace.catalog.read() as session:
        summary = {each.model: each for each in scores_by_model(session)}
        page = list_scores(session, offset=1, limit=2, models=["after", "before"])
    for model in ("after", "before"):
        each = scores(scored, model)
        assert summary[model].patches == len(each) == 2
        for field in ("dice", "surface_dice"):
            mean = sum(getattr(score, field) for score in each) / 2
            assert getattr(summary[model], field) == pytest.approx(mean)
    before, after = summary["before"].dice, summary["after"].dice
    assert before is not None
    assert after is not None
    assert before < after
    assert (len(page), page.total) == (2, 4)


def test_scoring_again_keeps_what_is_there(scored: Any) -> None:
    again = score_segmentations(scored.opened)
    assert {each.outcome for each in again} == {"kept"}
    anew = score_segmentations(scored.opened, ["demo_TS_001_patch0"], again=True)
    assert [each.outcome for each in anew] == ["done"] * 3
    assert len(scores(scored, "after")) == 2


@pytest.mark.parametrize("side", [Split.TRAIN, Split.VAL])
def test_patches_that_a_model_was_trained_on_are_marked(
    scored: Any, tmp_path: Path, side: Any
) -> None:
    for token in ("TS_001", "TS_002", "TS_003"):
        other = Split.VAL if side is Split.TRAIN else Split.TRAIN
        pin(Lab(scored.workspace, scored.by), token, side if token == "TS_001" else other)
    export_training_set(scored.opened, tmp_path / "set")
    with scored.workspace.catalog.read() as session:
        export = list_exports(session)[0]
    state_training(scored.opened, export.id, "after")
    assert {score.split for score in scores(scored, "after")} == {side}
    marked = {side is Split.TRAIN}
    assert {score.in_training for score in scores(scored, "after")} == marked
    assert {score.in_training for score in scores(scored, "before")} == {False}
    score_segmentations(scored.opened, again=True)
    assert {score.in_training for score in scores(scored, "after")} == marked
    with pytest.raises(UnknownNameError, match="999"):
        state_training(scored.opened, 999, "after")


def test_what_changed_since_it_was_recorded_is_not_scored(ready: Any, tmp_path: Path) -> None:
    segmentation(ready, tmp_path, "TS_001", "other", worse=False)
    path = tmp_path / "predictions" / "TS_001_other.mrc"
    with mrcfile.open(path, "r+") as mrc:
        mrc.data[...] = 1
    os.utime(path, ns=(1, 1))
    label = choose_curated(ready.opened, Choice()).patches[-1].label_path
    label.chmod(0o644)
    label.write_bytes(b"something else")
    outcomes = score_segmentations(ready.opened)
    failed = [each.message for each in outcomes if each.outcome == "failed"]
    assert sum("changed since it was registered" in said for said in map(str, failed)) == 2
    assert sum("has other bytes than were kept" in said for said in map(str, failed)) == 1
    assert len(failed) == 3
    assert scores(ready, "other") == []


def test_a_segmentation_that_is_gone_is_named_and_others_are_scored(
    ready: Any, tmp_path: Path
) -> None:
    segmentation(ready, tmp_path, "TS_001", "gone", worse=False)
    (tmp_path / "predictions" / "TS_001_gone.mrc").unlink()
    outcomes = score_segmentations(ready.opened)
    assert [each.outcome for each in outcomes].count("failed") == 2
    assert [each.outcome for each in outcomes].count("done") == 6


def test_a_viewer_may_not_score(ready: Any) -> None:
    with pytest.raises(NotAllowedError):
        score_segmentations(ready.opened_by("Vera View"))


FACTS = BundleFacts(
    title="Membranes",
    description="x",
    licence=Licence.CC_BY,
    signed_by="Ada Min",
    created=date(2026, 11, 25),
    creators=(Creator("Doe, Jane"),),
    tokens={"demo": "algae"},
)


def test_a_job_writes_the_training_set_that_was_handed_over(ready: Any, tmp_path: Path) -> None:
    choice = Choice(PatchFilter(dataset="demo"))
    arguments = json.loads(json.dumps(set_arguments(tmp_path / "set", choice, SetOptions())))
    told = []
    run_export(ready.opened, arguments, lambda share, said: told.append(share), lambda: False)
    assert check_layout(tmp_path / "set") == []
    assert told[-1] == 1.0


def test_a_job_writes_the_bundle_that_was_handed_over(ready: Any, tmp_path: Path) -> None:
    arguments = bundle_arguments(tmp_path / "share", Choice(), FACTS, zipped=True)
    arguments = json.loads(json.dumps(arguments))
    done = run_export(ready.opened, arguments, lambda *said: None, lambda: False)
    assert done[0].details["patches"] == 6
    assert (tmp_path / "share.zip").is_file()
    assert (tmp_path / "share" / "labelsTr").is_dir()


def test_a_cancelled_job_leaves_nothing(ready: Any, tmp_path: Path) -> None:
    arguments = set_arguments(tmp_path / "set", Choice(), SetOptions())
    with pytest.raises(CancelledError):
        run_export(ready.opened, arguments, lambda *said: None, lambda: True)
    assert not (tmp_path / "set").exists()
    assert not [path for path in tmp_path.iterdir() if path.name.startswith(".set")]


@pytest.mark.parametrize("arguments", [{}, {"what": "x", "out": "y"}, {"what": "bundle", "out": 3}])
def test_arguments_that_nobody_wrote_are_refused(ready: Any, arguments: Any) -> None:
    with pytest.raises(ExportError, match="not those of an export"):
        run_export(ready.opened, arguments, lambda *said: None, lambda: False)
