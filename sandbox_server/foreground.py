"""A server in this process, from its start to a signal or a long time without work."""

from __future__ import annotations

import asyncio
import contextlib
import dataclasses
import errno
import os
import secrets
import signal
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import uvloop

from .errors import SandboxServerError
from .server import Server
from .settings import Settings, runtime_folder
from .state import LOG, RuntimeFolder, State, start_time, version

_LOG_BYTES = 4 * 1024 * 1024
_TICK_SECONDS = 5.0


def serve(settings: Settings, *, idle_exit_s: float | None = None) -> None:
    """Run a server until SIGINT, SIGTERM or SIGHUP; at the second one at once.

    Prints one line on stdout when it can make sandboxes. The first server of a user is registered in the state file;
    without a key in the settings it has to be, since the key it makes up is found there.

    Args:
        settings: how it runs.
        idle_exit_s: end by itself after so many seconds without a sandbox and without anyone asking for the address.

    Raises:
        SandboxServerError: it cannot run; the message says what to do.
    """
    with RuntimeFolder.open(runtime_folder()) as folder, _Registration.made(folder) as registration:
        if not settings.api_key:
            if not registration.held:
                raise SandboxServerError(
                    "a server of yours runs already ('python -m sandbox_server status'), and a second one cannot put "
                    "its key into the same file; give this one a key by --api-key or E2B_API_KEY"
                )
            # The form that SDKs checked for once.
            settings = dataclasses.replace(settings, api_key=f"e2b_{secrets.token_hex(20)}")
        uvloop.run(_Foreground(settings, registration, idle_exit_s).run())


class _Registration:
    """This process's claim to be the user's server; not held when another has it."""

    def __init__(self, folder: RuntimeFolder, lock: int | None) -> None:
        self.folder = folder
        self.held = lock is not None
        self._state = State(os.getpid(), start_time(os.getpid()) or 0, version())

    @classmethod
    @contextlib.contextmanager
    def made(cls, folder: RuntimeFolder) -> Iterator[_Registration]:
        lock = folder.claim()
        self = cls(folder, lock)
        try:
            if self.held:
                folder.write(self._state)
            yield self
        finally:
            self.withdraw()
            if lock is not None:
                os.close(lock)

    def publish(self, url: str, api_key: str) -> None:
        if self.held:
            self.folder.write(dataclasses.replace(self._state, url=url, api_key=api_key))

    def withdraw(self) -> None:
        """Take the address away; the lock stays held until everything has ended."""
        if self.held:
            self.folder.remove()
            self.held = False

    def asked_at(self) -> float:
        """When somebody was last given the address (Unix seconds)."""
        return self.folder.touched_at() if self.held else 0.0


class _Foreground:
    def __init__(self, settings: Settings, registration: _Registration, idle_exit_s: float | None) -> None:
        self._settings = settings
        self._registration = registration
        self._idle_exit_s = idle_exit_s
        self._server = Server(settings, progress=_to_stderr)
        self._stop = asyncio.Event()

    async def run(self) -> None:
        loop = asyncio.get_running_loop()
        for number in _signals():
            loop.add_signal_handler(number, self._on_signal)
        starting = asyncio.create_task(self._server.start())
        stopping = asyncio.create_task(self._stop.wait())
        try:
            await asyncio.wait({starting, stopping}, return_when=asyncio.FIRST_COMPLETED)
            if not starting.done():
                return await _abandon(starting)
            url = await self._started(starting)
            self._registration.publish(url, self._settings.api_key)
            print(f"listening on {url}", flush=True)  # noqa: T201
            async with asyncio.TaskGroup() as tasks:
                watching = tasks.create_task(self._watch())
                await stopping
                watching.cancel()
            self._registration.withdraw()
            await self._server.close()
        finally:
            stopping.cancel()

    async def _started(self, starting: asyncio.Task[str]) -> str:
        try:
            return await starting
        except OSError as error:
            if error.errno != errno.EADDRINUSE:
                raise
            raise SandboxServerError(
                f"port {self._settings.port} of {self._settings.host} is taken; choose another by --port (0: any)"
            ) from error

    def _on_signal(self) -> None:
        if self._stop.is_set():
            # The kernel ends the sandboxes: bubblewrap dies with its parent, and they with it.
            os._exit(130)
        _to_stderr("stopping; a second signal stops at once")
        self._stop.set()

    async def _watch(self) -> None:
        """Look now and then whether there is still something to do, and how long the log has become."""
        limit = self._idle_exit_s
        tick = _TICK_SECONDS if limit is None else min(_TICK_SECONDS, limit / 4)
        idle_since = time.monotonic()
        while True:
            await asyncio.sleep(tick)
            _bound_log(self._registration.folder)
            if len(self._server.sandboxes):
                idle_since = time.monotonic()
            elif limit is not None and time.monotonic() - idle_since >= limit and self._leave(limit):
                _to_stderr(f"stopping: {limit:g} seconds without a sandbox")
                return self._stop.set()

    def _leave(self, limit: float) -> bool:
        """Withdraw, unless somebody has just been given the address or is about to be."""
        with self._registration.folder.deciding(wait=False) as decided:
            if not decided or time.time() - self._registration.asked_at() < limit:
                return False
            self._registration.withdraw()
            return True


def _signals() -> tuple[signal.Signals, ...]:
    # Under nohup it is ignored, and has to stay so.
    hangup = () if signal.getsignal(signal.SIGHUP) is signal.SIG_IGN else (signal.SIGHUP,)
    return (signal.SIGINT, signal.SIGTERM, *hangup)


async def _abandon(starting: asyncio.Task[str]) -> None:
    """Give up a start, and the installer that may be running on another thread."""
    starting.cancel()
    await asyncio.wait({starting})
    threads = asyncio.create_task(asyncio.get_running_loop().shutdown_default_executor())
    while not threads.done():
        for children in Path("/proc/self/task").glob("*/children"):
            for pid in children.read_text(encoding="ascii").split():
                with contextlib.suppress(ProcessLookupError):
                    os.kill(int(pid), signal.SIGTERM)
        await asyncio.wait({threads}, timeout=0.1)


def _bound_log(folder: RuntimeFolder) -> None:
    """Begin the log anew when it is what stderr goes to and has grown too long."""
    size = os.fstat(sys.stderr.fileno()).st_size
    if size > _LOG_BYTES and os.path.samestat(os.fstat(sys.stderr.fileno()), os.stat(folder.path / LOG)):
        fd = folder.new_log()
        os.dup2(fd, sys.stderr.fileno())
        os.close(fd)


def _to_stderr(line: str) -> None:
    print(line, file=sys.stderr, flush=True)  # noqa: T201
