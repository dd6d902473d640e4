"""What browsers load is built from the sources beside it, packaged, and agrees with the core."""

import json
import re
import shutil
import subprocess
import zipfile
from pathlib import Path

import pytest

import dashboard
from core.imaging.geometry import Zyx, box_around, legal_centers, shifted_to_fit
from dashboard.components.viewer import built_script

FLOOR = Path(dashboard.__file__).parent
FRONTEND = FLOOR / "frontend"
ASSETS = FLOOR / "assets"
COMPONENTS = sorted(path.parent.name for path in (FRONTEND / "src").glob("*/main.ts"))
ROOT = FLOOR.parent

PROPOSE = """
import { build } from "esbuild";
const made = await build({
  entryPoints: ["src/viewer/proposal.ts"], bundle: true, write: false, format: "esm",
});
const url = `data:text/javascript;base64,${btoa(made.outputFiles[0].text)}`;
const { propose } = await import(url);
console.log(JSON.stringify(CASES.map(([center, shape]) => propose(center, shape, 160, []))));
"""

needs_node = pytest.mark.skipif(
    shutil.which("node") is None or not (FRONTEND / "node_modules" / "esbuild").is_dir(),
    reason="needs node and, in dashboard/frontend, npm ci",
)


def node(*words: str | Path) -> str:
    done = subprocess.run(
        ["node", *words], cwd=FRONTEND, capture_output=True, text=True, timeout=120
    )
    assert done.returncode == 0, done.stdout[-3000:] + done.stderr[-3000:]
    return done.stdout


@pytest.mark.parametrize("name", COMPONENTS)
def test_each_component_is_built_once(name: str) -> None:
    assert re.fullmatch(rf"{name}-[0-9a-f]{{12}}\.js", built_script(name))


@needs_node
def test_what_is_committed_is_what_the_sources_build(tmp_path: Path) -> None:
    node("build.mjs", "--out", tmp_path)
    built = {path.name: path.read_bytes() for path in tmp_path.glob("*.js")}
    assert built == {path.name: path.read_bytes() for path in ASSETS.glob("*.js")}


@needs_node
def test_the_sources_pass_their_own_tests() -> None:
    assert "# fail 0" in node("test.mjs")


@needs_node
def test_the_sources_are_typed() -> None:
    node("node_modules/typescript/bin/tsc", "--noEmit")


@needs_node
@pytest.mark.parametrize("task", [["lint", "--error-on-warnings"], ["format"]], ids=str)
def test_the_sources_are_linted_and_formatted(task: list[str]) -> None:
    node("node_modules/@biomejs/biome/bin/biome", *task, ".")


def test_the_lock_holds_no_address() -> None:
    lock = json.loads((FRONTEND / "package-lock.json").read_text())
    assert [name for name, package in lock["packages"].items() if "resolved" in package] == []
    assert all("integrity" in package or not name for name, package in lock["packages"].items())


def test_the_built_files_are_in_the_wheel(tmp_path: Path) -> None:
    from hatchling.builders.wheel import WheelBuilder

    wheel = next(WheelBuilder(str(ROOT)).build(directory=str(tmp_path), versions=["standard"]))
    with zipfile.ZipFile(wheel) as archive:
        held = set(archive.namelist())
    for path in [*ASSETS.glob("*.*"), FLOOR / "theme.toml", FLOOR / "app.py"]:
        if path.name != ".gitkeep":
            assert path.relative_to(ROOT).as_posix() in held
    assert not [name for name in held if "node_modules" in name]


@needs_node
def test_a_browser_proposes_just_the_boxes_that_the_core_would_cut() -> None:
    shapes = [Zyx(160, 160, 160), Zyx(200, 170, 300), Zyx(90, 400, 400)]
    centers = [Zyx(a, b, c) for a in (0, 80, 81, 199) for b in (79, 90) for c in (80, 220, 221)]
    cases = json.dumps([[center, shape] for shape in shapes for center in centers])
    found = iter(json.loads(node("--input-type=module", "-e", PROPOSE.replace("CASES", cases))))
    for shape in shapes:
        for center in centers:
            proposal, box = next(found), box_around(center)
            assert (proposal["start"], proposal["stop"]) == (list(box.start), list(box.stop))
            assert proposal["leaves"] is not box.lies_in(shape)
            fits = shifted_to_fit(center, shape) if proposal["leaves"] else center
            assert proposal["fits"] == (list(fits) if fits else None)
            legal = legal_centers(shape)
            inside = legal is not None and all(
                a <= c < b for a, c, b in zip(legal.start, center, legal.stop, strict=True)
            )
            assert inside is not proposal["leaves"]
