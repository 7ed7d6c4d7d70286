"""POST /files/compose: many files into one, copied inside the kernel; the parts are removed."""

from __future__ import annotations

import contextlib
import json
import os
import secrets
import stat
from typing import Any

from connectrpc.code import Code
from connectrpc.errors import ConnectError
from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from . import errors, paths, turns, users

MAX_BODY_BYTES = 1024 * 1024


async def compose(request: Request) -> Response:
    """Concatenate `source_paths` into `destination` and answer with its entry.

    Raises:
        ConnectError: bad body or path, a part that is missing or not a regular file, another user.
        OSError: a file cannot be written; no space.
    """
    body = await _json(request)
    sources, destination, user = body.get("source_paths"), body.get("destination"), body.get("username")
    if not isinstance(sources, list) or not sources or not all(isinstance(source, str) for source in sources):
        raise errors.invalid("source_paths must be a list of paths, and not empty")
    if not isinstance(destination, str) or not destination:
        raise errors.invalid("destination is required")
    if user is not None and not isinstance(user, str):
        raise errors.invalid("username must be a string")
    users.require(user)
    path = paths.resolve(destination)
    await turns.take(_concatenate([_part(source, path) for source in sources], path))
    return JSONResponse({"path": path, "name": os.path.basename(path), "type": "file"})


async def _json(request: Request) -> dict[str, Any]:
    data = b""
    async for chunk in request.stream():
        data += chunk
        if len(data) > MAX_BODY_BYTES:
            raise errors.invalid(f"the body is over {MAX_BODY_BYTES} bytes")
    try:
        body = json.loads(data)
    except (ValueError, RecursionError) as error:
        raise errors.invalid(f"invalid request body: {error}") from error
    if not isinstance(body, dict):
        raise errors.invalid("invalid request body: expected an object")
    return body


def _part(source: str, destination: str) -> str:
    path = paths.resolve(source)
    if path == destination:
        raise errors.invalid(f"source path '{source}' cannot be the same as destination")
    try:
        mode = os.stat(path).st_mode
    except FileNotFoundError:
        raise ConnectError(Code.NOT_FOUND, f"source file not found: {source}") from None
    if not stat.S_ISREG(mode):
        raise errors.invalid(f"source path is not a regular file: {source}")
    return path


def _concatenate(parts: list[str], path: str) -> turns.Steps[None]:
    paths.make_parents(path)
    # Renamed when complete, so that a failure leaves what was there.
    draft = f"{path}.{secrets.token_hex(8)}.tmp"
    try:
        with open(draft, "xb") as target:
            for part in parts:
                with open(part, "rb", opener=_open_nonblocking) as source:
                    yield from turns.copy_bytes(source.fileno(), target.fileno())
        os.rename(draft, path)
    except BaseException:
        with contextlib.suppress(OSError):
            os.unlink(draft)
        raise
    for part in parts:
        with contextlib.suppress(OSError):
            os.unlink(part)


def _open_nonblocking(path: str, flags: int) -> int:
    return os.open(path, flags | os.O_NONBLOCK)
