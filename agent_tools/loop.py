"""One event loop for all conversations with sandboxes, in a thread of its own.

Callers come from anywhere: a tool's synchronous `invoke`, an agent server's loop, a test's. All state of leases then
lives on one loop, so that there is one kind of lock, and nothing is written twice for synchronous callers. The way
there and back costs about 0.1 ms.
"""

from __future__ import annotations

import asyncio
import functools
import os
import threading
from collections.abc import Awaitable, Callable, Coroutine
from typing import Any, ParamSpec, TypeVar

Parameters = ParamSpec("Parameters")
Returned = TypeVar("Returned")

_starting = threading.Lock()
_loop: asyncio.AbstractEventLoop | None = None
_owner = 0
"""The process that the loop runs in."""


def sandbox_loop() -> asyncio.AbstractEventLoop:
    """Return the loop, starting it when needed. It ends with the process.

    Raises:
        RuntimeError: in the child of a fork. Threads do not come along, the loop's own and those of the SDK's HTTP
            client, so that a call would wait for ever.
    """
    global _loop, _owner
    if _loop is not None and _owner != os.getpid():
        raise RuntimeError("sandboxes were used before this process was forked; use 'spawn', or fork before first use")
    with _starting:
        if _loop is None:
            _loop, _owner = asyncio.new_event_loop(), os.getpid()
            threading.Thread(target=_loop.run_forever, name="sandloop-sandboxes", daemon=True).start()
        return _loop


def run_sync(work: Coroutine[Any, Any, Returned]) -> Returned:
    """Run on the loop and wait for it; an interrupt of the waiting thread (Ctrl-C) cancels the work.

    Raises:
        RuntimeError: called on the loop itself, such as from `on_output`, where waiting would never end.
    """
    loop = sandbox_loop()
    try:
        running = asyncio.get_running_loop()
    except RuntimeError:
        running = None
    if running is loop:
        work.close()
        raise RuntimeError("a synchronous call would block the loop that serves it; await the asynchronous one")
    future = asyncio.run_coroutine_threadsafe(work, loop)
    try:
        return future.result()
    except BaseException:
        future.cancel()
        raise


def on_sandbox_loop(
    method: Callable[Parameters, Coroutine[Any, Any, Returned]],
) -> Callable[Parameters, Coroutine[Any, Any, Returned]]:
    """Make a coroutine function run on the loop, whichever loop awaits it; cancelling the caller cancels it there."""

    @functools.wraps(method)
    async def call(*args: Parameters.args, **kwargs: Parameters.kwargs) -> Returned:
        loop = sandbox_loop()
        work = method(*args, **kwargs)
        if asyncio.get_running_loop() is loop:
            return await work
        result: Awaitable[Returned] = asyncio.wrap_future(asyncio.run_coroutine_threadsafe(work, loop))
        return await result

    return call
