"""One table says who may do what; it is whole, grows with the role, and the docs print it."""

import re
from pathlib import Path
from typing import Any

import pytest

from core.access.permissions import REQUIRED_ROLE, Action, may, require
from core.workspace.workspace import Workspace, init_workspace
from db.errors import NotAllowedError
from db.vocabulary import Role
from db.writes.events import Change
from db.writes.people import add_person, change_person

DOC = Path(__file__).parents[3] / "docs" / "security.md"


@pytest.fixture
def workspace(tmp_path: Path) -> Any:
    with init_workspace(tmp_path / "lab", admin="Ada") as made:
        yield made


def test_every_step_has_its_least_role() -> None:
    assert set(REQUIRED_ROLE) == set(Action)


def test_the_docs_print_the_table() -> None:
    printed = re.findall(r"^\| ([^|]+) \| (\w+) \|$", DOC.read_text(), re.MULTILINE)
    assert dict(printed[1:] if printed[0][1] == "role" else printed) == {
        step.value: role.value for step, role in REQUIRED_ROLE.items()
    }


def test_a_greater_role_may_do_all_that_a_lesser_one_may() -> None:
    roles = list(Role)
    for step in Action:
        allowed = [may(role, step) for role in roles]
        assert allowed == sorted(allowed)
        assert allowed[-1]


@pytest.mark.parametrize("role", list(Role))
def test_a_step_is_refused_below_its_role_and_says_what_it_takes(
    workspace: Workspace, role: Role
) -> None:
    with workspace.catalog.write() as session:
        person = add_person(session, Change.now(1), "Ben", role)
    for step in Action:
        with workspace.catalog.read() as session:
            if may(role, step):
                assert require(session, person, step).role is role
            else:
                with pytest.raises(
                    NotAllowedError, match=f"takes an? {REQUIRED_ROLE[step]} or more"
                ):
                    require(session, person, step)


def test_a_change_of_role_counts_at_once_whatever_the_caller_remembers(
    workspace: Workspace,
) -> None:
    with workspace.catalog.write() as session:
        before = add_person(session, Change.now(1), "Ben", Role.CURATOR)
        change_person(session, Change.now(1), "Ben", role=Role.VIEWER)
    with workspace.catalog.read() as session, pytest.raises(NotAllowedError, match="viewer"):
        require(session, before, Action.EXPORT)


def test_somebody_disabled_may_do_nothing(workspace: Workspace) -> None:
    with workspace.catalog.write() as session:
        ben = add_person(session, Change.now(1), "Ben", Role.ADMIN)
        change_person(session, Change.now(1), "Ben", disabled=True)
    for step in Action:
        with workspace.catalog.read() as session, pytest.raises(NotAllowedError, match="disabled"):
            require(session, ben, step)
