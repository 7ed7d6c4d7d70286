"""A file's metadata: a map of strings, kept as extended attributes `user.e2b.KEY`.

Limits are E2B's: printable ASCII, keys of at most 246 bytes (255 is Linux's bound for a name, prefix included), and
4096 bytes for all of a file's metadata, the prefix counted for each key.
"""

from __future__ import annotations

import errno
import os
from collections.abc import Iterable

from connectrpc.code import Code
from connectrpc.errors import ConnectError

from . import errors

PREFIX = "user.e2b."
HEADER_PREFIX = b"x-metadata-"
MAX_KEY_BYTES = 246
MAX_TOTAL_BYTES = 4096


def from_headers(headers: Iterable[tuple[bytes, bytes]]) -> dict[str, str]:
    """Return the metadata that an upload's `X-Metadata-KEY: value` headers carry (lower-case names, as ASGI has them).

    Raises:
        ConnectError: invalid argument, outside the limits above.
    """
    found: dict[str, str] = {}
    for name, value in headers:
        key = name.removeprefix(HEADER_PREFIX).decode("latin-1")
        if name.startswith(HEADER_PREFIX) and key:
            found.setdefault(key, value.decode("latin-1"))
    for key, text in found.items():
        if not (_is_plain(key) and _is_plain(text)):
            raise errors.invalid(f"invalid metadata: key and value of '{key}' must be printable US-ASCII")
        if len(key) > MAX_KEY_BYTES:
            raise errors.invalid(f"invalid metadata: a key is over {MAX_KEY_BYTES} bytes")
    if sum(len(PREFIX) + len(key) + len(text) for key, text in found.items()) > MAX_TOTAL_BYTES:
        raise errors.invalid(f"invalid metadata: more than {MAX_TOTAL_BYTES} bytes in all")
    return found


def read(path: str) -> dict[str, str]:
    """Return a file's metadata; empty where there is none or the file system keeps none."""
    try:
        names = [name for name in os.listxattr(path) if name.startswith(PREFIX)]
        return {
            errors.printable(name.removeprefix(PREFIX)): os.getxattr(path, name).decode("utf-8", "replace")
            for name in names
        }
    except OSError:
        return {}


def replace(fd: int, wanted: dict[str, str]) -> None:
    """Make `wanted` the open file's whole metadata.

    Raises:
        ConnectError: failed precondition, where the file system keeps none and some was asked for.
        OSError: no space for it.
    """
    try:
        for name in os.listxattr(fd):
            if name.startswith(PREFIX) and name.removeprefix(PREFIX) not in wanted:
                os.removexattr(fd, name)
        for key, text in wanted.items():
            os.setxattr(fd, PREFIX + key, text.encode())
    except OSError as error:
        if error.errno != errno.ENOTSUP:
            raise
        if wanted:
            message = "this file system keeps no metadata (Linux has it for tmpfs since 6.6): write the file without"
            raise ConnectError(Code.FAILED_PRECONDITION, message) from error


def _is_plain(text: str) -> bool:
    return text.isascii() and text.isprintable()
