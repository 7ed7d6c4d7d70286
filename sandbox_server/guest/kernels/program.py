"""Kernels that are programs of their own: a process, its output pipes, and a channel of JSON lines.

    daemon → program  {"op": "execute", "id": 1, "code": "...", "env": {...}, ...}    {"op": "interrupt"}
    program → daemon  {"type": "ready"} once; the events of `kernels.Event`; {"type": "done", "id": 1}

The program finds the number of the channel's descriptor, a stream socket, in SANDLOOP_FDS.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import signal
import socket
from collections.abc import AsyncIterator
from typing import Any, ClassVar, Self

from ..config import SandboxConfig
from ..processes import Child, Processes
from . import Event, KernelUnavailable, session, wires
from .output import OutputPipes, readable

MAX_LINE_BYTES = 64 * 1024 * 1024
"""Bound of one message, which may be a picture. A program that sends more is broken, and ended."""
_READ_BYTES = 1024 * 1024
_START_SECONDS = 30
_POLITE_SECONDS = 0.3
"""How long an interrupted program may take to stop its code, before its child processes get SIGINT."""
_SETTLE_SECONDS = 5
"""How long after that an interrupted execution nobody listens to may go on, before the kernel is ended."""


class _Lines:
    """The daemon's end of the channel: JSON objects, one a line."""

    def __init__(self, sock: socket.socket) -> None:
        sock.setblocking(False)
        self._sock = sock
        self._buffer = bytearray()
        self._messages: list[dict[str, Any]] = []
        self.ended = False

    def fileno(self) -> int:
        return self._sock.fileno()

    async def send(self, text: str) -> None:
        with contextlib.suppress(OSError):  # The program is gone: reading says so.
            await asyncio.get_running_loop().sock_sendall(self._sock, text.encode("utf-8", "replace"))

    def receive(self) -> list[dict[str, Any]]:
        """Return the messages that are there, without blocking."""
        try:
            data = self._sock.recv(_READ_BYTES)
        except BlockingIOError:
            return []
        except OSError:
            data = b""
        self._buffer += data
        if not data or len(self._buffer) > MAX_LINE_BYTES:
            self.ended = True
            return []
        if b"\n" not in data:
            return []
        *lines, rest = bytes(self._buffer).split(b"\n")
        self._buffer = bytearray(rest)
        return [message for line in lines if (message := _parse(line)) is not None]

    def end(self) -> None:
        """Make both sides see the end, after what is already there. A child of the program may hold its side open."""
        with contextlib.suppress(OSError):
            self._sock.shutdown(socket.SHUT_RDWR)

    def close(self) -> None:
        self._sock.close()


def _parse(line: bytes) -> dict[str, Any] | None:
    """The program runs user code, which may write anything to the channel: other lines are dropped."""
    with contextlib.suppress(ValueError, RecursionError):
        message = json.loads(line)
        if isinstance(message, dict) and isinstance(message.get("type"), str):
            return message
    return None


class Program:
    """One running program, shared by the kernels (languages) it serves; it runs one execution at a time."""

    channel_is_stdin: ClassVar[bool] = False
    """Whether the program reads requests as its stdin, which is /dev/null otherwise."""

    def __init__(self, child: Child, output: OutputPipes, lines: _Lines, memory_bytes: int) -> None:
        self._child = child
        self._output = output
        self._lines = lines
        self._memory_bytes = memory_bytes
        self._executions = 0
        self._turn = asyncio.Lock()
        self._idle = asyncio.Event()
        self._idle.set()
        self._watch = asyncio.create_task(self._watch_child())

    @classmethod
    async def start(
        cls, processes: Processes, config: SandboxConfig, argv: list[str], *, env: dict[str, str], cwd: str
    ) -> Self:
        """Start the program and wait until it is ready.

        Raises:
            KernelUnavailable: it does not exist, or ended or hung while starting (with what it printed).
        """
        try:
            with wires.laid(config) as ends:
                channel = ends.far_channel
                stdin, extra = (channel, []) if cls.channel_is_stdin else (ends.null, [channel])
                child = await processes.exec(argv, env=env, cwd=cwd, fds=[stdin, *ends.output.write_ends, *extra])
        except OSError as error:
            raise KernelUnavailable(f"{argv[0]} could not be started in {cwd!r}: {error}") from error
        program = cls(child, ends.output, _Lines(ends.channel), config.memory_bytes)
        try:
            async with asyncio.timeout(_START_SECONDS):
                await program._ready()
        except (TimeoutError, KernelUnavailable) as error:
            await program.shutdown()
            raise KernelUnavailable(f"{argv[0]} did not start: {error or 'no answer'}") from error
        except BaseException:
            await program.shutdown()
            raise
        return program

    @property
    def alive(self) -> bool:
        """Whether the process is still there."""
        return self._child.running and not self._lines.ended

    async def execute(self, code: str, env_vars: dict[str, str], **options: str) -> AsyncIterator[Event]:
        """Run code; see `kernels.Kernel.execute`. The `options` go to the program with the request."""
        async with self._turn:
            self._executions += 1
            yield {"type": "number_of_executions", "execution_count": self._executions}
            self._output.begin()
            self._idle.clear()
            try:
                await self._request(self._executions, code, env_vars, options)
                while not self._idle.is_set():
                    for event in await self._next():
                        yield event
            finally:
                if not self._idle.is_set():
                    # In a task of its own: see `kernels.python`.
                    await asyncio.create_task(self._abandon())
        if not self.alive:
            yield session.death(await self._child.wait(), self._memory_bytes)

    async def interrupt(self) -> None:
        """Stop the running code; see `kernels.Kernel.interrupt`."""
        if not self._idle.is_set():
            await self._interrupt()

    async def shutdown(self) -> None:
        """End the process and everything it started; returns when it is gone."""
        await session.end(self._child)
        await self._watch
        # A running execution is about to read the end, and needs the descriptors until then.
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(_POLITE_SECONDS):
                await self._wait_idle()
        self._idle.set()
        self._lines.close()
        self._output.close()

    async def _greet(self) -> None:
        """Do what the program waits for before it says that it is ready."""

    async def _request(self, number: int, code: str, env_vars: dict[str, str], options: dict[str, str]) -> None:
        request = {"op": "execute", "id": number, "code": code, "env": env_vars, **options}
        await self._send(json.dumps(request) + "\n")

    async def _interrupt(self) -> None:
        await self._send('{"op": "interrupt"}\n')
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(_POLITE_SECONDS):
                return await self._wait_idle()
        # It may wait for a child process, which a terminal's Ctrl-C would reach as well.
        session.signal_others(self._child, signal.SIGINT)

    async def _send(self, text: str) -> None:
        await self._lines.send(text)

    async def _wait_idle(self) -> None:
        await self._idle.wait()

    async def _ready(self) -> None:
        await self._greet()
        while not any(message["type"] == "ready" for message in self._lines.receive()):
            if self._lines.ended:
                code = await self._child.wait()
                said = "".join(event["text"] for event in self._output.finish()).strip()
                raise KernelUnavailable(f"{session.how_it_ended(code, self._memory_bytes)}: {said[-2000:]}")
            await readable(self._lines.fileno())
        self._output.finish()  # What it said while starting is no execution's output.

    async def _next(self) -> list[Event]:
        """Wait for something to happen in the running execution; return its events, in order."""
        await self._output.wait(self._lines.fileno())
        messages = self._lines.receive()
        # What was written before a message was sent is in the pipes by now: it goes first.
        events = self._output.read()
        for message in messages:
            if message["type"] != "done":
                events.append(message)
            elif message.get("id") == self._executions:
                self._finish(events)
        if self._lines.ended:
            self._finish(events)
        return events

    def _finish(self, events: list[Event]) -> None:
        events += self._output.finish()
        self._idle.set()

    async def _abandon(self) -> None:
        """Nobody listens any more: interrupt, and read on until the program is idle."""
        try:
            async with asyncio.timeout(_POLITE_SECONDS + _SETTLE_SECONDS), asyncio.TaskGroup() as tasks:
                interrupting = tasks.create_task(self.interrupt())
                while not self._idle.is_set():
                    await self._next()
                interrupting.cancel()
        except TimeoutError:
            self._child.signal_group(signal.SIGKILL)
            self._idle.set()

    async def _watch_child(self) -> None:
        await self._child.wait()
        session.kill_orphans(self._child.pid)
        self._lines.end()


class ProgramKernel:
    """A `kernels.Kernel`: one language of a program."""

    def __init__(self, program: Program, **options: str) -> None:
        self._program = program
        self._options = options

    @property
    def alive(self) -> bool:
        """Whether the process is still there."""
        return self._program.alive

    def execute(self, code: str, env_vars: dict[str, str]) -> AsyncIterator[Event]:
        """Run code; see `kernels.Kernel.execute`."""
        return self._program.execute(code, env_vars, **self._options)

    async def interrupt(self) -> None:
        """Stop the running code; see `kernels.Kernel.interrupt`."""
        await self._program.interrupt()

    async def shutdown(self) -> None:
        """End the process, for every language it serves."""
        await self._program.shutdown()
