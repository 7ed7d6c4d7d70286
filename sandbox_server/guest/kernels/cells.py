"""The loop of a Python kernel process: takes cells from the daemon, runs them, sends what they show.

One asyncio loop runs everything. A cell is a task of it, so top-level `await` works and tasks live on between cells.
"""

from __future__ import annotations

import asyncio
import contextlib
import ctypes
import os
import socket
import sys
import threading
from collections.abc import Callable
from typing import Any

from . import Event, frames
from .interrupts import Interrupts
from .shell import ZMQInteractiveShell

_READ_BYTES = 1024 * 1024

Request = dict[str, Any]
"""{"code": str, "env": {name: value}}"""


class Cells:
    """One kernel's loop."""

    def __init__(
        self, shell: ZMQInteractiveShell, channel: socket.socket, start_over: Callable[[Request], None] | None = None
    ) -> None:
        """`start_over` is asked before each cell of a kernel that has no state yet, and may replace the process."""
        self._shell = shell
        self._channel: socket.socket | None = channel
        self._start_over = start_over
        self._decoder = frames.Decoder()
        self._requests: asyncio.Queue[Request | None] = asyncio.Queue()
        self._held = b""
        self._sending = threading.Lock()
        self._loop = asyncio.SelectorEventLoop()
        asyncio.set_event_loop(self._loop)
        self._interrupts = Interrupts(self._loop)
        self._flush_c = ctypes.CDLL(None).fflush
        os.register_at_fork(after_in_child=self._leave)
        shell.attach(self._show, self._hold, lambda: self._interrupts.requested)
        self._loop.add_reader(channel.fileno(), self._receive)

    def run(self, first: Request | None = None) -> None:
        """Serve until the daemon closes the channel. `first` is a cell that has been received already."""
        if first is not None:
            self._requests.put_nowait(first)
        serving = self._loop.create_task(self._serve())
        while not serving.done():
            # User code can stop the loop, or be interrupted in a task that is not the cell's.
            with contextlib.suppress(KeyboardInterrupt, SystemExit, RuntimeError):
                self._loop.run_until_complete(serving)

    def _leave(self) -> None:
        """This is a child that user code forked: the channel is not its own."""
        if self._channel is not None:
            self._channel.close()
            self._channel = None

    def _receive(self) -> bool:
        """Take what the daemon has sent; return whether what `_show` waits for was there, or nothing will come."""
        data = self._channel.recv(_READ_BYTES) if self._channel is not None else b""
        taken = False
        for message, _ in self._decoder.feed(data):
            if message:
                self._requests.put_nowait(message)
            else:
                taken = True
        if not data:
            self._requests.put_nowait(None)
        return taken or not data

    async def _serve(self) -> None:
        while (request := await self._requests.get()) is not None:
            if self._start_over is not None:
                self._start_over(request)
            cell = self._loop.create_task(self._run(request["code"], request["env"]))
            self._interrupts.begin(cell)
            await asyncio.wait([cell])
            self._interrupts.end()
            if self._channel is None:
                os._exit(0)  # A forked child ran on to the end of the cell.
            error = KeyboardInterrupt() if cell.cancelled() else cell.exception()
            if error is not None:
                self._shell.report(error)
            self._flush()
            self._send({"type": "done"})

    async def _run(self, code: str, env: dict[str, str]) -> None:
        saved = {name: os.environ.get(name) for name in env}
        os.environ.update(env)
        self._hold({"type": "number_of_executions", "execution_count": self._shell.execution_count})
        try:
            await self._shell.run(code)
        finally:
            for name, value in saved.items():
                if value is None:
                    os.environ.pop(name, None)
                else:
                    os.environ[name] = value

    def _flush(self) -> None:
        self._flush_c(None)
        for stream in (sys.stdout, sys.stderr):
            with contextlib.suppress(Exception):  # User code may have put anything there.
                stream.flush()

    def _hold(self, event: Event) -> None:
        """Send with whatever is sent next: a result that ends its cell need not wake the daemon twice."""
        self._held += frames.encode(event)

    def _send(self, event: Event) -> None:
        data = frames.encode(event)
        with self._interrupts.postponed(), self._sending:
            data, self._held = self._held + data, b""
            if self._channel is not None:
                self._channel.sendall(data)

    def _show(self, event: Event) -> None:
        """Send, and wait until the daemon has it: what is printed next could otherwise overtake it."""
        if threading.current_thread() is not threading.main_thread() or self._channel is None:
            return self._send(event)
        with self._interrupts.postponed():
            self._send({**event, "wait": True})
            while not self._receive():
                pass
        return None
