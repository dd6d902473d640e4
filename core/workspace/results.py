"""Results of a step: one outcome per item."""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

DONE, KEPT, SKIPPED, FAILED = "done", "kept", "skipped", "failed"


@dataclass(frozen=True)
class Outcome:
    """One line of a step's report."""

    name: str
    outcome: str
    """done, kept (it was so already), skipped (not its turn; the message says why) or failed."""
    message: str | None = None
    findings: tuple[str, ...] = ()
    details: Mapping[str, Any] = field(default_factory=dict)


Progress = Callable[[Outcome], None]


def silent(_: Outcome) -> None:
    """Tell nobody."""


def count_failed(outcomes: Iterable[Outcome]) -> int:
    """Count the failed outcomes."""
    return sum(outcome.outcome == FAILED for outcome in outcomes)
