"""The server: template processes, registry, control plane and gateway behind one address."""

from __future__ import annotations

import asyncio
import contextlib
import ipaddress
import os
import resource
import socket
import sys
from collections.abc import Callable, MutableMapping
from typing import Any

import structlog
import uvicorn

from . import settings as settings_module
from .control.app import ControlPlane
from .control.errors import body as error_body
from .gateway.proxy import Gateway, Refused, answer, target_of
from .gateway.server_protocol import BoundedProtocol
from .gateway.tunnel import Tunnel
from .isolation import cgroups, toolchains
from .sandboxes.egress import Egress
from .sandboxes.registry import CreateOptions, Sandboxes
from .sandboxes.templates import Templates
from .settings import DEFAULT_TEMPLATE, Settings

log = structlog.get_logger()
_SELF_TEST_SECONDS = 60


def _to_stderr(line: str) -> None:
    print(line, file=sys.stderr)  # noqa: T201


class Server:
    """An embedded E2B. `start` it on the loop that lives as long as it does."""

    def __init__(self, settings: Settings, *, progress: Callable[[str], None] = _to_stderr) -> None:
        self._settings = settings
        self._progress = progress
        self._closing = contextlib.AsyncExitStack()
        self._sandboxes: Sandboxes

    @property
    def sandboxes(self) -> Sandboxes:
        """The registry; there once `start` has returned."""
        return self._sandboxes

    async def start(self) -> str:
        """Bind, warm the default template up, make one sandbox to prove the walls; return the address.

        Raises:
            IsolationUnavailable, TemplateError: sandboxes cannot be made here; the message says what to do.
            OSError: the address is taken or not ours.
        """
        try:
            return await self._start()
        except BaseException:
            await self.close()
            raise

    async def _start(self) -> str:
        settings = self._settings
        _raise_open_files()
        listener = socket.create_server((settings.host, settings.port), backlog=1024)
        self._closing.callback(listener.close)
        port = listener.getsockname()[1]
        requirements = {DEFAULT_TEMPLATE: settings_module.default_requirements(), **settings.templates}
        tools = toolchains.find(os.environ, settings.toolchains)
        templates = Templates(requirements, tools, self._progress)
        self._closing.push_async_callback(templates.close)
        built = await templates.build(DEFAULT_TEMPLATE)
        egress = await Egress.discover(built.path)
        self._closing.callback(egress.close)
        templates.extra = egress.registries.local_paths
        hierarchy = cgroups.detect(os.getpid())
        if hierarchy is None:
            log.warning("no control groups here: rlimits and a watchdog bound memory and processes, which is weaker")
        self._sandboxes = Sandboxes(settings, templates, hierarchy, egress)
        self._closing.push_async_callback(self._sandboxes.close)
        await self._self_test()
        await self._serve(listener, port, egress)
        return f"http://{settings.host}:{port}"

    async def _self_test(self) -> None:
        """Make one sandbox and end it: what does not hold here is refused now, and not at the first request."""
        async with asyncio.timeout(_SELF_TEST_SECONDS):
            sandbox = await self._sandboxes.create(CreateOptions(timeout_s=_SELF_TEST_SECONDS))
            self._sandboxes.kill(sandbox.id)

    async def _serve(self, listener: socket.socket, port: int, egress: Egress) -> None:
        gateway = Gateway(self._sandboxes)
        domain = f"localhost:{port}"
        control = ControlPlane(self._settings, self._sandboxes, egress, gateway, domain).app()
        config = uvicorn.Config(
            _Front(control, gateway, self._allowed_hosts()),
            http=BoundedProtocol,
            ws=Tunnel.factory(gateway),  # type: ignore[arg-type]
            loop="none",
            lifespan="off",
            log_config=None,
            access_log=False,
            # X-Forwarded-For would be believed from loopback otherwise.
            proxy_headers=False,
            server_header=False,
            date_header=False,
            timeout_keep_alive=120,
            timeout_graceful_shutdown=1,
        )
        config.load()
        server = uvicorn.Server(config)
        server.lifespan = config.lifespan_class(config)
        await server.startup(sockets=[listener])
        self._closing.push_async_callback(_stop, server, listener)

    def _allowed_hosts(self) -> frozenset[str]:
        return frozenset({"localhost", self._settings.host})

    async def close(self) -> None:
        """Stop serving and end every sandbox; returns when nothing is left of them."""
        await self._closing.aclose()


async def _stop(server: uvicorn.Server, listener: socket.socket) -> None:
    server.should_exit = True
    await server.shutdown(sockets=[listener])


class _Front:
    """The outermost application: requests for sandboxes to the gateway, all others to the control plane."""

    def __init__(self, control: Any, gateway: Gateway, hosts: frozenset[str]) -> None:
        self._control = control
        self._gateway = gateway
        self._hosts = hosts

    async def __call__(self, scope: MutableMapping[str, Any], receive: Any, send: Any) -> None:
        headers = dict(scope["headers"])
        try:
            target = target_of(headers) or self._gateway.target_of_signed_url(
                scope["method"], scope["path"], scope["query_string"]
            )
        except Refused as refusal:
            return await answer(send, refusal)
        if target is not None:
            return await self._gateway(target, dict(scope), receive, send)
        host = headers.get(b"host", b"").decode("latin-1").lower()
        name = host if host in self._hosts or host.endswith("]") else host.rsplit(":", 1)[0]
        if name not in self._hosts and not _is_address(name):
            # A web page can make its own name resolve to 127.0.0.1; its requests then carry that name, no address.
            return await error_body(421, "unknown Host")(scope, receive, send)
        await self._control(scope, receive, send)


def _is_address(name: str) -> bool:
    try:
        ipaddress.ip_address(name.removeprefix("[").removesuffix("]"))
    except ValueError:
        return False
    return True


def _raise_open_files() -> None:
    """Each sandbox takes a handful of descriptors; the usual soft limit of 1,024 is a hundred sandboxes."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft < hard:
        resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
