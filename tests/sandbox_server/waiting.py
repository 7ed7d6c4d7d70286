"""Waiting for something that happens by itself, without a fixed sleep."""

from __future__ import annotations

import time
from collections.abc import Callable

SECONDS = 60
"""Only what fails takes as long: many times what anything here needs on a busy machine with two slow processors."""


def wait_until(done: Callable[[], object], seconds: float = SECONDS) -> None:
    """Return once `done()` is true; fail when it never is."""
    deadline = time.monotonic() + seconds
    while not done():
        assert time.monotonic() < deadline, f"not within {seconds} s"
        time.sleep(0.01)
