"""A failure is one sentence for people and JSON for programs, wherever it happens."""

import json
import os
import stat
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from core.access.account import current_account
from core.cli.main import main
from core.workspace.workspace import init_workspace

PROGRAM = "import sys; from core.cli.main import main; sys.exit(main())"
SOMEBODY = 54321
"""An account number that no machine has in its passwd."""


def run(*words: str, **options: object) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-c", PROGRAM, *map(str, words)]
    return subprocess.run(command, stderr=subprocess.PIPE, text=True, timeout=120, **options)  # type: ignore[call-overload,no-any-return]


@pytest.mark.parametrize("variable", ["LOGNAME", "USER", "LNAME", "USERNAME"])
def test_the_account_is_the_kernels_not_that_of_a_variable(
    lab: Any, monkeypatch: pytest.MonkeyPatch, variable: Any
) -> None:
    lab.done("people", "add", "Eve", "--role", "admin", "--account", "eve")
    monkeypatch.setenv(variable, "eve")
    lab.done("comment", "other_TS_001_patch0", "mine")
    assert lab.done("events", "--json").json[0]["person"] == "Ada"


@pytest.mark.skipif(os.getuid() != 0, reason="another account is needed, so this takes root")
def test_an_account_without_a_name_is_known_by_its_number(tmp_path: Path) -> None:
    tmp_path.chmod(0o777)
    script = (
        f"import os, sys; os.setgroups([]); os.setgid({SOMEBODY}); os.setuid({SOMEBODY})\n"
        "from core.access.account import current_account; print(current_account())"
    )
    done = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, check=True
    )
    assert done.stdout.strip() == str(SOMEBODY)


def test_a_failed_init_leaves_nothing_that_hinders_the_next(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["init", str(tmp_path / "lab"), "--name", " "]) == 1
    assert "printable characters" in capsys.readouterr().err
    assert main(["init", str(tmp_path / "lab"), "--name", "Ben"]) == 0


def test_init_takes_the_workspace_of_the_environment(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("TOMOCURATE_WORKSPACE", str(tmp_path / "lab"))
    monkeypatch.chdir(tmp_path)
    assert main(["init"]) == 0
    assert f"workspace: {tmp_path / 'lab'}" in capsys.readouterr().out
    assert [path.name for path in tmp_path.iterdir()] == ["lab"]


@pytest.mark.parametrize("words", [["patches"], ["jobs"], ["doctor"], ["people"], ["migrate"]])
def test_a_command_says_which_workspace_it_acts_on(lab: Any, words: Any) -> None:
    assert f"workspace: {lab.folder}\n" in lab(*words).err


@pytest.mark.parametrize(
    ("words", "status", "said"),
    [
        (["show", "nope"], 1, "no patch 'nope'"),
        (["extract"], 2, "name patches"),
        (["backup", "verify", "x"], 1, "no backup 'x'"),
        (["people", "role", "Adda", "viewer"], 1, "did you mean Ada"),
        (["restore", "nothing", "--to", "new"], 1, "no manifest"),
    ],
)
def test_a_failure_is_json_for_programs(lab: Any, words: Any, status: Any, said: Any) -> None:
    answer = lab(*words, "--json")
    assert answer.status == status
    assert said in answer.json["error"]
    assert answer.json["status"] == status


def test_a_full_output_is_told_in_a_sentence(lab: Any) -> None:
    with Path("/dev/full").open("w") as full:
        done = run("patches", stdout=full)
    assert done.returncode == 1
    assert done.stderr.splitlines()[-1] == (
        "error: the output could not be written (No space left on device)."
    )


def test_a_closed_output_is_told_in_a_sentence(lab: Any) -> None:
    done = run("patches", preexec_fn=lambda: os.close(1))
    assert done.returncode == 1
    assert "error: the output could not be written (standard output is closed)." in done.stderr


def test_a_bug_is_a_sentence_with_a_reference_to_its_traceback(
    lab: Any, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def broken(*_: object) -> None:
        raise ZeroDivisionError("deep inside")

    monkeypatch.setattr("core.workspace.workspace.open_workspace", broken)
    assert main(["patches", "--json"]) == 1
    out, err = capsys.readouterr()
    said = json.loads(out)["error"]
    assert said in err
    assert "unexpected ZeroDivisionError; please report it (reference " in said
    log = Path(said.rpartition(" in ")[2].rstrip(")."))
    assert "deep inside" in log.read_text()
    log.unlink()


@pytest.mark.parametrize("name", ["scope?x=1", "lab 50%20off", "plain#1", "a%b", "naïve é"])
def test_a_workspace_may_have_any_name(tmp_path: Path, name: Any) -> None:
    folder = tmp_path / name
    init_workspace(folder).close()
    assert (folder / "catalog.sqlite").stat().st_size > 0
    assert main(["patches", "--workspace", str(folder)]) == 0
    assert [path.name for path in tmp_path.iterdir()] == [name]


def test_a_hardened_umask_does_not_shut_the_group_out(lab: Any) -> None:
    before = os.umask(0o077)
    try:
        lab.done("choose", "TS_001", "--at", "100,90,85")
        lab.done("extract", "--all")
    finally:
        os.umask(before)
    image = lab.folder / "patches/imagesCorr/other_TS_001_patch1.nii.gz"
    assert stat.S_IMODE(image.stat().st_mode) & 0o067 == 0o060


def test_the_account_of_this_process_has_a_name() -> None:
    assert current_account()
