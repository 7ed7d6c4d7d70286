"""The outermost layer: headers of every answer, the audit log, the counts, and the last word on errors."""

from __future__ import annotations

import time
from collections.abc import Callable
from uuid import uuid4

import structlog
from prometheus_client import Counter, Histogram
from starlette.datastructures import MutableHeaders
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from . import problems
from .authentication import SAFE_METHODS
from .callers import caller_of
from .streams import ClientGone

REQUESTS = Counter("sandloop_http_requests_total", "Answered requests.", ["method", "route", "status"])
SECONDS = Histogram(
    "sandloop_http_seconds",
    "Seconds from a request's head to the end of its answer.",
    ["route"],
    buckets=(0.01, 0.05, 0.1, 0.5, 1, 5, 10, 60, 300),
)
PAGE_POLICY = (
    "default-src 'self'; style-src 'self' 'unsafe-inline'; worker-src 'self'; img-src 'self' data: blob:; "
    "font-src 'self' data:; object-src 'none'; base-uri 'none'; form-action 'self'; frame-ancestors 'none'"
)
FRAME_POLICY = (
    "sandbox allow-scripts; default-src 'none'; script-src 'unsafe-inline'; style-src 'unsafe-inline'; "
    "img-src data: blob:; font-src data:; frame-ancestors 'self'"
)
"""For `/frame.html`, in which the page shows what a sandbox has made: an origin of its own, and no way to any other."""
API_POLICY = "default-src 'none'; frame-ancestors 'none'; sandbox"
_COMMON = {
    "x-content-type-options": "nosniff",
    "referrer-policy": "no-referrer",
    "cross-origin-opener-policy": "same-origin",
    "cross-origin-resource-policy": "same-origin",
    "permissions-policy": "camera=(), geolocation=(), microphone=()",
}
_GONE = 499
"""Logged for a client that did not wait for the answer."""
_METHODS = frozenset({"GET", "HEAD", "OPTIONS", "POST", "PUT", "PATCH", "DELETE"})
_audit = structlog.get_logger("sandloop.audit")


class Answers:
    """Wraps every request.

    Args:
        app: what comes next.
        route_of: the path template of the API's route that a request is for; None for the page.
    """

    def __init__(self, app: ASGIApp, *, route_of: Callable[[Scope], str | None]) -> None:
        self._app = app
        self._route_of = route_of

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass the request on, and see to it that it is answered."""
        if scope["type"] != "http":
            return await self._app(scope, receive, send)
        route = self._route_of(scope)
        request_id = uuid4().hex[:16]
        started = time.monotonic()
        status = 0

        async def answer(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
                _add_headers(MutableHeaders(scope=message), scope["path"], is_api=route is not None)
                MutableHeaders(scope=message)["x-request-id"] = request_id
            await send(message)

        with structlog.contextvars.bound_contextvars(request_id=request_id):
            try:
                await self._app(scope, receive, answer)
            except ClientGone:
                status = _GONE
            except Exception as error:
                problem = problems.of(error) or problems.unexpected(error, path=scope["path"][:200])
                if status:
                    raise _Broken from None
                await problem.send(answer)
            finally:
                self._note(scope, route, status, time.monotonic() - started)

    def _note(self, scope: Scope, route: str | None, status: int, seconds: float) -> None:
        method = scope["method"] if scope["method"] in _METHODS else "other"
        REQUESTS.labels(method, route or "page", status).inc()
        SECONDS.labels(route or "page").observe(seconds)
        if route is None:
            return
        caller = caller_of(scope)
        log = _audit.info if method not in SAFE_METHODS or status >= 400 else _audit.debug
        log(
            "request",
            method=method,
            route=route,
            status=status,
            seconds=round(seconds, 3),
            owner=caller.subject if caller else None,
            by=caller.by if caller else None,
            address=scope["client"][0] if scope.get("client") else None,
        )


class _Broken(Exception):
    """An answer failed in the middle. The server closes the connection, so that nobody takes it for whole."""


def _add_headers(headers: MutableHeaders, path: str, *, is_api: bool) -> None:
    for name, value in _COMMON.items():
        headers.setdefault(name, value)
    if is_api:
        headers.setdefault("content-security-policy", API_POLICY)
        headers.setdefault("cache-control", "no-store")
    elif path == "/frame.html":
        headers["content-security-policy"] = FRAME_POLICY
        headers.setdefault("cache-control", "no-cache")
        return
    else:
        headers["content-security-policy"] = PAGE_POLICY
        headers.setdefault("cache-control", _kept(path))
    headers.setdefault("x-frame-options", "DENY")


def _kept(path: str) -> str:
    """Files under /assets have their content's hash in the name."""
    return "public, max-age=31536000, immutable" if path.startswith("/assets/") else "no-cache"
