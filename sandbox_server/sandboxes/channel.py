"""The server's end of a sandbox's control channel. What arrives on it is hostile: bounded, parsed, never trusted."""

from __future__ import annotations

import asyncio
import contextlib
import os
import socket
import stat
import struct
from collections.abc import Callable

from ..guest import messages

_DIAL_SECONDS = 10
_MAX_PENDING = 256
_NO_LINGER = struct.pack("ii", 0, 0)


class GuestGone(ConnectionError):
    """The guest daemon does not answer any more."""


class GuestChannel:
    """Opens streams into one sandbox, and takes the connections that it sends out."""

    def __init__(self, control: socket.socket, on_egress: Callable[[socket.socket], None]) -> None:
        control.setblocking(False)
        self._control = control
        self._on_egress = on_egress
        self._next_id = 0
        self._dials: dict[int, asyncio.Future[bool]] = {}
        self._loop = asyncio.get_running_loop()
        self._frozen: asyncio.Future[bool] = self._loop.create_future()
        self._frozen.set_result(False)
        self._loop.add_reader(control.fileno(), self._on_message)

    def open_http(self) -> socket.socket:
        """Return a stream on which the guest serves HTTP (envd and the code interpreter).

        Raises:
            GuestGone: it is not there, or does not read its channel.
        """
        ours, theirs = socket.socketpair()
        with theirs:
            try:
                self._send({"serve": True}, [theirs.fileno()])
            except GuestGone:
                ours.close()
                raise
        ours.setblocking(False)
        return ours

    async def dial(self, port: int) -> socket.socket | None:
        """Return a connection to a port inside the sandbox, or None when nobody listens there.

        Raises:
            GuestGone: the guest did not answer.
        """
        if len(self._dials) >= _MAX_PENDING:
            raise GuestGone("too many connections are being opened to this sandbox")
        ours, theirs = socket.socketpair()
        ours.setblocking(False)
        self._next_id += 1
        request = self._next_id
        answer: asyncio.Future[bool] = self._loop.create_future()
        self._dials[request] = answer
        try:
            with theirs:
                self._send({"dial": port, "id": request}, [theirs.fileno()])
            async with asyncio.timeout(_DIAL_SECONDS):
                connected = await answer
        except BaseException as error:
            ours.close()
            if isinstance(error, TimeoutError):
                raise GuestGone("the sandbox's guest did not answer") from error
            raise
        finally:
            del self._dials[request]
        if connected:
            return ours
        ours.close()
        return None

    async def freeze(self, stop: bool) -> None:
        """Stop or continue every process but the guest itself.

        Raises:
            GuestGone, TimeoutError: it did not answer.
        """
        self._frozen = self._loop.create_future()
        self._send({"freeze": stop})
        async with asyncio.timeout(_DIAL_SECONDS):
            await self._frozen

    def close(self) -> None:
        """Close the channel; whoever waits for an answer gets GuestGone."""
        self._loop.remove_reader(self._control.fileno())
        self._control.close()
        for waiting in (*self._dials.values(), self._frozen):
            if not waiting.done():
                waiting.set_exception(GuestGone("the sandbox ended"))

    def _send(self, message: dict[str, object], fds: list[int] | None = None) -> None:
        try:
            messages.send(self._control, message, fds)
        except OSError as error:
            raise GuestGone("the sandbox's guest is not there") from error

    def _on_message(self) -> None:
        with contextlib.suppress(BlockingIOError):
            try:
                received = messages.receive(self._control)
            except ConnectionError:
                received = None
            if received is None:
                self._loop.remove_reader(self._control.fileno())
                return
            self._handle(*received)

    def _handle(self, message: dict[str, object], fds: list[int]) -> None:
        taken = _tcp_socket(fds)
        if "frozen" in message and not self._frozen.done():
            self._frozen.set_result(True)
        request = message.get("id")
        waiting = self._dials.get(request) if isinstance(request, int) else None
        if waiting is not None and not waiting.done():
            waiting.set_result("error" not in message)
        if taken is not None:
            if message.get("egress") is True:
                self._on_egress(taken)
            else:
                taken.close()


def _tcp_socket(fds: list[int]) -> socket.socket | None:
    """Return the first descriptor as a socket when it is a TCP one; close everything else.

    A guest could send any file of its own. Even of a socket it may keep a copy and make it blocking again, since that
    flag is shared: only the egress proxy, which never relies on it, reads from what a guest sends.
    """
    for fd in fds[1:]:
        os.close(fd)
    if not fds:
        return None
    if not stat.S_ISSOCK(os.fstat(fds[0]).st_mode):
        os.close(fds[0])
        return None
    sock = socket.socket(fileno=fds[0])
    if sock.family not in (socket.AF_INET, socket.AF_INET6) or sock.type != socket.SOCK_STREAM:
        sock.close()
        return None
    sock.setblocking(False)
    # With it close(2) waits until all is sent, for as long as the guest has set, also on a non-blocking socket.
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _NO_LINGER)
    return sock
