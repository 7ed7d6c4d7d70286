"""Live output of a program, written as it comes and exactly as it came."""

from __future__ import annotations

import asyncio
import contextlib
import sys
from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING, TypeVar

from .terminal import Stream, say

if TYPE_CHECKING:
    from agent_tools.context import LiveOutput
    from agent_tools.results import ExecutionResult

Done = TypeVar("Done")


async def relayed(
    work: Callable[[Callable[[LiveOutput], None]], Awaitable[Done]], write: Callable[[LiveOutput], None]
) -> Done:
    """Do the work, whose live output comes from another thread, and write that on this one.

    Writing may block, as on a full pipe; the work's loop must not. What `write` raises ends the work.
    """
    loop = asyncio.get_running_loop()
    pieces: asyncio.Queue[LiveOutput | None] = asyncio.Queue()

    def take(piece: LiveOutput) -> None:
        with contextlib.suppress(RuntimeError):  # the loop has ended: nobody waits for it any more
            loop.call_soon_threadsafe(pieces.put_nowait, piece)

    async def write_all() -> None:
        while (piece := await pieces.get()) is not None:
            write(piece)

    try:
        async with asyncio.TaskGroup() as group:
            group.create_task(write_all())
            done = await work(take)
            pieces.put_nowait(None)
    except BaseExceptionGroup as errors:
        raise errors.exceptions[0] from None
    return done


class Printer:
    """Writes a program's output to stdout and stderr, and our own progress to stderr.

    Args:
        live: write at once, not at the end.
    """

    def __init__(self, *, live: bool) -> None:
        self._live = live
        self._out = Stream(sys.stdout)
        self._err = Stream(sys.stderr)
        self._waiting: list[LiveOutput] = []
        self._complained = False
        self.bytes = {"stdout": 0, "stderr": 0}

    def write(self, piece: LiveOutput) -> None:
        """Take one piece."""
        if piece.stream == "status":
            say(piece.text)
            return
        self.bytes[piece.stream] += len(piece.text.encode(errors="replace"))
        if self._live:
            self._write(piece)
        else:
            self._waiting.append(piece)

    def _write(self, piece: LiveOutput) -> None:
        (self._err if piece.stream == "stderr" else self._out).write(piece.text)

    def finish(self, result: ExecutionResult, *, explained: bool) -> None:
        """Write what did not come live: values, a compiler's text, why it failed where that has to be `explained`."""
        for piece in self._waiting:
            self._write(piece)
        if result.displayed:
            self._out.line(result.displayed)
        if result.stderr and not self.bytes["stderr"]:
            self._err.line(result.stderr)
        if result.traceback and explained:
            self._err.line(result.traceback)
        elif result.error and explained:
            self._err.line(f"sandloop: {result.error}")
        for note in result.notes:
            self._err.line(f"sandloop: {note}")
