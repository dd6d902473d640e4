"""An export is downloaded as a zip by those who may export, and nothing else is."""

import asyncio
import io
import zipfile
from pathlib import Path
from typing import Any

import httpx
import pytest
from starlette.applications import Starlette

from core.exports.training_set import export_training_set
from dashboard.server.api.exports import export_routes
from dashboard.server.routes import gate
from dashboard.server.session import Site
from db.queries.life import EventFilter, list_events
from db.queries.sharing import list_exports
from db.vocabulary import Role


def ask(lab: Any, person: Any, number: Any) -> Any:
    """Send one request as a browser with that person's session does."""
    site = Site(workspace=lab.workspace, port=8501, open_hash="x" * 64, person_id=person.id)
    app = Starlette(routes=export_routes(lab.workspace), middleware=gate(site))
    cookies = {site.cookie: site.start_session(person.id)}

    async def speak() -> Any:
        transport = httpx.ASGITransport(app=app)
        async with httpx.AsyncClient(
            transport=transport, base_url="http://127.0.0.1:8501", cookies=cookies
        ) as client:
            return await client.get(f"/api/exports/{number}")

    return asyncio.run(speak())


def exported(lab: Any, out: Any) -> Any:
    export_training_set(lab.opened, out)
    with lab.workspace.catalog.read() as session:
        return list_exports(session)[0].id


def test_an_export_is_downloaded_whole_and_noted(ready: Any) -> None:
    folder = ready.workspace.folders.exports / "Dataset501_Mine"
    answer = ask(ready, ready.by, exported(ready, folder))
    assert answer.status_code == 200
    assert answer.headers["content-disposition"] == 'attachment; filename="Dataset501_Mine.zip"'
    archive = zipfile.ZipFile(io.BytesIO(answer.content))
    assert archive.testzip() is None
    written = {f"Dataset501_Mine/{p.relative_to(folder)}" for p in folder.rglob("*") if p.is_file()}
    assert set(archive.namelist()) == written
    sample = next(name for name in written if name.endswith("dataset.json"))
    assert archive.read(sample) == (folder / "dataset.json").read_bytes()
    with ready.workspace.catalog.read() as session:
        assert list_events(session, EventFilter(), limit=1)[0].action == "downloaded exports"


def test_what_lies_elsewhere_or_is_gone_is_not_found(ready: Any, tmp_path: Path) -> None:
    assert ask(ready, ready.by, exported(ready, tmp_path / "elsewhere")).status_code == 404
    assert ask(ready, ready.by, 99).status_code == 404


@pytest.mark.parametrize("role", [Role.VIEWER, Role.ANNOTATOR, Role.REVIEWER])
def test_who_may_not_export_downloads_nothing(ready: Any, role: Any) -> None:
    number = exported(ready, ready.workspace.folders.exports / "set")
    names = {Role.VIEWER: "Vera View", Role.ANNOTATOR: "Annika Notator"}
    person = ready.person(names.get(role, "Rolf Reviewson"))
    assert person.role is role
    assert ask(ready, person, number).status_code == 403
