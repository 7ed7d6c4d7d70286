"""The control plane's routes, as E2B names them. Handlers parse, call the registry and format."""

from __future__ import annotations

import asyncio
import hmac
from collections.abc import Awaitable, Callable
from typing import Any

from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from ..gateway.metrics import sample
from ..gateway.proxy import Gateway
from ..sandboxes.egress import Egress
from ..sandboxes.registry import CreateOptions, Sandboxes, WrongState
from ..sandboxes.sandbox import Sandbox, State
from ..settings import Settings
from . import bodies, errors, listing, models
from .errors import ApiError

Handler = Callable[[Request], Awaitable[Response]]
_ALL_METHODS = ["GET", "POST", "PUT", "PATCH", "DELETE"]
_NOT_HERE = {
    "/sandboxes/{id}/fork": "forking a running sandbox",
    "/sandboxes/{id}/snapshots": "snapshots",
    "/snapshots": "snapshots",
    "/v2/templates": "building templates",
    "/v3/templates": "building templates",
    "/templates": "building templates",
    "/volumes": "volumes",
    "/secrets": "secrets",
}


class ControlPlane:
    """E2B's REST API over the registry."""

    def __init__(self, settings: Settings, sandboxes: Sandboxes, egress: Egress, gateway: Gateway, domain: str) -> None:
        self._settings = settings
        self._sandboxes = sandboxes
        self._egress = egress
        self._gateway = gateway
        self._domain = domain

    def app(self) -> Starlette:
        """Return the ASGI application."""
        routes = [Route("/health", self.health, methods=["GET"])]
        for prefix in ("", "/v2"):
            routes += [
                self._route(f"{prefix}/sandboxes", self.create, "POST"),
                self._route(f"{prefix}/sandboxes/{{id}}/connect", self.connect, "POST"),
                self._route(f"{prefix}/sandboxes/{{id}}/logs", self.logs_v2 if prefix else self.logs, "GET"),
            ]
        routes += [
            self._route("/sandboxes", self.list_running, "GET"),
            self._route("/v2/sandboxes", self.list_all, "GET"),
            self._route("/sandboxes/metrics", self.metrics_of_many, "GET"),
            self._route("/sandboxes/{id}", self.info, "GET"),
            self._route("/sandboxes/{id}", self.kill, "DELETE"),
            self._route("/sandboxes/{id}/timeout", self.set_timeout, "POST"),
            self._route("/sandboxes/{id}/refreshes", self.refresh, "POST"),
            self._route("/sandboxes/{id}/pause", self.pause, "POST"),
            self._route("/sandboxes/{id}/resume", self.resume, "POST"),
            self._route("/sandboxes/{id}/metrics", self.metrics, "GET"),
            self._route("/sandboxes/{id}/network", self.update_network, "PUT"),
            self._route("/registries", self.registries, "GET"),
        ]
        for path, what in _NOT_HERE.items():
            for variant in (path, path + "/{rest:path}"):
                routes.append(self._route(variant, _not_here(what), *_ALL_METHODS))
        handlers: dict[Any, Any] = {kind: errors.answer for kind in errors.HANDLED}
        handlers |= {404: _unknown_route, 405: _unknown_route}
        return Starlette(routes=routes, exception_handlers=handlers)

    def _route(self, path: str, handler: Handler, *methods: str) -> Route:
        async def checked(request: Request) -> Response:
            given = request.headers.get("x-api-key") or request.headers.get("authorization", "").removeprefix("Bearer ")
            key = self._settings.api_key
            if not key or not hmac.compare_digest(given.encode(), key.encode()):
                raise ApiError(401, "missing or wrong API key: set E2B_API_KEY to the key this server was started with")
            return await handler(request)

        return Route(path, checked, methods=list(methods))

    def _sandbox(self, request: Request) -> Sandbox:
        return self._sandboxes.get(request.path_params["id"])

    def _check_timeout(self, seconds: int) -> None:
        if seconds > self._settings.max_lifetime_s:
            raise ApiError(400, f"timeout: at most {self._settings.max_lifetime_s} seconds")

    async def health(self, request: Request) -> Response:
        """Answer whether the server is up; open to all."""
        return JSONResponse({"status": "ok", "sandboxes": len(self._sandboxes)})

    async def create(self, request: Request) -> Response:
        """POST /sandboxes."""
        new = await bodies.read(request, models.NewSandbox)
        # The defaults of E2B's two versions of this route.
        timeout_s = new.timeout if new.timeout is not None else 300 if request.url.path.startswith("/v2") else 15
        self._check_timeout(timeout_s)
        _refuse_unsupported(new)
        network = new.network or models.Network()
        options = CreateOptions(
            template=new.templateID,
            timeout_s=timeout_s,
            metadata=new.metadata,
            envs=new.envVars,
            auto_pause=new.autoPause,
            auto_resume=new.autoResume is not None and new.autoResume.enabled,
            policy=self._egress.policy(new.allow_internet_access, network.allowOut, network.denyOut),
            allow_internet_access=new.allow_internet_access,
            network=new.network.model_dump(exclude_none=True) if new.network else None,
            public_traffic=network.allowPublicTraffic,
        )
        sandbox = await self._sandboxes.create(options)
        return JSONResponse(models.created(sandbox, self._domain), 201)

    async def connect(self, request: Request) -> Response:
        """POST /sandboxes/{id}/connect: resume when paused, lengthen the lease otherwise; 201 tells a resume."""
        body = await bodies.read(request, models.Connect)
        self._check_timeout(body.timeout)
        sandbox = self._sandbox(request)
        if sandbox.state is State.PAUSED:
            try:
                await self._sandboxes.resume(sandbox.id, body.timeout)
                return JSONResponse(models.created(sandbox, self._domain), 201)
            except WrongState:
                pass  # Somebody else resumed it meanwhile.
        self._sandboxes.set_timeout(sandbox, body.timeout, only_longer=True)
        return JSONResponse(models.created(sandbox, self._domain), 200)

    async def list_running(self, request: Request) -> Response:
        """GET /sandboxes."""
        return listing.answer(request, self._sandboxes, {State.RUNNING})

    async def list_all(self, request: Request) -> Response:
        """GET /v2/sandboxes."""
        return listing.answer(request, self._sandboxes, set(State))

    async def info(self, request: Request) -> Response:
        """GET /sandboxes/{id}."""
        return JSONResponse(models.detail(self._sandbox(request), self._domain))

    async def kill(self, request: Request) -> Response:
        """DELETE /sandboxes/{id}."""
        self._sandboxes.kill(request.path_params["id"])
        return Response(status_code=204)

    async def set_timeout(self, request: Request) -> Response:
        """POST /sandboxes/{id}/timeout."""
        body = await bodies.read(request, models.Timeout)
        self._check_timeout(body.timeout)
        self._sandboxes.set_timeout(self._sandbox(request), body.timeout)
        return Response(status_code=204)

    async def refresh(self, request: Request) -> Response:
        """POST /sandboxes/{id}/refreshes."""
        body = await bodies.read(request, models.Refresh)
        self._sandboxes.set_timeout(self._sandbox(request), body.duration, only_longer=True)
        return Response(status_code=204)

    async def pause(self, request: Request) -> Response:
        """POST /sandboxes/{id}/pause."""
        body = await bodies.read(request, models.Pause)
        if body.memory is False:
            raise ApiError(501, _sentence("pausing without memory (the file system alone)"))
        await self._sandboxes.pause(request.path_params["id"])
        return Response(status_code=204)

    async def resume(self, request: Request) -> Response:
        """POST /sandboxes/{id}/resume."""
        body = await bodies.read(request, models.Resume)
        self._check_timeout(body.timeout)
        sandbox = await self._sandboxes.resume(request.path_params["id"], body.timeout, auto_pause=body.autoPause)
        return JSONResponse(models.created(sandbox, self._domain), 201)

    async def metrics(self, request: Request) -> Response:
        """GET /sandboxes/{id}/metrics: samples from start to end (Unix seconds), the newest taken now."""
        start = bodies.integer(request, "start", 0, 0, 2**53) or 0
        end = bodies.integer(request, "end", 2**53, 0, 2**53) or 2**53
        sandbox = self._sandbox(request)
        await sample(self._gateway, sandbox)
        return JSONResponse([entry for entry in sandbox.samples if start <= entry["timestampUnix"] <= end])

    async def metrics_of_many(self, request: Request) -> Response:
        """GET /sandboxes/metrics: the newest sample of each."""
        wanted = request.query_params.get("sandbox_ids", "").split(",")
        found = [sandbox for sandbox in self._sandboxes if sandbox.id in wanted]
        async with asyncio.TaskGroup() as tasks:
            for sandbox in found:
                tasks.create_task(sample(self._gateway, sandbox))
        return JSONResponse({"sandboxes": {sandbox.id: sandbox.samples[-1] for sandbox in found if sandbox.samples}})

    async def logs(self, request: Request) -> Response:
        """GET /sandboxes/{id}/logs."""
        lines = self._sandbox(request).logs
        return JSONResponse(
            {
                "logs": [{"timestamp": models.timestamp(line.at), "line": line.text} for line in lines],
                "logEntries": models.log_entries(lines),
            }
        )

    async def logs_v2(self, request: Request) -> Response:
        """GET /v2/sandboxes/{id}/logs."""
        return JSONResponse({"logs": models.log_entries(self._sandbox(request).logs)})

    async def update_network(self, request: Request) -> Response:
        """PUT /sandboxes/{id}/network: replaces the egress rules; open connections stay."""
        body = await bodies.read(request, models.NetworkUpdate)
        _refuse_network_extras(body)
        sandbox = self._sandbox(request)
        sandbox.gate.policy = self._egress.policy(body.allow_internet_access, body.allowOut, body.denyOut)
        sandbox.allow_internet_access = body.allow_internet_access
        rules = {"allowOut": body.allowOut, "denyOut": body.denyOut}
        sandbox.network = {**(sandbox.network or {}), **rules}
        return Response(status_code=204)

    async def registries(self, request: Request) -> Response:
        """GET /registries: the hosts of this machine's package registries, for a create call's `network.allowOut`.

        Not one of E2B's routes, which has no registries of its own. Answers `{"hosts": ["files.example", …]}`.
        """
        return JSONResponse({"hosts": self._egress.registries.hosts})


def _refuse_unsupported(new: models.NewSandbox) -> None:
    for value, what in ((new.mcp, "the MCP gateway"), (new.iam, "workload identity"), (new.volumeMounts, "volumes")):
        if value:
            raise ApiError(501, _sentence(what))
    if new.autoPause and not new.autoPauseMemory:
        raise ApiError(501, _sentence("pausing without memory (the file system alone)"))
    _refuse_network_extras(new.network)


def _refuse_network_extras(network: models.Network | None) -> None:
    if network and network.egressProxy:
        raise ApiError(501, _sentence("an egress proxy of your own"))
    if network and network.rules:
        raise ApiError(501, _sentence("network rules that change requests"))
    if network and network.maskRequestHost:
        raise ApiError(501, _sentence("masking of the request's host name"))


def _sentence(what: str) -> str:
    return f"the embedded E2B has no {what}; it works on E2B itself (set E2B_API_KEY, unset E2B_API_URL)"


def _not_here(what: str) -> Handler:
    async def handler(request: Request) -> Response:
        raise ApiError(501, _sentence(what))

    return handler


async def _unknown_route(request: Request, error: Exception) -> Response:
    status = getattr(error, "status_code", 404)
    return errors.body(status, f"no such route: {request.method} {request.url.path[:200]}")
