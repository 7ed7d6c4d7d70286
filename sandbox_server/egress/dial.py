"""Connections from the host to the outside: resolving, connecting, and the proxy the host itself may need."""

import asyncio
import base64
import contextlib
import socket
import urllib.parse
from collections.abc import Awaitable, Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from ipaddress import IPv4Address, ip_address
from typing import Self, TypeAlias

from sandbox_server.egress.addresses import Destination, IPAddress, parse_network
from sandbox_server.egress.errors import RequestRefused
from sandbox_server.egress.streams import receive_into, send_all

Resolve: TypeAlias = Callable[[str], Awaitable[Sequence[IPAddress]]]
"""Gives a name's addresses, best first; raises `socket.gaierror` when it has none."""

_HOP_ANSWER_BYTES = 16 * 1024
_ADDRESSES_TRIED = 4


class SystemResolver:
    """`getaddrinfo` in threads of its own, so that slow names do not hold up the server's other threads.

    One for the whole server; `EgressProxy` bounds how many lookups one sandbox has at a time.
    """

    def __init__(self, threads: int = 32) -> None:
        """Threads start when needed."""
        self._threads = ThreadPoolExecutor(threads, thread_name_prefix="egress-resolver")

    async def __call__(self, name: str) -> list[IPAddress]:
        """Resolve as any program of the host would, /etc/hosts included."""
        return await asyncio.get_running_loop().run_in_executor(self._threads, _getaddrinfo, name)

    def close(self) -> None:
        """Let the threads end; lookups under way are not waited for."""
        self._threads.shutdown(wait=False, cancel_futures=True)


def _getaddrinfo(name: str) -> list[IPAddress]:
    found = socket.getaddrinfo(name, None, type=socket.SOCK_STREAM)
    return [ip_address(str(entry[4][0]).partition("%")[0]) for entry in found]


async def connect(addresses: Sequence[IPAddress], port: int, timeout_s: float) -> socket.socket:
    """Connect to the first of `addresses` that answers; `timeout_s` is for all of them together.

    Raises:
        OSError: none answered; the last failure.
        TimeoutError: none answered in time.
    """
    tried = addresses[:_ADDRESSES_TRIED]
    failure: OSError = TimeoutError("timed out")
    for address in tried:
        try:
            async with asyncio.timeout(timeout_s / len(tried)):
                return await _connect_one(address, port)
        except OSError as error:
            failure = error
    raise failure


async def _connect_one(address: IPAddress, port: int) -> socket.socket:
    family = socket.AF_INET if isinstance(address, IPv4Address) else socket.AF_INET6
    sock = socket.socket(family, socket.SOCK_STREAM | socket.SOCK_NONBLOCK)
    try:
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        await asyncio.get_running_loop().sock_connect(sock, (str(address), port))
    except BaseException:
        sock.close()
        raise
    return sock


@dataclass(frozen=True, slots=True)
class Hop:
    """A proxy of the host's own network, through which the host reaches the outside.

    Attributes:
        authorization: value of Proxy-Authorization; for the proxy's eyes only.
    """

    host: str
    port: int
    authorization: str | None = field(default=None, repr=False)

    @classmethod
    def parse(cls, url: str) -> Self:
        """Read `http://[user:password@]host:port`, as HTTPS_PROXY has it; the scheme may be missing.

        Raises:
            ValueError: another scheme, or malformed. The text never contains the URL, which may hold a password.
        """
        try:
            parts = urllib.parse.urlsplit(url if "://" in url else f"http://{url}")
            host, port = parts.hostname, parts.port or 80
        except ValueError:
            host = None
        if host is None or parts.scheme != "http":
            raise ValueError("HTTP_PROXY and HTTPS_PROXY must be http://host:port or http://user:password@host:port")
        authorization = None
        if parts.username is not None:
            pair = f"{urllib.parse.unquote(parts.username)}:{urllib.parse.unquote(parts.password or '')}"
            authorization = "Basic " + base64.b64encode(pair.encode()).decode("ascii")
        return cls(host, port, authorization)

    async def tunnel(self, sock: socket.socket, destination: Destination) -> bytes:
        """Ask the proxy behind `sock` for a tunnel; return what already came through it.

        Raises:
            RequestRefused: 502, it said no.
            OSError: the connection broke.
        """
        lines = [f"CONNECT {destination.authority} HTTP/1.1", f"Host: {destination.authority}"]
        if self.authorization:
            lines.append(f"Proxy-Authorization: {self.authorization}")
        await send_all(sock, "\r\n".join([*lines, "", ""]).encode())
        answer = bytearray()
        buffer = memoryview(bytearray(_HOP_ANSWER_BYTES))
        while b"\r\n\r\n" not in answer and len(answer) < _HOP_ANSWER_BYTES:
            count = await receive_into(sock, buffer)
            if not count:
                break
            answer += buffer[:count]
        head, end, rest = bytes(answer).partition(b"\r\n\r\n")
        status = head.split(b" ", 2)[1:2]
        if not end or not status or not status[0].startswith(b"2"):
            code = status[0].decode("ascii", "replace")[:3] if status else "nothing"
            raise RequestRefused(502, f"The host's own proxy answered {code} for host '{destination.host}'")
        return rest


@dataclass(frozen=True, slots=True)
class HostProxies:
    """The host's HTTP_PROXY, HTTPS_PROXY and NO_PROXY.

    Behind such a proxy names are resolved by it and not here. The check of resolved addresses is then impossible: names
    and literal addresses are judged by rule only, and it is the proxy's matter where a name leads.
    """

    plain: Hop | None = None
    tunnel: Hop | None = None
    bypass: str = ""

    @classmethod
    def from_environment(cls, environment: Mapping[str, str]) -> Self:
        """Read the variables, lower case first; empty means unset.

        Raises:
            ValueError: one of them is no http:// URL.
        """

        def value(name: str) -> str:
            return environment.get(name) or environment.get(name.upper()) or ""

        plain, tunnel = value("http_proxy"), value("https_proxy")
        return cls(
            plain=Hop.parse(plain) if plain else None,
            tunnel=Hop.parse(tunnel) if tunnel else None,
            bypass=value("no_proxy"),
        )

    def hop_for(self, destination: Destination, *, is_connect: bool) -> Hop | None:
        """The proxy to go through, or None for a direct connection."""
        hop = self.tunnel if is_connect else self.plain
        return None if hop and any(_bypasses(entry, destination) for entry in self.bypass.split(",")) else hop


def _bypasses(entry: str, destination: Destination) -> bool:
    """Whether an entry of NO_PROXY (`*`, a domain and those below it, an address or network) applies."""
    entry = entry.strip().lower()
    host = destination.host
    if entry == "*" or not isinstance(host, str):
        with contextlib.suppress(ValueError):
            return entry == "*" or host in parse_network(entry)
        return False
    domain = entry.removesuffix(f":{destination.port}").removeprefix("*").removeprefix(".")
    return bool(domain) and (host == domain or host.endswith(f".{domain}"))


async def open_hop(hop: Hop, resolve: Resolve, timeout_s: float) -> socket.socket:
    """Connect to the host's own proxy, which the host's owner chose and no rule restricts.

    Raises:
        OSError: it does not answer.
    """
    try:
        addresses: Sequence[IPAddress] = [ip_address(hop.host)]
    except ValueError:
        addresses = await resolve(hop.host)
    return await connect(addresses, hop.port, timeout_s)
