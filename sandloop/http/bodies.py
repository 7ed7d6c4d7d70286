"""Bodies of requests: bounded in size and time, and JSON that every part behind can hold."""

from __future__ import annotations

import asyncio
import json
import math
from collections.abc import Callable, Coroutine
from typing import Any

from fastapi import Request, Response
from fastapi.routing import APIRoute
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from ..sections import LimitsSection
from ..settings import MIB
from .problems import Problem

_LOGIN_BYTES = 64 * 1024
_UPLOADS = "/code/upload"


class Bodies:
    """Ends requests whose body is too large or comes too slowly."""

    def __init__(self, app: ASGIApp, *, settings: LimitsSection) -> None:
        self._app = app
        self._settings = settings

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer 413, or pass the request on; while the body comes, the reader gets 408 and 413 as exceptions."""
        if scope["type"] != "http":
            return await self._app(scope, receive, send)
        most = self._most(scope["path"])
        declared = next((value for name, value in scope["headers"] if name == b"content-length"), b"0")
        if not declared.isdigit() or int(declared) > most:
            return await _too_large(most).send(send)
        body = _Body(receive, most, self._settings.body_seconds)
        await self._app(scope, body.receive, send)

    def _most(self, path: str) -> int:
        if path.startswith("/auth/"):
            return _LOGIN_BYTES
        return (self._settings.upload_mib if path == _UPLOADS else self._settings.json_mib) * MIB


class _Body:
    """One request's body."""

    def __init__(self, receive: Receive, most: int, seconds: float) -> None:
        self._receive = receive
        self._most = most
        self._left = seconds
        self._whole = False
        self._size = 0

    async def receive(self) -> Message:
        if self._whole:
            return await self._receive()
        started = asyncio.get_running_loop().time()
        try:
            async with asyncio.timeout(self._left):
                message = await self._receive()
        except TimeoutError:
            detail = "The request's body came too slowly."
            raise Problem(408, "too_slow", detail, headers={"Connection": "close"}) from None
        self._left -= asyncio.get_running_loop().time() - started
        self._size += len(message.get("body", b""))
        self._whole = not message.get("more_body", False)
        if self._size > self._most:
            raise _too_large(self._most)
        return message


def _too_large(most: int) -> Problem:
    return Problem(413, "too_large", f"The body may have {most} bytes.", headers={"Connection": "close"})


class StrictRoute(APIRoute):
    """A route that reads JSON as the standard has it: no NaN or Infinity, and text that is text."""

    def get_route_handler(self) -> Callable[[Request], Coroutine[Any, Any, Response]]:
        """Wrap the handler of the base class."""
        handler = super().get_route_handler()

        async def strict(request: Request) -> Response:
            return await handler(_StrictRequest(request.scope, request.receive))

        return strict


class _StrictRequest(Request):
    async def json(self) -> Any:
        return parse(await self.body())


def parse(body: bytes) -> Any:
    """Parse JSON.

    Raises:
        Problem: it is not JSON, or holds what no JSON of ours may: numbers that are none, NUL, lone surrogates.
    """
    try:
        value = json.loads(body.decode(), parse_constant=_no_number, parse_float=_finite)
    except Problem:
        raise
    except (ValueError, RecursionError):
        raise Problem(400, "json", "The body is not JSON, or nested too deeply.") from None
    if b"\\u" in body:
        _check_texts(value)
    return value


def _no_number(_: str) -> None:
    raise Problem(400, "json", "NaN and Infinity are no JSON numbers.")


def _finite(text: str) -> float:
    value = float(text)
    if not math.isfinite(value):
        raise Problem(400, "json", "A number is too large.")
    return value


def _check_texts(value: Any) -> None:
    rest = [value]
    while rest:
        item = rest.pop()
        if isinstance(item, str):
            if "\0" in item or any("\ud800" <= character <= "\udfff" for character in item):
                raise Problem(400, "json", "A text holds NUL or a lone surrogate. Upload what is not text.")
        elif isinstance(item, list):
            rest += item
        elif isinstance(item, dict):
            rest += item.keys()
            rest += item.values()
