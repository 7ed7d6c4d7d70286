"""Nobody reaches what is not public without a good token."""

from __future__ import annotations

import hashlib
import hmac
from collections.abc import Callable
from typing import Literal

import structlog
from starlette.requests import HTTPConnection
from starlette.types import ASGIApp, Receive, Scope, Send

from .callers import LOCAL, Caller, set_caller
from .limits import Limits, too_many
from .problems import Problem
from .tokens import TokenRefused, Verifier

COOKIE = "sandloop_session"
CSRF_HEADER = "x-csrf-token"
SAFE_METHODS = frozenset({"GET", "HEAD", "OPTIONS"})
_audit = structlog.get_logger("sandloop.audit")


def csrf_token(token: str) -> str:
    """Return the token against cross-site requests that belongs to a session: nobody without the session knows it."""
    return hmac.new(token.encode(), b"sandloop csrf", hashlib.sha256).hexdigest()


class Authentication:
    """Lets a request pass that has a good token, and one for what is public.

    Args:
        app: what comes next.
        verifier: None: everybody is the local user.
        limits: how often one address may try.
        is_public: whether anybody may have what is asked for.
    """

    def __init__(
        self, app: ASGIApp, *, verifier: Verifier | None, limits: Limits, is_public: Callable[[Scope], bool]
    ) -> None:
        self._app = app
        self._verifier = verifier
        self._limits = limits
        self._is_public = is_public

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer 401, or pass the request on with its caller."""
        if scope["type"] != "http" or self._is_public(scope):
            return await self._app(scope, receive, send)
        try:
            set_caller(scope, await self._caller(HTTPConnection(scope)))
        except Problem as problem:
            return await problem.send(send)
        await self._app(scope, receive, send)

    async def _caller(self, connection: HTTPConnection) -> Caller:
        if self._verifier is None:
            return LOCAL
        token, by = _token(connection)
        try:
            if token is None:
                raise TokenRefused("missing")
            claims = await self._verifier.verify(token)
        except TokenRefused as refusal:
            raise await refused(refusal, connection, self._limits) from None
        caller = Caller(claims.subject, by, claims.expires, csrf_token(token) if by == "cookie" else "")
        if by == "cookie" and connection.scope["method"] not in SAFE_METHODS:
            given = connection.headers.get(CSRF_HEADER, "")
            if not hmac.compare_digest(given.encode(), caller.csrf_token.encode()):
                raise Problem(403, "csrf", f"Send the csrf_token of GET /auth/me as the header {CSRF_HEADER}.")
        return caller


async def refused(refusal: TokenRefused, connection: HTTPConnection, limits: Limits) -> Problem:
    """Note a refused token, and return the answer: the same for all reasons but that a good one has expired."""
    address = connection.client.host if connection.client else "unknown"
    _audit.warning("token_refused", reason=str(refusal), address=address, path=connection.url.path[:200])
    if wait := await limits.refused(address):
        return too_many(wait)
    code = "token_expired" if refusal.expired else "unauthorized"
    detail = "The token has expired." if refusal.expired else "A good token is needed: 'sandloop token' makes one."
    return Problem(401, code, detail, headers={"WWW-Authenticate": "Bearer"})


def _token(connection: HTTPConnection) -> tuple[str | None, Literal["token", "cookie"]]:
    headers = connection.headers.getlist("authorization")
    if headers:
        scheme, _, token = headers[0].partition(" ")
        return (token.strip() if len(headers) == 1 and scheme.lower() == "bearer" else None), "token"
    return _cookie(connection.headers.getlist("cookie")), "cookie"


def _cookie(headers: list[str]) -> str | None:
    # Two cookies of the name: one was planted from elsewhere, and nobody knows which.
    found = [part.strip().partition("=") for header in headers for part in header.split(";")]
    values = [value for name, _, value in found if name == COOKIE]
    return values[0] if len(values) == 1 else None
