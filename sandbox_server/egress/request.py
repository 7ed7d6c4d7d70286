"""One HTTP/1 request to the proxy: its head parsed strictly, its body followed to its end, both written anew.

What goes on is composed here from what was understood, never copied, so no second reading of it can disagree.
"""

import re
from dataclasses import dataclass, field
from typing import Self

import httptools

from sandbox_server.egress.addresses import Destination, parse_authority
from sandbox_server.egress.errors import RequestRefused

_ABSOLUTE_HTTP = re.compile(r"http://([^/?#]*)([/?][\x21-\x7e]*)?", re.IGNORECASE)
# RFC 9110 section 7.6.1, and Host, which RFC 9112 section 3.2.2 has a proxy rewrite from the request target.
_NOT_FORWARDED = frozenset(
    {"connection", "keep-alive", "te", "trailer", "upgrade", "host", "http2-settings", "content-length"}
    | {"transfer-encoding"}
)


@dataclass(slots=True)
class _HeadEvents:
    """Collects what httptools reports about a head."""

    target: bytes = b""
    headers: list[tuple[bytes, bytes]] = field(default_factory=list)
    complete: bool = False

    def on_url(self, url: bytes) -> None:
        self.target += url

    def on_header(self, name: bytes, value: bytes) -> None:
        self.headers.append((name, value))

    def on_headers_complete(self) -> None:
        self.complete = True


@dataclass(frozen=True, slots=True)
class Request:
    """A request to the proxy.

    Attributes:
        path: what the origin server is asked for; empty for CONNECT.
        headers: those to be forwarded, in order.
        content_length: None when there is no such header.
    """

    method: str
    destination: Destination
    path: str
    version: str
    headers: tuple[tuple[bytes, bytes], ...]
    content_length: int | None
    is_chunked: bool

    @property
    def is_connect(self) -> bool:
        """A tunnel is asked for."""
        return self.method == "CONNECT"

    @classmethod
    def parse(cls, head: bytes) -> Self:
        """Parse a head, from the request line to the empty line.

        Raises:
            RequestRefused: 400 or 501, it is malformed, ambiguous, or nothing a proxy serves.
        """
        events = _HeadEvents()
        parser = httptools.HttpRequestParser(events)
        try:
            parser.feed_data(head)
        except httptools.HttpParserUpgrade:
            pass  # CONNECT, or an Upgrade header, which is not forwarded
        except httptools.HttpParserError as error:
            raise RequestRefused(400, f"Malformed request: {error}") from error
        if not events.complete:
            raise RequestRefused(400, "Malformed request")
        version = parser.get_http_version()
        if version not in ("1.0", "1.1"):
            raise RequestRefused(505, "HTTP/1.0 and HTTP/1.1 only")
        method = parser.get_method().decode("ascii")
        destination, path = _parse_target(method, events.target)
        length, is_chunked = _framing(events.headers)
        return cls(
            method=method,
            destination=destination,
            path=path,
            version=version,
            headers=tuple(_forwardable(events.headers)),
            content_length=length,
            is_chunked=is_chunked,
        )

    def forwarded_head(self, proxy_authorization: str | None = None, *, absolute: bool = False) -> bytes:
        """The head as it goes on: to the origin server, or in `absolute` form to a further proxy."""
        host = self.destination.authority.removesuffix(":80")
        target = f"http://{host}{self.path}" if absolute else self.path
        lines = [f"{self.method} {target} HTTP/{self.version}".encode(), b"Host: " + host.encode()]
        lines += [name + b": " + value for name, value in self.headers]
        if self.content_length is not None:
            lines.append(b"Content-Length: %d" % self.content_length)
        if self.is_chunked:
            lines.append(b"Transfer-Encoding: chunked")
        if proxy_authorization is not None:
            lines.append(b"Proxy-Authorization: " + proxy_authorization.encode())
        lines += [b"Connection: close", b"", b""]
        return b"\r\n".join(lines)


class Body:
    """Follows the body of one request to its end and drops what comes after it."""

    def __init__(self, request: Request) -> None:
        """Start at the first byte after the head of `request`.

        Raises:
            RequestRefused: 400, a method that is none of HTTP's (the parser also knows RTSP's).
        """
        self._is_chunked = request.is_chunked
        self._out = bytearray()
        self.complete = False
        self._parser = httptools.HttpRequestParser(self)
        try:
            self._parser.feed_data(request.forwarded_head())
        except httptools.HttpParserError as error:
            raise RequestRefused(400, "Malformed request") from error

    def feed(self, data: bytes | memoryview) -> bytes:
        """Take received bytes, return those to send on.

        Raises:
            RequestRefused: the chunks are malformed.
        """
        if not self.complete:
            try:
                self._parser.feed_data(data)
            except httptools.HttpParserError as error:
                # With `Connection: close` in the head the parser calls bytes after the body an error.
                if not self.complete:
                    raise RequestRefused(400, "Malformed request body") from error
        out, self._out = bytes(self._out), bytearray()
        return out

    def on_body(self, data: bytes) -> None:
        """Called by httptools with decoded bytes."""
        if not self.complete:
            self._out += b"%x\r\n%b\r\n" % (len(data), data) if self._is_chunked else data

    def on_message_complete(self) -> None:
        """Called by httptools at the end."""
        if self._is_chunked and not self.complete:
            self._out += b"0\r\n\r\n"
        self.complete = True


def _parse_target(method: str, target: bytes) -> tuple[Destination, str]:
    try:
        text = target.decode("ascii")
        if method == "CONNECT":
            return parse_authority(text), ""
        if match := _ABSOLUTE_HTTP.fullmatch(text):
            path = match[2] or "/"
            return parse_authority(match[1], 80), path if path.startswith("/") else f"/{path}"
    except ValueError as error:
        raise RequestRefused(400, "Malformed request: no valid host and port in the request target") from error
    raise RequestRefused(400, "This is a proxy: use CONNECT host:port or a full http:// address")


def _framing(headers: list[tuple[bytes, bytes]]) -> tuple[int | None, bool]:
    lengths = [value for name, value in headers if name.lower() == b"content-length"]
    codings = [value for name, value in headers if name.lower() == b"transfer-encoding"]
    if (lengths and codings) or len(lengths) > 1 or not all(length.isdigit() for length in lengths):
        raise RequestRefused(400, "Malformed request: its length is ambiguous")
    if codings and [coding.strip().lower() for coding in codings] != [b"chunked"]:
        raise RequestRefused(501, "Transfer codings other than chunked are not supported")
    return (int(lengths[0]) if lengths else None), bool(codings)


def _forwardable(headers: list[tuple[bytes, bytes]]) -> list[tuple[bytes, bytes]]:
    named = {
        option.strip().lower()
        for name, value in headers
        if name.lower() == b"connection"
        for option in value.decode("latin-1").split(",")
    }
    kept = []
    for name, value in headers:
        lower = name.decode("latin-1").lower()
        if lower not in _NOT_FORWARDED and lower not in named and not lower.startswith("proxy-"):
            kept.append((name, value))
    return kept
