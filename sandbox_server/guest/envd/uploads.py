"""POST /files: bytes into files, streamed; one raw file, or several as multipart/form-data."""

from __future__ import annotations

import asyncio
import contextlib
import os
import stat
import zlib
from collections.abc import AsyncIterator, Iterator
from typing import Any

from connectrpc.code import Code
from connectrpc.errors import ConnectError
from python_multipart.exceptions import FormParserError
from python_multipart.multipart import MultipartParser, parse_options_header
from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from . import errors, metadata, paths, users

MAX_INFLATED_BYTES = 1024 * 1024 * 1024
"""What a gzip body may become: ten megabytes of it can hold ten gigabytes."""
_INFLATE_BYTES = 256 * 1024
_MAX_HEADER_BYTES = 16 * 1024


class TooLarge(Exception):
    """The body is over the limit once it is inflated."""


class Upload:
    """A file being written. Its folders are made; an existing file is replaced in place, links to it stay."""

    def __init__(self, path: str, kept: dict[str, str]) -> None:
        """Open it.

        Raises:
            ConnectError: it is a folder or a special file.
            OSError: it cannot be opened.
        """
        self.path = path
        self._metadata = kept
        if os.path.isdir(path):
            raise errors.invalid(f"path is a directory: {path}")
        paths.make_parents(path)
        flags = os.O_WRONLY | os.O_NONBLOCK | os.O_CLOEXEC
        try:
            self._fd = os.open(path, flags | os.O_CREAT | os.O_EXCL, 0o644)
            self._is_new = True
            os.fchmod(self._fd, 0o644)
        except FileExistsError:
            # O_CREAT again: a symbolic link to nothing is there, but its target is not.
            self._fd = os.open(path, flags | os.O_CREAT, 0o644)
            self._is_new = False
        if not stat.S_ISREG(os.fstat(self._fd).st_mode):
            os.close(self._fd)
            raise errors.invalid(f"path '{path}' is not a regular file")
        if not self._is_new:
            os.ftruncate(self._fd, 0)

    def write(self, data: bytes | memoryview) -> None:
        """Append. Raises OSError."""
        while data:
            data = memoryview(data)[os.write(self._fd, data) :]

    def finish(self) -> dict[str, Any]:
        """Set the metadata, close, and return E2B's entry for it. Raises as `metadata.replace`."""
        metadata.replace(self._fd, self._metadata)
        os.close(self._fd)
        entry = {"path": self.path, "name": os.path.basename(self.path), "type": "file"}
        return entry | ({"metadata": self._metadata} if self._metadata else {})

    def abandon(self) -> None:
        """Close it and remove what was new."""
        os.close(self._fd)
        if self._is_new:
            with contextlib.suppress(OSError):
                os.unlink(self.path)


class _Form:
    """Receives a multipart body: every part named "file" becomes an upload."""

    def __init__(self, boundary: bytes, only_path: str | None, kept: dict[str, str]) -> None:
        self._only_path = only_path
        self._metadata = kept
        self._headers: dict[bytes, bytes] = {}
        self._field = b""
        self._value = b""
        self._header_bytes = 0
        self.current: Upload | None = None
        self.done: list[dict[str, Any]] = []
        self.parser = MultipartParser(
            boundary,
            {
                "on_part_begin": self._on_part_begin,
                "on_header_field": self._on_header_field,
                "on_header_value": self._on_header_value,
                "on_header_end": self._on_header_end,
                "on_headers_finished": self._on_headers_finished,
                "on_part_data": self._on_part_data,
                "on_part_end": self._on_part_end,
            },
        )

    def _on_part_begin(self) -> None:
        self._headers = {}
        self._header_bytes = 0

    def _on_header_field(self, data: bytes, start: int, end: int) -> None:
        self._count_header(end - start)
        self._field += data[start:end]

    def _on_header_value(self, data: bytes, start: int, end: int) -> None:
        self._count_header(end - start)
        self._value += data[start:end]

    def _count_header(self, size: int) -> None:
        self._header_bytes += size
        if self._header_bytes > _MAX_HEADER_BYTES:
            raise errors.invalid(f"the headers of a part are over {_MAX_HEADER_BYTES} bytes")

    def _on_header_end(self) -> None:
        self._headers[self._field.lower()] = self._value
        self._field = self._value = b""

    def _on_headers_finished(self) -> None:
        _, options = parse_options_header(self._headers.get(b"content-disposition", b""))
        if options.get(b"name") != b"file":
            return
        try:
            name = self._only_path if self._only_path is not None else options.get(b"filename", b"").decode()
        except UnicodeDecodeError as error:
            raise errors.invalid("a file name must be valid UTF-8") from error
        path = paths.resolve(name)
        if any(entry["path"] == path for entry in self.done):
            message = f"you cannot upload multiple files to the same path '{path}' in one upload request"
            raise errors.invalid(f"{message}: only the first was uploaded")
        self.current = Upload(path, self._metadata)

    def _on_part_data(self, data: bytes, start: int, end: int) -> None:
        if self.current is not None:
            self.current.write(memoryview(data)[start:end])

    def _on_part_end(self) -> None:
        if self.current is not None:
            self.done.append(self.current.finish())
            self.current = None


async def upload(request: Request) -> Response:
    """Write the body and answer with a list of entries.

    Raises:
        ConnectError: bad path, metadata, encoding or form; another user; the client went away.
        OSError: a file cannot be written; no space.
    """
    users.require(request.query_params.get("username"))
    kept = metadata.from_headers(request.headers.raw)
    body = _inflated(_body(request), request.headers.get("content-encoding", ""))
    content_type, options = parse_options_header(request.headers.get("content-type", ""))
    path = request.query_params.get("path")
    try:
        if content_type == b"application/octet-stream":
            if not path:
                raise errors.invalid("the 'path' query parameter is required for an octet-stream upload")
            return JSONResponse([await _receive_raw(body, paths.resolve(path), kept)])
        # RFC 2046: a boundary has at most 70 characters.
        if content_type == b"multipart/form-data" and 0 < len(options.get(b"boundary", b"")) <= 70:
            return JSONResponse(await _receive_form(body, _Form(options[b"boundary"], path, kept)))
    except TooLarge as error:
        return errors.plain(413, str(error))
    message = "unsupported content type: expected multipart/form-data with a boundary, or application/octet-stream"
    raise errors.invalid(message)


async def _receive_raw(body: AsyncIterator[bytes], path: str, kept: dict[str, str]) -> dict[str, Any]:
    target = Upload(path, kept)
    try:
        async for data in body:
            target.write(data)
        return target.finish()
    except BaseException:
        target.abandon()
        raise


async def _receive_form(body: AsyncIterator[bytes], form: _Form) -> list[dict[str, Any]]:
    try:
        async for data in body:
            form.parser.write(data)
        form.parser.finalize()
        if form.current is not None:
            raise errors.invalid("the multipart body ends within a part")
    except FormParserError as error:
        raise errors.invalid(f"the multipart body cannot be read: {error}") from error
    finally:
        if form.current is not None:
            form.current.abandon()
    return form.done


async def _body(request: Request) -> AsyncIterator[bytes]:
    while True:
        message = await request.receive()
        if message["type"] == "http.disconnect":
            raise ConnectError(Code.CANCELED, "the client went away before the end of the body")
        if data := message.get("body", b""):
            yield data
        if not message.get("more_body", False):
            return


class _Inflater:
    """Undoes gzip, a bounded piece at a time."""

    def __init__(self) -> None:
        self._stream = zlib.decompressobj(wbits=31)
        self._total_bytes = 0

    def feed(self, data: bytes) -> Iterator[bytes]:
        """Yield what comes out. Raises TooLarge, or zlib.error for what is no gzip."""
        while data:
            if self._stream.eof:
                self._stream = zlib.decompressobj(wbits=31)  # Gzip files may be concatenated.
            piece = self._stream.decompress(data, _INFLATE_BYTES)
            data = self._stream.unused_data if self._stream.eof else self._stream.unconsumed_tail
            self._total_bytes += len(piece)
            if self._total_bytes > MAX_INFLATED_BYTES:
                raise TooLarge(f"the inflated body is over the limit of {MAX_INFLATED_BYTES} bytes")
            yield piece

    def finish(self) -> None:
        """Raise zlib.error when the end is missing."""
        if not self._stream.eof:
            raise zlib.error("unexpected end of the gzip stream")


async def _inflated(body: AsyncIterator[bytes], encoding: str) -> AsyncIterator[bytes]:
    """Undo the body's encoding.

    Raises:
        ConnectError: invalid argument, for other encodings and broken gzip.
        TooLarge: over `MAX_INFLATED_BYTES`.
    """
    encoding = encoding.strip().lower()
    if encoding not in ("", "identity", "gzip"):
        raise errors.invalid(f"unsupported Content-Encoding '{encoding}', supported: [identity, gzip]")
    inflater = _Inflater()
    try:
        async for data in body:
            if encoding != "gzip":
                yield data
                continue
            for piece in inflater.feed(data):
                yield piece
                await asyncio.sleep(0)  # A bomb is a lot of work on little input: others get their turn.
        if encoding == "gzip":
            inflater.finish()
    except zlib.error as error:
        raise errors.invalid(f"error decompressing request body: {error}") from error
