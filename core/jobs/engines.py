"""Engines that run the heavy, pure part of a job: in this process or in another one.

What is submitted is a function of a module and plain values. It never touches the catalog: it
gives its result back, and the worker that claimed the job records it.
"""

import multiprocessing
import os
import resource
import signal
import threading
import time
from collections.abc import Callable
from concurrent.futures import BrokenExecutor, Future, ProcessPoolExecutor
from concurrent.futures import TimeoutError as NotYet
from multiprocessing.connection import wait
from typing import Protocol, TypeVar

from core.errors import CancelledError, JobError

Result = TypeVar("Result")
LOOK_S = 0.2
"""How often somebody's wish to cancel is looked at."""


class ProcessDiedError(JobError):
    """The process that did it died; another try may succeed."""


def never() -> bool:
    """Nobody cancels."""
    return False


class Executor(Protocol):
    """Engine that runs a function and returns its result."""

    def submit(
        self,
        function: Callable[..., Result],
        *arguments: object,
        limit_s: float | None = None,
        cancelled: Callable[[], bool] = never,
    ) -> Result:
        """Run a function and wait for it; its own errors are raised here.

        Errors: ProcessDiedError; JobError where it took longer than ``limit_s``;
        CancelledError.
        """
        ...

    def close(self) -> None: ...


class Inline:
    """Runs in this very process; nothing can stop it midway."""

    def submit(
        self,
        function: Callable[..., Result],
        *arguments: object,
        limit_s: float | None = None,
        cancelled: Callable[[], bool] = never,
    ) -> Result:
        return function(*arguments)

    def close(self) -> None:
        pass


class LocalPool:
    """One process beside this one, started when needed and anew after it died."""

    def __init__(self, memory_bytes: int | None = None) -> None:
        self._memory = memory_bytes
        self._pool: ProcessPoolExecutor | None = None

    def submit(
        self,
        function: Callable[..., Result],
        *arguments: object,
        limit_s: float | None = None,
        cancelled: Callable[[], bool] = never,
    ) -> Result:
        pid = self._process()
        future = self._started().submit(function, *arguments)
        try:
            return _wait(future, limit_s, cancelled)
        except BrokenExecutor as error:
            self._end()
            raise ProcessDiedError(
                "the process that did it died (out of memory, or killed)."
            ) from error
        finally:
            if not future.done():  # too long, cancelled, or this process is told to end
                os.kill(pid, signal.SIGKILL)
                self._end()

    def close(self) -> None:
        self._end()

    def _process(self) -> int:
        """The process that will do it; one that died while it had nothing to do is replaced."""
        try:
            return self._started().submit(os.getpid).result()
        except BrokenExecutor:
            self._end()
        try:
            return self._started().submit(os.getpid).result()
        except BrokenExecutor as error:
            self._end()
            raise ProcessDiedError("no process can be started beside this one.") from error

    def _started(self) -> ProcessPoolExecutor:
        if self._pool is None:
            self._pool = ProcessPoolExecutor(
                max_workers=1,
                mp_context=multiprocessing.get_context("spawn"),
                initializer=_begin,
                initargs=(self._memory,),
            )
        return self._pool

    def _end(self) -> None:
        if self._pool is not None:
            self._pool.shutdown(wait=True, cancel_futures=True)
            self._pool = None


def _wait(future: Future[Result], limit_s: float | None, cancelled: Callable[[], bool]) -> Result:
    until = None if limit_s is None else time.monotonic() + limit_s
    while True:
        try:
            return future.result(LOOK_S)
        except NotYet:
            if future.done():  # a TimeoutError of its own
                raise
        if cancelled():
            raise CancelledError("the job was cancelled.")
        if until is not None and time.monotonic() > until:
            raise JobError(f"took longer than {limit_s:.0f} s and was stopped.")


def _begin(memory_bytes: int | None) -> None:
    """In the new process: Ctrl-C is its parent's, memory is bounded, it ends with its parent."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    if memory_bytes is not None:
        _, hard = resource.getrlimit(resource.RLIMIT_AS)
        resource.setrlimit(resource.RLIMIT_AS, (memory_bytes, hard))
    threading.Thread(target=_end_with_parent, name="lifeline", daemon=True).start()


def _end_with_parent() -> None:
    parent = multiprocessing.parent_process()
    if parent is not None:
        wait([parent.sentinel])
        os._exit(1)
