"""The JSON bodies of the code interpreter's requests, checked by hand: nothing in them may end in a 500."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Any

from ..config import HOME
from . import languages

MAX_BODY_BYTES = 32 * 1024 * 1024


class BadRequest(ValueError):
    """The body is not what the route takes; the message says what is wrong."""


class ClientGone(ConnectionError):
    """The client left before its request was complete."""


@dataclass(frozen=True, slots=True)
class Execution:
    """The body of POST /execute."""

    code: str
    context_id: str | None
    language: str | None
    """Canonical; None when the request names none."""
    env_vars: dict[str, str]


@dataclass(frozen=True, slots=True)
class NewContext:
    """The body of POST /contexts."""

    language: str
    cwd: str


async def body(receive: Any) -> bytes:
    """Read the body of an ASGI request.

    Raises:
        BadRequest: it is over `MAX_BODY_BYTES`.
        ClientGone: it never came.
    """
    parts = []
    size = 0
    while True:
        message = await receive()
        if message["type"] == "http.disconnect":
            raise ClientGone
        parts.append(message.get("body", b""))
        size += len(parts[-1])
        if size > MAX_BODY_BYTES:
            raise BadRequest(f"the body is over {MAX_BODY_BYTES} bytes: write large data to a file first")
        if not message.get("more_body", False):
            return b"".join(parts)


def execution(body: bytes) -> Execution:
    """Parse the body of POST /execute.

    Raises:
        BadRequest: it is malformed.
        UnknownLanguage: the language does not exist.
    """
    data = _object(body)
    code = _text(data, "code")
    if code is None:
        raise BadRequest("'code' is missing")
    context_id, language = _text(data, "context_id"), _text(data, "language")
    if context_id and language:
        raise BadRequest("Only one of context_id or language can be provided")
    return Execution(
        code, context_id or None, languages.canonical(language) if language else None, _env_vars(data.get("env_vars"))
    )


def new_context(body: bytes) -> NewContext:
    """Parse the body of POST /contexts.

    Raises:
        BadRequest: it is malformed.
        UnknownLanguage: the language does not exist.
    """
    data = _object(body or b"{}")
    cwd = _text(data, "cwd") or HOME
    if not cwd.startswith("/") or "\0" in cwd:
        raise BadRequest("'cwd' must be an absolute path")
    return NewContext(languages.canonical(_text(data, "language")), cwd)


def _object(body: bytes) -> dict[str, Any]:
    try:
        data = json.loads(body, parse_constant=_no_constant)
    except (ValueError, RecursionError) as error:
        raise BadRequest(f"the body is not JSON: {error}") from error
    if not isinstance(data, dict):
        raise BadRequest("the body must be a JSON object")
    return data


def _no_constant(name: str) -> None:
    raise ValueError(f"{name} is not JSON")


def _text(data: dict[str, Any], key: str) -> str | None:
    value = data.get(key)
    if value is None:
        return None
    if not isinstance(value, str):
        raise BadRequest(f"{key!r} must be a string")
    return _unicode(value, key)


def _unicode(value: str, key: str) -> str:
    try:
        value.encode()
    except UnicodeEncodeError as error:
        raise BadRequest(f"{key!r} contains a lone surrogate, which is not Unicode text") from error
    return value


def _env_vars(value: Any) -> dict[str, str]:
    if value is None:
        return {}
    if not isinstance(value, dict):
        raise BadRequest("'env_vars' must be an object")
    for name, content in value.items():
        if not isinstance(content, str):
            raise BadRequest(f"the value of environment variable {name!r} must be a string")
        if not name or "=" in name or "\0" in name or "\0" in content:
            raise BadRequest(f"{name!r} is no environment variable: names have no '=', and there is no NUL")
        _unicode(name, "env_vars")
        _unicode(content, "env_vars")
    return value
