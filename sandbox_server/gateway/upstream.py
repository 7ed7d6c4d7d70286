"""One HTTP/1.1 connection into a sandbox.

The other end is hostile: heads are bounded, and bodies stream under backpressure.
"""

from __future__ import annotations

import asyncio
import contextlib
import socket
from collections import deque
from collections.abc import AsyncIterator
from typing import cast

import httptools

_MAX_HEAD_BYTES = 64 * 1024
_HIGH_WATER = 512 * 1024
_SEND_BUFFER = 1024 * 1024
Header = tuple[bytes, bytes]


class UpstreamError(ConnectionError):
    """The connection broke, or what came is not HTTP."""


class Upstream(asyncio.Protocol):
    """A client connection that serves one request after the other."""

    def __init__(self) -> None:
        self._transport: asyncio.Transport
        self._parser = httptools.HttpResponseParser(self)
        self._can_write = asyncio.Event()
        self._can_write.set()
        self._arrived = asyncio.Event()
        self._sent = asyncio.Event()
        self._closed = False
        self._begin()

    @classmethod
    async def over(cls, stream: socket.socket) -> Upstream:
        """Take over a connected stream socket."""
        _, protocol = await asyncio.get_running_loop().create_connection(cls, sock=stream)
        return protocol

    @property
    def reusable(self) -> bool:
        """Whether another request may follow: the last one was sent whole, and its answer came and was taken whole."""
        return self._is_sent and self._keep_alive and not self._body and not self._closed

    def _begin(self) -> None:
        self.status = 0
        self.headers: list[Header] = []
        self._head_done = False
        self._head_bytes = 0
        self._body: deque[bytes] = deque()
        self._buffered = 0
        self._complete = False
        self._is_sent = False
        self._keep_alive = False
        self._without_body = False
        self._unpaid_bytes = 0
        self._error: UpstreamError | None = None

    # --- asyncio.Protocol

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Keep the transport."""
        self._transport = cast(asyncio.Transport, transport)
        self._transport.set_write_buffer_limits(high=_SEND_BUFFER)

    def data_received(self, data: bytes) -> None:
        """Parse what came; callbacks below collect it."""
        if not self._head_done:
            self._head_bytes += len(data)
        self._unpaid_bytes += len(data)
        try:
            self._parser.feed_data(data)
        except (httptools.HttpParserError, httptools.HttpParserUpgrade):
            self._fail("the sandbox did not answer in HTTP")
        if not self._head_done and self._head_bytes > _MAX_HEAD_BYTES:
            self._fail("the head of the sandbox's answer is too large")
        elif self._head_done and self._unpaid_bytes > _MAX_HEAD_BYTES:
            # Trailers and chunk extensions have no end that anyone enforces, and the parser keeps them.
            self._fail("the sandbox's answer has too much between the pieces of its body")
        if self._buffered > _HIGH_WATER:
            self._transport.pause_reading()

    def connection_lost(self, exc: Exception | None) -> None:
        """Wake whoever waits."""
        self._closed = True
        self._sent.set()
        if not self._complete and self._error is None:
            # Without a length the end of the connection is the end of the body (HTTP/1.0 servers).
            if exc is None and self._head_done and not _has_length(self.headers):
                self._complete = True
            else:
                self._error = UpstreamError("the sandbox closed the connection")
        self._can_write.set()
        self._arrived.set()

    def pause_writing(self) -> None:
        """Backpressure on."""
        self._can_write.clear()

    def resume_writing(self) -> None:
        """Backpressure off."""
        self._can_write.set()

    # --- httptools callbacks

    def on_message_begin(self) -> None:
        """Refuse an answer that nobody asked for: it would be taken for the next request's."""
        if self._complete:
            raise UpstreamError("the sandbox answered twice")

    def on_header(self, name: bytes, value: bytes) -> None:
        """Collect a header."""
        self.headers.append((name.lower(), value))

    def on_headers_complete(self) -> None:
        """The head is there; 1xx answers are not for the client."""
        self.status = self._parser.get_status_code()
        if self.status < 200:
            self.headers = []
            return
        if self.status > 599:
            self.status = 0
            return self._fail("the sandbox answered with a status that HTTP does not have")
        self._head_done = True
        # The answer to HEAD and a 304 may tell a length that does not follow; the parser waits for it.
        self._complete = self._without_body or self.status in (204, 304)
        self._arrived.set()

    def on_body(self, body: bytes) -> None:
        """Collect a piece of the body."""
        if self._complete:
            return
        self._body.append(body)
        self._buffered += len(body)
        self._unpaid_bytes = 0
        self._arrived.set()

    def on_message_complete(self) -> None:
        """The answer is whole."""
        if self.status >= 200:
            self._complete = True
            self._keep_alive = self._parser.should_keep_alive()
            self._arrived.set()

    def _fail(self, text: str) -> None:
        self._error = self._error or UpstreamError(text)
        self.close()
        self._arrived.set()

    # --- requests

    def start(self, head: bytes, *, without_body: bool = False) -> None:
        """Begin a request with its whole head; the answer to a HEAD request has a length but no body."""
        self._begin()
        self._without_body = without_body
        self._parser = httptools.HttpResponseParser(self)
        self._transport.write(head)

    async def write(self, data: bytes) -> None:
        """Send a piece of the request's body."""
        self._transport.write(data)
        if not self._can_write.is_set():
            await self._can_write.wait()

    def finish(self) -> None:
        """Note that the request is whole: what follows on the connection can only be another one."""
        self._is_sent = True
        self._sent.set()

    async def wait_until_sent(self, seconds: float) -> None:
        """Wait for `finish`, or so long, or until the connection is lost."""
        self._sent = asyncio.Event()
        if not self._is_sent and not self._closed:
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(seconds):
                    await self._sent.wait()

    async def head(self) -> tuple[int, list[Header]]:
        """Wait for status and headers. Raises UpstreamError."""
        while not self._head_done:
            if self._error is not None:
                raise self._error
            await self._wait()
        return self.status, self.headers

    async def body(self) -> AsyncIterator[bytes]:
        """Yield the body as it comes. Raises UpstreamError when it breaks off."""
        while True:
            while self._body:
                chunk = self._body.popleft() if len(self._body) == 1 else self._take_all()
                self._buffered = 0
                self._transport.resume_reading()
                yield chunk
            if self._complete:
                return
            await self._wait()

    def _take_all(self) -> bytes:
        joined = b"".join(self._body)
        self._body.clear()
        return joined

    async def _wait(self) -> None:
        """Wait for more to arrive. What came before an error is still delivered. Raises UpstreamError."""
        if self._error is None:
            self._arrived.clear()
            await self._arrived.wait()
        elif not self._body:
            raise self._error

    def close(self) -> None:
        """Close at once: the guest sees its client go away."""
        self._closed = True
        self._transport.abort()


def _has_length(headers: list[Header]) -> bool:
    return any(name in (b"content-length", b"transfer-encoding") for name, _ in headers)
