"""From exceptions to E2B's error bodies, in one place: `{"code": status, "message": text}`."""

from __future__ import annotations

from http import HTTPStatus

from pydantic import ValidationError
from starlette.requests import Request
from starlette.responses import JSONResponse

from ..egress import RuleError
from ..errors import IsolationUnavailable, SandboxStartFailed, TemplateError
from ..gateway.proxy import Refused
from ..sandboxes.channel import GuestGone
from ..sandboxes.registry import NoSuchSandbox, NoSuchTemplate, TooManySandboxes, WrongState
from ..sandboxes.uids import NoFreeUid


class ApiError(Exception):
    """An answer that is an error."""

    def __init__(self, status: int, message: str) -> None:
        super().__init__(message)
        self.status = status
        self.message = message


_STATUS: dict[type[Exception], int] = {
    WrongState: 409,
    RuleError: 400,
    TooManySandboxes: 429,
    NoFreeUid: 429,
    TimeoutError: 503,
    GuestGone: 503,
    SandboxStartFailed: 503,
    TemplateError: 503,
    IsolationUnavailable: 503,
}


def body(status: int, message: str) -> JSONResponse:
    """Return an error answer."""
    return JSONResponse({"code": status, "message": message}, status)


def answer(request: Request, error: Exception) -> JSONResponse:
    """Return the answer for an exception that a route raised."""
    if isinstance(error, ApiError):
        return body(error.status, error.message)
    if isinstance(error, Refused):
        return body(error.status, str(error))
    if isinstance(error, ValidationError):
        first = error.errors(include_url=False, include_input=False)[0]
        where = ".".join(str(part) for part in first["loc"]) or "body"
        return body(400, f"{where}: {first['msg']}")
    if isinstance(error, NoSuchSandbox):
        return body(404, f"sandbox '{error}' not found")
    if isinstance(error, NoSuchTemplate):
        return body(
            404, f"template '{error}' not found; start the server with --template {error}=requirements.txt to add it"
        )
    for kind, status in _STATUS.items():
        if isinstance(error, kind):
            return body(status, str(error) or HTTPStatus(status).phrase)
    return body(500, "the server failed; its log says why")  # starlette raises the error again, and uvicorn logs it


HANDLED: tuple[type[Exception], ...] = (
    ApiError,
    Refused,
    ValidationError,
    NoSuchSandbox,
    NoSuchTemplate,
    *_STATUS,
    Exception,
)
