"""Which names and which web pages may reach the server.

A page of somebody else can send requests to this machine, by its own name that resolves to 127.0.0.1 or by ours. Its
browser then says so: in Host, in Origin, in Sec-Fetch-Site.
"""

from __future__ import annotations

import ipaddress
from collections.abc import Callable

from starlette.requests import HTTPConnection
from starlette.types import ASGIApp, Receive, Scope, Send

from ..sections import ServerSection
from .authentication import SAFE_METHODS
from .problems import Problem


class Origins:
    """Refuses requests with a foreign Host, and those for the API that a foreign page makes.

    A safe request with a foreign Origin passes: without CORS headers the page cannot read the answer. One that a page
    makes without Origin, as for an image, does not: it could make sandboxes.
    """

    def __init__(self, app: ASGIApp, *, settings: ServerSection, is_api: Callable[[Scope], bool]) -> None:
        self._app = app
        self._is_api = is_api
        self._hosts = frozenset({"localhost", settings.host.lower(), *map(str.lower, settings.allowed_hosts)})
        self._cors = frozenset(settings.cors_origins)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer 421 or 403, or pass the request on."""
        if scope["type"] != "http":
            return await self._app(scope, receive, send)
        connection = HTTPConnection(scope)
        if not self._known(connection.headers.getlist("host")):
            detail = "The server is not known by this name: add it to server.allowed_hosts."
            return await Problem(421, "unknown_host", detail).send(send)
        if self._is_api(scope) and not self._allowed(connection):
            detail = "Pages of other origins may not do this: see server.cors_origins."
            return await Problem(403, "foreign_origin", detail).send(send)
        await self._app(scope, receive, send)

    def _known(self, hosts: list[str]) -> bool:
        if len(hosts) != 1:
            return False
        name = _name(hosts[0].lower())
        if name in self._hosts or _is_address(name):
            return True
        return any(host.startswith(".") and name.endswith(host) for host in self._hosts)

    def _allowed(self, connection: HTTPConnection) -> bool:
        origins = connection.headers.getlist("origin")
        if len(origins) > 1:
            return False
        if origins and origins[0] in self._cors:
            return True
        if connection.headers.get("sec-fetch-site", "none") not in ("none", "same-origin"):
            return False
        if not origins or connection.scope["method"] in SAFE_METHODS:
            return True
        # The scheme may differ behind a proxy that ends TLS.
        scheme, _, place = origins[0].partition("://")
        return scheme in ("http", "https") and place.lower() == connection.headers["host"].lower()


def _name(host: str) -> str:
    """The host without its port."""
    if host.startswith("["):
        return host.partition("]")[0].removeprefix("[")
    return host.rsplit(":", 1)[0] if host.count(":") == 1 else host


def _is_address(name: str) -> bool:
    """A name made for an attack is a name; an address was typed."""
    try:
        ipaddress.ip_address(name)
    except ValueError:
        return False
    return True
