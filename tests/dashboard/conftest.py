"""A small lab for the pages: two tomograms and patches at every stage, made by the real steps."""

import os
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import NamedTuple

import mrcfile
import numpy as np
import pytest
from streamlit.testing.v1 import AppTest

from core.access import people
from core.access.os_user import acting_person
from core.corrections.receive import receive
from core.demo.synthetic import make_tomogram
from core.imaging.correction import write_correction
from core.imaging.geometry import Zyx
from core.imaging.merging import read_label
from core.lab.lab import Lab as ActingLab
from core.labels import review
from core.labels.merge import merge
from core.patches import assign
from core.patches.choose import choose
from core.patches.extract import extract
from core.tomograms.register import plan_registration, register
from core.workspace.results import count_failed
from core.workspace.workspace import Workspace, init_workspace, open_workspace
from dashboard.ui import context as state
from db.queries.people import PersonRecord
from db.vocabulary import ChosenBecause, CorrectionKind, Role
from db.writes.events import Change
from db.writes.people import change_person

APP = Path(__file__).parents[2] / "dashboard" / "app.py"
SHAPE = Zyx(170, 260, 260)
CENTERS = (
    Zyx(84, 90, 90),
    Zyx(84, 100, 150),
    Zyx(84, 160, 100),
    Zyx(84, 170, 170),
    Zyx(84, 120, 120),
)
PROBE = "<img src=x onerror=alert(1)> [x](javascript:alert(2)) ![b](http://evil.test/b.png)"
"""What a hostile person types."""


class Lab(NamedTuple):
    """A workspace with people, and its patches by where they stand."""

    workspace: Workspace
    me: PersonRecord
    ada: PersonRecord
    ben: PersonRecord
    chosen: str
    extracted: str
    correcting: str
    in_review: str
    accepted: str
    tomograms: Path


def paint(workspace: Workspace, patch: str, kind: CorrectionKind, radius: int = 8) -> bytes:
    """A correction in the middle of a patch, as the painter writes it."""
    label, grid = read_label(workspace.folders.label_of(patch))
    assert grid is not None
    mask = np.zeros(label.shape, bool)
    z, y, x = np.ogrid[: label.shape[0], : label.shape[1], : label.shape[2]]
    mask[(z - 80) ** 2 + (y - 80) ** 2 + (x - 80) ** 2 < radius**2] = True
    path = workspace.folder / f"{kind.value.capitalize()}1.nrrd"
    write_correction(path, mask, grid, kind)
    content = path.read_bytes()
    path.unlink()
    return content


@pytest.fixture(scope="session")
def lab_template(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The lab, made once."""
    folder = tmp_path_factory.mktemp("lab")
    data = folder / "data"
    data.mkdir()
    made = make_tomogram(SHAPE, seed=1)
    for token, turn in (("TS_001", 1), ("TS_002", -1)):
        _write(data / f"{token}.mrc", made.density[:, ::turn])
        _write(data / f"{token}_seg.mrc", made.prediction[:, ::turn])
    with init_workspace(folder / "workspace", admin="Mia") as workspace:
        _fill(workspace, data)
    return folder


@pytest.fixture
def lab(lab_template: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Lab]:
    """A copy of the lab for one test; the pages open it."""
    shutil.copytree(lab_template / "workspace", tmp_path / "workspace", copy_function=_link_or_copy)
    monkeypatch.setenv("TOMOCURATE_WORKSPACE", str(tmp_path / "workspace"))
    monkeypatch.delenv("TOMOCURATE_OPEN_SHA256", raising=False)
    workspace = open_workspace(tmp_path / "workspace")
    me = acting_person(workspace)
    by_name = {each.name: each for each in people.list_people(workspace)}
    yield Lab(
        workspace,
        me,
        by_name["Ada"],
        by_name["Ben"],
        "other_TS_001_patch0",
        "other_TS_001_patch1",
        "other_TS_001_patch2",
        "other_TS_001_patch3",
        "other_TS_001_patch4",
        lab_template / "data",
    )
    workspace.close()
    _forget_opened()


@pytest.fixture
def bare(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Workspace]:
    """A workspace on which nothing was done yet; the pages open it."""
    monkeypatch.setenv("TOMOCURATE_WORKSPACE", str(tmp_path / "bare"))
    monkeypatch.delenv("TOMOCURATE_OPEN_SHA256", raising=False)
    with init_workspace(tmp_path / "bare", admin="Mia") as workspace:
        yield workspace
    _forget_opened()


@pytest.fixture
def page() -> Callable[..., AppTest]:
    """Open a page of the application, with words in its address."""

    def open_page(name: str, **words: str) -> AppTest:
        at = AppTest.from_file(str(APP), default_timeout=60)
        for word, value in words.items():
            at.query_params[word] = value
        at.switch_page(f"pages/{name}.py").run()
        return at

    return open_page


def act_as(lab: Lab, role: Role) -> None:
    """Give the person whose account runs the pages another role."""
    with lab.workspace.catalog.write() as session:
        change = Change.now(lab.me.id)
        if role is not Role.ADMIN:
            change_person(session, change, "Ben", role=Role.ADMIN)
        change_person(session, change, lab.me.name, role=role)


def said(at: AppTest) -> str:
    """All text that a page shows."""
    shown = [
        *at.markdown,
        *at.caption,
        *at.success,
        *at.warning,
        *at.error,
        *at.info,
        *at.title,
        *at.header,
        *at.subheader,
        *at.text,
    ]
    return "\n".join(str(each.value) for each in shown)


def _fill(workspace: Workspace, data: Path) -> None:
    me = acting_person(workspace)
    ada = people.add(workspace, me, "Ada", Role.ANNOTATOR)
    people.add(workspace, me, "Ben", Role.REVIEWER)
    pairings = plan_registration(workspace, [data])
    assert not count_failed(register(ActingLab(workspace, me), pairings, add_roots=True))
    chosen = choose(
        ActingLab(workspace, me),
        "TS_001",
        CENTERS,
        reason=ChosenBecause.MISSED_MEMBRANE,
        note=PROBE,
    )
    assert not count_failed(chosen)
    names = [each.name for each in chosen]
    assert not count_failed(extract(ActingLab(workspace, me), names[1:]))
    for name in names[2:]:
        assign.assign(ActingLab(workspace, me), name, "Ada")
        receive(
            ActingLab(workspace, ada),
            name,
            "Add1.nrrd",
            paint(workspace, name, CorrectionKind.ADD),
        )
    assign.assign(ActingLab(workspace, me), names[1], me.name)
    assert not count_failed(merge(ActingLab(workspace, ada), names[3:]))
    for name in names[3:]:
        review.submit(ActingLab(workspace, ada), name)
    review.comment(ActingLab(workspace, ada), names[3], PROBE)
    review.reject(ActingLab(workspace, me), names[4], PROBE)
    receive(
        ActingLab(workspace, ada),
        names[4],
        "Ignore1.nrrd",
        paint(workspace, names[4], CorrectionKind.IGNORE, 5),
    )
    assert not count_failed(merge(ActingLab(workspace, ada), [names[4]]))
    review.submit(ActingLab(workspace, ada), names[4])
    review.accept(ActingLab(workspace, me), names[4], merge_number=2)


def _link_or_copy(old: str, new: str) -> None:
    """Volumes are replaced whole, never written in place, so a link does for them."""
    if old.endswith((".nii.gz", ".nrrd", ".json")) or "/store/" in old:
        os.link(old, new)
    else:
        shutil.copy2(old, new)


def _copy(template: Path, folder: Path) -> None:
    """Volumes are never changed in place, so they may be shared; the catalog may not."""

    def copied(source: str, target: str) -> None:
        if source.endswith((".gz", ".nrrd")) or "/store/" in source:
            os.link(source, target)
        else:
            shutil.copyfile(source, target)

    shutil.copytree(template, folder, copy_function=copied)


def _write(path: Path, voxels: np.ndarray) -> None:
    with mrcfile.new(path) as file:
        file.set_data(np.ascontiguousarray(voxels))
        file.voxel_size = 10.0


def _forget_opened() -> None:
    """Close what the pages opened: a process serves one workspace, the tests many."""
    if state._open_once.cache_info().currsize:
        state.current_workspace().close()
    state._open_once.cache_clear()
    state._alone.cache_clear()
