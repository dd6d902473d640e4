"""A workspace with one patch to paint, served by our own routes alone: no Streamlit around them.

Tests and benchmarks of the painter drive it with a real browser; a server is a process that can
be killed and started again within a moment.
"""

import json
import multiprocessing
import socket
import time
import urllib.error
import urllib.request
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import mrcfile
import numpy as np
import uvicorn
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import HTMLResponse
from starlette.routing import Route

from core.access import people
from core.access.os_user import acting_person
from core.demo.synthetic import choose_centers, make_tomogram
from core.files.cache import Cache
from core.imaging.geometry import Zyx
from core.lab.lab import Lab as ActingLab
from core.patches.assign import assign
from core.patches.choose import choose
from core.patches.extract import extract
from core.tomograms.register import plan_registration, register
from core.workspace.results import count_failed
from core.workspace.workspace import Workspace, init_workspace, open_workspace
from dashboard.components.painter import painter_data
from dashboard.components.viewer import built_script
from dashboard.server.api.painting import painting_routes
from dashboard.server.routes import gate, routes
from dashboard.server.session import Site
from dashboard.server.volumes import OpenVolumes
from db.queries.patches import PatchRecord, get_patch
from db.queries.people import get_person
from db.vocabulary import ChosenBecause, Role

SHAPE = Zyx(168, 176, 184)
CENTER = Zyx(84, 88, 92)
PATCH = "other_t1_patch0"

_PAGE = """<!doctype html><html lang="en"><meta charset="utf-8"><base href="/">
<title>painter</title>
<style>body{margin:12px;background:BACK;font:14px system-ui}</style>
<div id="host" style="THEME"></div>
<script type="module">
const data = DATA;
const started = performance.now();
const { default: mount } = await import("/assets/SCRIPT");
const parentElement = document.getElementById("host").attachShadow({ mode: "open" });
window.told = [];
const setTriggerValue = (name, value) => window.told.push([name, value]);
const setStateValue = setTriggerValue;
window.end = mount({ data, parentElement, setTriggerValue, setStateValue });
window.painter = parentElement.querySelector(".painter");
new MutationObserver(() => {
  if (window.painter.dataset.state === "ready") window.readyMs ??= performance.now() - started;
}).observe(window.painter, { attributes: true });
window.pointOf = (axis, voxel) => {
  const detail = { axis, voxel, point: null };
  window.painter.dispatchEvent(new CustomEvent("askpoint", { detail }));
  return detail.point;
};
</script></html>"""
_DARK = (
    "--st-text-color:#dfe7e6;--st-background-color:#14191c;"
    "--st-secondary-background-color:#1d2429;--st-border-color:#37444b;--st-primary-color:#2a9d94"
)


@dataclass(frozen=True)
class Lab:
    """A workspace of three people, and its patch."""

    folder: Path
    patch: str

    def open(self) -> Workspace:
        return open_workspace(self.folder)


def make_lab(folder: Path, *, believable: bool = False, patches: int = 1) -> Lab:
    """Make the workspace: anna and ben are annotators, rita reviews, vera looks."""
    data = folder / "data"
    data.mkdir(parents=True)
    voxels, prediction, centers = _believable(patches) if believable else _plain()
    _write(data / "t1.mrc", voxels)
    _write(data / "t1_segmented.mrc", prediction)
    with init_workspace(folder / "work", admin="admin") as workspace:
        admin = acting_person(workspace)
        for name, role in (
            ("anna", Role.ANNOTATOR),
            ("ben", Role.ANNOTATOR),
            ("rita", Role.REVIEWER),
            ("vera", Role.VIEWER),
        ):
            people.add(workspace, admin, name, role)
        pairings = plan_registration(
            workspace, [data / "t1.mrc"], segmentation=data / "t1_segmented.mrc", token="t1"
        )
        register(ActingLab(workspace, admin), pairings, add_roots=True)
        chosen = choose(
            ActingLab(workspace, admin), "t1", centers, reason=ChosenBecause.MISSED_MEMBRANE
        )
        for patch in chosen:
            assign(ActingLab(workspace, admin), patch.name, admin.name)
        cut = extract(ActingLab(workspace, admin), [patch.name for patch in chosen])
        assert not count_failed(cut), cut
    return Lab(folder / "work", chosen[0].name)


def application(workspace: Workspace, port: int) -> Starlette:
    """Our own routes behind the gate, and a page that holds nothing but the painter."""
    site = site_of(workspace, port)

    def no_volume(name: str) -> Any:
        raise KeyError(name)

    async def page(request: Request) -> HTMLResponse:
        return HTMLResponse(_page(workspace, request))

    own = [*routes(site, OpenVolumes(no_volume, Cache(workspace.folders.cache)))]
    return Starlette(
        routes=[*own, *painting_routes(workspace), Route("/paint/{patch}", page)],
        middleware=gate(site),
    )


def site_of(workspace: Workspace, port: int) -> Site:
    """The dashboard of a workspace on a port, whoever serves it."""
    return Site(workspace=workspace, port=port)


def cookie_of(workspace: Workspace, name: str, port: int) -> dict[str, str]:
    """The cookie of a signed-in person, as Playwright takes it."""
    with workspace.catalog.read() as session:
        person = get_person(session, name)
    value = site_of(workspace, port).start_session(person.id)
    return {"name": f"tomocurate_{port}", "value": value, "url": f"http://127.0.0.1:{port}"}


def patch_of(workspace: Workspace, name: str) -> PatchRecord:
    with workspace.catalog.read() as session:
        return get_patch(session, name)


class Server:
    """A process that serves a lab on one port; it can be killed and started again."""

    def __init__(self, lab: Lab) -> None:
        self.lab = lab
        self.port = _free_port()
        self._start = multiprocessing.get_context("forkserver")
        self._start.set_forkserver_preload(["bench.painting_lab"])
        self._process: Any = None

    @property
    def address(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def start(self) -> None:
        self._process = self._start.Process(
            target=_serve, args=(str(self.lab.folder), self.port), daemon=True
        )
        self._process.start()
        deadline = time.monotonic() + 30
        while not self._answers():
            if time.monotonic() > deadline:
                raise TimeoutError("the server does not start")
            time.sleep(0.02)

    def kill(self) -> None:
        """As a power cut would: nothing is said, nothing is finished."""
        self._process.kill()
        self._process.join()
        self._process.close()

    def _answers(self) -> bool:
        try:
            urllib.request.urlopen(f"{self.address}/_stcore/health", timeout=2).close()
        except urllib.error.HTTPError as error:
            error.close()
            return True
        except OSError:
            return False
        return True


def _serve(folder: str, port: int) -> None:
    with open_workspace(Path(folder)) as workspace:
        config = uvicorn.Config(
            application(workspace, port),
            host="127.0.0.1",
            port=port,
            log_level="error",
            lifespan="off",
            access_log=False,
        )
        uvicorn.Server(config).run()


def _page(workspace: Workspace, request: Request) -> str:
    with workspace.catalog.read() as session:
        patch = get_patch(session, request.path_params["patch"])
    query = request.query_params
    data = painter_data(request.state.person, patch, read_only="look" in query)
    dark = "dark" in query
    return (
        _PAGE.replace("DATA", json.dumps(data))
        .replace("SCRIPT", built_script("painter"))
        .replace("THEME", _DARK if dark else "")
        .replace("BACK", "#14191c" if dark else "#fff")
    )


def _plain() -> tuple[Any, Any, list[Zyx]]:
    """Noise around a shell, and a prediction of it that has a false blob."""
    rng = np.random.default_rng(5)
    voxels = rng.normal(0, 1, SHAPE).astype(np.float32)
    z, y, x = np.ogrid[: SHAPE.z, : SHAPE.y, : SHAPE.x]
    radius = np.sqrt((z - 84) ** 2 + (y - 88) ** 2 + (x - 92) ** 2)
    shell = abs(radius - 40) < 3
    voxels[shell] -= 3
    prediction = shell.astype(np.int8)
    prediction[80:90, 120:130, 140:150] = 1
    return voxels, prediction, [CENTER]


def _believable(patches: int) -> tuple[Any, Any, list[Zyx]]:
    tomogram = make_tomogram()
    centers = choose_centers(tomogram, patches, apart=10)
    return tomogram.density, tomogram.prediction, centers


def _write(path: Path, voxels: Any) -> None:
    with mrcfile.new(path) as file:
        file.set_data(voxels)
        file.voxel_size = 12.0


def _free_port() -> int:
    with closing(socket.socket()) as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])
