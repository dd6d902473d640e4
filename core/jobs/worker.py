"""The worker: claims jobs of a workspace one after the other, and does them.

    python -m core.jobs.worker --workspace DIR

A heartbeat renews the lease of the job at hand, so that a job whose worker died is taken up by
another one when its lease ends. SIGTERM and Ctrl-C give the job back and end the worker.
"""

import argparse
import logging
import os
import secrets
import signal
import socket
import sys
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from datetime import timedelta
from pathlib import Path
from types import FrameType
from typing import Any

from core.errors import CancelledError, explain
from core.jobs import handlers as kinds
from core.jobs.engines import Executor, LocalPool, ProcessDiedError, never
from core.jobs.lifeline import end_with_parent
from core.jobs.schedule import CollectPlan, plan_daily_backup
from core.workspace.workspace import Workspace, open_workspace
from db.errors import CatalogBusyError, CatalogError, ConflictError, TomocurateError
from db.queries.jobs import something_is_due
from db.vocabulary import JobState
from db.writes import jobs as writes
from db.writes.jobs import Claim

log = logging.getLogger("tomocurate.worker")
PLAN_S = 60.0
"""How often it looks whether the daily backup is planned."""

HUNG = 70
"""Exit status of a worker that ends itself because its job hangs (EX_SOFTWARE)."""


@dataclass(frozen=True)
class Timing:
    """Seconds of everything that a worker waits for."""

    lease: float = 60.0
    heartbeat: float = 10.0
    poll: float = 0.5
    tell: float = 0.5
    """Progress is written at most once in this time."""
    quiet: float = 6 * 3600.0
    """A job that tells nothing for so long hangs; its worker gives it up and ends."""


class EndedError(BaseException):
    """The worker is told to end; raised in the middle of a job."""


@dataclass
class _AtHand:
    """The job at hand, as the heartbeat and the job's own function see it."""

    claim: Claim
    cancelled: bool = False
    lost: bool = False
    told_at: float = field(default_factory=time.monotonic)
    written_at: float = float("-inf")


def run_worker(
    workspace: Workspace,
    *,
    once: bool = False,
    stop: Callable[[], bool] = never,
    timing: Timing | None = None,
    executor: Executor | None = None,
) -> int:
    """Do jobs until told to stop; with ``once``, what is due now. Give the number of jobs ended.

    In a main thread SIGTERM and SIGINT tell it to stop, too.
    """
    worker = _Worker(workspace, timing or Timing(), executor or LocalPool())
    with worker.registered(), worker.signals():
        return worker.work(stop, once)


class _Worker:
    """One process that works on a workspace."""

    def __init__(self, workspace: Workspace, timing: Timing, executor: Executor) -> None:
        self.name = f"{socket.gethostname()}-{os.getpid()}-{secrets.token_hex(3)}"
        self._workspace = workspace
        self._catalog = workspace.catalog
        self._timing = timing
        self._lease = timedelta(seconds=timing.lease)
        self._executor = executor
        self._at_hand: _AtHand | None = None
        self._told_to_end = False
        self._interruptible = False
        self._resting = threading.Event()
        self._collecting = CollectPlan(workspace)

    def work(self, stop: Callable[[], bool], once: bool) -> int:
        ended, planned = 0, float("-inf")
        while not (self._told_to_end or stop()):
            if not once and time.monotonic() - planned > PLAN_S:
                planned = time.monotonic()
                self._plan()
            claim = self._claim()
            if claim is None:
                if once:
                    break
                time.sleep(self._timing.poll)
                continue
            self._do(claim)
            ended += 1
        return ended

    @contextmanager
    def registered(self) -> Iterator[None]:
        """Known to the catalog, with a heartbeat, until the block ends."""
        with self._catalog.write() as session:
            writes.start_worker(session, self.name, socket.gethostname(), os.getpid())
        heart = threading.Thread(target=self._beat, name="heartbeat", daemon=True)
        heart.start()
        log.info("%s works on %s", self.name, self._workspace.folder)
        try:
            yield
        finally:
            self._resting.set()
            heart.join()
            self._executor.close()
            with suppress(CatalogError), self._catalog.write() as session:
                writes.stop_worker(session, self.name)
            log.info("%s ended", self.name)

    @contextmanager
    def signals(self) -> Iterator[None]:
        """SIGTERM and SIGINT end the worker; a job at hand is left at once and given back."""
        if threading.current_thread() is not threading.main_thread():
            yield
            return
        wanted = (signal.SIGTERM, signal.SIGINT)
        before = [signal.signal(number, self._told) for number in wanted]
        try:
            yield
        finally:
            for number, handler in zip(wanted, before, strict=True):
                signal.signal(number, handler)

    def _told(self, number: int, frame: FrameType | None) -> None:
        self._told_to_end = True
        if self._interruptible:
            self._interruptible = False
            raise EndedError

    def _plan(self) -> None:
        try:
            plan_daily_backup(self._workspace)
            self._collecting.plan()
        except CatalogError as error:
            log.warning("the daily backup or collecting cannot be planned: %s", error)

    def _claim(self) -> Claim | None:
        """The next job; the catalog is written only if there is one."""
        try:
            with self._catalog.read() as session:
                if not something_is_due(session):
                    return None
            with self._catalog.write() as session:
                return writes.claim_job(session, self.name, self._lease)
        except CatalogError as error:
            log.warning("no job can be claimed: %s", error)
            return None

    def _do(self, claim: Claim) -> None:
        """Do a claimed job and record how it ended."""
        at_hand = self._at_hand = _AtHand(claim)
        log.info("job %d (%s) begins, attempt %d", claim.job.id, claim.job.kind, claim.job.attempts)
        try:
            record = self._tried(at_hand)
        finally:
            self._at_hand = None
        try:
            with self._catalog.write() as session:
                record(session)
        except ConflictError as error:
            log.warning("%s", error)
        except CatalogError as error:
            log.error("job %d cannot be recorded, its lease will end: %s", claim.job.id, error)
        log.info("job %d (%s) ended", claim.job.id, claim.job.kind)

    def _tried(self, at_hand: _AtHand) -> Callable[[Any], object]:
        """Run a job's function; give what is to be written about it."""
        claim = at_hand.claim
        try:
            result = self._run(at_hand)
        except EndedError:
            return lambda session: writes.give_back_job(session, claim)
        except CancelledError as error:
            return self._stopped(at_hand, str(error))
        except (CatalogBusyError, ConflictError, OSError) as error:
            said = str(error)
            return lambda session: writes.fail_job(session, claim, said, again=True)
        except TomocurateError as error:
            said = str(error)
            died = isinstance(error, ProcessDiedError)
            return lambda session: writes.fail_job(session, claim, said, again=died)
        except Exception as error:
            said = f"job {claim.job.id}: {explain(error)}"
            return lambda session: writes.fail_job(session, claim, said, again=True)
        return lambda session: writes.finish_job(session, claim, result, _summary(result))

    def _run(self, at_hand: _AtHand) -> dict[str, Any]:
        claim = at_hand.claim
        task = kinds.Task(
            self._workspace,
            claim.job,
            lambda share, said: self._tell(at_hand, share, said),
            lambda: at_hand.cancelled or at_hand.lost or self._told_to_end,
            self._executor,
        )
        self._interruptible = True
        try:
            if self._told_to_end:
                raise EndedError
            return kinds.do(task)
        finally:
            self._interruptible = False

    def _stopped(self, at_hand: _AtHand, message: str) -> Callable[[Any], object]:
        claim = at_hand.claim
        if self._told_to_end:
            return lambda session: writes.give_back_job(session, claim)
        if at_hand.cancelled:
            return lambda session: writes.end_cancelled_job(session, claim)
        return lambda session: writes.fail_job(session, claim, message, again=True)

    def _tell(self, at_hand: _AtHand, share: float, message: str) -> None:
        """Write progress, not too often; a busy catalog is no reason to fail."""
        at_hand.told_at = now = time.monotonic()
        if now - at_hand.written_at < self._timing.tell or at_hand.lost:
            return
        at_hand.written_at = now
        try:
            with self._catalog.write() as session:
                at_hand.cancelled |= writes.tell_progress(session, at_hand.claim, share, message)
        except ConflictError:
            at_hand.lost = True
        except CatalogError as error:
            log.warning("progress of job %d is not written: %s", at_hand.claim.job.id, error)

    def _beat(self) -> None:
        """The heartbeat: renew the lease, hear of a cancel, notice a job that hangs."""
        while not self._resting.wait(self._timing.heartbeat):
            at_hand = self._at_hand
            try:
                with self._catalog.write() as session:
                    writes.beat(session, self.name)
                    if at_hand is not None and not at_hand.lost:
                        wish = writes.renew_lease(session, at_hand.claim, self._lease)
                        at_hand.cancelled |= wish
            except ConflictError as error:
                self._lost(at_hand, error)
            except Exception:
                log.exception("the heartbeat cannot be written")
            if at_hand is not None and at_hand is self._at_hand:
                self._check_quiet(at_hand)

    def _lost(self, at_hand: _AtHand | None, error: ConflictError) -> None:
        if at_hand is not None and at_hand is self._at_hand:
            at_hand.lost = True
            log.warning("%s", error)

    def _check_quiet(self, at_hand: _AtHand) -> None:
        """End this process, the only way out of a call that does not return."""
        if time.monotonic() - at_hand.told_at < self._timing.quiet:
            return
        claim = at_hand.claim
        message = f"told nothing for {self._timing.quiet:.0f} s; its worker gave it up and ended."
        log.error("job %d %s", claim.job.id, message)
        with suppress(CatalogError, ConflictError), self._catalog.write() as session:
            writes.fail_job(session, claim, message, again=True)
        os._exit(HUNG)


def _summary(result: dict[str, Any]) -> str:
    """A few words about a result, for the list of jobs."""
    counts = result.get("counts") or {}
    return ", ".join(f"{number} {word}" for word, number in counts.items()) or JobState.DONE.value


def main(arguments: Sequence[str] | None = None) -> int:
    """Run a worker until it is told to end; give its exit status."""
    parser = argparse.ArgumentParser(prog="python -m core.jobs.worker", description=__doc__)
    parser.add_argument("--workspace", type=Path, required=True)
    parser.add_argument("--once", action="store_true", help="do what is due now, then end")
    parser.add_argument("--lease", type=float, default=Timing.lease, help="seconds")
    parser.add_argument("--heartbeat", type=float, default=Timing.heartbeat, help="seconds")
    asked = parser.parse_args(arguments)
    logging.basicConfig(
        level=logging.INFO, format="%(asctime)s %(levelname)s %(message)s", stream=sys.stderr
    )
    end_with_parent()
    try:
        with open_workspace(asked.workspace) as workspace:
            timing = Timing(lease=asked.lease, heartbeat=asked.heartbeat)
            run_worker(workspace, once=asked.once, timing=timing)
    except TomocurateError as error:
        log.error("%s", error)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
