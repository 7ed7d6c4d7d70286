"""The service that sandboxes come from: E2B, or the embedded server of this machine."""

from __future__ import annotations

import asyncio
from typing import TypedDict

import httpx

import sandbox_server

from . import logs
from .errors import EmbeddedServerFailed
from .failures import translating
from .settings import SandboxSettings

_log = logs.logger("service")


class Connection(TypedDict, total=False):
    """The SDK's connection options."""

    api_key: str
    api_url: str
    sandbox_url: str
    domain: str
    request_timeout: float


class Service:
    """Hands out connection options, and starts the embedded server when that is what is used."""

    def __init__(self, settings: SandboxSettings) -> None:
        self._settings = settings
        self._connection: Connection | None = None
        self._registry_hosts: tuple[str, ...] | None = settings.registry_hosts or None
        self._starting = asyncio.Lock()

    async def connection(self) -> Connection:
        """Return the options for the SDK.

        Raises:
            EmbeddedServerFailed: this machine cannot run sandboxes, or the server does not start.
        """
        async with self._starting:
            if self._connection is None:
                self._connection = await self._connect()
            return self._connection

    def forget(self) -> None:
        """Ask again where the service is: the embedded server ends when it has nothing to do, and starts anew."""
        self._connection = None

    async def moved(self) -> bool:
        """After a failure: True when the embedded server is not the one it was, so that its sandboxes are gone."""
        if not self._settings.embedded:
            return False
        before = self._connection
        self.forget()
        return await self.connection() != before

    async def _connect(self) -> Connection:
        settings = self._settings
        if settings.embedded:
            try:
                address = await asyncio.to_thread(sandbox_server.ensure, progress=_tell)
            except sandbox_server.SandboxServerError as error:
                raise EmbeddedServerFailed(
                    f"there is no E2B_API_KEY, and the embedded sandbox server does not start here: {error}"
                ) from error
            connection = Connection(api_key=address.api_key, api_url=address.url, sandbox_url=address.url)
        else:
            connection = Connection(api_key=settings.api_key)
            if settings.api_url:
                connection["api_url"] = settings.api_url
            if settings.sandbox_url:
                connection["sandbox_url"] = settings.sandbox_url
            if settings.domain:
                connection["domain"] = settings.domain
        connection["request_timeout"] = settings.request_timeout_s
        return connection

    async def registry_hosts(self) -> tuple[str, ...] | None:
        """Return the hosts of the package registries; None where only a sandbox can tell, as on E2B.

        Raises:
            SandboxUnavailable: the service does not answer.
        """
        connection = await self.connection()
        if self._registry_hosts is None and (url := connection.get("api_url")):
            with translating():
                async with httpx.AsyncClient(trust_env=False, timeout=self._settings.request_timeout_s) as client:
                    answer = await client.get(f"{url}/registries", headers={"X-API-Key": connection["api_key"]})
            # Only a server of ours has this route.
            if answer.status_code == 200:
                self._registry_hosts = tuple(answer.json()["hosts"])
        return self._registry_hosts

    def learn_registry_hosts(self, hosts: tuple[str, ...]) -> None:
        """Remember what a sandbox has told."""
        self._registry_hosts = hosts


def _tell(line: str) -> None:
    _log.info("embedded server", said=line)
