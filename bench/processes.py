"""Time whole processes: wall, CPU and peak memory, as the operating system accounts them."""

import json
import statistics
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

# A child's peak counts from its fork, so a small process of its own starts what is measured.
_LAUNCHER = """
import json, os, sys, time
started = time.perf_counter()
null = os.open(os.devnull, os.O_WRONLY)
pid = os.posix_spawn(sys.argv[1], sys.argv[1:], os.environ,
                     file_actions=[(os.POSIX_SPAWN_DUP2, null, 1)])
_, status, usage = os.wait4(pid, 0)
print(json.dumps([os.waitstatus_to_exitcode(status), time.perf_counter() - started,
                  usage.ru_utime + usage.ru_stime, usage.ru_maxrss / 1024]))
"""


class Cost(NamedTuple):
    """What one run of a command took."""

    wall_s: float
    cpu_s: float
    peak_mib: float


def measure(command: Sequence[str | Path]) -> Cost:
    """Run a command to its end; it must succeed. The first word is a program's path."""
    launcher = [sys.executable, "-I", "-S", "-c", _LAUNCHER]
    done = subprocess.run(
        [*launcher, *map(str, command)], capture_output=True, text=True, check=True
    )
    status, wall, cpu, peak = json.loads(done.stdout)
    if status:
        raise RuntimeError(f"{command[:3]} failed: {done.stderr[-500:]}")
    return Cost(wall, cpu, peak)


def median(costs: Sequence[Cost]) -> Cost:
    """The median of each figure."""
    return Cost(*(statistics.median(column) for column in zip(*costs, strict=True)))


def ratio(ours: Sequence[Cost], theirs: Sequence[Cost]) -> float:
    """The median over pairs of their time by ours: drift of the machine cancels."""
    return statistics.median(b.wall_s / a.wall_s for a, b in zip(ours, theirs, strict=True))
