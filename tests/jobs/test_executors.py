"""A function runs in a process of its own, which may die, hang or eat memory without harm."""

import math
import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest

from core.errors import CancelledError, JobError
from core.jobs.engines import Inline, LocalPool, ProcessDiedError

MEMORY = 3 << 30


@pytest.fixture(scope="module")
def pool() -> Any:
    pool = LocalPool(memory_bytes=MEMORY)
    yield pool
    pool.close()


def test_a_result_and_a_functions_own_error_come_back(pool: LocalPool) -> None:
    for executor in (Inline(), pool):
        assert executor.submit(math.factorial, 5) == 120
        with pytest.raises(ValueError, match="negative"):
            executor.submit(math.factorial, -1)


def test_a_pool_has_another_process_and_keeps_it(pool: LocalPool) -> None:
    assert pool.submit(os.getpid) == pool.submit(os.getpid) != os.getpid()


def test_a_process_that_dies_is_told_and_replaced(pool: LocalPool) -> None:
    with pytest.raises(ProcessDiedError, match="died"):
        pool.submit(os._exit, 1)
    assert pool.submit(math.factorial, 3) == 6


def test_what_takes_too_long_is_stopped(pool: LocalPool) -> None:
    pid = pool.submit(os.getpid)
    began = time.monotonic()
    with pytest.raises(JobError, match="longer than 0 s"):
        pool.submit(time.sleep, 30, limit_s=0.3)
    assert time.monotonic() - began < 10
    with pytest.raises(ProcessLookupError):
        os.kill(pid, 0)
    assert pool.submit(math.factorial, 3) == 6


def test_what_is_cancelled_is_stopped(pool: LocalPool) -> None:
    asked = iter([False, True])
    with pytest.raises(CancelledError):
        pool.submit(time.sleep, 30, cancelled=lambda: next(asked))


def test_what_eats_memory_gets_an_error_and_harms_nobody(pool: LocalPool) -> None:
    with pytest.raises(MemoryError):
        pool.submit(bytearray, MEMORY)
    assert pool.submit(math.factorial, 3) == 6


def test_the_process_ends_with_a_parent_that_was_killed() -> None:
    script = (
        "import os, signal\n"
        "from core.jobs.engines import LocalPool\n"
        "if __name__ == '__main__':\n"
        "    print(LocalPool().submit(os.getpid), flush=True)\n"
        "    os.kill(os.getpid(), signal.SIGKILL)\n"
    )
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True)
    child = int(done.stdout)
    until = time.monotonic() + 10
    while time.monotonic() < until and not has_ended(child):
        time.sleep(0.05)
    assert has_ended(child)


def has_ended(pid: int) -> bool:
    try:
        status = Path(f"/proc/{pid}/stat").read_text()
    except OSError:
        return True
    return status.rsplit(")", 1)[1].split()[0] == "Z"  # nobody waited for it


def test_a_process_that_was_killed_while_idle_is_replaced(pool: LocalPool) -> None:
    os.kill(pool.submit(os.getpid), signal.SIGKILL)
    time.sleep(0.2)
    assert pool.submit(math.factorial, 3) == 6
