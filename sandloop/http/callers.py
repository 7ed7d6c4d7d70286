"""Who calls: the bearer of a token, the page with its cookie, or, where nobody logs in, the one local user."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, Literal

from fastapi import Depends, Request
from fastapi.security import HTTPBearer
from starlette.types import Scope

from agent_tools.context import LOCAL_OWNER

_CALLER = "sandloop.caller"


@dataclass(frozen=True, slots=True)
class Caller:
    """Who a request is from.

    Attributes:
        subject: the owner of all that the request makes.
        by: how that is known.
        expires: of the token, in seconds since 1970.
        csrf_token: what unsafe requests by cookie must carry as a header; of no use without the cookie.
    """

    subject: str
    by: Literal["token", "cookie", "loopback"]
    expires: int | None = None
    csrf_token: str = ""


LOCAL = Caller(LOCAL_OWNER, "loopback")


def caller_of(scope: Scope) -> Caller | None:
    """Return the caller of a request that has passed authentication; None for a public one."""
    caller = scope.get(_CALLER)
    return caller if isinstance(caller, Caller) else None


def set_caller(scope: Scope, caller: Caller) -> None:
    """Note the caller of a request."""
    scope[_CALLER] = caller


def _current(request: Request) -> Caller:
    caller = caller_of(request.scope)
    assert caller is not None, "a route without authentication asks who calls"
    return caller


Current = Annotated[Caller, Depends(_current)]
"""The caller, for a route. `Authentication` has refused requests that have none."""

described = Depends(HTTPBearer(auto_error=False, description="A token of `sandloop token`, or of your own issuer."))
"""For OpenAPI; what is checked is in `authentication`."""
