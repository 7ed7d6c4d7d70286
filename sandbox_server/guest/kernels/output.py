"""The stdout and stderr of a kernel process: two pipes, read as E2B's output events.

The descriptors of the process are captured, not its print function, so that what child processes and C libraries
write is caught as well. Results travel on a channel of the kernel's own, and could overtake text. They cannot when
the reader, on each message of that channel, first takes what is in the pipes: the process wrote it earlier.

    output = OutputPipes(max_bytes)
    ... start the process with `output.write_ends` as stdout and stderr, then `output.close_write_ends()`
    output.begin()
    while not done:
        await output.wait(channel_fd)
        message = ...  # one from the channel, without blocking
        for event in output.read():
            yield event
        ... the message's own events
    for event in output.finish():
        yield event

Nothing is read ahead: a slow consumer fills the pipes, and the process waits in write(2). What is written while no
execution runs stays in the pipes and belongs to the next one; the end of an execution never waits for end of file,
since a child left running holds the descriptors. The order between stdout and stderr is not known.
"""

from __future__ import annotations

import asyncio
import codecs
import fcntl
import os
import struct
import termios
import time

from . import Event


async def readable(*fds: int) -> None:
    """Return once one of the descriptors has something to read or is at its end."""
    loop = asyncio.get_running_loop()
    ready: asyncio.Future[None] = loop.create_future()

    def wake() -> None:
        if not ready.done():
            ready.set_result(None)

    for fd in fds:
        loop.add_reader(fd, wake)
    try:
        await ready
    finally:
        for fd in fds:
            loop.remove_reader(fd)


class _Pipe:
    """One of the two streams: its ends and the state of its decoder."""

    def __init__(self, stream: str) -> None:
        self.stream = stream
        self.read_end, self.write_end = os.pipe2(os.O_CLOEXEC | os.O_NONBLOCK)
        # The process's end blocks: programs take EAGAIN from stdout for an error. O_NONBLOCK belongs to the open
        # file, and the two ends of a pipe are two of them.
        os.set_blocking(self.write_end, True)
        self.ended = False
        self._decoder = codecs.getincrementaldecoder("utf-8")("replace")

    def take(self) -> bytes:
        """Return what is in the pipe now, which is at most its capacity (64 KiB unless a process raised it)."""
        if self.ended:
            return b""
        size = struct.unpack("i", fcntl.ioctl(self.read_end, termios.FIONREAD, bytes(4)))[0]
        try:
            data = os.read(self.read_end, size or 1)
        except BlockingIOError:
            return b""
        self.ended = not data
        return data

    def event(self, data: bytes, *, final: bool = False) -> list[Event]:
        """Decode; a character cut in two waits for its rest unless `final`."""
        text = self._decoder.decode(data, final)
        return [{"type": self.stream, "text": text, "timestamp": time.time_ns()}] if text else []


class OutputPipes:
    """The two pipes of one process, which may live for many executions."""

    def __init__(self, max_bytes: int) -> None:
        """`max_bytes` bounds what one execution can write to both together; the rest is read, counted and dropped."""
        self._max_bytes = max_bytes
        self._taken = 0
        self._pipes = (_Pipe("stdout"), _Pipe("stderr"))

    @property
    def write_ends(self) -> tuple[int, int]:
        """The descriptors for the process: stdout, stderr."""
        return self._pipes[0].write_end, self._pipes[1].write_end

    def close_write_ends(self) -> None:
        """Close this process's copies, once the kernel process has its own."""
        for pipe in self._pipes:
            if pipe.write_end >= 0:
                os.close(pipe.write_end)
                pipe.write_end = -1

    def begin(self) -> None:
        """Count from zero: a new execution starts."""
        self._taken = 0

    async def wait(self, *others: int) -> None:
        """Wait for output, or for one of the `others` (descriptors) to be readable."""
        await readable(*others, *(pipe.read_end for pipe in self._pipes if not pipe.ended))

    def read(self) -> list[Event]:
        """Return what was written up to now; never blocks, at most one event a stream."""
        events: list[Event] = []
        for pipe in self._pipes:
            data = pipe.take()
            room = max(0, self._max_bytes - self._taken)
            self._taken += len(data)
            events += pipe.event(data[:room])
        return events

    def finish(self) -> list[Event]:
        """Return the last output of an execution, and on stderr how much of it was dropped, if any was."""
        events = self.read()
        for pipe in self._pipes:
            events += pipe.event(b"", final=True)
        dropped = self._taken - self._max_bytes
        if dropped > 0:
            text = f"\n[dropped {dropped} bytes over the output limit of {self._max_bytes}: write to a file instead]\n"
            events.append({"type": "stderr", "text": text, "timestamp": time.time_ns()})
        return events

    def close(self) -> None:
        """Close everything; the process gets SIGPIPE or EPIPE if it still writes."""
        self.close_write_ends()
        for pipe in self._pipes:
            if pipe.read_end >= 0:
                os.close(pipe.read_end)
                pipe.read_end = -1
