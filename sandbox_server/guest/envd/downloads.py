"""GET /files: a file's bytes, streamed; ranges and gzip."""

from __future__ import annotations

import asyncio
import mimetypes
import os
import re
import stat
import zlib
from collections.abc import AsyncIterator
from email.utils import formatdate
from io import FileIO
from urllib.parse import quote

from connectrpc.code import Code
from connectrpc.errors import ConnectError
from starlette.requests import Request
from starlette.responses import Response, StreamingResponse

from . import errors, paths, users

CHUNK_BYTES = 256 * 1024
"""Large enough to be fast, small enough that other requests get their turn between two."""
_TYPES = mimetypes.MimeTypes()
"""Reads the system's tables now, in the template, and not in every sandbox."""
_RANGE = re.compile(r"bytes=(\d*)-(\d*)", re.ASCII)


async def download(request: Request) -> Response:
    """Answer with the file that `?path=` names.

    Raises:
        ConnectError: not found, not a regular file, another user.
        OSError: it cannot be opened.
    """
    users.require(request.query_params.get("username"))
    path = paths.resolve(request.query_params.get("path", ""))
    encoding = _encoding(request.headers.get("accept-encoding", ""))
    file, status = _open(path)
    headers = {
        "content-disposition": f"inline; {_filename(os.path.basename(path))}",
        "content-type": _TYPES.guess_type(path)[0] or "application/octet-stream",
        "last-modified": formatdate(status.st_mtime, usegmt=True),
        "accept-ranges": "bytes",
        "vary": "Accept-Encoding",
    }
    if (asked := request.headers.get("range")) and (span := _RANGE.fullmatch(asked)):
        first, last = _bounds(span, status.st_size)
        if first > last:
            file.close()
            return Response(status_code=416, headers={"content-range": f"bytes */{status.st_size}"})
        headers |= {"content-range": f"bytes {first}-{last}/{status.st_size}", "content-length": str(last + 1 - first)}
        return StreamingResponse(_read(file, first, last + 1), 206, headers)
    if encoding == "gzip":
        headers["content-encoding"] = "gzip"
        return StreamingResponse(_gzip(_read(file, 0, status.st_size)), headers=headers)
    headers["content-length"] = str(status.st_size)
    return StreamingResponse(_read(file, 0, status.st_size), headers=headers)


def _open(path: str) -> tuple[FileIO, os.stat_result]:
    if os.path.isdir(path):
        raise errors.invalid(f"path '{path}' is a directory")
    try:
        # O_NONBLOCK: opening a FIFO must not wait for its writer.
        file = FileIO(path, opener=lambda name, flags: os.open(name, flags | os.O_NONBLOCK))
    except FileNotFoundError as error:
        raise ConnectError(Code.NOT_FOUND, f"path '{path}' does not exist") from error
    status = os.fstat(file.fileno())
    if not stat.S_ISREG(status.st_mode):
        file.close()
        raise errors.invalid(f"path '{path}' is not a regular file")
    return file, status


def _encoding(accepted: str) -> str:
    """Return "gzip" when the client asks for it alone; "" for the plain bytes.

    HTTP clients list gzip among others by default, meaning only that they can take it; on a connection within one
    machine that would cost more than it saves. The SDK's `gzip=True` sends nothing but `gzip`.

    Raises:
        ConnectError: invalid argument, when neither is acceptable.
    """
    names = [item.partition(";")[0].strip().lower() for item in accepted.split(",")]
    refused = {
        item.partition(";")[0].strip().lower() for item in accepted.split(",") if re.search(r";\s*q=0(\.0*)?\s*$", item)
    }
    if names == ["gzip"] and not refused:
        return "gzip"
    if "identity" in refused or ("*" in refused and "identity" not in names):
        if "gzip" in names and "gzip" not in refused:
            return "gzip"
        raise ConnectError(Code.UNIMPLEMENTED, "no acceptable encoding found, supported: [identity, gzip]")
    return ""


def _filename(name: str) -> str:
    """Return the parameter of Content-Disposition: quoted where that is safe, else as RFC 5987 encodes it."""
    if name.isascii() and name.isprintable() and not set(name) & {'"', "\\"}:
        return f'filename="{name}"'
    return f"filename*=utf-8''{quote(errors.printable(name))}"


def _bounds(span: re.Match[str], size: int) -> tuple[int, int]:
    """Return the first and last byte of `bytes=first-last`, `first-` or `-count`; first > last: outside the file."""
    first, last = span.groups()
    if not first:
        return (max(size - int(last), 0), size - 1) if last and int(last) else (1, 0)
    return int(first), min(int(last), size - 1) if last else size - 1


async def _read(file: FileIO, start: int, end: int) -> AsyncIterator[bytes]:
    """Yield exactly that part of the file; a file that shrinks meanwhile ends the connection."""
    with file:
        file.seek(start)
        while start < end:
            data = file.read(min(CHUNK_BYTES, end - start))
            if not data:
                raise EOFError("the file shrank while it was read")
            yield data
            start += len(data)
            await asyncio.sleep(0)  # A fast client never makes the sending wait; others get their turn here.


async def _gzip(plain: AsyncIterator[bytes]) -> AsyncIterator[bytes]:
    compressor = zlib.compressobj(1, wbits=31)
    async for data in plain:
        yield compressor.compress(data)
    yield compressor.flush()
