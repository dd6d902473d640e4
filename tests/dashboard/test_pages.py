"""Every page starts: with data and without, for every role, and shows nobody's words as HTML."""

from collections.abc import Callable

import pytest
from streamlit.testing.v1 import AppTest

from core.workspace.workspace import Workspace
from db.vocabulary import Role
from tests.dashboard.conftest import Lab, act_as, said

PAGES = ("progress", "tomograms", "patches", "correct", "review", "activity", "settings")
Open = Callable[..., AppTest]


@pytest.mark.parametrize("name", PAGES)
def test_a_page_starts_on_an_empty_workspace_and_says_the_next_step(
    name: str, bare: Workspace, page: Open
) -> None:
    at = page(name)
    assert not at.exception
    assert not at.error
    assert said(at)


@pytest.mark.parametrize("role", list(Role))
@pytest.mark.parametrize("name", PAGES)
def test_a_page_starts_with_data_for_every_role(
    name: str, role: Role, lab: Lab, page: Open
) -> None:
    act_as(lab, role)
    at = page(name)
    assert not at.exception
    assert not at.error
