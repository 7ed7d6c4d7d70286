"""The HTTP service of E2B's code interpreter (port 49999 of a sandbox).

    POST   /execute                 {code, context_id | language, env_vars} → one JSON object a line (`kernels.Event`),
                                    {"type": "keepalive"} while nothing happens, {"type": "end_of_execution"} last
    GET    /contexts                [{id, language, cwd}]
    POST   /contexts                {language, cwd} → {id, language, cwd}
    POST   /contexts/{id}/restart
    DELETE /contexts/{id}
    GET    /health                  "OK"

A client that closes its connection interrupts the code it runs. Errors are plain text: 400 what the client got wrong,
404 no such context. Source: E2B's code-interpreter server and its SDKs.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any

from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, PlainTextResponse, Response
from starlette.routing import Route

from ..config import SandboxConfig
from ..kernels import Kernel, KernelUnavailable
from ..processes import Processes
from . import requests
from .contexts import BadFolder, Context, ContextNotFound, Contexts
from .execution import Execute
from .languages import UnknownLanguage

ASGIApp = Callable[[Any, Any, Any], Awaitable[None]]


def create(processes: Processes, config: SandboxConfig, first: Kernel) -> ASGIApp:
    """Return the service; `first` is the kernel of the default Python context."""
    contexts = Contexts(processes, config, first)
    execute = Execute(contexts)
    routes = _Routes(contexts).app()

    async def app(scope: Any, receive: Any, send: Any) -> None:
        if scope["path"] == "/execute" and scope["method"] == "POST":
            await execute(receive, send)
        else:
            await routes(scope, receive, send)

    return app


class _Routes:
    """All but /execute."""

    def __init__(self, contexts: Contexts) -> None:
        self._contexts = contexts

    def app(self) -> Starlette:
        """Return the routes and what their errors mean."""
        return Starlette(
            routes=[
                Route("/health", self._health),
                Route("/contexts", self._list),
                Route("/contexts", self._create, methods=["POST"]),
                Route("/contexts/{context_id}", self._remove, methods=["DELETE"]),
                Route("/contexts/{context_id}/restart", self._restart, methods=["POST"]),
            ],
            exception_handlers={
                requests.BadRequest: _plain(400),
                UnknownLanguage: _plain(400),
                BadFolder: _plain(400),
                KernelUnavailable: _plain(400),
                ContextNotFound: _plain(404),
            },
        )

    async def _health(self, request: Request) -> Response:
        return JSONResponse("OK")

    async def _list(self, request: Request) -> Response:
        return JSONResponse([_shown(context) for context in self._contexts.all()])

    async def _create(self, request: Request) -> Response:
        wanted = requests.new_context(await requests.body(request.receive))
        return JSONResponse(_shown(await self._contexts.create(wanted.language, wanted.cwd)))

    async def _remove(self, request: Request) -> Response:
        await self._contexts.remove(self._contexts.get(request.path_params["context_id"]))
        return JSONResponse(None)

    async def _restart(self, request: Request) -> Response:
        await self._contexts.restart(self._contexts.get(request.path_params["context_id"]))
        return JSONResponse(None)


def _shown(context: Context) -> dict[str, str]:
    return {"id": context.id, "language": context.language, "cwd": context.cwd}


def _plain(status: int) -> Callable[[Request, Exception], Response]:
    return lambda _, error: PlainTextResponse(str(error), status)
