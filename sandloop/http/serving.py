"""`sandloop serve`: the application on a socket, in one process or several."""

from __future__ import annotations

import functools
import ipaddress
import os
import signal
import socket
import sys
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import NoReturn

import uvicorn
from starlette.types import ASGIApp
from uvicorn.supervisors import Multiprocess

from ..mcp_server.over_http import MOUNT
from ..settings import Settings, SettingsError
from . import tokens
from .app import Mounted, create_app
from .logs import write_log
from .protocol import Protocol

_BACKLOG = 1024
_KEEP_ALIVE_SECONDS = 75
_WORKER_SECONDS = 60
"""A worker that does not answer its parent for this long is replaced. Importing alone takes seconds."""


def _to_stderr(line: str) -> None:
    print(line, file=sys.stderr, flush=True)  # noqa: T201


def serve(
    settings: Settings,
    *,
    auth: bool = True,
    mounts: Iterable[Mounted] | None = None,
    page: Path | None = None,
    environ: Mapping[str, str] = os.environ,
    tell: Callable[[str], None] = _to_stderr,
) -> None:
    """Serve until SIGTERM or SIGINT. Running calls get `server.shutdown_grace` seconds to end.

    Args:
        settings: all of them.
        auth: False lets everybody in as the local user; only on a loopback address.
        mounts: more applications, by default the MCP server; picklable when there are several workers.
        page: the folder of the built page; by default the one in this package.
        environ: where to look for the data folder.
        tell: called with lines for a person; `listening on http://…` is the first of them.

    Raises:
        SettingsError: the address cannot be used, or not so; there is no usable key for tokens.
    """
    if not auth and not _is_loopback(settings.server.host):
        raise SettingsError("without authentication the server listens on a loopback address only: set server.host")
    if auth:
        tokens.Verifier(settings.auth, environ)  # What is wrong with the key is said here, and not by each worker.
    listener = _listener(settings)
    config = uvicorn.Config(
        functools.partial(
            _application, settings, auth, (MOUNT,) if mounts is None else tuple(mounts), page, dict(environ)
        ),
        factory=True,
        http=Protocol,
        ws="none",
        log_config=None,
        access_log=False,
        workers=settings.server.workers,
        timeout_worker_healthcheck=_WORKER_SECONDS,
        # Without a list of proxies, X-Forwarded-For is what a client says of itself.
        proxy_headers=bool(settings.server.trusted_proxies),
        forwarded_allow_ips=list(settings.server.trusted_proxies),
        server_header=False,
        timeout_keep_alive=_KEEP_ALIVE_SECONDS,
        timeout_graceful_shutdown=settings.server.shutdown_grace,
        limit_concurrency=settings.limits.connections,
        backlog=_BACKLOG,
    )
    _introduce(settings, listener, auth=auth, environ=environ, tell=tell)
    with listener:
        if settings.server.workers > 1:
            Multiprocess(config, sockets=[listener]).run()
        else:
            # uvicorn ends gracefully, and then raises the signal once more for whoever was there before it.
            signal.signal(signal.SIGTERM, _exit)
            uvicorn.Server(config).run(sockets=[listener])


def _exit(*_: object) -> NoReturn:
    sys.exit(0)


def _application(
    settings: Settings, auth: bool, mounts: tuple[Mounted, ...], page: Path | None, environ: Mapping[str, str]
) -> ASGIApp:
    write_log(settings.log)
    return create_app(settings, auth=auth, mounts=mounts, page=page, environ=environ)


def _listener(settings: Settings) -> socket.socket:
    server = settings.server
    family = socket.AF_INET6 if ":" in server.host else socket.AF_INET
    try:
        return socket.create_server((server.host, server.port), family=family, backlog=_BACKLOG)
    except OSError as error:
        raise SettingsError(
            f"cannot listen at {server.host} port {server.port}: {error.strerror}; set server.host or server.port"
        ) from error


def _introduce(
    settings: Settings,
    listener: socket.socket,
    *,
    auth: bool,
    environ: Mapping[str, str],
    tell: Callable[[str], None],
) -> None:
    host = f"[{settings.server.host}]" if ":" in settings.server.host else settings.server.host
    tell(f"listening on http://{host}:{listener.getsockname()[1]}")
    if not auth:
        tell("without authentication: every program of this machine can use it")
        return
    if settings.auth.algorithm == "HS256" and not settings.auth.secret.get_secret_value():
        tell(f"tokens are signed with {tokens.key_file(environ)}")
    if settings.auth.algorithm == "HS256" or settings.auth.private_key_file:
        tell("make a token: sandloop token --expires 1h")
    if not _is_loopback(settings.server.host):
        tell("tokens travel in plain text here: put a proxy that speaks TLS in front")


def _is_loopback(host: str) -> bool:
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False
