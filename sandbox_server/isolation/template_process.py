"""The host's side of a template process: start it inside the outer wall, ask it for sandboxes."""

from __future__ import annotations

import asyncio
import contextlib
import os
import shutil
import signal
import socket
import subprocess
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ..errors import IsolationUnavailable, SandboxStartFailed
from ..guest import messages
from ..guest.config import LIBRARY, TEMPLATE, SandboxConfig
from ..guest.messages import MessageTooLarge
from . import outer, seccomp
from .outer import View
from .template_log import TemplateLog

_BOOT = (
    f"import sys; sys.path.insert(0, {LIBRARY!r}); "
    "from sandbox_server.guest.template import main; main(int(sys.argv[1]))"
)
_WARM_SECONDS = 120
_START_SECONDS = 30


@dataclass(slots=True)
class Born:
    """A sandbox that has just been forked: its pid 1 and the channel to it."""

    pidfd: int
    control: socket.socket


class TemplateProcess:
    """One warm interpreter inside the outer wall. Its death is the death of all its sandboxes (pid namespaces).

    bubblewrap's --die-with-parent follows the thread that started it: call `start` on the thread that lives as long
    as the server.
    """

    def __init__(self, process: subprocess.Popen[bytes], channel: socket.socket, log: TemplateLog) -> None:
        self._process = process
        self._channel = channel
        self._sending = asyncio.Lock()
        self._log = log

    @classmethod
    async def start(cls, view: View, log: Path) -> TemplateProcess:
        """Start and wait until it is warm. Its stderr goes to the file `log`.

        Raises:
            IsolationUnavailable: bubblewrap or the kernel refused; the message carries what they said.
        """
        root = os.getuid() == 0
        ours, theirs = messages.pair()
        output = TemplateLog(log)
        with theirs:
            try:
                process = _launch(view, root, theirs, output.writer.fileno())
            except BaseException:
                output.close()
                raise
        output.started()
        self = cls(process, ours, output)
        try:
            programs = [_file_with(program) for program in seccomp.programs()]
            try:
                messages.send(ours, {"setup": {"root": root}}, programs)
            finally:
                for fd in programs:
                    os.close(fd)
            await self._ready()
        except BaseException as error:  # Also when the server is stopped meanwhile.
            self._end()
            words = self._log.last_words()
            self._log.close()
            if isinstance(error, OSError):
                raise IsolationUnavailable(f"the sandbox template did not start: {words or error}") from error
            raise
        return self

    async def _ready(self) -> None:
        async with asyncio.timeout(_WARM_SECONDS):
            message, _ = await receive(self._channel)
        if "ready" not in message:
            raise OSError(str(message))

    @property
    def alive(self) -> bool:
        """Whether it can still make sandboxes."""
        return self._process.poll() is None

    async def fork(self, config: SandboxConfig, cgroup_fds: list[int]) -> Born:
        """Make a sandbox and return once its guest daemon serves.

        Raises:
            SandboxStartFailed: a wall could not be put up, or it took too long; nothing is left of it.
        """
        control, their_control = messages.pair()
        pidfd = -1
        try:
            with their_control:
                await self._send({"create": config.to_json()}, [their_control.fileno(), *cgroup_fds])
            async with asyncio.timeout(_START_SECONDS):
                (pidfd,) = await _told(control, "started")
                await _told(control, "ready")
        except BaseException as error:  # Also when the one who asked has gone away.
            control.close()
            if pidfd >= 0:
                with contextlib.suppress(ProcessLookupError):
                    signal.pidfd_send_signal(pidfd, signal.SIGKILL)
                os.close(pidfd)
            if isinstance(error, OSError | MessageTooLarge):
                raise SandboxStartFailed(f"the sandbox did not start: {error or 'timed out'}") from error
            raise
        return Born(pidfd, control)

    async def _send(self, message: dict[str, Any], fds: list[int]) -> None:
        """Send to the template, which forks one sandbox at a time: a few large requests fill its channel."""
        async with self._sending, asyncio.timeout(_START_SECONDS):
            while True:
                with contextlib.suppress(BlockingIOError):
                    return messages.send(self._channel, message, fds)
                await _writable(self._channel)

    async def stop(self) -> None:
        """End it, and with it every sandbox it made; returns when they are gone."""
        await asyncio.to_thread(self._end)
        self._log.close()

    def _end(self) -> None:
        self._channel.close()
        self._process.kill()
        self._process.wait()


def _launch(view: View, root: bool, channel: socket.socket, stderr: int) -> subprocess.Popen[bytes]:
    bwrap = shutil.which("bwrap")
    if bwrap is None:
        raise IsolationUnavailable(
            "bubblewrap is missing: install it (Debian, Ubuntu: apt install bubblewrap; Fedora: dnf install bubblewrap)"
        )
    arguments = b"".join(argument.encode() + b"\0" for argument in outer.arguments(view, root=root))
    args_fd = _file_with(arguments)
    python = [f"{TEMPLATE}/bin/python", "-I", "-c", _BOOT]
    try:
        return subprocess.Popen(
            [bwrap, "--args", str(args_fd), "--", *python, str(channel.fileno())],
            stdin=subprocess.DEVNULL,
            stdout=stderr,
            stderr=stderr,
            pass_fds=[args_fd, channel.fileno()],
            # bubblewrap's own pid 1 stays in there: its environment would be readable at /proc/1/environ.
            env={},
            start_new_session=True,
        )
    finally:
        os.close(args_fd)


def _file_with(data: bytes) -> int:
    """Return a descriptor of an unnamed file with this content, at its start."""
    with tempfile.TemporaryFile() as file:
        file.write(data)
        file.seek(0)
        return os.dup(file.fileno())


async def _told(control: socket.socket, word: str) -> list[int]:
    """Wait for a message of that name and return its descriptors. Raises OSError, SandboxStartFailed."""
    message, fds = await receive(control)
    if word not in message:
        raise SandboxStartFailed(str(message.get("error", "it sent something else")))
    return fds


async def _writable(channel: socket.socket) -> None:
    loop = asyncio.get_running_loop()
    writable = asyncio.Event()
    loop.add_writer(channel.fileno(), writable.set)
    try:
        await writable.wait()
    finally:
        loop.remove_writer(channel.fileno())


async def receive(channel: socket.socket) -> tuple[dict[str, Any], list[int]]:
    """Wait for the next message on a channel. Raises OSError when the other side has closed it."""
    channel.setblocking(False)
    loop = asyncio.get_running_loop()
    readable = asyncio.Event()
    loop.add_reader(channel.fileno(), readable.set)
    try:
        await readable.wait()
    finally:
        loop.remove_reader(channel.fileno())
    received = messages.receive(channel)
    if received is None:
        raise ConnectionResetError("it ended at once")
    return received
