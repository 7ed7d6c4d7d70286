"""A sandbox's end of the egress proxy: real sockets, real servers on loopback, a resolver that the test decides."""

import asyncio
import socket
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from ipaddress import ip_address

from sandbox_server.egress import EgressLimits, EgressPolicy, EgressProxy, HostProxies, Registries
from sandbox_server.egress.addresses import Destination, IPAddress

Handler = Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]


@dataclass
class Names:
    """A resolver with a fixed table; counts what it is asked."""

    table: dict[str, list[str]] = field(default_factory=dict)
    asked: list[str] = field(default_factory=list)

    async def __call__(self, name: str) -> list[IPAddress]:
        self.asked.append(name)
        if name not in self.table:
            raise socket.gaierror(socket.EAI_NONAME, "no such name")
        return [ip_address(address) for address in self.table[name]]


@dataclass
class Sandbox:
    """What a program in a sandbox can do: open connections to its proxy."""

    tasks: asyncio.TaskGroup
    names: Names = field(default_factory=Names)
    served: list[asyncio.Task[None]] = field(default_factory=list)

    def open(
        self,
        policy: EgressPolicy,
        proxy: EgressProxy | None = None,
        limits: EgressLimits | None = None,
        host_proxies: HostProxies | None = None,
    ) -> socket.socket:
        inside, outside = socket.socketpair()
        proxy = proxy or EgressProxy("sbx", self.names, host_proxies, limits)
        self.served.append(self.tasks.create_task(proxy.serve(outside, policy)))
        inside.setblocking(False)
        return inside

    async def ask(self, request: bytes, policy: EgressPolicy, **options: object) -> bytes:
        """Send, and read to the end."""
        sock = self.open(policy, **options)  # type: ignore[arg-type]
        async with asyncio.timeout(60):
            reader, writer = await asyncio.open_connection(sock=sock)
            writer.write(request)
            answer = await reader.read()
        writer.close()
        return answer


def mirror_policy(port: int, name: str = "mirror.test") -> EgressPolicy:
    """A policy whose one registry is on a private address: the way to a server on loopback."""
    registries = Registries(origins=frozenset({Destination(name, port)}))
    return EgressPolicy.from_e2b(False, [name], [], registries)
