"""Every command explains itself, and stands in the docs as it is."""

import re
import resource
import subprocess
import sys
from pathlib import Path
from typing import Any

import click
import pytest

from core.cli.main import commands, main
from core.cli.reference import page, walk

ROOT = Path(__file__).parents[2]
EVERY = dict(walk(commands))
SERVING = {"serve", "worker"}
"""They run until they are stopped: there is nothing to report."""


@pytest.mark.parametrize("name", EVERY)
def test_a_command_says_what_it_does_and_shows_an_example(
    name: Any, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main([*name.split(), "--help"]) == 0
    text = capsys.readouterr().out
    assert f"tomocurate {name}" in text.partition("Options:")[0].split("\n", 1)[1], text
    assert EVERY[name].get_short_help_str(200).endswith((".", "..."))


@pytest.mark.parametrize("name", [name for name in EVERY if name not in SERVING])
def test_a_command_reports_to_programs(name: Any) -> None:
    assert "--json" in {option for each in EVERY[name].params for option in each.opts}


def test_every_group_shows_an_example(capsys: pytest.CaptureFixture[str]) -> None:
    groups = {name.split()[0] for name in EVERY if " " in name}
    for group in groups:
        assert main([group, "--help"]) == 0
        assert f"  tomocurate {group}" in capsys.readouterr().out


def test_the_page_of_commands_is_what_help_says() -> None:
    assert (ROOT / "docs/commands.md").read_text() == page()


def test_the_docs_name_only_commands_that_there_are() -> None:
    known = {name.split()[0] for name in EVERY}
    for doc in (ROOT / "README.md", *(ROOT / "docs").glob("*.md")):
        named = set(re.findall(r"^(?: {4})?tomocurate ([a-z][a-z-]+)", doc.read_text(), re.M))
        named |= set(re.findall(r"`tomocurate ([a-z][a-z-]+)", doc.read_text()))
        assert named <= known, (doc, named - known)


def test_an_unknown_command_gets_the_nearest_ones(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["chose", "TS_001"]) == 2
    err = capsys.readouterr().err
    assert "'chose'" in err
    assert "did you mean choose" in err


def test_help_starts_fast_and_loads_no_catalog() -> None:
    program = (
        "import sys; from core.cli.main import main; main(['--help'])\n"
        "heavy = {'numpy', 'sqlalchemy', 'streamlit', 'alembic', 'mrcfile', 'PIL'}\n"
        "sys.exit(','.join(heavy & set(sys.modules)) or 0)"
    )
    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    took = []
    for _ in range(3):
        before = resource.getrusage(resource.RUSAGE_CHILDREN)
        subprocess.run([sys.executable, "-c", program], capture_output=True, check=True)
        after = resource.getrusage(resource.RUSAGE_CHILDREN)
        took.append(after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime)
    assert min(took) < 0.25, "seconds of CPU, whatever else the machine does"


def test_groups_are_listed_in_the_order_of_the_work() -> None:
    names = commands.list_commands(click.Context(commands))
    order = ["init", "register", "choose", "extract", "collect", "merge", "submit", "accept"]
    places = [names.index(name) for name in order]
    assert places == sorted(places)
