"""The FastAPI application: routers, and around them the layers that every request passes."""

from __future__ import annotations

import os
from collections.abc import AsyncIterator, Callable, Iterable, Mapping
from contextlib import AbstractAsyncContextManager, AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from importlib.resources import files
from pathlib import Path

from fastapi import FastAPI
from fastapi.responses import PlainTextResponse
from starlette.middleware import Middleware
from starlette.middleware.cors import CORSMiddleware
from starlette.routing import BaseRoute, Match, Mount, Route
from starlette.types import ASGIApp, Receive, Scope, Send

from agent_tools.executor import ToolExecutor

from ..settings import Settings
from . import (
    agents_router,
    auth_router,
    code_router,
    configs_router,
    files_router,
    openapi,
    operations_router,
    problems,
    sandboxes_router,
    threads_router,
)
from .answers import Answers
from .authentication import CSRF_HEADER, SAFE_METHODS, Authentication
from .bodies import Bodies
from .limits import Allowance, Limits
from .origins import Origins
from .services import Services, running
from .tokens import Verifier

PAGE_FOLDER = "web_static"
_PUBLIC = frozenset({"/health", "/ready", "/openapi.json", "/auth/login"})
_ROUTERS = (
    code_router,
    files_router,
    configs_router,
    threads_router,
    agents_router,
    sandboxes_router,
    auth_router,
    operations_router,
)


@dataclass(frozen=True, slots=True)
class Mounted:
    """Another application under a path of this one, behind the same authentication.

    Attributes:
        path: such as "/mcp".
        app: made from the services when the server starts.
    """

    path: str
    app: Callable[[Services], AbstractAsyncContextManager[ASGIApp]]


def create_app(
    settings: Settings,
    *,
    executor: ToolExecutor | None = None,
    mounts: Iterable[Mounted] = (),
    auth: bool = True,
    alone: bool = True,
    page: Path | None = None,
    environ: Mapping[str, str] = os.environ,
) -> FastAPI:
    """Make the application.

    Args:
        settings: all of them.
        executor: what runs code; by default one of its own, which ends with the application.
        mounts: more applications.
        auth: False makes everybody the local user: only for an address that nobody else reaches.
        alone: False where the routes of another server are added to it: those are left as they are, and there is no
            page.
        page: the folder of the built page; by default the one in this package.
        environ: where to look for the data folder.

    Raises:
        SettingsError: there is no usable key to verify tokens with.
    """
    verifier = Verifier(settings.auth, environ) if auth else None
    limits = Limits(settings.limits)
    places = [_Place(mount) for mount in mounts]

    @asynccontextmanager
    async def lifespan(app: FastAPI) -> AsyncIterator[None]:
        async with AsyncExitStack() as closing:
            services = await closing.enter_async_context(running(settings, executor, environ))
            app.state.services = services
            for place in places:
                place.app = await closing.enter_async_context(place.mount.app(services))
            yield

    routes = _Routes()
    app = FastAPI(
        title="Sandloop",
        summary="Code in sandboxes, and agents that write it.",
        version=operations_router._version(),
        lifespan=lifespan,
        docs_url=None,
        redoc_url=None,
        redirect_slashes=False,
        middleware=[
            Middleware(_Layers, layers=_layers(settings, verifier, limits, routes), routes=routes, alone=alone)
        ],
    )
    app.state.verifier, app.state.limits = verifier, limits
    problems.handle(app)
    openapi.describe(app)
    ours: list[BaseRoute] = []
    for module in _ROUTERS:
        app.include_router(module.router)
        ours += module.router.routes
    # A mount has what is below its path; clients ask for the path itself.
    mounted = [made for place in places for made in (Route(place.mount.path, place), Mount(place.mount.path, place))]
    app.router.routes += mounted
    routes.guarded = [*ours, *mounted]
    if alone:
        _add_page(app, page or Path(str(files("sandloop"))) / PAGE_FOLDER)
    return app


class _Place:
    """Where a mounted application is, from the start of the server on."""

    def __init__(self, mount: Mounted) -> None:
        self.mount = mount
        self.app: ASGIApp | None = None

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        assert self.app is not None
        await self.app(scope, receive, send)


class _Routes:
    """Which requests are for the API. All others are for the page, which is public."""

    def __init__(self) -> None:
        self.guarded: list[BaseRoute] = []

    def template(self, scope: Scope) -> str | None:
        """Return the path template of the API's route; None for what is none of the API's."""
        found = (route for route in self.guarded if route.matches(scope)[0] is not Match.NONE)
        return next((str(route.path) for route in found if isinstance(route, Route | Mount)), None)

    def is_api(self, scope: Scope) -> bool:
        """Whether this is not for the page."""
        return scope["method"] not in SAFE_METHODS or self.template(scope) is not None

    def is_public(self, scope: Scope) -> bool:
        """Whether anybody may have this."""
        return scope["path"] in _PUBLIC or self.template(scope) is None


class _Layers:
    """The layers around the application, for the requests that are ours."""

    def __init__(self, app: ASGIApp, *, layers: list[Middleware], routes: _Routes, alone: bool) -> None:
        self._plain = self._layered = app
        for cls, args, options in reversed(layers):
            self._layered = cls(self._layered, *args, **options)
        self._routes = routes
        self._alone = alone

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        ours = scope["type"] == "http" and (self._alone or self._routes.template(scope) is not None)
        await (self._layered if ours else self._plain)(scope, receive, send)


def _layers(settings: Settings, verifier: Verifier | None, limits: Limits, routes: _Routes) -> list[Middleware]:
    """Outermost first."""
    cors = Middleware(
        CORSMiddleware,
        allow_origins=settings.server.cors_origins,
        allow_methods=["GET", "POST", "PUT", "PATCH", "DELETE"],
        allow_headers=["authorization", "content-type", CSRF_HEADER],
        expose_headers=["retry-after", "x-request-id"],
    )
    return [
        Middleware(Answers, route_of=routes.template),
        Middleware(Origins, settings=settings.server, is_api=routes.is_api),
        *([cors] if settings.server.cors_origins else []),
        Middleware(Authentication, verifier=verifier, limits=limits, is_public=routes.is_public),
        Middleware(Allowance, limits=limits),
        Middleware(Bodies, settings=settings.limits),
    ]


def _add_page(app: FastAPI, folder: Path) -> None:
    if (folder / "index.html").is_file():
        app.frontend("/", directory=folder, fallback="index.html")
        return

    @app.get("/", include_in_schema=False)
    async def no_page() -> PlainTextResponse:
        return PlainTextResponse("The API works; the web page is not built. 'make setup' builds it.\n")
