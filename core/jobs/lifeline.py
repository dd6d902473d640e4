"""End a process when the one that started it is gone, even killed: its stdin closes then."""

import os
import signal
import threading
import time

LIFELINE = "TOMOCURATE_LIFELINE"
"""The variable that tells a child that its stdin is such a lifeline."""

GRACE_S = 5.0
"""Seconds between SIGTERM and forced exit."""


def end_with_parent(grace_s: float = GRACE_S) -> None:
    """End this process when its stdin closes: SIGTERM first, then at once.

    Only where the starter says that stdin is a lifeline.
    """
    if os.environ.get(LIFELINE) != "stdin":
        return

    def wait() -> None:
        while os.read(0, 4096):
            pass
        os.kill(os.getpid(), signal.SIGTERM)
        time.sleep(grace_s)
        os._exit(0)

    threading.Thread(target=wait, name="lifeline", daemon=True).start()
