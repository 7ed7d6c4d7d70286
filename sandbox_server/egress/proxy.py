"""The egress proxy: the one way out of a sandbox, an HTTP proxy on the host that asks the policy first."""

import asyncio
import contextlib
import os
import socket
from collections.abc import AsyncIterator, Callable, Sequence
from dataclasses import dataclass

import structlog

from sandbox_server.egress.addresses import Destination, IPAddress
from sandbox_server.egress.dial import Hop, HostProxies, Resolve, connect, open_hop
from sandbox_server.egress.errors import RequestRefused
from sandbox_server.egress.policy import EgressPolicy
from sandbox_server.egress.request import Body, Request
from sandbox_server.egress.streams import CHUNK_BYTES, close, drain, finish_sending, pump, receive_into, send_all

_log = structlog.get_logger(__name__)
_REASON_CHARS = 400
_LOOKUPS_AT_A_TIME = 4


@dataclass(frozen=True, slots=True)
class EgressLimits:
    """Bounds of one sandbox's proxy; times in seconds.

    Attributes:
        head_s: from the connection to the end of the request head.
        idle_s: without a byte in either direction.
        farewell_s: how long a refused client may take to read the refusal.
    """

    connections: int = 64
    head_bytes: int = 16 * 1024
    head_s: float = 10.0
    resolve_s: float = 10.0
    connect_s: float = 20.0
    idle_s: float = 900.0
    farewell_s: float = 1.0


class EgressProxy:
    """Serves the connections of one sandbox."""

    def __init__(
        self,
        sandbox_id: str,
        resolve: Resolve,
        host_proxies: HostProxies | None = None,
        limits: EgressLimits | None = None,
    ) -> None:
        """Prepare; nothing is opened before a connection is served.

        Args:
            sandbox_id: for the log.
            resolve: gives the addresses of a name; the answer is checked and connected to, never asked for again.
            host_proxies: the proxies the host itself has to use.
            limits: bounds, where the defaults do not fit.
        """
        self._log = _log.bind(sandbox_id=sandbox_id)
        self._resolve = resolve
        self._host_proxies = host_proxies or HostProxies()
        self._limits = limits or EgressLimits()
        self._lookups = asyncio.Semaphore(_LOOKUPS_AT_A_TIME)
        self._open = 0

    async def serve(self, sock: socket.socket, policy: EgressPolicy) -> None:
        """Serve one connection from the sandbox to its end, and close it, also when cancelled.

        Never raises for what the sandbox or the network does: that is answered or dropped.
        """
        self._open += 1
        try:
            sock.setblocking(False)
            if self._open > self._limits.connections:
                # Without waiting: a connection beyond the limit must not cost what the limit is there to save.
                full = f"This sandbox has {self._limits.connections} connections open already"
                sock.send(_answer(RequestRefused(503, full)), socket.MSG_DONTWAIT)
            else:
                await self._serve(sock, policy)
        except RequestRefused as refusal:
            await self._refuse(sock, refusal)
        except OSError:
            pass  # one of the two ends went away
        finally:
            self._open -= 1
            close(sock)

    async def _serve(self, client: socket.socket, policy: EgressPolicy) -> None:
        head, rest = await self._read_head(client)
        request = Request.parse(head)
        destination = request.destination
        log = self._log.bind(host=str(destination.host), port=destination.port)
        try:
            policy.check(destination)
            hop = self._host_proxies.hop_for(destination, is_connect=request.is_connect)
            remote = await self._open_remote(destination, policy, hop)
        except RequestRefused as refusal:
            log.debug("egress refused", verdict=refusal.reason)
            raise
        log.debug("egress allowed", verdict="allowed")
        try:
            if request.is_connect:
                await self._splice(client, remote, rest, hop, destination)
            else:
                await self._exchange(client, remote, rest, hop, request)
        finally:
            close(remote)

    async def _read_head(self, client: socket.socket) -> tuple[bytes, bytes]:
        """Read up to the empty line; give the head and what came after it."""
        limit = self._limits.head_bytes
        received = bytearray()
        buffer = memoryview(bytearray(limit + 1))
        try:
            async with asyncio.timeout(self._limits.head_s):
                while (end := received.find(b"\r\n\r\n")) < 0:
                    if len(received) > limit:
                        raise RequestRefused(431, f"The request head is larger than {limit} bytes")
                    count = await receive_into(client, buffer)
                    if not count:
                        raise ConnectionResetError("closed before a request")
                    received += buffer[:count]
        except TimeoutError as error:
            raise RequestRefused(408, f"No complete request head within {self._limits.head_s:g} s") from error
        if end > limit:
            raise RequestRefused(431, f"The request head is larger than {limit} bytes")
        return bytes(received[: end + 4]), bytes(received[end + 4 :])

    async def _open_remote(self, destination: Destination, policy: EgressPolicy, hop: Hop | None) -> socket.socket:
        """Connect to a destination whose name or address has passed the policy, or to the host's own proxy."""
        try:
            if hop is not None:
                return await self._open_hop(hop)
            addresses = policy.checked(destination, await self._addresses(destination))
            return await connect(addresses, destination.port, self._limits.connect_s)
        except TimeoutError as error:
            raise RequestRefused(504, f"Connecting to host '{destination.host}' timed out") from error
        except OSError as error:
            # Not error.strerror: asyncio puts the address there, uvloop does not.
            why = os.strerror(error.errno) if error.errno else "connection failed"
            raise RequestRefused(502, f"Cannot reach host '{destination.host}': {why}") from error

    async def _open_hop(self, hop: Hop) -> socket.socket:
        try:
            return await open_hop(hop, self._resolve, self._limits.connect_s)
        except OSError as error:
            raise RequestRefused(502, "The host's own proxy does not answer") from error

    async def _addresses(self, destination: Destination) -> Sequence[IPAddress]:
        host = destination.host
        if not isinstance(host, str):
            return [host]
        try:
            async with asyncio.timeout(self._limits.resolve_s):
                await self._lookups.acquire()
                lookup = asyncio.ensure_future(self._resolve(host))
                # The slot is free when the lookup has ended, not when its client stopped waiting: its thread is busy.
                lookup.add_done_callback(self._lookup_ended)
                return await asyncio.shield(lookup)
        except TimeoutError as error:
            raise RequestRefused(504, f"Resolving host '{host}' timed out") from error
        except socket.gaierror as error:
            raise RequestRefused(502, f"Cannot resolve host '{host}'") from error

    def _lookup_ended(self, lookup: asyncio.Future[Sequence[IPAddress]]) -> None:
        self._lookups.release()
        if not lookup.cancelled():
            lookup.exception()  # retrieved: nobody else may be waiting for it any more

    async def _splice(
        self, client: socket.socket, remote: socket.socket, rest: bytes, hop: Hop | None, destination: Destination
    ) -> None:
        early = b""
        if hop is not None:
            try:
                async with asyncio.timeout(self._limits.connect_s):
                    early = await hop.tunnel(remote, destination)
            except OSError as error:
                raise RequestRefused(502, "The host's own proxy does not answer") from error
        await send_all(client, b"HTTP/1.1 200 Connection established\r\n\r\n" + early)
        await send_all(remote, rest)
        async with self._two_ways() as (ways, on_activity):
            ways.create_task(pump(client, remote, on_activity))
            ways.create_task(pump(remote, client, on_activity))

    async def _exchange(
        self, client: socket.socket, remote: socket.socket, rest: bytes, hop: Hop | None, request: Request
    ) -> None:
        """One request, one answer: the forwarded head says `Connection: close`, so both end with the connection."""
        body = Body(request)
        head = request.forwarded_head(hop.authorization if hop else None, absolute=hop is not None)
        await send_all(remote, head)
        async with self._two_ways() as (ways, on_activity):
            upload = ways.create_task(_upload(client, remote, body, rest, on_activity))
            await pump(remote, client, on_activity)
            upload.cancel()

    @contextlib.asynccontextmanager
    async def _two_ways(self) -> AsyncIterator[tuple[asyncio.TaskGroup, Callable[[], None]]]:
        """Tasks for the two directions, ended together when one fails or when both are idle for too long."""
        loop = asyncio.get_running_loop()
        try:
            async with asyncio.timeout(self._limits.idle_s) as idle, asyncio.TaskGroup() as ways:

                def on_activity() -> None:
                    if not idle.expired():
                        idle.reschedule(loop.time() + self._limits.idle_s)

                yield ways, on_activity
        except* (OSError, RequestRefused):
            pass  # gone, idle (TimeoutError) or a malformed body: too late for an answer, one may be half sent already

    async def _refuse(self, client: socket.socket, refusal: RequestRefused) -> None:
        """Send the refusal and let the client read it: closing over unread bytes would reset the connection."""
        with contextlib.suppress(OSError):
            async with asyncio.timeout(self._limits.farewell_s):
                await send_all(client, _answer(refusal))
                finish_sending(client)
                await drain(client)


async def _upload(
    client: socket.socket, remote: socket.socket, body: Body, rest: bytes, on_activity: Callable[[], None]
) -> None:
    """Send the request's body on, and nothing after it: a second request would escape the policy."""
    await send_all(remote, body.feed(rest))
    buffer = memoryview(bytearray(CHUNK_BYTES))
    while not body.complete:
        count = await receive_into(client, buffer)
        if not count:
            raise ConnectionResetError("closed in the middle of a request")
        await send_all(remote, body.feed(buffer[:count]))
        on_activity()
        await asyncio.sleep(0)


def _answer(refusal: RequestRefused) -> bytes:
    """The refusal as a response: its reason in the reason phrase, one line of printable ASCII, and in the body."""
    reason = "".join(char if " " <= char <= "~" else "?" for char in refusal.reason)[:_REASON_CHARS]
    lines = [
        f"HTTP/1.1 {refusal.status} {reason}",
        "Content-Type: text/plain",
        f"Content-Length: {len(reason) + 1}",
        "Connection: close",
    ]
    return "\r\n".join([*lines, "", f"{reason}\n"]).encode("ascii")
