"""uvicorn's HTTP protocol with the bounds it lacks: head size and time, stalled bodies, ambiguous framing."""

from __future__ import annotations

import asyncio
import json
from http import HTTPStatus
from typing import Any

from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

from .proxy import DROP

MAX_HEAD_BYTES = 64 * 1024
MAX_HEADERS = 128
HEAD_SECONDS = 15.0
STALL_SECONDS = 60.0
_ONCE = frozenset({b"host", b"content-length", b"transfer-encoding", b"e2b-sandbox-id", b"e2b-sandbox-port"})


class _Rejected(Exception):
    """Ends parsing; the answer is in the protocol's `_rejection`."""


class BoundedProtocol(HttpToolsProtocol):
    """One client connection of the server."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._rejection: tuple[int, str] | None = None
        self._head_bytes = 0
        self._in_head = True
        self._in_body = False
        self._unpaid_bytes = 0
        self._timer: asyncio.TimerHandle | None = None

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """Start the clock of the first head."""
        super().connection_made(transport)
        self._start_timer(HEAD_SECONDS)

    def connection_lost(self, exc: Exception | None) -> None:
        """Stop the clock."""
        self._stop_timer()
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        """Feed the parser, unless the head has grown too large or the connection is being closed."""
        if self._rejection is not None or self.transport.is_closing():
            return
        if self._in_head:
            self._head_bytes += len(data)
            if self._timer is None:
                self._start_timer(HEAD_SECONDS)
        elif self._in_body:
            self._unpaid_bytes += len(data)
            self._start_timer(STALL_SECONDS)
        super().data_received(data)
        if self._in_body and self._unpaid_bytes > MAX_HEAD_BYTES:
            # Trailers and chunk extensions: the parser keeps them, and an answer may be on its way already.
            self.transport.abort()
        if self._in_head and self._head_bytes > MAX_HEAD_BYTES and self._rejection is None:
            self._reject(431, "request head too large")
            self.send_400_response("")

    def on_message_begin(self) -> None:
        """Reset the counters of a head."""
        super().on_message_begin()
        self.scope[DROP] = self.transport.abort  # type: ignore[literal-required]
        self._in_head = True
        self._seen: set[bytes] = set()
        self._size = 0

    def on_header(self, name: bytes, value: bytes) -> None:
        """Refuse what two readers could understand differently, and floods."""
        lower = name.lower()
        self._size += len(name) + len(value)
        if self._size > MAX_HEAD_BYTES or len(self.headers) >= MAX_HEADERS:
            self._reject(431, "request head too large")
            raise _Rejected
        if lower in _ONCE:
            if lower in self._seen:
                self._reject(400, f"more than one {lower.decode()} header")
                raise _Rejected
            self._seen.add(lower)
            if {b"content-length", b"transfer-encoding"} <= self._seen:
                self._reject(400, "both content-length and transfer-encoding")
                raise _Rejected
        super().on_header(name, value)

    def on_headers_complete(self) -> None:
        """The head is whole: stop its clock, start the body's."""
        self._in_head = False
        self._head_bytes = 0
        self._in_body = True
        self._unpaid_bytes = 0
        self._start_timer(STALL_SECONDS)
        super().on_headers_complete()

    def on_body(self, body: bytes) -> None:
        """Pass it on."""
        self._unpaid_bytes = 0
        super().on_body(body)

    def on_message_complete(self) -> None:
        """The request is whole: no clock until the next one."""
        self._in_body = False
        self._in_head = True
        self._stop_timer()
        super().on_message_complete()

    def send_400_response(self, msg: str) -> None:
        """Answer and close."""
        status, message = self._rejection or (400, msg)
        self._rejection = (status, message)
        media_type, body = self.error_body(status, message)
        self.transport.write(
            b"HTTP/1.1 %d %s\r\ncontent-type: %s\r\ncontent-length: %d\r\nconnection: close\r\n\r\n%s"
            % (status, HTTPStatus(status).phrase.encode(), media_type.encode(), len(body), body)
        )
        self.transport.close()

    def error_body(self, status: int, message: str) -> tuple[str, bytes]:
        """Return the media type and the body of a refusal; a server that is not an E2B has words of its own."""
        return "application/json", json.dumps({"code": status, "message": message}).encode()

    def _reject(self, status: int, message: str) -> None:
        self._rejection = (status, message)

    def _start_timer(self, seconds: float) -> None:
        self._stop_timer()
        self._timer = self.loop.call_later(seconds, self._on_timer)

    def _stop_timer(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def _on_timer(self) -> None:
        if self._in_body and self.flow.read_paused:
            self._start_timer(STALL_SECONDS)  # We are the slow side.
            return
        if self._in_body:
            self.transport.abort()
        else:
            self._reject(408, "the request head took too long")
            self.send_400_response("")
