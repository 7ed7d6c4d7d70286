"""Who a request acts as: a sandbox has one user, and no root."""

from __future__ import annotations

import base64
import binascii

from connectrpc.code import Code
from connectrpc.errors import ConnectError

USER = "user"
NO_ROOT = (
    "this sandbox has no root and no sudo: install packages with pip or npm, "
    "or add what is missing to the template file that the sandbox is built from"
)


def require(name: str | None) -> None:
    """Accept the sandbox's user, by name or by silence.

    Raises:
        ConnectError: unauthenticated, for any other user.
    """
    if name == "root":
        raise ConnectError(Code.UNAUTHENTICATED, NO_ROOT)
    if name and name != USER:
        raise ConnectError(Code.UNAUTHENTICATED, f"invalid username: '{name}'; the only user is '{USER}': {NO_ROOT}")


def from_basic_auth(header: str | None) -> str | None:
    """Return the user that an Authorization header names; the SDK sends `Basic base64("name:")`.

    Raises:
        ConnectError: unauthenticated, when a basic header cannot be read.
    """
    scheme, _, encoded = (header or "").partition(" ")
    if scheme.lower() != "basic":
        return None
    try:
        return base64.b64decode(encoded, validate=True).decode().partition(":")[0]
    except (binascii.Error, UnicodeDecodeError) as error:
        raise ConnectError(Code.UNAUTHENTICATED, "the basic authorization header cannot be read") from error
