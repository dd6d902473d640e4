"""Tomograms: pairs are shown before anything is registered; pages read below data roots alone."""

import shutil
from collections.abc import Callable
from pathlib import Path

import pytest
from streamlit.testing.v1 import AppTest

from core.access.os_user import acting_person
from core.errors import RootError
from core.lab.lab import Lab as ActingLab
from core.tomograms.data_roots import add_root, list_roots
from core.workspace.workspace import Workspace
from dashboard.components.registering.form import rows_of
from dashboard.components.registering.plan import Asked, below, plan, plan_table
from db.errors import UnknownNameError
from db.queries.volumes import get_tomogram, list_tomograms, permission_of
from db.vocabulary import Role, Scope, Split
from tests.dashboard.conftest import Lab, act_as, said

Open = Callable[..., AppTest]


@pytest.fixture
def rooted(bare: Workspace, lab_template: Path) -> Workspace:
    """An empty workspace that knows where tomograms lie."""
    add_root(ActingLab(bare, acting_person(bare)), lab_template / "data")
    return bare


def test_browsing_a_root_shows_the_pairs_and_registers_them(rooted: Workspace, page: Open) -> None:
    at = page("tomograms", tomograms_tab="Register more")
    assert not at.exception
    at.button(key="pick_all").click().run()
    pairs = next(each.value for each in at.dataframe if "Becomes" in each.value)
    assert list(pairs["Becomes"]) == ["other/TS_001", "other/TS_002"]
    assert [list(found) for found in pairs["Segmentations"]] == [
        ["TS_001_seg.mrc"],
        ["TS_002_seg.mrc"],
    ]
    at.button(key="register").click().run()
    assert not at.exception
    assert "2 tomograms registered" in said(at)
    with rooted.catalog.read() as session:
        assert list_tomograms(session).total == 2


def test_a_pattern_below_a_root_finds_files(rooted: Workspace, page: Open) -> None:
    at = page("tomograms", tomograms_tab="Register more")
    at.segmented_control(key="register_how").set_value("Pattern").run()
    at.text_input(key="register_pattern").input("TS_001*.mrc").run()
    at.button(key="pick_pattern").click().run()
    assert list(at.dataframe[0].value["Becomes"]) == ["other/TS_001"]


@pytest.mark.parametrize("pattern", ["../*.mrc", "/etc/*", "a/../../b", "", "  "])
def test_a_pattern_cannot_lead_out_of_its_root(pattern: str, tmp_path: Path) -> None:
    with pytest.raises(RootError, match="no pattern below"):
        below(tmp_path, pattern)


def test_a_file_outside_all_roots_is_refused_on_a_page(rooted: Workspace, tmp_path: Path) -> None:
    outside = tmp_path / "secret.mrc"
    outside.write_bytes(b"x")
    with pytest.raises(RootError, match="data root"):
        plan(rooted, Asked((str(outside),)))


def test_a_table_names_files_below_the_first_root(rooted: Workspace) -> None:
    table = b"tomogram,segmentation,token,voxel_size\nTS_001.mrc,TS_001_seg.mrc,first,12.5\n"
    found = plan_table(rooted, "t.csv", table)
    assert rows_of(found)[0]["Becomes"] == "other/first"
    assert found[0].error is None
    assert found[0].voxel_size == 12.5


def test_a_table_row_that_leads_outside_is_refused_alone(rooted: Workspace) -> None:
    table = b"tomogram\n/etc/passwd\nTS_002.mrc\n../../TS_001.mrc\n"
    found = plan_table(rooted, "t.csv", table)
    assert [each.error is None for each in found] == [False, True, False]


def test_a_project_folder_is_planned_as_its_program_wrote_it(rooted: Workspace) -> None:
    folder = list_roots(rooted)[0] / "warp" / "reconstruction"
    (folder / "even").mkdir(parents=True)
    source = next(list_roots(rooted)[0].glob("TS_001.mrc"))
    for name in ("TS_9_10.00Apx.mrc", "even/TS_9_10.00Apx.mrc"):
        shutil.copy(source, folder / name)
    found = plan(rooted, Asked((str(folder.parent),)))
    assert [(each.token, each.error) for each in found] == [("TS_9", None)]


def test_a_voxel_size_is_stated_over_the_header(lab: Lab, page: Open) -> None:
    at = page("tomograms", tomogram="other/TS_001")
    at.number_input(key="voxel_size_other/TS_001").set_value(12.5).run()
    at.button(key="save_voxel_size_other/TS_001").click().run()
    assert not at.exception
    with lab.workspace.catalog.read() as session:
        tomogram = get_tomogram(session, "other/TS_001")
    assert (tomogram.voxel_size, tomogram.voxel_size_is_override) == (12.5, True)
    assert "set by hand" in said(at)


def test_a_tomogram_is_pinned_to_a_split(lab: Lab, page: Open) -> None:
    at = page("tomograms", tomogram="other/TS_002")
    at.segmented_control(key="split_other/TS_002").set_value("test").run()
    at.button(key="pin_other/TS_002").click().run()
    with lab.workspace.catalog.read() as session:
        assert get_tomogram(session, "other/TS_002").split_pin is Split.TEST
    assert "saved by Mia" in said(at)


def test_a_tomogram_is_renamed_on_its_page_and_stays_open(lab: Lab, page: Open) -> None:
    at = page("tomograms", tomogram="other/TS_002")
    at.text_input(key="registration_token_other/TS_002").set_value("L1T2").run()
    at.button(key="registration_rename_other/TS_002").click().run()
    assert not at.exception
    assert "was other" in said(at)
    with lab.workspace.catalog.read() as session:
        assert get_tomogram(session, "L1T2").name == "other/L1T2"


def test_a_specimen_is_stated_and_a_wrong_tomogram_is_taken_out(lab: Lab, page: Open) -> None:
    at = page("tomograms", tomogram="other/TS_002")
    at.text_input(key="registration_specimen_other/TS_002").set_value("grid 1").run()
    at.button(key="registration_group_other/TS_002").click().run()
    assert "belongs to specimen grid 1" in said(at)
    at.button(key="registration_unregister_other/TS_002").click().run()
    assert not at.exception
    with (
        lab.workspace.catalog.read() as session,
        pytest.raises(UnknownNameError, match="no tomogram 'TS_002'"),
    ):
        get_tomogram(session, "TS_002")


def test_a_tomogram_with_patches_is_not_taken_out_on_its_page(lab: Lab, page: Open) -> None:
    at = page("tomograms", tomogram="other/TS_001")
    at.button(key="registration_unregister_other/TS_001").click().run()
    assert "is the source of" in said(at)


def test_a_permission_is_stated_and_shown(lab: Lab, page: Open) -> None:
    at = page("tomograms", tomogram="other/TS_001")
    at.selectbox(key="permission_scope_other/TS_001").select(Scope.INTERNAL)
    next(each for each in at.text_input if each.label == "Approved by").input("Prof. <b>X</b>")
    next(
        each for each in at.button if each.label == "Save" and each.form_id.startswith("permit")
    ).click().run()
    assert not at.exception
    with lab.workspace.catalog.read() as session:
        known = permission_of(session, get_tomogram(session, "other/TS_001").id)
    assert known
    assert known.approved_by == "Prof. <b>X</b>"
    assert "\\<b\\>" in said(at)


def test_an_annotator_sees_no_way_to_register_or_permit(lab: Lab, page: Open) -> None:
    act_as(lab, Role.ANNOTATOR)
    assert not any(
        str(each.key) == "register"
        for each in page("tomograms", tomograms_tab="Register more").button
    )
    at = page("tomograms", tomogram="other/TS_001")
    assert not any(str(each.key).startswith(("pin", "save_voxel_size")) for each in at.button)


def test_an_unknown_tomogram_is_told(lab: Lab, page: Open) -> None:
    at = page("tomograms", tomogram="../../x")
    assert not at.exception
    assert "there is no tomogram" in at.error[0].value


def test_a_segmentation_beside_a_selected_tomogram_is_found(rooted: Workspace) -> None:
    root = list_roots(rooted)[0]
    pairs = plan(rooted, Asked((str(root / "TS_001.mrc"),)))
    assert [pair.name for pair in pairs] == ["other/TS_001"]
    assert [found.path.name for found in pairs[0].segmentations] == ["TS_001_seg.mrc"]


def test_two_files_whose_names_do_not_fit_are_paired_by_hand(
    bare: Workspace, page: Open, lab_template: Path, tmp_path: Path
) -> None:
    data = tmp_path / "data"
    data.mkdir()
    for old, new in (("TS_001.mrc", "tomo.mrc"), ("TS_001_seg.mrc", "membranes.mrc")):
        shutil.copyfile(lab_template / "data" / old, data / new)
    add_root(ActingLab(bare, acting_person(bare)), data)
    at = page("tomograms", tomograms_tab="Register more")
    at.segmented_control(key="register_how").set_value("Pattern").run()
    at.text_input(key="register_pattern").input("tomo.mrc").run()
    at.button(key="pick_pattern").click().run()
    at.selectbox(key=f"pair_{data / 'tomo.mrc'}").set_value(data / "membranes.mrc").run()
    assert not at.exception
    pairs = next(each.value for each in at.dataframe if "Becomes" in each.value)
    assert [list(found) for found in pairs["Segmentations"]] == [["membranes.mrc"]]
    at.button(key="register").click().run()
    assert "1 tomogram registered" in said(at)
