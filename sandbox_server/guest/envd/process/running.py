"""One process that a client started: its streams, its time limit, its end."""

from __future__ import annotations

import asyncio
import contextlib
import signal

from e2b.envd.process.process_pb import ProcessConfig, ProcessEvent

from ...processes import Child
from .streams import Streams

KILL_WAIT_S = 1.0
"""How long a kill waits to see the process gone, so that the caller's next look finds it gone too."""


class Running:
    """A started process. Its output is read from the first `streams.output.resume`."""

    def __init__(self, child: Child, streams: Streams, config: ProcessConfig, tag: str | None) -> None:
        self.child = child
        self.streams = streams
        self.config = config
        self.tag = tag
        self.timed_out = False
        self._code = 0

    @property
    def pid(self) -> int:
        """Its pid in the sandbox."""
        return self.child.pid

    async def wait(self) -> None:
        """Return when the process has ended."""
        self._code = await self.child.wait()

    async def finish(self) -> None:
        """After its end: hand on the rest of its output, and let the listeners go."""
        if self.streams.input is not None:
            self.streams.input.close()
        await self.streams.output.settle()

    async def kill(self) -> bool:
        """End it with its whole process group and see it gone; False when it had ended."""
        if not self.child.signal_group(signal.SIGKILL):
            return False
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(KILL_WAIT_S):
                await self.child.wait()
        return True

    def expire(self) -> None:
        """End it because its time is over."""
        self.timed_out = True
        self.child.signal_group(signal.SIGKILL)

    @property
    def end(self) -> ProcessEvent.EndEvent:
        """How it ended, in the words of Go's `os.ProcessState`, which envd uses; -1 for a signal."""
        if self._code < 0:
            status = f"signal: {(signal.strsignal(-self._code) or str(-self._code)).lower()}"
        else:
            status = f"exit status {self._code}"
        return ProcessEvent.EndEvent(
            exit_code=max(self._code, -1),
            exited=self._code >= 0,
            status=status,
            error=status if self._code else None,
        )
