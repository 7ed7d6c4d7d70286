"""WebSocket upgrades to ports inside a sandbox: after the head, bytes go both ways as they are."""

from __future__ import annotations

import asyncio
import contextlib
import socket
from collections.abc import Callable
from typing import Any, cast

from .proxy import GUEST_PORTS, Gateway, Refused, target_of

_MAX_EARLY_BYTES = 64 * 1024


class Tunnel(asyncio.Protocol):
    """The client's side; `uvicorn` hands it the connection and replays the request's head to it."""

    def __init__(self, gateway: Gateway) -> None:
        self._gateway = gateway
        self._transport: asyncio.Transport
        self._far: asyncio.Transport | None = None
        self._early = b""
        self._opening: asyncio.Task[None] | None = None

    @classmethod
    def factory(cls, gateway: Gateway) -> Callable[..., Tunnel]:
        """Return what uvicorn takes for a WebSocket protocol class."""

        def create(config: Any, server_state: Any, app_state: Any) -> Tunnel:
            return cls(gateway)

        return create

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Keep the transport."""
        self._transport = cast(asyncio.Transport, transport)

    def data_received(self, data: bytes) -> None:
        """Take the head first; pass on everything after it."""
        if self._opening is None:
            self._opening = asyncio.get_running_loop().create_task(self._open(data))
        elif self._far is not None:
            self._far.write(data)
        else:
            self._early += data
            if len(self._early) > _MAX_EARLY_BYTES:
                self._transport.abort()

    def connection_lost(self, exc: Exception | None) -> None:
        """Close the far side too."""
        if self._opening is not None:
            self._opening.cancel()
        if self._far is not None:
            self._far.abort()

    def pause_writing(self) -> None:
        """The client reads slowly: stop reading the sandbox."""
        if self._far is not None:
            self._far.pause_reading()

    def resume_writing(self) -> None:
        """The client has caught up."""
        if self._far is not None:
            self._far.resume_reading()

    async def _open(self, head: bytes) -> None:
        try:
            stream = await self._dial(head)
        except (Refused, OSError) as error:
            status = error.status if isinstance(error, Refused) else 502
            self._transport.write(b"HTTP/1.1 %d Refused\r\ncontent-length: 0\r\nconnection: close\r\n\r\n" % status)
            self._transport.close()
            return
        far, _ = await asyncio.get_running_loop().create_connection(lambda: _FarSide(self._transport), sock=stream)
        far.write(head + self._early)
        self._far = far
        self._early = b""

    async def _dial(self, head: bytes) -> socket.socket:
        """Return a connection to the port that the head names. Raises Refused, GuestGone."""
        request, *lines = head.split(b"\r\n\r\n", 1)[0].split(b"\r\n")
        method, url, _ = request.decode("latin-1").split(" ", 2)
        headers = dict(line.split(b": ", 1) for line in lines)
        target = target_of(headers)
        if target is None or target.port in GUEST_PORTS:
            raise Refused(400, "no WebSocket is served here")
        # Not urlsplit: for a path like "//[" it raises, and no port but envd's has rules that look at the path.
        path, _, query = url.partition("?")
        sandbox = await self._gateway.admit(target, method, path, headers, query.encode("latin-1"))
        stream = await sandbox.channel.dial(target.port)
        if stream is None:
            raise Refused(502, "The sandbox is running but port is not open", sandbox.id)
        return stream


class _FarSide(asyncio.Protocol):
    """The sandbox's side of a tunnel."""

    def __init__(self, client: asyncio.Transport) -> None:
        self._client = client

    def data_received(self, data: bytes) -> None:
        self._client.write(data)

    def connection_lost(self, exc: Exception | None) -> None:
        with contextlib.suppress(RuntimeError):
            self._client.close()

    def pause_writing(self) -> None:
        self._client.pause_reading()

    def resume_writing(self) -> None:
        self._client.resume_reading()
