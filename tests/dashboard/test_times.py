"""Times of messages are shown in one time zone: the person's, UTC where the browser tells none."""

import datetime as dt

from dashboard.ui.times import format_time, in_local_time


def test_a_time_in_a_message_is_shown_as_everywhere_else() -> None:
    at = dt.datetime(2026, 1, 2, 6, 40, tzinfo=dt.UTC)
    assert in_local_time("accepted on 2026-01-02 at 06:40:45 UTC already; look at it again.") == (
        f"accepted on {format_time(at)} already; look at it again."
    )
    assert in_local_time("Ben paints on it since 06:40 UTC; wait.") == (
        "Ben paints on it since 06:40; wait."
    )
    assert in_local_time("no time in here: 12:30 h") == "no time in here: 12:30 h"
