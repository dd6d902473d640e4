"""Labels are made again from their records, and put back into a copy of their segmentation."""

import io
import shutil
from pathlib import Path
from typing import Any

import mrcfile
import numpy as np
import pytest

from core.corrections.collect import collect
from core.corrections.store import Store
from core.errors import OutputError
from core.imaging.formats.nifti import fill_nifti, write_nifti
from core.imaging.hashes import content_hash
from core.labels.merge import merge
from core.labels.review import accept
from core.labels.verify import verify
from core.patches.put_back import put_back
from db.errors import NotAllowedError, StepError
from db.queries.life import EventFilter, list_events, merges_of
from db.vocabulary import Stage
from db.writes.corrections import MadeMerge, add_merge
from db.writes.events import Change
from db.writes.patches import change_patch

ADD, REMOVE = np.s_[80, 80, 70:90], np.s_[60:100, 60:100, 20:60]


@pytest.fixture
def accepted(lab: Any) -> Any:
    """The lab with two overlapping accepted labels; the second was accepted first."""
    lab.save("Add1.nrrd", ADD)
    lab.save("Remove1.nrrd", REMOVE)
    lab.save("Remove1.nrrd", np.s_[20:140, 20:140, 20:140], name=lab.names[1])
    collect(lab.by.annika)
    merge(lab.by.annika)
    accept(lab.by.rolf, lab.names[1])
    accept(lab.by.rolf, lab.name)
    return lab


def stored(lab: Any, sha256: str) -> Path:
    path = Store(lab.folders.store).path_of(sha256)
    path.chmod(0o644)
    return path


def test_every_accepted_label_is_made_again(accepted: Any) -> None:
    lab = accepted
    before = sorted((p, p.stat().st_mtime_ns) for p in lab.folders.root.rglob("*.nii.gz"))
    outcomes = verify(lab.workspace)
    assert {each.name: each.outcome for each in outcomes} == {
        lab.names[0]: "done",
        lab.names[1]: "done",
    }
    assert sorted((p, p.stat().st_mtime_ns) for p in lab.folders.root.rglob("*.nii.gz")) == before
    (unmerged,) = verify(lab.workspace, [lab.names[2]])
    assert unmerged.outcome == "skipped"


def test_the_accepted_label_is_verified_though_a_newer_one_waits(accepted: Any) -> None:
    lab = accepted
    lab.save("Add1.nrrd", np.s_[80, 80, 60:90])
    collect(lab.by.annika)
    merge(lab.by.annika)
    (outcome,) = verify(lab.workspace, [lab.name])
    assert (outcome.outcome, outcome.details["merge"]) == ("done", 1)


def test_a_correction_that_is_gone_or_changed_in_the_store_is_named(accepted: Any) -> None:
    lab = accepted
    path = stored(lab, lab.slots()["Add1.nrrd"].latest.sha256)
    kept = path.read_bytes()
    path.write_bytes(kept[:-1] + b"x")
    assert "Add1.nrrd version 1: its file in the store has other bytes" in message(lab)
    path.unlink()
    assert "Add1.nrrd version 1: its file is gone from the store" in message(lab)


def test_a_label_that_differs_names_its_first_voxel(
    accepted: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    lab = accepted
    with lab.workspace.catalog.read() as session:
        (made,) = merges_of(session, lab.patch().id)
    other = lab.merged()
    x, y, z = 70, 80, 90
    other[z, y, x] ^= 1
    write_nifti(stored(lab, made.file_sha256).with_suffix(".nii.gz"), other, lab.grid())
    changed = stored(lab, made.file_sha256).with_suffix(".nii.gz")
    monkeypatch.setattr(Store, "checked", lambda self, sha256, what: changed)
    monkeypatch.setattr("core.labels.verify.merge_again", remade(lab))
    said = message(lab)
    assert "1 voxels of the kept label differ, the first at 70,80,90 (x, y, z)" in said
    assert "is not the one that was recorded" in said


def test_of_a_label_that_was_merged_elsewhere_its_own_file_is_checked(lab: Any) -> None:
    label = lab.label()
    label[80, 80, 80:90] = 1
    kept = Store(lab.folders.store).put_made(lambda path: fill_nifti(path, label, lab.grid()))
    shutil.copy(kept.path, lab.folders.merged_of(lab.name))
    made = MadeMerge(
        predicted_hash="",
        inputs=({"bundle": "b-1"},),
        rule="imported: with a bundle",
        counts={},
        values={},
        findings=(),
        nothing_to_change=False,
        label_hash=content_hash(label),
        file_sha256=kept.sha256,
        size_bytes=kept.size,
    )
    with lab.workspace.catalog.write() as session:
        change, patch = Change.now(lab.admin.id), lab.patch()
        number = add_merge(session, change, patch, made).id
        change_patch(
            session, change, patch, "imported", stage=Stage.MERGED, current_merge_id=number
        )
    assert merge(lab.by.annika) == ()
    assert verify(lab.workspace, [lab.name])[0].outcome == "done"
    accept(lab.by.rolf, lab.name)
    lab.save("Add1.nrrd", ADD)
    collect(lab.by.annika)
    assert lab.patch().newer_corrections_wait
    stored(lab, kept.sha256).write_bytes(b"other")
    assert "has other bytes than were kept" in message(lab)


def remade(lab: Any) -> Any:
    """The label as it should be, whatever lies in the store."""
    voxels = lab.merged()

    class Made:
        def __init__(self) -> None:
            self.voxels = voxels

    return lambda *_: (Made(), None)


def test_a_current_label_that_somebody_changed_is_named(accepted: Any) -> None:
    lab = accepted
    lab.folders.merged_of(lab.name).write_bytes(b"nonsense")
    assert "is not merge 1; merging again restores it" in message(lab)
    merge(lab.by.annika, [lab.name])
    assert verify(lab.workspace, [lab.name])[0].outcome == "done"


def message(lab: Any) -> str:
    (outcome,) = verify(lab.workspace, [lab.name])
    assert outcome.outcome == "failed"
    assert outcome.message is not None
    return outcome.message


def test_accepted_labels_go_back_and_the_later_acceptance_wins(
    accepted: Any, tmp_path: Path
) -> None:
    lab = accepted
    back = put_back(lab.by.cora, "TS_001", tmp_path / "back.mrc")
    assert back.patches == (lab.names[1], lab.names[0])
    expected = lab.read(back.segmentation).copy()
    for name in back.patches:
        label, start = lab.merged(name), lab.patch(name).start
        box = expected[tuple(slice(a, a + 160) for a in start)]
        box[label != 2] = label[label != 2]
    assert mrcfile.validate(tmp_path / "back.mrc", print_file=io.StringIO())
    with mrcfile.open(tmp_path / "back.mrc") as mrc:
        assert mrc.header.dmean == pytest.approx(mrc.data.mean())
        assert mrc.data.dtype == np.int8
        assert (mrc.data == expected).all()
        assert mrc.voxel_size.x == 10
        assert back.changed == np.count_nonzero(mrc.data != lab.read(back.segmentation)) > 0
    with lab.workspace.catalog.read() as session:
        (event,) = list_events(session, EventFilter(action="labels put back"))
    assert event.after is not None
    assert event.after["patches"] == list(back.patches)


def test_a_file_that_is_there_is_not_overwritten(accepted: Any, tmp_path: Path) -> None:
    out = tmp_path / "back.mrc"
    out.write_bytes(b"mine")
    with pytest.raises(OutputError, match="nothing is overwritten"):
        put_back(accepted.by.cora, "TS_001", out)
    assert out.read_bytes() == b"mine"


def test_a_dry_run_tells_what_would_go_back(accepted: Any, tmp_path: Path) -> None:
    lab = accepted
    back = put_back(lab.by.cora, "TS_001", tmp_path / "back.mrc", dry_run=True)
    assert (len(back.patches), back.changed) == (2, None)
    assert not (tmp_path / "back.mrc").exists()


def test_nothing_accepted_is_said(lab: Any, tmp_path: Path) -> None:
    with pytest.raises(StepError, match="no patch of it is accepted"):
        put_back(lab.by.cora, "TS_001", tmp_path / "back.mrc")


def test_an_annotator_does_not_put_back(accepted: Any, tmp_path: Path) -> None:
    with pytest.raises(NotAllowedError):
        put_back(accepted.by.annika, "TS_001", tmp_path / "back.mrc")
