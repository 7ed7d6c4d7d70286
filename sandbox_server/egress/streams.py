"""Bytes over sockets that somebody else holds too.

A sandbox passes its sockets as file descriptors, so both sides share one open file description: the sandbox can clear
O_NONBLOCK at any time, and the event loop's own `sock_recv` would then block the whole server. So every call here says
MSG_DONTWAIT.
"""

import asyncio
import contextlib
import socket
import struct
from collections.abc import Callable
from typing import Any

CHUNK_BYTES = 64 * 1024


async def receive_into(sock: socket.socket, buffer: memoryview) -> int:
    """Wait for bytes and read them; 0 means that the other side has finished sending.

    Raises:
        OSError: the connection broke.
    """
    while True:
        try:
            return sock.recv_into(buffer, len(buffer), socket.MSG_DONTWAIT)
        except BlockingIOError:
            loop = asyncio.get_running_loop()
            await _ready(sock.fileno(), loop.add_reader, loop.remove_reader)


async def send_all(sock: socket.socket, data: bytes | memoryview) -> None:
    """Send everything.

    Raises:
        OSError: the connection broke.
    """
    rest = memoryview(data)
    while rest:
        try:
            rest = rest[sock.send(rest, socket.MSG_DONTWAIT) :]
        except BlockingIOError:
            loop = asyncio.get_running_loop()
            await _ready(sock.fileno(), loop.add_writer, loop.remove_writer)


async def pump(source: socket.socket, target: socket.socket, on_activity: Callable[[], None]) -> None:
    """Copy until `source` finishes sending, then say so to `target`; the way back stays open (half-close)."""
    buffer = memoryview(bytearray(CHUNK_BYTES))
    while count := await receive_into(source, buffer):
        await send_all(target, buffer[:count])
        on_activity()
        # Two sockets that are always ready would never wait above, and nothing else in this loop would run.
        await asyncio.sleep(0)
    finish_sending(target)


async def drain(sock: socket.socket) -> None:
    """Read and forget until the other side finishes sending."""
    buffer = memoryview(bytearray(CHUNK_BYTES))
    while True:
        if not await receive_into(sock, buffer):
            return
        await asyncio.sleep(0)  # as above


def finish_sending(sock: socket.socket) -> None:
    """Half-close; a connection that is already gone is no error."""
    with contextlib.suppress(OSError):
        sock.shutdown(socket.SHUT_WR)


def close(sock: socket.socket) -> None:
    """Close without waiting: had the sandbox set SO_LINGER, the system call would block until the peer has read."""
    with contextlib.suppress(OSError):
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 0, 0))
    sock.close()


async def _ready(fd: int, add: Callable[..., Any], remove: Callable[[int], Any]) -> None:
    ready = asyncio.get_running_loop().create_future()
    add(fd, _wake, ready)
    try:
        await ready
    finally:
        remove(fd)


def _wake(ready: asyncio.Future[None]) -> None:
    if not ready.done():
        ready.set_result(None)
