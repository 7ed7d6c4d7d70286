"""JSON messages with file descriptors over SOCK_SEQPACKET sockets: how server, pid 1 and guest daemon talk.

One packet is one message, so nothing needs framing and a reader can never be left in the middle of one.
"""

from __future__ import annotations

import contextlib
import json
import os
import socket
from typing import Any

MAX_MESSAGE_BYTES = 192 * 1024
"""Bound of one packet. The kernel's default send buffer (212,992 bytes) could not carry much more."""
MAX_FDS = 8


class MessageTooLarge(ValueError):
    """The encoded message is over `MAX_MESSAGE_BYTES`."""


def pair() -> tuple[socket.socket, socket.socket]:
    """Return two connected ends of a message channel (close-on-exec, blocking)."""
    return socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)


def send(sock: socket.socket, message: dict[str, Any], fds: list[int] | None = None) -> None:
    """Send one message, with descriptors that the receiver gets copies of.

    Raises:
        MessageTooLarge: nothing was sent.
        OSError: the other side is gone.
    """
    data = json.dumps(message).encode()
    if len(data) > MAX_MESSAGE_BYTES:
        raise MessageTooLarge(f"message of {len(data)} bytes is over {MAX_MESSAGE_BYTES}")
    if fds:
        socket.send_fds(sock, [data], fds)
    else:
        sock.send(data)


def receive(sock: socket.socket) -> tuple[dict[str, Any], list[int]] | None:
    """Return the next message and its descriptors, or None when the other side has closed.

    A packet that is not a JSON object is dropped (its descriptors closed) and read as an empty message: the peer may
    be hostile.
    """
    try:
        data, fds, flags, _ = socket.recv_fds(sock, MAX_MESSAGE_BYTES, MAX_FDS)
    except ConnectionResetError:  # It ended with messages of ours unread.
        return None
    if not data and not fds:
        return None
    message: Any = None
    if not flags & (socket.MSG_TRUNC | socket.MSG_CTRUNC):
        with contextlib.suppress(ValueError, RecursionError):
            message = json.loads(data)
    if not isinstance(message, dict):
        for fd in fds:
            os.close(fd)
        return {}, []
    for fd in fds:
        os.set_inheritable(fd, False)
    return message, fds
