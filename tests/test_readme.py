"""The README's workflow is what the commands do: its lines are run, in order, as they stand."""

import re
import shlex
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from core.cli import main as tomocurate
from core.cli import patch_corrections

ROOT = Path(__file__).parents[1]
README = (ROOT / "README.md").read_text()
PROGRAMS = {"patch_corrections": patch_corrections.main, "tomocurate": tomocurate.main}


def commands() -> list[str]:
    blocks = re.findall(r"```sh\n(.*?)```", README, re.DOTALL)
    return [line for block in blocks for line in block.splitlines() if line.strip()]


def test_every_line_of_the_workflow_runs(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert tomocurate.main(["demo"]) == 0
    for line in commands():
        program, *arguments = shlex.split(line)
        assert PROGRAMS[program](arguments) == 0, line
    extracted = sorted(path.name for path in (tmp_path / "mine/labelsCorr").iterdir())
    assert extracted == [f"other_TS_001_patch{n}.nii.gz" for n in range(4)]
    merged = {path.name: path.read_bytes() for path in (tmp_path / "merged").iterdir()}
    by_demo = {path.name: path.read_bytes() for path in (tmp_path / "demo/merged").iterdir()}
    assert merged == by_demo


def test_the_demo_again_gives_the_same_files(tmp_path):
    def run() -> dict[str, bytes]:
        assert tomocurate.main(["demo", str(tmp_path / "demo"), "--patches", "1"]) == 0
        found = (tmp_path / "demo").rglob("*.nii.gz")
        return {path.name: path.read_bytes() for path in found}

    assert run() == run()


@pytest.mark.parametrize("link", re.findall(r"\]\((?!http)(.*?)\)", README))
def test_the_readme_s_links_lead_somewhere(link):
    assert (ROOT / link).exists()


@pytest.mark.parametrize("program", PROGRAMS)
def test_the_installed_programs_start_and_help(program):
    path = shutil.which(program, path=Path(sys.executable).parent)
    assert path is not None
    done = subprocess.run([path, "--help"], capture_output=True, text=True, check=True)
    assert "Usage" in done.stdout


def test_an_unforeseen_error_is_a_sentence_that_names_its_log(tmp_path, monkeypatch, capsys):
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    monkeypatch.setattr(Path, "is_dir", lambda path: 1 / 0)
    assert patch_corrections.main(["merge_corrections", "--labels-dir", "a",
                                   "--corrections-dir", "b", "--out-dir", "c"]) == 1  # fmt: skip
    monkeypatch.undo()
    err = capsys.readouterr().err
    (log,) = tmp_path.glob("tomocurate-*.log")
    assert str(log) in err
    assert "Traceback" not in err
    assert "ZeroDivisionError" in log.read_text()
