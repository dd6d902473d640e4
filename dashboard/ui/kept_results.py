"""Results that take long to make, kept for the reruns of a page: a page makes none twice.

A page asks anew when somebody presses a button (``forget``), not when it is drawn again.
"""

from collections.abc import Callable
from typing import Any, TypeVar

import streamlit as st

T = TypeVar("T")

MOST_KEPT = 16


def kept(key: str, make: Callable[[], T]) -> T:
    """Give the result that is kept under a key, or make it and keep it."""
    results = _results()
    if key not in results:
        results[key] = make()
        while len(results) > MOST_KEPT:
            results.pop(next(iter(results)), None)
    result: T = results[key]
    return result


def forget(start: str) -> None:
    """Forget the results whose keys begin so."""
    for key in [key for key in _results() if key.startswith(start)]:
        _results().pop(key, None)


@st.cache_resource
def _results() -> dict[str, Any]:
    """Hold the results of all sessions, the oldest first."""
    return {}
