"""Work on patches side by side: two threads, results in order.

Reading, inflating, squeezing and writing release the interpreter lock; each thread holds one
patch, so that memory does not grow with their number.
"""

from collections.abc import Callable, Iterator, Sequence
from typing import TypeVar

WORKERS = 2

Item = TypeVar("Item")
Result = TypeVar("Result")


def side_by_side(work: Callable[[Item], Result], items: Sequence[Item]) -> Iterator[Result]:
    """Do the work on ``WORKERS`` threads, results in order; an interrupt drops what waits."""
    if len(items) < 2:
        yield from map(work, items)
        return
    from concurrent.futures import ThreadPoolExecutor

    workers = ThreadPoolExecutor(WORKERS)
    try:
        yield from workers.map(work, items)
    finally:
        workers.shutdown(wait=True, cancel_futures=True)
