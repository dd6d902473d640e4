"""From a chosen center to an accepted label that goes back into its tomogram."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import mrcfile
import numpy as np
import pytest

from core.corrections.collect import collect
from core.corrections.receive import receive
from core.imaging.correction import write_correction
from core.imaging.formats.volume import open_volume
from core.imaging.geometry import Grid, Zyx, whole
from core.lab.lab import Lab
from core.labels.merge import merge, preview_merge
from core.labels.review import accept, submit
from core.labels.verify import verify
from core.patches.choose import choose
from core.patches.extract import extract
from core.patches.put_back import put_back
from core.patches.record import read_record
from core.workspace.workspace import Workspace
from db.queries.patches import get_patch
from db.vocabulary import ChosenBecause, CorrectionKind, Stage


@pytest.fixture
def workspace(
    any_workspace: Workspace, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Workspace:
    """On SQLite and on PostgreSQL, whose locks lie in this account's own folder."""
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "state"))
    return any_workspace


def read(path: Path) -> np.ndarray:
    with open_volume(path) as volume:
        return volume.read(whole(volume.shape))


def test_a_patch_goes_the_whole_way(
    workspace: Workspace, team: Any, registered: Callable[[str], Path], tmp_path: Path
) -> None:
    tomogram = registered("TS_001")
    (chosen,) = choose(
        Lab(workspace, team.annika),
        "TS_001",
        [Zyx(88, 110, 120)],
        reason=ChosenBecause.MISSED_MEMBRANE,
    )
    name = chosen.name
    (cut,) = extract(Lab(workspace, team.annika))
    assert (cut.name, cut.outcome) == (name, "done"), cut.message
    label = read(workspace.folders.label_of(name))
    image = read(workspace.folders.image_of(name))
    assert (image == read(tomogram)[8:168, 30:190, 40:200]).all()

    grid = Grid.aligned(10.0, (400.0, 300.0, 80.0))
    painted = np.zeros((160, 160, 160), bool)
    painted[80, 80, 80:90] = True
    folder = workspace.folders.corrections_of(name)
    write_correction(folder / "Add1.nrrd", painted, grid, CorrectionKind.ADD)
    (collected,) = collect(Lab(workspace, team.cora))
    assert collected.outcome == "done", collected
    removed = np.zeros((160, 160, 160), bool)
    removed[80] = label[80] == 1
    write_correction(tmp_path / "Remove1.nrrd", removed, grid, CorrectionKind.REMOVE)
    sent = receive(Lab(workspace, team.annika), name, "Remove1.nrrd", tmp_path / "Remove1.nrrd")
    assert sent.outcome == "done", sent
    assert sent.details["painted"] == {"remove": removed.sum()}

    expected = label.copy()
    expected[removed] = 0
    expected[painted] = 1
    preview = preview_merge(workspace, name)
    (made,) = merge(Lab(workspace, team.annika))
    assert made.outcome == "done", made.message
    assert (read(workspace.folders.merged_of(name)) == expected).all()
    assert preview.label is not None
    assert (preview.label == expected).all()
    assert [again.outcome for again in merge(Lab(workspace, team.annika), [name])] == ["kept"]

    submit(Lab(workspace, team.annika), name)
    accept(Lab(workspace, team.rolf), name)
    (verified,) = verify(workspace)
    assert verified.outcome == "done", verified.message
    back = put_back(Lab(workspace, team.cora), "TS_001", tmp_path / "back.mrc")
    assert back.patches == (name,)
    with mrcfile.open(tmp_path / "back.mrc") as mrc:
        inside = mrc.data[8:168, 30:190, 40:200]
        assert (inside[expected != 2] == expected[expected != 2]).all()
    record = read_record(workspace.folders.record_of(name))
    assert record["stage"] == "accepted"
    assert [slot["name"] for slot in record["slots"]] == ["Add1.nrrd", "Remove1.nrrd"]
    json.dumps(record)
    with workspace.catalog.read() as session:
        assert get_patch(session, name).stage is Stage.ACCEPTED
