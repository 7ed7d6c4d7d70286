"""Logging in from a browser: a token is exchanged for a cookie that no script can read."""

from __future__ import annotations

import time
from typing import Literal

from fastapi import APIRouter, Request, Response
from pydantic import BaseModel, ConfigDict, Field

from . import callers
from .authentication import COOKIE, CSRF_HEADER, csrf_token, refused
from .bodies import StrictRoute
from .callers import LOCAL, Caller, Current
from .problems import described
from .tokens import TokenRefused

router = APIRouter(prefix="/auth", tags=["auth"], route_class=StrictRoute, responses=described(400, 401, 403, 422, 429))


class Login(BaseModel):
    """A token to log in with."""

    model_config = ConfigDict(extra="forbid", json_schema_extra={"examples": [{"token": "eyJhbGciOi…"}]})

    token: str = Field(min_length=1, max_length=8192)


class Session(BaseModel):
    """Who is logged in.

    Attributes:
        by: `cookie`, `token`, or `loopback` where nobody needs to.
        expires: seconds since 1970.
        csrf_token: what requests other than GET must carry as the header `X-CSRF-Token`, when `by` is `cookie`.
    """

    subject: str
    by: Literal["token", "cookie", "loopback"]
    expires: int | None = None
    csrf_token: str = ""
    csrf_header: str = CSRF_HEADER


@router.post("/login")
async def login(login: Login, request: Request, response: Response) -> Session:
    """Exchange a token for a cookie (HttpOnly, SameSite=Strict) that lives as long as the token."""
    verifier = request.app.state.verifier
    if verifier is None:
        return _session(LOCAL)
    try:
        claims = await verifier.verify(login.token)
    except TokenRefused as refusal:
        raise await refused(refusal, request, request.app.state.limits) from None
    response.set_cookie(
        COOKIE,
        login.token,
        max_age=max(1, claims.expires - int(time.time())),
        path="/",
        httponly=True,
        samesite="strict",
        secure=request.url.scheme == "https",
    )
    return _session(Caller(claims.subject, "cookie", claims.expires, csrf_token(login.token)))


@router.get("/me", dependencies=[callers.described])
async def me(caller: Current) -> Session:
    """Say who is logged in."""
    return _session(caller)


@router.post("/logout", status_code=204, dependencies=[callers.described])
async def logout(caller: Current, request: Request) -> Response:
    """Take the cookie back. The token itself is good until it expires."""
    response = Response(status_code=204)
    response.delete_cookie(COOKIE, path="/", httponly=True, samesite="strict", secure=request.url.scheme == "https")
    return response


def _session(caller: Caller) -> Session:
    return Session(subject=caller.subject, by=caller.by, expires=caller.expires, csrf_token=caller.csrf_token)
