"""Work on patches side by side: two threads, results in order.

Reading, inflating, squeezing and writing release the interpreter lock; each thread holds one
patch, so that memory does not grow with their number.
"""

from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

WORKERS = 2

Item = TypeVar("Item")
Result = TypeVar("Result")


def side_by_side(work: Callable[[Item], Result], items: Iterable[Item]) -> Iterator[Result]:
    """Do the work on ``WORKERS`` threads, results in order; an interrupt drops what waits."""
    workers = ThreadPoolExecutor(WORKERS)
    try:
        yield from workers.map(work, items)
    finally:
        workers.shutdown(wait=True, cancel_futures=True)
