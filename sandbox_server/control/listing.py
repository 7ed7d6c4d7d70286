"""GET /v2/sandboxes: filters, order, pages."""

from __future__ import annotations

from collections.abc import Iterable

from starlette.requests import Request
from starlette.responses import JSONResponse

from ..sandboxes.sandbox import Sandbox, State
from . import bodies, models
from .errors import ApiError

_MAX_PAGE = 100


def answer(request: Request, sandboxes: Iterable[Sandbox], default_states: set[State]) -> JSONResponse:
    """Return one page, with the cursor of the next one in the header x-next-token. Raises ApiError."""
    found = _sorted(request, _filtered(request, sandboxes, _states(request, default_states)))
    running = sum(sandbox.state is State.RUNNING for sandbox in found)
    limit = bodies.integer(request, "limit", _MAX_PAGE, 1, _MAX_PAGE) or _MAX_PAGE
    after = request.query_params.get("nextToken")
    if after:
        # The cursor is the last sandbox of the page before; it may have ended since, its place has not.
        found = [sandbox for sandbox in found if _is_after(request, sandbox, after)]
    page = found[:limit]
    response = JSONResponse([models.listed(sandbox) for sandbox in page])
    response.headers["x-total-running"] = str(running)
    if len(found) > limit:
        response.headers["x-next-token"] = _cursor(page[-1])
    return response


def _states(request: Request, default: set[State]) -> set[State]:
    names = [name for value in request.query_params.getlist("state") for name in value.split(",") if name]
    try:
        return {State(name) for name in names} or default
    except ValueError as error:
        raise ApiError(400, f"state: {error}") from None


def _filtered(request: Request, sandboxes: Iterable[Sandbox], states: set[State]) -> list[Sandbox]:
    metadata = bodies.metadata_filter(request).items()
    started_after = bodies.time(request, "startedAfter")
    template = request.query_params.get("template")
    return [
        sandbox
        for sandbox in sandboxes
        if sandbox.state in states
        and metadata <= sandbox.metadata.items()
        and (started_after is None or sandbox.started_at >= started_after)
        and (not template or template in (sandbox.template_id, sandbox.alias))
    ]


def _descending(request: Request) -> bool:
    order = request.query_params.get("order") or "desc"
    if order not in ("asc", "desc"):
        raise ApiError(400, "order: 'asc' or 'desc' is expected")
    return order == "desc"


def _sorted(request: Request, sandboxes: list[Sandbox]) -> list[Sandbox]:
    return sorted(sandboxes, key=_cursor, reverse=_descending(request))


def _is_after(request: Request, sandbox: Sandbox, cursor: str) -> bool:
    return _cursor(sandbox) < cursor if _descending(request) else _cursor(sandbox) > cursor


def _cursor(sandbox: Sandbox) -> str:
    return f"{int(sandbox.started_at.timestamp() * 1e6):020d}-{sandbox.id}"
