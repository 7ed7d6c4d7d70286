"""Errors as RFC 9457 problem details: what is wrong, in which field, and nothing about the inside."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from http import HTTPStatus
from typing import Any

import structlog
from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import Response
from pydantic import BaseModel
from starlette.exceptions import HTTPException
from starlette.types import Send

from agent_tools import audit
from agent_tools.errors import (
    AgentToolsError,
    CallRefused,
    PolicyRefusal,
    SandboxLimitReached,
    SandboxLost,
    SandboxUnavailable,
)
from graphs import errors as graphs_errors
from graphs.errors import GraphsError

MEDIA_TYPE = "application/problem+json"
_log = structlog.get_logger(__name__)


class FieldProblem(BaseModel):
    """What is wrong with one field; `field` is its path, such as `policy.timeout`."""

    field: str
    message: str


class ProblemBody(BaseModel):
    """The body of every 4xx and 5xx answer."""

    type: str = "about:blank"
    title: str
    status: int
    code: str
    """For programs: stable, one for each kind of problem."""
    detail: str
    errors: list[FieldProblem] = []


class Problem(HTTPException):
    """An answer that says what is wrong; an `HTTPException`, which FastAPI passes through while it reads a body."""

    def __init__(
        self,
        status: int,
        code: str,
        detail: str,
        *,
        errors: Sequence[FieldProblem] = (),
        headers: Mapping[str, str] | None = None,
    ) -> None:
        super().__init__(status, detail, dict(headers or {}))
        self.code = code
        self.errors = list(errors)

    @property
    def body(self) -> ProblemBody:
        """Return what the client reads."""
        title = HTTPStatus(self.status_code).phrase
        return ProblemBody(title=title, status=self.status_code, code=self.code, detail=self.detail, errors=self.errors)

    @property
    def response(self) -> Response:
        """Return the answer."""
        return Response(
            json.dumps(self.body.model_dump()), self.status_code, headers=self.headers, media_type=MEDIA_TYPE
        )

    async def send(self, send: Send) -> None:
        """Answer a request from a middleware."""

        async def nothing() -> dict[str, Any]:
            return {"type": "http.disconnect"}

        await self.response({"type": "http"}, nothing, send)


def not_found(what: str) -> Problem:
    """What does not exist, and what is another owner's: the two must look the same."""
    return Problem(404, "not_found", f"You have no such {what}.")


_FIELDS = {
    "path": "path",
    "file": "path",
    "list": "path",
    "host": "path",
    "package": "packages",
    "install": "language",
    "language": "language",
    "timeout": "timeout",
    "code": "code",
    "pattern": "code",
    "network": "policy.networkApproval",
}
"""The first part of a rule's name → the field that it is about."""

_UNAVAILABLE: dict[type[SandboxUnavailable], tuple[str, str]] = {
    SandboxLimitReached: ("sandbox_limit", "There is no room for one more sandbox. End some, or try again later."),
    SandboxLost: ("sandbox_lost", "The sandbox ended during the call. The next call gets a new one."),
    SandboxUnavailable: ("sandbox_unavailable", "There is no sandbox to be had now. The server's log says why."),
}


def of(error: BaseException) -> Problem | None:
    """Return the problem for an error of ours; None for one that nobody expected."""
    if isinstance(error, Problem):
        return error
    if isinstance(error, CallRefused):
        return _refused(error)
    if isinstance(error, SandboxUnavailable):
        code, detail = next(told for kind, told in _UNAVAILABLE.items() if isinstance(error, kind))
        _log.warning("sandbox unavailable", error=type(error).__name__, said=audit.excerpt(str(error), 500))
        return Problem(503, code, detail, headers={"Retry-After": "5"})
    if isinstance(error, GraphsError):
        return _of_graphs(error)
    if isinstance(error, HTTPException):
        return _of_starlette(error)
    if isinstance(error, TimeoutError):
        return Problem(504, "timeout", "The request took longer than this server allows.")
    return None


def unexpected(error: BaseException, **where: object) -> Problem:
    """Log an error that nobody expected, with no value that it may hold, and return what the client may know of it."""
    place = "unknown"
    trace = error.__traceback__
    while trace is not None:
        place = f"{trace.tb_frame.f_globals.get('__name__', '?')}:{trace.tb_lineno}"
        trace = trace.tb_next
    _log.error("unexpected", error=type(error).__name__, said=audit.excerpt(str(error), 300), at=place, **where)
    return Problem(500, "internal", "The server failed to do this. Its log says more.")


def _refused(error: CallRefused) -> Problem:
    field = _FIELDS.get(error.rule.partition(".")[0])
    errors = [FieldProblem(field=field, message=str(error))] if field else []
    if error.rule == "file.missing":
        return Problem(404, error.rule, str(error), errors=errors)
    if error.rule in ("file.exists",):
        return Problem(409, error.rule, str(error), errors=errors)
    return Problem(403 if isinstance(error, PolicyRefusal) else 422, error.rule, str(error), errors=errors)


_GRAPHS: dict[type[GraphsError], tuple[int, str, str]] = {
    graphs_errors.ThreadNotFound: (404, "not_found", ""),
    graphs_errors.ConfigNotFound: (404, "not_found", ""),
    graphs_errors.ThreadBusy: (409, "thread_busy", ""),
    graphs_errors.NothingToResume: (409, "nothing_to_resume", ""),
    graphs_errors.DatabaseUnavailable: (503, "database_unavailable", ""),
    graphs_errors.McpServerUnavailable: (503, "mcp_server_unavailable", ""),
    graphs_errors.AgentTypeInvalid: (503, "agent_type_invalid", ""),
    graphs_errors.UnknownAgentType: (422, "agent_type.unknown", "agent_type"),
    graphs_errors.UnknownTool: (422, "tool.unknown", "tools"),
    graphs_errors.FileInvalid: (422, "file.invalid", "files"),
    graphs_errors.DecisionInvalid: (422, "decision.invalid", "decisions"),
    graphs_errors.UnknownProvider: (422, "provider.unknown", "provider_id"),
    graphs_errors.ProviderNotInstalled: (422, "provider.not_installed", "provider_id"),
    graphs_errors.ModelKeyMissing: (422, "provider.key_missing", "provider_id"),
    graphs_errors.RequestRefused: (422, "model.refused", "model_id"),
    graphs_errors.GraphsError: (502, "model_failed", ""),
}
"""The first that an error is one of: status, code, field."""


def _of_graphs(error: GraphsError) -> Problem:
    status, code, field = next(told for kind, told in _GRAPHS.items() if isinstance(error, kind))
    if status == 404:
        return not_found("thread" if isinstance(error, graphs_errors.ThreadNotFound) else "configuration")
    detail = str(error)
    if status >= 500:
        _log.warning("agent unavailable", error=type(error).__name__, said=audit.excerpt(detail, 500))
        detail = "Agents cannot be had now. The server's log says why."
    return Problem(status, code, detail, errors=[FieldProblem(field=field, message=detail)] if field else [])


def _of_starlette(error: HTTPException) -> Problem:
    codes = {400: "bad_request", 404: "not_found", 405: "method_not_allowed", 413: "too_large"}
    details = {404: "There is nothing here.", 405: "This address does not take this method."}
    detail = details.get(error.status_code, error.detail)
    return Problem(error.status_code, codes.get(error.status_code, "refused"), detail, headers=error.headers)


def invalid(errors: Sequence[Any]) -> Problem:
    """Return the problem for pydantic's errors: the fields and messages, without what the client sent."""
    fields = []
    for error in errors:
        place = [str(part)[:100] for part in error["loc"]]
        if place and place[0] in ("body", "query", "path", "header", "cookie"):
            place = place[1:] or place
        message = str(error["msg"]).removeprefix("Value error, ")
        fields.append(FieldProblem(field=".".join(place), message=message[:500]))
    named = ", ".join(dict.fromkeys(problem.field for problem in fields))
    return Problem(422, "invalid", f"The request is not valid: see {named[:500]}.", errors=fields[:50])


def handle(app: FastAPI) -> None:
    """Make the application answer all errors that are expected as problems."""

    async def known(_: Request, error: Exception) -> Response:
        problem = of(error)
        assert problem is not None
        return problem.response

    async def not_valid(_: Request, error: Exception) -> Response:
        assert isinstance(error, RequestValidationError)
        return invalid(error.errors()).response

    app.add_exception_handler(AgentToolsError, known)
    app.add_exception_handler(GraphsError, known)
    app.add_exception_handler(HTTPException, known)
    app.add_exception_handler(TimeoutError, known)
    app.add_exception_handler(RequestValidationError, not_valid)


def described(*statuses: int) -> dict[int | str, dict[str, Any]]:
    """Return what OpenAPI says about these error answers."""
    content = {MEDIA_TYPE: {"schema": {"$ref": "#/components/schemas/ProblemBody"}}}
    return {status: {"description": HTTPStatus(status).phrase, "content": content} for status in statuses}
