"""The README's workflow is what the commands do: its lines are run, in order, as they stand."""

import re
import shlex
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from core.cli import main as tomocurate
from core.cli import patch_corrections

ROOT = Path(__file__).parents[1]
README = (ROOT / "README.md").read_text()
PROGRAMS = {"patch_corrections": patch_corrections.main, "tomocurate": tomocurate.main}


def commands() -> list[str]:
    blocks = re.findall(r"```sh\n(.*?)```", README, re.DOTALL)
    return [line for block in blocks for line in block.splitlines() if line.strip()]


@pytest.fixture(scope="module")
def demo(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with the demo in it, as the README finds it."""
    folder = tmp_path_factory.mktemp("readme")
    made = tomocurate.main(["demo", str(folder / "demo"), "--tomograms", "2", "--no-serve"])
    assert made == 0
    return folder


def run(line: str, monkeypatch: pytest.MonkeyPatch) -> int:
    program, *arguments = shlex.split(line)
    if program == "export":
        monkeypatch.setenv(*arguments[0].split("="))
        return 0
    if program == "cp":
        return subprocess.run(["cp", *arguments], check=False).returncode
    return PROGRAMS[program](arguments)


def test_every_line_of_the_readme_runs(demo: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(demo)
    for line in commands():
        assert run(line, monkeypatch) == 0, line
    extracted = sorted(path.name for path in (demo / "mine/labelsCorr").iterdir())
    assert extracted == [f"other_TS_001_patch{n}.nii.gz" for n in range(7)]
    merged = {path.name: path.read_bytes() for path in (demo / "merged").iterdir()}
    by_demo = {path.name: path.read_bytes() for path in (demo / "demo/merged").iterdir()}
    same = [name for name, label in merged.items() if by_demo.get(name) == label]
    assert len(same) >= 5, "all but those that were corrected since their merge"
    assert (demo / "nnunet/dataset.json").is_file()
    assert (demo / "lab/merged/other_TS_001_patch0.nii.gz").is_file()


def test_the_demo_again_finds_it_and_leaves_it(
    demo: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    before = {path: path.stat().st_mtime_ns for path in (demo / "demo").rglob("*")}
    again = ["demo", str(demo / "demo"), "--no-serve"]
    assert tomocurate.main(again) == 0
    assert "is there already" in capsys.readouterr().out
    after = {path: path.stat().st_mtime_ns for path in (demo / "demo").rglob("*")}
    ours = [path for path in before if "catalog" not in path.name]
    assert [after[path] for path in ours] == [before[path] for path in ours]


@pytest.mark.parametrize("link", re.findall(r"\]\((?!http)(.*?)\)", README))
def test_the_readme_s_links_lead_somewhere(link: Any) -> None:
    assert (ROOT / link).exists()


@pytest.mark.parametrize("program", PROGRAMS)
def test_the_installed_programs_start_and_help(program: Any) -> None:
    path = shutil.which(program, path=Path(sys.executable).parent)
    assert path is not None
    done = subprocess.run([path, "--help"], capture_output=True, text=True, check=True)
    assert "Usage" in done.stdout


def test_an_unforeseen_error_is_a_sentence_that_names_its_log(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    monkeypatch.setattr(Path, "is_dir", lambda path: 1 / 0)
    assert (
        patch_corrections.main(
            ["merge_corrections", "--labels-dir", "a", "--corrections-dir", "b", "--out-dir", "c"]
        )
        == 1
    )
    monkeypatch.undo()
    err = capsys.readouterr().err
    (log,) = tmp_path.glob("tomocurate-*.log")
    assert str(log) in err
    assert "Traceback" not in err
    assert "ZeroDivisionError" in log.read_text()


def test_what_the_readme_cites_holds_something() -> None:
    linked = re.findall(r"\]\(([\w./-]+\.md)\)", README)
    assert [name for name in linked if not (ROOT / name).read_text().strip()] == []
