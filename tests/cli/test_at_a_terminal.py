"""At a terminal a person is asked and sees how far a command is; Ctrl-C leaves what is whole."""

import os
import pty
import select
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

SILENT_S = 120
PROGRAM = "import sys; from core.cli.main import main; sys.exit(main())"


def at_terminal(*words: str, answer: bytes = b"", stop_at: bytes = b"") -> tuple[int, str]:
    """Run a command on a terminal of its own; type an answer, or Ctrl-C once something is said."""
    terminal, inside = pty.openpty()
    child = subprocess.Popen(
        [sys.executable, "-c", PROGRAM, *words],
        stdin=inside,
        stdout=inside,
        stderr=inside,
        start_new_session=True,
    )
    os.close(inside)
    said, typed = b"", False
    while part := _read(terminal):
        said += part
        if not typed and answer and b"[y/N]" in said:
            os.write(terminal, answer)
            typed = True
        if not typed and stop_at and stop_at in said:
            child.send_signal(signal.SIGINT)
            typed = True
    os.close(terminal)
    return child.wait(60), said.decode()


def _read(terminal: int) -> bytes:
    assert select.select([terminal], [], [], SILENT_S)[0], "the command says nothing any more"
    try:
        return os.read(terminal, 4096)
    except OSError:  # the other end is gone
        return b""


def glob(lab: object, dataset: str) -> list[str]:
    return ["register", f"{lab.data}/*.mrc", "--dataset", dataset]  # type: ignore[attr-defined]


def test_pairs_are_taken_when_a_person_says_yes(lab: Any) -> None:
    status, said = at_terminal(*glob(lab, "other"), answer=b"y\n")
    assert status == 0
    assert "Register these 1?" in said
    assert "there already" in said


def test_pairs_are_left_when_a_person_says_no(lab: Any) -> None:
    status, said = at_terminal(*glob(lab, "other"), answer=b"n\n")
    assert status == 0
    assert "nothing was registered" in said


def test_progress_is_shown_and_wiped(lab: Any) -> None:
    lab.done("choose", "TS_001", "--at", "100,90,85")
    status, said = at_terminal("extract", "--all")
    assert status == 0
    assert "cutting 1" in said
    assert "\r\x1b[K" in said


def test_ctrl_c_ends_a_worker_and_leaves_whole_files(lab: Any) -> None:
    lab.paint()
    status, said = at_terminal("worker", stop_at=b"workspace: ")
    assert status in (0, 130), said
    assert not list(Path(lab.folder).rglob(".partial*"))
