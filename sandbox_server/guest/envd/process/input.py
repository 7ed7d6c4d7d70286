"""Writing to a process's stdin or terminal without ever blocking the daemon."""

from __future__ import annotations

import asyncio
import errno
import os


class Input:
    """A writing end: whole writes, in the order they were asked for. It owns the descriptor."""

    def __init__(self, fd: int) -> None:
        """`fd` is non-blocking."""
        self._fd = fd
        self._turn = asyncio.Lock()
        self._room: asyncio.Future[None] | None = None
        self._closed = False

    async def write(self, data: bytes) -> None:
        """Write all of it; waits while the process does not read.

        Raises:
            OSError: EPIPE, when the process has closed its side, or this side was closed.
        """
        async with self._turn:
            left = memoryview(data)
            while left:
                if self._closed:
                    raise BrokenPipeError(errno.EPIPE, os.strerror(errno.EPIPE))
                try:
                    left = left[os.write(self._fd, left) :]
                except BlockingIOError:
                    await self._wait_for_room()

    def close(self) -> None:
        """Close it: end-of-file for a pipe's reader. Waiting writes fail; harmless twice."""
        if self._closed:
            return
        self._closed = True
        self._stop_waiting()
        os.close(self._fd)

    async def _wait_for_room(self) -> None:
        loop = asyncio.get_running_loop()
        self._room = loop.create_future()
        loop.add_writer(self._fd, self._stop_waiting)
        try:
            await self._room
        finally:
            self._stop_waiting()

    def _stop_waiting(self) -> None:
        if self._room is None:
            return
        asyncio.get_running_loop().remove_writer(self._fd)
        if not self._room.done():
            self._room.set_result(None)
        self._room = None
