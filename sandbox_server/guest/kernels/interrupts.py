"""What SIGINT does to a Python kernel: it ends the running cell, wherever that is, and nothing else."""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
import threading
from collections.abc import Iterator
from types import FrameType

_ASYNCIO = os.path.dirname(asyncio.__file__)


class Interrupts:
    """SIGINT's handler. Make it in the main thread."""

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self._loop = loop
        self._cell: asyncio.Task[None] | None = None
        self._postponed = 0
        self._owed = False
        self.requested = False
        """Whether the running cell was asked to stop."""
        signal.signal(signal.SIGINT, self._on_signal)

    def begin(self, cell: asyncio.Task[None]) -> None:
        """From now on, interrupt this cell."""
        self.requested = self._owed = False
        self._cell = cell

    def end(self) -> None:
        """From now on, an interrupt has no effect."""
        self._cell = None

    @contextlib.contextmanager
    def postponed(self) -> Iterator[None]:
        """Keep the block from being interrupted in the middle; an interrupt that came is raised after it."""
        if threading.current_thread() is not threading.main_thread():
            yield  # Python runs signal handlers in the main thread alone.
            return
        self._postponed += 1
        try:
            yield
        finally:
            self._postponed -= 1
        if self._owed and not self._postponed:
            self._owed = False
            self._stop(None, insist=False)

    def _on_signal(self, number: int, frame: FrameType | None) -> None:
        if self._cell is None:
            return
        insist, self.requested = self.requested, True
        if self._postponed:
            self._owed = True
        else:
            self._stop(frame, insist)

    def _stop(self, frame: FrameType | None, insist: bool) -> None:
        running = asyncio.current_task(self._loop)
        # A task that is interrupted while asyncio schedules its next step has none, and never ends.
        in_asyncio = frame is not None and frame.f_code.co_filename.startswith(_ASYNCIO)
        # While the cell waits, another task of the user's may be what keeps the loop busy: the second request ends it.
        if running is not None and not in_asyncio and (running is self._cell or insist):
            raise KeyboardInterrupt
        if self._cell is not None:
            # The loop is in select(), which a signal alone does not end.
            self._loop.call_soon_threadsafe(self._cell.cancel)
