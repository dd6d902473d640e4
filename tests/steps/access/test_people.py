"""Who works in a workspace: added, changed, disabled and never deleted; the last admin stays."""

from typing import Any

import pytest

from core.access import people
from core.access.os_user import acting_person
from db.errors import (
    CatalogError,
    ConflictError,
    NotAllowedError,
    TakenNameError,
    UnknownNameError,
)
from db.queries.life import EventFilter, list_events
from db.vocabulary import Role


def test_everybody_is_listed_by_name(workspace: Any, team: Any) -> None:
    names = [person.name for person in people.list_people(workspace)]
    assert names == ["admin", "annika", "anton", "cora", "rita", "rolf", "vera"]


def test_a_person_is_known_by_account_and_identity(workspace: Any, team: Any) -> None:
    people.set_account(workspace, team.admin, "annika", os_user="annika.a")
    known = people.identify(workspace, team.admin, "annika", "https://id.example", "42")
    assert (known.os_user, known.issuer, known.subject) == ("annika.a", "https://id.example", "42")
    with pytest.raises(TakenNameError):
        people.add(workspace, team.admin, "other", Role.VIEWER, os_user="annika.a")


def test_who_is_disabled_acts_no_more(workspace: Any, team: Any) -> None:
    second = people.change_role(workspace, team.admin, "cora", Role.ADMIN)
    people.disable(workspace, second, "admin")
    with pytest.raises(NotAllowedError, match="admin is disabled"):
        acting_person(workspace)
    with pytest.raises(NotAllowedError, match="admin is disabled"):
        people.enable(workspace, team.admin, "admin")
    people.enable(workspace, second, "admin")
    assert acting_person(workspace).role is Role.ADMIN


@pytest.mark.parametrize("step", ["change_role", "disable"])
def test_the_last_admin_stays(workspace: Any, team: Any, step: Any) -> None:
    more = (Role.VIEWER,) if step == "change_role" else ()
    with pytest.raises(CatalogError, match="is the last admin"):
        getattr(people, step)(workspace, team.admin, "admin", *more)


def test_only_an_admin_changes_people(workspace: Any, team: Any) -> None:
    for person in (team.cora, team.rolf, team.annika, team.vera):
        with pytest.raises(NotAllowedError, match="takes an admin"):
            people.change_role(workspace, person, "vera", Role.ADMIN)
        with pytest.raises(NotAllowedError):
            people.add(workspace, person, "mallory", Role.ADMIN)


def test_a_change_that_somebody_did_not_see_is_told(workspace: Any, team: Any) -> None:
    seen = team.vera.version
    people.change_role(workspace, team.admin, "vera", Role.ANNOTATOR, seen=seen)
    with pytest.raises(ConflictError, match="admin changed it"):
        people.change_role(workspace, team.admin, "vera", Role.CURATOR, seen=seen)


@pytest.mark.parametrize("name", ["", " x", "x\n", "a\x00", "x" * 201, "\u202eadmin"])
def test_a_name_that_cannot_be_shown_is_refused(workspace: Any, team: Any, name: Any) -> None:
    with pytest.raises(CatalogError, match="printable characters"):
        people.add(workspace, team.admin, name, Role.VIEWER)


def test_names_of_every_script_are_taken(workspace: Any, team: Any) -> None:
    for name in ("Žofie Nováková", "小林 一郎", "ليلى", "O'Brien; DROP TABLE people"):
        assert people.add(workspace, team.admin, name, Role.ANNOTATOR).name == name
    with pytest.raises(TakenNameError):
        people.add(workspace, team.admin, "小林 一郎", Role.VIEWER)
    with pytest.raises(UnknownNameError, match="did you mean Žofie"):
        people.disable(workspace, team.admin, "Zofie Novakova")


def test_each_change_leaves_an_event(workspace: Any, team: Any) -> None:
    people.change_role(workspace, team.admin, "vera", Role.ANNOTATOR)
    with workspace.catalog.read() as session:
        last = list_events(session, EventFilter(subject="person"))[0]
    assert (last.person, last.name, last.before, last.after) == (
        "admin",
        "vera",
        {"role": "viewer"},
        {"role": "annotator"},
    )
