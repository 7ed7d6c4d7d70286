"""One map from what the system refused to what a client is told: Connect codes, and HTTP statuses of plain routes."""

from __future__ import annotations

import errno
import os

from connectrpc.code import Code
from connectrpc.errors import ConnectError
from starlette.responses import JSONResponse

_CODES = {
    errno.ENOENT: Code.NOT_FOUND,
    errno.ESRCH: Code.NOT_FOUND,
    errno.EEXIST: Code.ALREADY_EXISTS,
    errno.EACCES: Code.PERMISSION_DENIED,
    errno.EPERM: Code.PERMISSION_DENIED,
    errno.EROFS: Code.PERMISSION_DENIED,
    errno.ENOTEMPTY: Code.FAILED_PRECONDITION,
    errno.EBUSY: Code.FAILED_PRECONDITION,
    errno.ETXTBSY: Code.FAILED_PRECONDITION,
    errno.EPIPE: Code.FAILED_PRECONDITION,
    errno.EIO: Code.FAILED_PRECONDITION,
    errno.ENOSPC: Code.RESOURCE_EXHAUSTED,
    errno.EDQUOT: Code.RESOURCE_EXHAUSTED,
    errno.EFBIG: Code.RESOURCE_EXHAUSTED,
    errno.EMFILE: Code.RESOURCE_EXHAUSTED,
    errno.ENFILE: Code.RESOURCE_EXHAUSTED,
    errno.EAGAIN: Code.RESOURCE_EXHAUSTED,
    errno.ENOMEM: Code.RESOURCE_EXHAUSTED,
}

_STATUSES = {
    Code.UNAUTHENTICATED: 401,
    Code.PERMISSION_DENIED: 403,
    Code.NOT_FOUND: 404,
    Code.ALREADY_EXISTS: 409,
    Code.FAILED_PRECONDITION: 409,
    # The SDK reads 507 as "not enough space", by far the most frequent reason here.
    Code.RESOURCE_EXHAUSTED: 507,
}

_NO_SPACE = {errno.ENOSPC, errno.EDQUOT}


def from_os(error: OSError) -> ConnectError:
    """Return the Connect error for a failed system call; what the map does not name is the caller's bad argument."""
    number = error.errno or errno.EINVAL
    message = os.strerror(number).lower()
    if number in _NO_SPACE:
        message = "not enough disk space available"
    if isinstance(error.filename, str):
        message += f": '{printable(error.filename)}'"
    return ConnectError(_CODES.get(number, Code.INVALID_ARGUMENT), message)


def invalid(message: str) -> ConnectError:
    """Return the error for an argument that can never work."""
    return ConnectError(Code.INVALID_ARGUMENT, message)


def response(error: ConnectError) -> JSONResponse:
    """Return the error as a plain route answers it."""
    return plain(_STATUSES.get(error.code, 400), error.message)


def plain(status: int, message: str) -> JSONResponse:
    """Return an error body in envd's shape: `{"message": ..., "code": status}`."""
    return JSONResponse({"message": message, "code": status}, status)


def printable(name: str) -> str:
    """Return a file name as UTF-8 can carry it: Linux names are bytes, and others' bytes become U+FFFD."""
    return name.encode("utf-8", "surrogateescape").decode("utf-8", "replace")
