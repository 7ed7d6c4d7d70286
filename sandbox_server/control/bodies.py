"""Reading request bodies and query values: whatever is wrong with them is a 400 that says what."""

from __future__ import annotations

import json
from datetime import datetime
from typing import Any, NoReturn, TypeVar
from urllib.parse import parse_qsl, unquote

from pydantic import BaseModel
from starlette.requests import Request

from .errors import ApiError

_MAX_BYTES = 1024 * 1024
_Model = TypeVar("_Model", bound=BaseModel)


async def read(request: Request, model: type[_Model]) -> _Model:
    """Read a JSON body as a model; an empty one as the model's defaults.

    Raises:
        ApiError: 400 or 413.
        pydantic.ValidationError: a field is wrong.
    """
    data = b""
    async for chunk in request.stream():
        data += chunk
        if len(data) > _MAX_BYTES:
            raise ApiError(413, f"the request body is over {_MAX_BYTES} bytes")
    return model.model_validate(_parse(data) if data else {})


def _parse(data: bytes) -> Any:
    try:
        value = json.loads(data, parse_constant=_no_constant)
        # Lone surrogates parse, but no UTF-8 text can carry them on.
        json.dumps(value, ensure_ascii=False).encode()
    except (ValueError, RecursionError) as error:
        raise ApiError(400, "the request body is not valid JSON") from error
    return value


def _no_constant(name: str) -> NoReturn:
    raise ValueError(f"{name} is not JSON")


def metadata_filter(request: Request) -> dict[str, str]:
    """Read the query value `metadata`, itself a query string: "user=abc&app=prod".

    E2B's SDKs quote names and values before they make that string of them, so they are unquoted once more.
    """
    pairs = parse_qsl(request.query_params.get("metadata", ""), keep_blank_values=True)
    return {unquote(name): unquote(value) for name, value in pairs}


def integer(request: Request, name: str, default: int | None, low: int, high: int) -> int | None:
    """Read a whole number from the query. Raises ApiError."""
    text = request.query_params.get(name)
    if not text:
        return default
    if not (text.isascii() and text.isdigit() and len(text) < 16 and low <= int(text) <= high):
        raise ApiError(400, f"{name}: a whole number from {low} to {high} is expected")
    return int(text)


def time(request: Request, name: str) -> datetime | None:
    """Read an ISO time with an offset from the query. Raises ApiError."""
    text = request.query_params.get(name)
    if not text:
        return None
    try:
        # A "+" that was not escaped arrives as a space.
        at = datetime.fromisoformat(text.replace(" ", "+"))
    except ValueError:
        raise ApiError(400, f"{name}: an ISO 8601 time is expected") from None
    if at.tzinfo is None:
        raise ApiError(400, f"{name}: the time needs an offset, such as Z")
    return at
