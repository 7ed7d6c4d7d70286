"""What lets sandboxes out: one proxy each, all with the same resolver and registries."""

from __future__ import annotations

import asyncio
import os
import socket
from collections.abc import Mapping, Sequence
from pathlib import Path

import structlog

from ..egress import (
    SANDBOX_CA_BUNDLE,
    EgressPolicy,
    EgressProxy,
    HostProxies,
    Registries,
    SystemResolver,
    discover,
    sandbox_env,
)

log = structlog.get_logger()


class Egress:
    """Shared by all sandboxes of a server."""

    def __init__(self, registries: Registries, environ: Mapping[str, str] = os.environ) -> None:
        self._resolver = SystemResolver()
        self._host_proxies = HostProxies.from_environment(environ)
        self.registries = registries
        bundle = SANDBOX_CA_BUNDLE if Path(SANDBOX_CA_BUNDLE).exists() else None
        self.env = sandbox_env(registries, bundle)
        """The variables by which programs in a sandbox find the proxy and the registries."""

    @classmethod
    async def discover(cls, template: Path, environ: Mapping[str, str] = os.environ) -> Egress:
        """Ask pip and npm what registries this user has set (about a second).

        They are the template's own: the environment of the server need not have either.
        """
        npm = template / "bin" / "npm"
        command = [str(npm)] if npm.exists() else None
        python = [str(template / "bin" / "python")]
        registries = await asyncio.to_thread(discover, python, command, environ)
        for warning in registries.warnings:
            log.warning("package registry left out", reason=warning)
        return cls(registries, environ)

    def policy(
        self, allow_internet_access: bool | None, allow_out: Sequence[str], deny_out: Sequence[str]
    ) -> EgressPolicy:
        """Make a policy of E2B's options. Raises egress.RuleError."""
        return EgressPolicy.from_e2b(allow_internet_access, allow_out, deny_out, self.registries)

    def gate(self, sandbox_id: str, policy: EgressPolicy) -> EgressGate:
        """Return the way out of one sandbox."""
        return EgressGate(EgressProxy(sandbox_id, self._resolver, self._host_proxies), policy)

    def close(self) -> None:
        """End the resolver's threads."""
        self._resolver.close()


class EgressGate:
    """The way out of one sandbox: its proxy, and the policy that may change while it runs."""

    def __init__(self, proxy: EgressProxy, policy: EgressPolicy) -> None:
        self._proxy = proxy
        self._tasks: set[asyncio.Task[None]] = set()
        self.policy = policy

    def accept(self, connection: socket.socket) -> None:
        """Serve a connection that the guest handed over."""
        task = asyncio.get_running_loop().create_task(self._proxy.serve(connection, self.policy))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    def close(self) -> None:
        """Cut every connection. An open socket would keep the sandbox's network namespace."""
        for task in self._tasks:
            task.cancel()
