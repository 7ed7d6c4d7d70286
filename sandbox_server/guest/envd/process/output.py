"""A process's output, handed to everyone who listens: from when they came, in order, in bounded memory.

While somebody listens, a full listener stops the reading, and the pipe stops the process: that is how a slow client
slows a fast program down. While nobody listens, output is read and dropped, so that a process goes on when its client
has gone; so is what left-over background children still print after the end (a closed pipe would kill them).
"""

from __future__ import annotations

import asyncio
import contextlib
import fcntl
import os
import struct
import termios
from collections import deque
from typing import Literal

from connectrpc.code import Code
from connectrpc.errors import ConnectError

Kind = Literal["stdout", "stderr", "pty"]
Chunk = tuple[Kind, bytes]

CHUNK_BYTES = 64 * 1024
LISTENER_BYTES = 512 * 1024
"""What one listener may have waiting before the reading stops."""
STALL_S = 30.0
"""How long one full listener may hold up others that keep up, before it is dropped."""
GRACE_S = 0.02
"""How long the end waits for end-of-file, for children that print their last words after the process itself."""


class Listener:
    """One client's queue of output."""

    def __init__(self, output: Output) -> None:
        self._output = output
        self._chunks: deque[Chunk] = deque()
        self._waiting_bytes = 0
        self._something = asyncio.Event()
        self._ended = False
        self._dropped = False

    @property
    def full(self) -> bool:
        """Whether it holds up the process."""
        return self._waiting_bytes >= LISTENER_BYTES

    def put(self, chunk: Chunk) -> None:
        """Queue a chunk."""
        self._chunks.append(chunk)
        self._waiting_bytes += len(chunk[1])
        self._something.set()

    def end(self, *, dropped: bool = False) -> None:
        """Let `take` return None, or raise when dropped, once the queue is empty."""
        self._ended = True
        self._dropped = dropped
        self._something.set()

    async def ready(self) -> None:
        """Wait until `take` has something to return."""
        while not (self._chunks or self._ended):
            self._something.clear()
            await self._something.wait()

    def take(self) -> Chunk | None:
        """Return the next chunk, after `ready`; None at the end.

        Raises:
            ConnectError: aborted, when this listener was too slow for the others.
        """
        if self._chunks:
            chunk = self._chunks.popleft()
            self._waiting_bytes -= len(chunk[1])
            self._output.resume()
            return chunk
        if self._dropped:
            message = f"output was not read for {STALL_S:.0f} s while others were waiting for it"
            raise ConnectError(Code.ABORTED, message)
        return None


class Output:
    """The reading ends of a process's pipes, or its terminal. It owns the descriptors."""

    def __init__(self, sources: dict[int, Kind]) -> None:
        """`sources` are non-blocking descriptors; nothing is read before `resume`."""
        self._loop = asyncio.get_running_loop()
        self._sources = sources
        self._read_bytes = dict.fromkeys(sources, 0)
        self._listeners: list[Listener] = []
        self._moved = asyncio.Event()
        self._reading = False
        self._stall: asyncio.TimerHandle | None = None

    def attach(self) -> Listener:
        """Return a listener for everything that is read from now on."""
        listener = Listener(self)
        self._listeners.append(listener)
        return listener

    def detach(self, listener: Listener) -> None:
        """Stop handing output to a listener; harmless twice."""
        if listener in self._listeners:
            self._listeners.remove(listener)
            self.resume()

    def resume(self) -> None:
        """Read on, unless a listener is full."""
        if self._reading or any(listener.full for listener in self._listeners):
            return
        self._reading = True
        if self._stall is not None:
            self._stall.cancel()
            self._stall = None
        for fd in self._sources:
            self._loop.add_reader(fd, self._on_readable, fd)

    async def settle(self) -> None:
        """Hand on all that was written before this call; then end every listener.

        End-of-file is no condition: a background child may hold a pipe open for ever.
        """
        goals = {fd: self._read_bytes[fd] + _pending_bytes(fd) for fd in self._sources}
        while any(fd in self._sources and self._read_bytes[fd] < goal for fd, goal in goals.items()):
            await self._next_move()
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(GRACE_S):
                while self._sources:
                    await self._next_move()
        for listener in self._listeners:
            listener.end()
        self._listeners.clear()
        self.resume()

    def close(self) -> None:
        """Close what was never read."""
        for fd in list(self._sources):
            self._close(fd)

    async def _next_move(self) -> None:
        self._moved.clear()
        await self._moved.wait()

    def _on_readable(self, fd: int) -> None:
        try:
            data = os.read(fd, CHUNK_BYTES)
        except BlockingIOError:
            return
        except OSError:
            data = b""  # EIO: a terminal that nobody has open any more.
        self._moved.set()
        if not data:
            self._close(fd)
            return
        self._read_bytes[fd] += len(data)
        for listener in self._listeners:
            listener.put((self._sources[fd], data))
        if any(listener.full for listener in self._listeners):
            self._pause()

    def _pause(self) -> None:
        self._reading = False
        for fd in self._sources:
            self._loop.remove_reader(fd)
        self._stall = self._loop.call_later(STALL_S, self._drop_stalled)

    def _drop_stalled(self) -> None:
        stalled = [listener for listener in self._listeners if listener.full]
        if len(stalled) == len(self._listeners):
            # Nobody keeps up: that is plain back-pressure.
            self._stall = self._loop.call_later(STALL_S, self._drop_stalled)
            return
        for listener in stalled:
            listener.end(dropped=True)
            self.detach(listener)

    def _close(self, fd: int) -> None:
        self._loop.remove_reader(fd)
        del self._sources[fd]
        os.close(fd)


def _pending_bytes(fd: int) -> int:
    try:
        return int(struct.unpack("i", fcntl.ioctl(fd, termios.FIONREAD, b"\0" * 4))[0])
    except OSError:
        return 0  # A terminal whose other side is closed.
