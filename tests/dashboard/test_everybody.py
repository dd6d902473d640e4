"""Every step and every route × every role and nobody: no unexpected success.

The steps are found in the code, not listed: whatever takes a workspace and an acting person must
stand in the table below, with the step that it needs.
"""

import asyncio
import importlib
import inspect
import pkgutil
from collections.abc import Callable, Iterator
from datetime import date
from functools import partial
from typing import Any

import httpx
import numpy as np
import pytest
from starlette.applications import Starlette
from starlette.routing import Route

import core.access
import core.adopt
import core.bundles
import core.corrections
import core.evaluation
import core.exports
import core.jobs
import core.labels
import core.maintenance
import core.painting
import core.patches
import core.tomograms
from core.access import people
from core.access.permissions import Action, may
from core.access.sessions import start_session
from core.imaging.geometry import Zyx
from core.lab.lab import Lab
from core.workspace.results import FAILED, Outcome
from core.workspace.workspace import Workspace
from dashboard.server.api.exports import export_routes
from dashboard.server.api.painting import painting_routes, patch_object
from dashboard.server.routes import gate, routes
from dashboard.server.session import Site
from dashboard.server.volumes import OpenVolumes
from db.errors import NotAllowedError, TomocurateError, UnknownNameError
from db.queries.life import list_events
from db.queries.patches import get_patch
from db.queries.people import PersonRecord, get_person
from db.vocabulary import (
    BackupKind,
    ChosenBecause,
    JobKind,
    Licence,
    Role,
    Scope,
)
from db.writes.events import Change
from db.writes.people import add_person

Arguments = Callable[[Any], tuple[Any, ...]]
"""Makes the arguments after workspace and person, from the lab."""

TOMOGRAM = "TS_001"


def facts(_: Any) -> Any:
    from core.bundles.facts import BundleFacts, Creator

    return BundleFacts(
        "Membranes",
        "Curated by hand.",
        Licence.CC0,
        "Mia",
        date(2026, 11, 25),
        creators=(Creator("Mia"),),
    )


def choice(_: Any) -> Any:
    from core.exports.selection import Choice

    return Choice()


def pairings(lab: Any) -> Any:
    from core.tomograms.register import plan_registration

    return plan_registration(lab.workspace, [lab.tomograms / "TS_001.mrc"], token="again")


def drawing(_: Any) -> Any:
    painted = np.zeros((160, 160, 160), np.uint8)
    painted[80, 80, 80:90] = 1
    return painted


def exporting(lab: Any) -> Any:
    from core.bundles.job import set_arguments
    from core.exports.plan import SetOptions

    return set_arguments(lab.workspace.folder / "queued", choice(lab), SetOptions())


def tell(share: float, said: str) -> None:
    assert 0 <= share <= 1, said


def nothing(_: Any) -> tuple[Any, ...]:
    return ()


# What is somebody else's (a job, an assigned patch) takes more than one's own.
STEPS: dict[str, tuple[Action, Arguments]] = {
    "adopt.adopt": (Action.ADOPT, lambda lab: (lab.workspace.folder,)),
    "choose.choose": (
        Action.CHOOSE,
        lambda lab: (TOMOGRAM, [Zyx(84, 131, 132)]),
    ),
    "collect.collect": (Action.COLLECT, nothing),
    "extract.extract": (Action.EXTRACT, lambda lab: ([lab.chosen],)),
    "audit_log.export_events": (
        Action.READ_LOG,
        lambda lab: (lab.workspace.folder / "audit_log.jsonl",),
    ),
    "audit_log.note_download": (Action.VIEW, lambda lab: ("kits", [lab.chosen])),
    "merge.merge": (Action.MERGE, lambda lab: ([lab.correcting],)),
    "draft.discard_draft": (Action.PAINT, lambda lab: (lab.extracted,)),
    "open.hold": (Action.PAINT, lambda lab: (lab.extracted,)),
    "open.release": (Action.PAINT, lambda lab: (lab.extracted,)),
    "open.open_painting": (Action.VIEW, lambda lab: (lab.extracted,)),
    "draft.read_draft": (Action.VIEW, lambda lab: (lab.extracted,)),
    "draft.keep_draft": (Action.PAINT, lambda lab: (lab.extracted, drawing(lab), 0)),
    "save.save_painting": (Action.PAINT, lambda lab: (lab.extracted, drawing(lab))),
    "people.add": (Action.MANAGE_PEOPLE, lambda lab: ("Zoe", Role.VIEWER)),
    "people.change_role": (Action.MANAGE_PEOPLE, lambda lab: ("Ada", Role.ADMIN)),
    "people.disable": (Action.MANAGE_PEOPLE, lambda lab: ("Ada",)),
    "people.enable": (Action.MANAGE_PEOPLE, lambda lab: ("Ada",)),
    "people.identify": (Action.MANAGE_PEOPLE, lambda lab: ("Ada", "https://a.example", "1")),
    "people.set_account": (Action.MANAGE_PEOPLE, lambda lab: ("Ada",)),
    "put_back.put_back": (
        Action.PUT_BACK,
        lambda lab: (TOMOGRAM, lab.workspace.folder / "back.mrc"),
    ),
    "receive.receive": (
        Action.SUBMIT_CORRECTION,
        lambda lab: (lab.extracted, "Add1.nrrd", b"NRRD"),
    ),
    "receive.receive_many": (
        Action.SUBMIT_CORRECTION,
        lambda lab: (lab.workspace.folder / "no.zip",),
    ),
    "register.register": (Action.REGISTER, lambda lab: (pairings(lab),)),
    "review.accept": (Action.REVIEW, lambda lab: (lab.in_review,)),
    "assign.assign": (Action.ASSIGN, lambda lab: (lab.extracted, "Ada")),
    "assign.claim": (Action.CLAIM, lambda lab: (lab.chosen,)),
    "review.comment": (Action.COMMENT, lambda lab: (lab.chosen, "look")),
    "review.reinstate": (Action.WITHDRAW, lambda lab: (lab.chosen,)),
    "review.reject": (Action.REVIEW, lambda lab: (lab.in_review, "no")),
    "assign.release": (Action.ASSIGN, lambda lab: (lab.correcting,)),
    "review.resolve_comment": (Action.COMMENT, lambda lab: (lab.in_review, 1)),
    "review.submit": (Action.SUBMIT, lambda lab: (lab.correcting,)),
    "assign.transfer": (Action.ASSIGN, lambda lab: (lab.correcting, "Ben")),
    "review.withdraw": (Action.WITHDRAW, lambda lab: (lab.chosen, "twice")),
    "data_roots.add_root": (Action.ADD_ROOT, lambda lab: (lab.workspace.folder,)),
    "data_roots.browse": (Action.REGISTER, lambda lab: (lab.tomograms,)),
    "data_roots.move_root": (Action.ADD_ROOT, lambda lab: (lab.tomograms, lab.workspace.folder)),
    "saved_filters.list_views": (Action.VIEW, lambda lab: ("patches",)),
    "saved_filters.save_view": (
        Action.SAVE_VIEW,
        lambda lab: ("mine", "patches", {"stage": ["chosen"]}),
    ),
    "withdraw.withdraw_correction": (
        Action.WITHDRAW_CORRECTION,
        lambda lab: (lab.correcting, "Add1.nrrd"),
    ),
    "withdraw.reinstate_correction": (
        Action.WITHDRAW_CORRECTION,
        lambda lab: (lab.correcting, "Add1.nrrd"),
    ),
    "withdraw.restore_version": (
        Action.SUBMIT_CORRECTION,
        lambda lab: (lab.correcting, "Add1.nrrd", 1),
    ),
    "handover.hand_over": (Action.ASSIGN, lambda lab: ("Ada", "Ben")),
    "sessions.end_sessions": (Action.MANAGE_PEOPLE, lambda lab: ("Ada",)),
    "queue.cancel": (Action.MANAGE_JOBS, lambda lab: (1,)),
    "queue.repeat": (Action.MANAGE_JOBS, lambda lab: (1,)),
    "queue.submit": (Action.BACK_UP, lambda lab: (JobKind.BACKUP, {})),
    "queue.submit_batch": (Action.EXTRACT, lambda lab: (JobKind.EXTRACT, [lab.chosen])),
    "data_permissions.permit": (Action.PERMIT, lambda lab: (TOMOGRAM,)),
    "data_permissions.pin": (Action.PIN, lambda lab: (TOMOGRAM, None)),
    "voxel_size.set_voxel_size": (Action.REGISTER, lambda lab: ([TOMOGRAM], 12.0)),
    "rename.rename": (Action.REGISTER, lambda lab: (TOMOGRAM, "other", "renamed")),
    "relocate.relocate": (Action.REGISTER, lambda lab: (TOMOGRAM, lab.tomograms / "TS_001.mrc")),
    "relocate.unregister": (Action.REGISTER, lambda lab: ([TOMOGRAM],)),
    "relocate.unregister_segmentation": (Action.REGISTER, lambda lab: (TOMOGRAM, 1)),
    "data_permissions.group": (Action.PIN, lambda lab: ([TOMOGRAM], None)),
    "backup.make_backup": (Action.BACK_UP, lambda lab: (BackupKind.ASKED,)),
    "verify_backup.verify_backup": (Action.BACK_UP, nothing),
    "training_set.plan_export_set": (Action.EXPORT, lambda lab: (choice(lab),)),
    "training_set.export_training_set": (
        Action.EXPORT,
        lambda lab: (lab.workspace.folder / "set", choice(lab)),
    ),
    "share.rehearse_share": (
        Action.EXPORT,
        lambda lab: (lab.workspace.folder / "out", facts(lab)),
    ),
    "share.export_bundle": (
        Action.EXPORT,
        lambda lab: (lab.workspace.folder / "out", facts(lab)),
    ),
    "selection.choose_curated": (Action.EXPORT, lambda lab: (choice(lab),)),
    "job.run_export": (Action.EXPORT, lambda lab: (exporting(lab), tell, lambda: False)),
    "import_bundle.preview_bundle": (Action.IMPORT, lambda lab: (lab.tomograms,)),
    "import_bundle.import_bundle": (Action.IMPORT, lambda lab: (lab.tomograms,)),
    "label_figures.label_figures": (Action.VIEW, nothing),
    "label_figures.measure_labels": (Action.VIEW, lambda lab: ([lab.accepted],)),
    "scores.state_training": (Action.SCORE, lambda lab: (1, "MemBrain")),
    "scores.score_segmentations": (Action.SCORE, nothing),
    "copy.copy_catalog": (
        Action.BACK_UP,
        lambda lab: (f"sqlite:///{lab.workspace.folder}/copy.sqlite",),
    ),
}

PACKAGES = (
    core.access,
    core.adopt,
    core.corrections,
    core.jobs,
    core.labels,
    core.maintenance,
    core.painting,
    core.patches,
    core.bundles,
    core.evaluation,
    core.exports,
    core.tomograms,
)

OPTIONS: dict[str, dict[str, Any]] = {
    "save.save_painting": {"base": {}},
    "choose.choose": {"reason": ChosenBecause.OTHER},
    "people.set_account": {"os_user": "ada"},
    "data_permissions.permit": {
        "scope": Scope.PUBLIC,
        "licence": Licence.CC0,
        "approved_by": "Mia",
    },
}

INNER = {
    "audit_log.note_refusal": "records what was refused already",
    "record.record_export": "a part of the exports, after their check",
    "import_preview.compare": "a part of preview_bundle",
    "import_preview.sort_cases": "a part of preview_bundle and import_bundle",
    "add_version.add_version": "a part of receive and adopt, which say whose file it is",
    "add_version.new_version": "reads and stages a file; its step checks",
    "add_version.read_arrived": "reads a file; its step checks",
    "add_version.read_slots": "takes the action that is checked as an argument",
    "collect.finish_killed_steps": "ends what others were allowed to begin",
    "draft.remove_draft_files": "a part of the steps on drafts, after their check",
    "marker.check_marker": "a part of collect, after its check",
}
"""Take a person for the record only; their callers have checked."""


def found_steps() -> Iterator[tuple[str, Callable[..., Any]]]:
    """Every function that takes a workspace and who acts."""
    for package in PACKAGES:
        for module in pkgutil.iter_modules(package.__path__):
            imported = importlib.import_module(f"{package.__name__}.{module.name}")
            for name, function in inspect.getmembers(imported, inspect.isfunction):
                if function.__module__ != imported.__name__ or name.startswith("_"):
                    continue
                kinds = [
                    each.annotation for each in inspect.signature(function).parameters.values()
                ]
                if kinds[:1] == [Lab] or kinds[:2] == [Workspace, PersonRecord]:
                    yield f"{module.name}.{name}", function


def takes_a_lab(function: Callable[..., Any]) -> bool:
    return next(iter(inspect.signature(function).parameters.values())).annotation is Lab


FOUND = dict(found_steps())


def test_whatever_takes_an_acting_person_stands_in_the_table() -> None:
    assert set(FOUND) == set(STEPS) | set(INNER)


def somebody(workspace: Workspace, role: Role, name: str = "Somebody") -> PersonRecord:
    with workspace.catalog.write() as session:
        return add_person(session, Change.now(1), name, role)


def is_refused(call: Callable[[], Any]) -> bool:
    try:
        answer = call()
        if inspect.isgenerator(answer):
            answer = tuple(answer)
    except NotAllowedError:
        return True
    except TomocurateError:
        return False
    outcomes = answer if isinstance(answer, tuple) else (answer,)
    said = [each for each in outcomes if isinstance(each, Outcome) and each.outcome == FAILED]
    return bool(said) and all("ask an admin" in str(each.message) for each in said)


def last_event(workspace: Workspace) -> int:
    with workspace.catalog.read() as session:
        return list_events(session, limit=1)[0].id


@pytest.mark.parametrize("name", sorted(STEPS))
def test_a_step_is_taken_by_those_who_may_and_by_nobody_else(lab: Any, name: str) -> None:
    step, arguments = STEPS[name]
    options = OPTIONS.get(name, {})
    disabled = somebody(lab.workspace, Role.ADMIN, "Gone")
    people.disable(lab.workspace, lab.me, disabled.name)
    everybody = [(disabled, False)]
    everybody += [(somebody(lab.workspace, r, f"A {r}"), may(r, step)) for r in Role]
    for by, allowed in everybody:
        given = arguments(lab)
        before = last_event(lab.workspace)
        acting: tuple[Any, ...] = (lab.workspace, by)
        if takes_a_lab(FOUND[name]):
            acting = (Lab(*acting),)
        refused = is_refused(partial(FOUND[name], *acting, *given, **options))
        assert refused is not allowed, f"{name} by {by.name}"
        if refused:
            assert last_event(lab.workspace) == before, f"{name} changed something for {by.name}"


def all_routes(lab: Any) -> list[Route]:
    def find(name: str) -> Any:
        raise UnknownNameError.among("volume", name, ())

    volumes = OpenVolumes(find, None)  # type: ignore[arg-type]
    made = [
        *routes(site_of(lab), volumes),
        *painting_routes(lab.workspace),
        *export_routes(lab.workspace),
    ]
    return [route for route in made if isinstance(route, Route)]


def site_of(lab: Any) -> Site:
    return Site(workspace=lab.workspace, port=8501, open_hash="x" * 64, person_id=lab.me.id)


def asked_paths(lab: Any, patch: str | None = None) -> Iterator[tuple[str, str]]:
    """Every method and path of /api, filled with a patch that is there."""
    with lab.workspace.catalog.read() as session:
        name = patch_object(get_patch(session, patch or lab.extracted))
    fill = {
        "{patch}": name,
        "{object}": "tomogram-1",
        "{version}": "0" * 16,
        "{axis}": "z",
        "{index:int}": "1",
        "{number:int}": "1",
        "{slot}": "Add1.nrrd",
    }
    for route in all_routes(lab):
        path = route.path
        for part, value in fill.items():
            path = path.replace(part, value)
        assert "{" not in path, path
        for method in sorted((route.methods or set()) - {"HEAD"}):
            yield method, path


OUR_SCRIPT = {"origin": "http://127.0.0.1:8501", "x-tomocurate-request": "1"}
Answers = dict[tuple[str, str], int]


def ask(
    lab: Any, secret: str | None, headers: dict[str, str] = OUR_SCRIPT, methods: str = ""
) -> Answers:
    """What each route answers to the browser that holds this session."""
    site = site_of(lab)
    app = Starlette(routes=all_routes(lab), middleware=gate(site))
    cookies = {site.cookie: secret} if secret else {}

    async def speak() -> Answers:
        transport = httpx.ASGITransport(app=app)
        async with httpx.AsyncClient(
            transport=transport, base_url="http://127.0.0.1:8501", cookies=cookies, headers=headers
        ) as client:
            return {
                (method, path): (await client.request(method, path)).status_code
                for method, path in asked_paths(lab)
                if not methods or method in methods
            }

    return asyncio.run(speak())


def writes(answers: Answers) -> Answers:
    return {key: status for key, status in answers.items() if key[0] != "GET"}


def test_nobody_reaches_a_route_without_a_session(lab: Any) -> None:
    by = somebody(lab.workspace, Role.ADMIN)
    gone = site_of(lab).start_session(by.id)
    site_of(lab).sign_out(gone)
    elsewhere = start_session(lab.workspace, by.id, server="another run of serve")
    for secret in (None, "", "x", "x" * 43, gone, elsewhere, str(by.id)):
        answers = ask(lab, secret)
        assert set(answers.values()) == {401}, secret
        assert len(answers) > 12


@pytest.mark.parametrize("role", list(Role))
def test_a_route_does_for_a_role_what_its_step_lets_it_do(lab: Any, role: Role) -> None:
    by = somebody(lab.workspace, role)
    with lab.workspace.catalog.read() as session:
        assert get_person(session, by.name).role is role
        name = patch_object(get_patch(session, lab.extracted))
    before = last_event(lab.workspace)
    answers = ask(lab, site_of(lab).start_session(by.id))
    assert answers["GET", f"/api/painting/{name}"] == 200
    assert 401 not in {status for (_, path), status in answers.items() if path != "/open"}
    held = answers["POST", f"/api/painting/{name}/hold"]
    if may(role, Action.PAINT):
        assert held == 200
        return
    assert held == 403
    assert all(status >= 400 for status in writes(answers).values()), answers
    with lab.workspace.catalog.read() as session:
        done = {event.action for event in list_events(session, limit=50) if event.id > before}
    assert done <= {"refused"}


@pytest.mark.parametrize("role", list(Role))
def test_a_route_is_closed_at_once_to_somebody_who_is_disabled(lab: Any, role: Role) -> None:
    by = somebody(lab.workspace, role)
    secret = site_of(lab).start_session(by.id)
    assert ask(lab, secret, methods="GET") != {}
    people.disable(lab.workspace, lab.me, by.name)
    assert set(ask(lab, secret).values()) == {401}
    people.enable(lab.workspace, lab.me, by.name)
    assert set(ask(lab, secret).values()) == {401}, "to enable somebody revives no session"


FORGED = {
    "no origin": {"x-tomocurate-request": "1"},
    "another origin": {"origin": "https://evil.example", "x-tomocurate-request": "1"},
    "another port": {"origin": "http://127.0.0.1:9999", "x-tomocurate-request": "1"},
    "no header of our script": {"origin": "http://127.0.0.1:8501"},
    "a page of another site": {**OUR_SCRIPT, "sec-fetch-site": "cross-site"},
    "a page of a sibling": {**OUR_SCRIPT, "sec-fetch-site": "same-site"},
}


@pytest.mark.parametrize("kind", FORGED)
def test_a_write_that_another_sites_page_sends_changes_nothing(lab: Any, kind: str) -> None:
    secret = site_of(lab).start_session(lab.me.id)
    before = last_event(lab.workspace)
    answers = writes(ask(lab, secret, FORGED[kind]))
    assert set(answers.values()) == {403}
    assert last_event(lab.workspace) == before


def test_no_route_changes_anything_by_get(lab: Any) -> None:
    before = last_event(lab.workspace)
    ask(lab, site_of(lab).start_session(lab.me.id), methods="GET")
    assert last_event(lab.workspace) == before


def test_every_step_of_the_table_of_roles_is_tried() -> None:
    tried = {step for step, _ in STEPS.values()}
    assert set(Action) - tried <= {Action.EXAMINE, Action.RELEASE, Action.VIEW}
