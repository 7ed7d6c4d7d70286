"""The daemon's side of a Python kernel: starts the process (`python_main`), feeds it cells, reads its output."""

from __future__ import annotations

import asyncio
import contextlib
import signal
import socket
import time
from collections.abc import AsyncIterator
from dataclasses import dataclass

from ..config import SandboxConfig
from ..processes import Child, Processes
from . import Event, KernelUnavailable, frames, session, wires
from .output import OutputPipes, readable

_READ_BYTES = 1024 * 1024
_PENDING_BYTES = 1024 * 1024
"""How much output may wait for a slow client before the kernel has to wait."""
_IDLE_BYTES = 256 * 1024
"""How much may be printed between executions, by threads and children; the next execution shows it."""
_LINE_SECONDS = 0.005
"""How long the rest of a line may take to be sent together with its beginning."""
_DYING_SECONDS = 0.1
"""How long a process may take from closing its descriptors to being gone."""
_INSIST_SECONDS = 1.0
_SETTLE_SECONDS = 5.0
"""How long an interrupted execution that nobody listens to may go on before the kernel is ended."""
_TAKEN = frames.encode({})
_FIELDS: dict[str, dict[str, type]] = {
    "result": {"is_main_result": bool},
    "error": {"name": str, "value": str, "traceback": str},
    "number_of_executions": {"execution_count": int},
    "done": {},
}
"""What a kernel may send, and what each must have. User code may write anything to the channel."""


@dataclass(frozen=True, slots=True)
class Started:
    """A kernel process that nobody reads yet."""

    child: Child
    output: OutputPipes
    channel: socket.socket
    memory_bytes: int
    """The sandbox's limit."""


async def start(processes: Processes, config: SandboxConfig, cwd: str) -> PythonKernel:
    """Fork a kernel from the warm interpreter.

    Raises:
        KernelUnavailable: the sandbox's process limit is reached.
    """
    return PythonKernel(fork(processes, config, cwd))


def fork(processes: Processes, config: SandboxConfig, cwd: str) -> Started:
    """Do the part of `start` that needs no loop. Raises KernelUnavailable."""
    options = {"env": {**config.base_env(), "PWD": cwd}, "cwd": cwd, "cpus": config.limits.cpus}
    try:
        with wires.laid(config) as ends:
            child = processes.fork("python", options, [ends.null, *ends.output.write_ends, ends.far_channel])
    except OSError as error:
        raise KernelUnavailable(f"the Python kernel could not be started: {error}") from error
    return Started(child, ends.output, ends.channel, config.memory_bytes)


def _is_valid(message: Event) -> bool:
    kind = message.get("type")
    fields = _FIELDS.get(kind) if isinstance(kind, str) else None
    return fields is not None and all(isinstance(message.get(name), wanted) for name, wanted in fields.items())


class PythonKernel:
    """A kernel process; see `kernels.Kernel`. One task reads all it sends, whether or not an execution runs."""

    def __init__(self, started: Started) -> None:
        started.channel.setblocking(False)
        self._child = started.child
        self._output = started.output
        self._channel = started.channel
        self._memory_bytes = started.memory_bytes
        self._decoder = frames.Decoder()
        self._pending: list[Event] = []
        self._pending_bytes = 0
        self._idle_dropped = 0
        self._busy = False
        self._readable = True
        self._was_cut_off = False
        self._news = asyncio.Event()
        self._room = asyncio.Event()
        self._room.set()
        self._ended = False
        self._pump = asyncio.create_task(self._read())
        self._watch = asyncio.create_task(self._watch_child())

    @property
    def alive(self) -> bool:
        """Whether the process is still there."""
        return not self._ended

    async def execute(self, code: str, env_vars: dict[str, str]) -> AsyncIterator[Event]:
        """Run code; see `kernels.Kernel.execute`."""
        self._busy = True
        self._news.clear()
        self._tell_idle_loss()
        try:
            await self._send(frames.encode({"code": code, "env": env_vars}))
            while self._busy and not self._ended:
                await self._news.wait()
                for event in self._take():
                    yield event
            for event in self._take():  # It ended while a slow client took what came before.
                yield event
        finally:
            if self._busy and not self._ended:
                # In a task of its own: this one may be cancelled, and before Python 3.11.4 time-outs do not work in it.
                await asyncio.create_task(self._abandon())
        if self._busy:
            self._busy = False
            event = session.death(await self._child.wait(), self._memory_bytes)
            if self._was_cut_off:
                event["value"] = "the kernel was ended: code broke its connection. Its variables are lost"
            yield event

    async def interrupt(self) -> None:
        """Stop the running code; see `kernels.Kernel.interrupt`."""
        if self._busy:
            self._child.signal_group(signal.SIGINT)

    async def shutdown(self) -> None:
        """End the process and everything it started; returns when it is gone."""
        await session.end(self._child)
        await self._watch

    async def _send(self, data: bytes) -> None:
        with contextlib.suppress(OSError):  # The process is gone: its end is told by the watcher.
            await asyncio.get_running_loop().sock_sendall(self._channel, data)

    async def _abandon(self) -> None:
        """Nobody listens any more: interrupt, and throw away what comes until the kernel is idle."""
        try:
            async with asyncio.timeout(_SETTLE_SECONDS):
                while self._busy and not self._ended:
                    self._child.signal_group(signal.SIGINT)
                    with contextlib.suppress(TimeoutError):
                        async with asyncio.timeout(_INSIST_SECONDS):
                            await self._discard()
        except TimeoutError:
            await self.shutdown()
        self._take()
        self._busy = False

    async def _discard(self) -> None:
        while self._busy and not self._ended:
            self._take()
            await self._news.wait()

    def _take(self) -> list[Event]:
        events, self._pending = self._pending, []
        self._pending_bytes = 0
        self._news.clear()
        self._room.set()
        return events

    async def _read(self) -> None:
        """Read until the process is gone. Text that was written before a message was sent comes before it."""
        while self._readable:
            await self._output.wait(self._channel.fileno())
            done = self._read_once()
            if not done and self._in_a_line():
                with contextlib.suppress(TimeoutError):
                    async with asyncio.timeout(_LINE_SECONDS):
                        await readable(self._channel.fileno())
                self._read_once()
            if self._pending:
                self._news.set()
            if self._busy and self._pending_bytes > _PENDING_BYTES:
                self._room.clear()
                await self._room.wait()

    def _in_a_line(self) -> bool:
        last = self._pending[-1] if self._pending else None
        return last is not None and last["type"] in ("stdout", "stderr") and not last["text"].endswith("\n")

    def _read_once(self) -> bool:
        """Read what is there, without blocking; return whether the execution is over."""
        messages = self._receive()
        for event in self._output.read():
            self._add_text(event)
        for message, size in messages:
            if message.pop("wait", False):
                self._acknowledge()
            if not self._busy or not _is_valid(message):
                continue
            if message["type"] == "done":
                for event in self._output.finish():
                    self._add_text(event)
                self._output.begin()
                self._busy = False
                self._news.set()
                return True
            self._pending.append(message)
            self._pending_bytes += size
        return False

    def _acknowledge(self) -> None:
        # The process waits for it, so there is room; code that writes to the channel itself has no right to it.
        with contextlib.suppress(OSError):
            self._channel.send(_TAKEN)

    def _receive(self) -> list[tuple[Event, int]]:
        try:
            data = self._channel.recv(_READ_BYTES)
            if data:
                return self._decoder.feed(data)
        except BlockingIOError:
            return []
        except (OSError, frames.BrokenChannel):
            pass
        self._readable = False
        asyncio.get_running_loop().call_later(_DYING_SECONDS, self._cut_off)
        return []

    def _cut_off(self) -> None:
        """Without its channel a kernel is of no use: it is dead, or code has closed it or written nonsense to it."""
        if self._child.running:
            self._was_cut_off = True
            self._child.signal(signal.SIGKILL)

    def _add_text(self, event: Event) -> None:
        size = len(event["text"])
        if not self._busy and self._pending_bytes + size > _IDLE_BYTES:
            self._idle_dropped += size
            return
        self._pending_bytes += size
        if self._pending and self._pending[-1]["type"] == event["type"]:
            self._pending[-1]["text"] += event["text"]
        else:
            self._pending.append(event)

    def _tell_idle_loss(self) -> None:
        if self._idle_dropped:
            text = f"[{self._idle_dropped} more characters were printed between executions and dropped]\n"
            self._idle_dropped = 0
            self._pending.append({"type": "stderr", "text": text, "timestamp": time.time_ns()})

    async def _watch_child(self) -> None:
        await self._child.wait()
        self._pump.cancel()
        if self._readable:
            self._read_once()
        self._ended = True
        self._news.set()
        self._output.close()
        self._channel.close()
