"""Waiting for something that happens by itself, without a fixed sleep."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable


async def until(done: Callable[[], Awaitable[object]], seconds: float = 60) -> None:
    """Return once what `done` gives is true; fail when it never is."""
    deadline = time.monotonic() + seconds
    while not await done():
        assert time.monotonic() < deadline, f"not within {seconds} s"
        await asyncio.sleep(0.01)
