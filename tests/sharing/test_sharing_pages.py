"""The pages of sharing: plan, write, sign, take in, score; driven as a person would."""

import os
import shutil
import time
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from streamlit.testing.v1 import AppTest

from core.bundles.facts import Creator
from core.errors import ExportError
from core.evaluation.scores import score_segmentations
from core.jobs.queue import list_jobs
from core.workspace.workspace import find_workspace
from dashboard.components.sharing.parse import out_folder, parse_creators, parse_names
from dashboard.pages.quality import pair_scores
from dashboard.ui import context as state
from db.queries.patches import list_patches
from db.queries.scores import ScoreRecord, list_scores
from db.queries.sharing import list_bundles, list_exports
from db.queries.volumes import tomogram_names
from db.vocabulary import JobKind, Role, Split
from db.writes.events import Change
from db.writes.people import change_person
from tests.exports.layout import check_layout

APP = Path(__file__).parents[2] / "dashboard" / "app.py"
Open = Callable[..., AppTest]


@pytest.fixture
def page(monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[..., Open]]:
    """Open pages on a lab's workspace."""

    def on(lab: Any) -> Open:
        monkeypatch.setenv("TOMOCURATE_WORKSPACE", str(lab.workspace.folder))
        monkeypatch.delenv("TOMOCURATE_OPEN_SHA256", raising=False)

        def open_page(name: str, tab: str | None = None) -> AppTest:
            at = AppTest.from_file(str(APP), default_timeout=120)
            if tab:
                at.query_params[f"{name}_tab"] = tab
            at.switch_page(f"pages/{name}.py").run()
            assert not at.exception
            return at

        return open_page

    yield on
    folder = find_workspace(None).absolute()
    state._open_once(str(folder)).close()
    state._open_once.cache_clear()
    state._alone.cache_clear()


def said(at: AppTest) -> str:
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
    ]
    return "\n".join(str(each.value) for each in shown)


def press(at: AppTest, key: str) -> AppTest:
    at.button(key=key).click().run()
    assert not at.exception
    return at


@pytest.mark.parametrize("name", ["share", "import_bundle", "quality"])
def test_a_page_starts_on_an_empty_workspace_and_says_the_next_step(
    lab: Any, page: Callable[..., Open], name: Any
) -> None:
    at = page(lab)(name)
    assert not at.error
    assert said(at)


@pytest.mark.parametrize("role", [Role.VIEWER, Role.ANNOTATOR])
@pytest.mark.parametrize("name", ["share", "import_bundle", "quality"])
def test_who_may_not_share_sees_what_was_shared(
    ready: Any, page: Callable[..., Open], name: Any, role: Any
) -> None:
    with ready.workspace.catalog.write() as session:
        change = Change.now(ready.by.id)
        change_person(session, change, "Rolf Reviewson", role=Role.ADMIN)
        change_person(session, change, ready.by.name, role=role)
    at = page(ready)(name)
    assert not at.error
    assert not [button for button in at.button if button.key in ("set_write", "import_server")]


def test_a_plan_is_shown_and_written_with_the_lines_to_run(
    ready: Any, page: Callable[..., Open]
) -> None:
    at = press(page(ready)("share"), "set_check")
    assert {metric.label: metric.value for metric in at.metric}["Voxel size"] == "10 Å"
    at.text_input(key="set_name").set_value("Dataset777_Mine").run()
    press(at, "set_write")
    at = page(ready)("share", "Exported before")
    assert "membrain finetune" in at.code[0].value
    assert check_layout(ready.workspace.folders.exports / "Dataset777_Mine") == []
    with ready.workspace.catalog.read() as session:
        assert list_exports(session)[0].patch_count == 6


def test_a_plan_with_faults_cannot_be_written(lab: Any, page: Callable[..., Open]) -> None:
    lab.accepted("TS_001")
    at = press(page(lab)("share"), "set_check")
    assert "Cannot be written yet" in said(at)
    assert at.button(key="set_write").disabled


def test_a_name_that_leaves_the_exports_is_refused(ready: Any, page: Callable[..., Open]) -> None:
    at = press(page(ready)("share"), "set_check")
    at.text_input(key="set_name").set_value("../outside").run()
    press(at, "set_write")
    assert "the name of an export" in said(at).replace("\\", "")
    assert not (ready.workspace.folder / "outside").exists()


def test_a_training_set_can_be_left_to_a_worker(ready: Any, page: Callable[..., Open]) -> None:
    press(press(page(ready)("share"), "set_check"), "set_queue")
    jobs = list_jobs(ready.workspace).rows
    assert [job.kind for job in jobs] == [JobKind.EXPORT]
    assert jobs[0].arguments["what"] == "training_set"


def fill_bundle(at: AppTest, title: str) -> AppTest:
    at.text_input(key="bundle_title").set_value(title)
    at.text_area(key="bundle_description").set_value("Where the network failed.")
    at.text_input(key="bundle_name").set_value("mine")
    at.run()
    return press(at, "bundle_report")


def test_a_bundle_is_written_only_after_its_report_was_read_and_signed(
    ready: Any, page: Callable[..., Open]
) -> None:
    at = fill_bundle(page(ready)("share", "Bundle"), "Membranes of algae")
    assert "No secret found" in said(at)
    assert "can find these patches" in said(at)
    assert at.button(key="bundle_write").disabled
    at.checkbox(key="signed").check().run()
    press(at, "bundle_write")
    assert (ready.workspace.folders.exports / "mine" / "bundle.json").is_file()
    with ready.workspace.catalog.read() as session:
        assert list_exports(session)[0].options["signed_by"] == "Ada Min"


def test_a_secret_in_a_bundle_is_shown_and_cannot_be_signed(
    ready: Any, page: Callable[..., Open]
) -> None:
    at = fill_bundle(page(ready)("share", "Bundle"), "Membranes seen by Annika Notator")
    assert "must not be shared" in said(at)
    assert not [button for button in at.button if button.key == "bundle_write"]
    assert list(ready.workspace.folders.exports.iterdir()) == []


def test_a_bundle_on_the_server_is_looked_into_and_taken_in(
    lab: Any, ready: Any, page: Callable[..., Open], tmp_path: Path
) -> None:
    at = fill_bundle(page(ready)("share", "Bundle"), "Membranes of algae")
    at.checkbox(key="signed").check().run()
    press(at, "bundle_write")
    shutil.copytree(ready.workspace.folders.exports / "mine", lab.data / "mine")
    at = page(lab)("import_bundle")
    at.text_input(key="import_path").set_value(str(lab.data / "mine")).run()
    press(at, "import_server")
    assert "Preview of the bundle" in said(at)
    with lab.workspace.catalog.read() as session:
        assert list_patches(session).total == 0
    press(at, "import_take")
    with lab.workspace.catalog.read() as session:
        assert list_patches(session).total == 6
        assert list_bundles(session)[0].title == "Membranes of algae"
    assert "6 patches imported" in said(at)


def test_a_path_outside_the_data_roots_is_refused(lab: Any, page: Callable[..., Open]) -> None:
    at = page(lab)("import_bundle")
    at.text_input(key="import_path").set_value("/etc").run()
    press(at, "import_server")
    assert at.error
    assert "Preview of the bundle" not in said(at)


def test_an_upload_that_nobody_took_in_leaves_after_a_day(
    lab: Any, page: Callable[..., Open], tmp_path: Path
) -> None:
    folder = lab.workspace.folders.cache / "incoming"
    folder.mkdir()
    away = tmp_path / "away"
    for path in (folder / "0ld", folder / "new", folder / "our.notes", away):
        path.write_bytes(b"PK")
        if path.name != "new":
            os.utime(path, (time.time() - 25 * 3600,) * 2)
    (folder / "link").symlink_to(away)
    os.utime(folder / "link", (1, 1), follow_symlinks=False)
    page(lab)("import_bundle")
    assert {path.name for path in folder.iterdir()} == {"new", "our.notes", "link"}
    assert away.exists()


def test_a_bundle_that_is_none_is_refused_and_forgotten(
    lab: Any, page: Callable[..., Open]
) -> None:
    (lab.data / "x.zip").write_bytes(b"PK\3\4 and no more")
    at = page(lab)("import_bundle")
    at.text_input(key="import_path").set_value(str(lab.data / "x.zip")).run()
    press(at, "import_server")
    assert "Refused; nothing was imported" in said(at)
    press(at, "import_forget")
    assert "Upload a bundle" in said(at)


def test_quality_shows_labels_and_measures_them(ready: Any, page: Callable[..., Open]) -> None:
    at = page(ready)("quality")
    assert {metric.label: metric.value for metric in at.metric}["Accepted labels"] == "6"
    press(at, "measure")
    rows = at.dataframe[0].value
    assert len(rows) == 6
    assert all(0 < dice < 1 for dice in rows["Dice"])


def test_models_are_scored_from_the_page(ready: Any, page: Callable[..., Open]) -> None:
    at = press(page(ready)("quality", "Models"), "score_now")
    with ready.workspace.catalog.read() as session:
        assert len(list_scores(session)) == 6
    assert "Register another model" in said(at)
    assert {each.outcome for each in score_segmentations(ready.opened)} == {"kept"}


def score(patch: Any, model: Any, dice: Any, trained: Any = False) -> Any:
    return ScoreRecord(
        patch, 1, 1, model, None, 1, Split.VAL, dice, dice, "m", 1, trained, datetime.now(UTC)
    )


def test_models_are_compared_on_patches_that_neither_trained_on() -> None:
    scores = [
        score("a", "old", 0.5),
        score("a", "new", 0.7),
        score("b", "old", 0.5),
        score("b", "new", 0.9, trained=True),
        score("c", "new", 0.1),
    ]
    assert pair_scores(scores, "dice", ("old", "new")) == {"a": (0.5, 0.7)}


@pytest.mark.parametrize("name", ["", "../x", "/abs", ".hidden", "a b", "x" * 200])
def test_a_bad_name_of_an_export_is_refused(lab: Any, name: Any) -> None:
    with pytest.raises(ExportError, match="the name of an export"):
        out_folder(lab.workspace, name)


def test_creators_and_tokens_are_read_and_mistakes_told() -> None:
    assert parse_creators("Doe, Jane; 0000-0002-1825-0097; X\n\nRoe, Rick") == (
        Creator("Doe, Jane", "0000-0002-1825-0097", "X"),
        Creator("Roe, Rick"),
    )
    assert parse_names("benedikt = algae, rory=cells") == {"benedikt": "algae", "rory": "cells"}
    with pytest.raises(ExportError, match="old = new"):
        parse_names("benedikt")
    with pytest.raises(ExportError, match="write a creator"):
        parse_creators("; ; ; x")


def test_share_reads_no_label_before_somebody_asks(ready: Any, page: Callable[..., Open]) -> None:
    shutil.rmtree(ready.workspace.folders.store)
    at = page(ready)("share")
    assert not at.metric
    assert not at.error
    press(at, "set_check")
    assert "Cannot be written yet" in said(at)
    at.text_input(key="set_model").set_value("another").run()
    assert not at.error


def test_a_bundle_of_one_tomogram_is_brought_to_an_end_on_its_tab(
    ready: Any, page: Callable[..., Open]
) -> None:
    with ready.workspace.catalog.read() as session:
        first, *others = tomogram_names(session)
    at = page(ready)("share", "Bundle")
    at.multiselect(key="bundle_without").set_value(others).run()
    fill_bundle(at, "Membranes of algae")
    assert "“Validate on the only tomogram”" in said(at).replace("\\", "")
    assert "--" not in at.error[0].value.replace("\\", "")
    at.toggle(key="bundle_leaky").set_value(True).run()
    press(at, "bundle_report")
    assert "No secret found" in said(at)
    at.checkbox(key="signed").check().run()
    press(at, "bundle_write")
    assert (ready.workspace.folders.exports / "mine" / "bundle.json").is_file()
    assert first


def test_a_missing_permission_is_linked(lab: Any, page: Callable[..., Open]) -> None:
    lab.accepted("TS_001")
    at = fill_bundle(page(lab)("share", "Bundle"), "Membranes of algae")
    assert "set it on the tomogram's page" in said(at).replace("\\", "")
    assert any(str(each.key).startswith("bundle_permission_") for each in at.button)
