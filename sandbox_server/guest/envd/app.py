"""The ASGI application of envd's port, 49983."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any

from connectrpc.errors import ConnectError
from e2b.envd.filesystem.filesystem_connect import FilesystemASGIApplication
from e2b.envd.process.process_connect import ProcessASGIApplication
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route
from starlette.types import ASGIApp, Receive, Scope, Send

from ..config import SandboxConfig
from ..processes import Processes
from . import errors, turns, wire
from .compose import compose
from .downloads import download
from .filesystem import FilesystemService
from .metrics import Metrics
from .process.service import ProcessService
from .uploads import upload


def create(processes: Processes, config: SandboxConfig) -> ASGIApp:
    """Return the application. Create it inside a running loop; signatures and tokens were checked by the gateway."""
    process = ProcessASGIApplication(ProcessService(processes, config), **wire.options())
    filesystem = FilesystemASGIApplication(FilesystemService(), **wire.options())
    metrics = Metrics(config)

    async def health(request: Request) -> Response:
        return Response(status_code=204)

    async def measure(request: Request) -> Response:
        return JSONResponse(await turns.take(metrics.measure()), headers={"cache-control": "no-store"})

    async def envs(request: Request) -> Response:
        return JSONResponse(config.envs, headers={"cache-control": "no-store"})

    plain = Starlette(
        routes=[
            Route("/health", health),
            Route("/metrics", _answer(measure)),
            Route("/envs", envs),
            Route("/files", _answer(download)),
            Route("/files", _answer(upload), methods=["POST"]),
            Route("/files/compose", _answer(compose), methods=["POST"]),
        ]
    )
    services: dict[str, Any] = {process.path: process, filesystem.path: filesystem}

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        service = services.get(scope["path"].rpartition("/")[0]) if scope["type"] == "http" else None
        if service is None:
            await plain(scope, receive, send)
        elif refusal := _refusal(scope):
            await refusal(scope, receive, send)
        else:
            await service(scope, receive, send)

    return app


def _answer(handler: Callable[[Request], Awaitable[Response]]) -> Callable[[Request], Awaitable[Response]]:
    """Turn what a plain route raises into envd's error body."""

    async def answered(request: Request) -> Response:
        try:
            return await handler(request)
        except ConnectError as error:
            return errors.response(error)
        except OSError as error:
            return errors.response(errors.from_os(error))

    return answered


def _refusal(scope: Scope) -> Response | None:
    """Refuse what connectrpc would answer with a 500: headers that are no UTF-8, and gRPC, which needs trailers."""
    for name, value in scope["headers"]:
        try:
            value.decode()
        except UnicodeDecodeError:
            return errors.plain(400, "headers must be valid UTF-8")
        if name == b"content-type" and value.startswith(b"application/grpc"):
            return errors.plain(415, "gRPC is not served here: use the Connect protocol")
    return None
