"""What both Connect services share below their verbs: strict decoding, the user check, the error map, time limits."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import Any, TypeVar

from connectrpc.code import Code
from connectrpc.codec import Codec, proto_binary_codec, proto_json_codec
from connectrpc.errors import ConnectError
from connectrpc.request import RequestContext
from protobuf import Oneof

from . import errors, users

READ_MAX_BYTES = 16 * 1024 * 1024
"""Bound of one request message; input to a process is base64 inside it."""
DEFAULT_KEEPALIVE_S = 90

Req = TypeVar("Req")
Res = TypeVar("Res")
Context = RequestContext[Any, Any]


class _StrictCodec:
    """A codec whose decoding errors are the client's: connectrpc would answer 500 for them."""

    def __init__(self, codec: Codec[Any, Any]) -> None:
        self._codec = codec

    def name(self) -> str:
        return self._codec.name()

    def encode(self, message: Any) -> bytes:
        return self._codec.encode(message)

    def decode(self, data: bytes | bytearray, message_class: type[Any]) -> Any:
        try:
            return self._codec.decode(data, message_class)
        except (ValueError, TypeError, OverflowError, RecursionError) as error:
            raise errors.invalid(f"the message cannot be decoded: {error}") from error


class _Guard:
    """Runs around every call: refuses other users, and tells failed system calls apart."""

    async def intercept_unary(
        self, call_next: Callable[[Req, Context], Awaitable[Res]], request: Req, ctx: Context, /
    ) -> Res:
        users.require(users.from_basic_auth(ctx.request_headers.get("authorization")))
        try:
            return await call_next(request, ctx)
        except (OSError, RecursionError) as error:
            raise _refusal(error) from error

    intercept_client_stream = intercept_unary

    async def intercept_server_stream(
        self, call_next: Callable[[Req, Context], AsyncIterator[Res]], request: Req, ctx: Context, /
    ) -> AsyncIterator[Res]:
        users.require(users.from_basic_auth(ctx.request_headers.get("authorization")))
        stream = call_next(request, ctx)
        try:
            async for message in stream:
                yield message
        except (OSError, RecursionError) as error:
            raise _refusal(error) from error
        finally:
            await stream.aclose()  # type: ignore[attr-defined]  # the verbs are async generators


def _refusal(error: OSError | RecursionError) -> ConnectError:
    if isinstance(error, OSError):
        return errors.from_os(error)
    return errors.invalid("the folders are nested too deeply: use a command such as 'find' or 'rm -r'")


def options() -> dict[str, Any]:
    """Return the arguments that both ASGI applications are made with.

    No compression: the SDKs never use it, and a compressed body is a bomb to defuse.
    """
    return {
        "interceptors": [_Guard()],
        "read_max_bytes": READ_MAX_BYTES,
        "compressions": (),
        "codecs": [_StrictCodec(proto_json_codec()), _StrictCodec(proto_binary_codec())],
    }


def one_of(field: str, value: object) -> Any:
    """Return a oneof's value; untyped, as mypy does not infer its literal name through the message's union."""
    return Oneof(field, value)


def deadline_exceeded() -> ConnectError:
    """Return the error for a call whose Connect-Timeout-Ms has passed."""
    return ConnectError(Code.DEADLINE_EXCEEDED, "the call's timeout has passed")


def seconds_left(ctx: Context) -> float | None:
    """Return how long the caller still waits; None when it set no timeout.

    Raises:
        ConnectError: deadline exceeded.
    """
    if ctx.timeout_ms is None:
        return None
    if ctx.timeout_ms <= 0:
        raise deadline_exceeded()
    return ctx.timeout_ms / 1000


@asynccontextmanager
async def time_limit(ctx: Context) -> AsyncIterator[None]:
    """Bound a block by the caller's timeout.

    Raises:
        ConnectError: deadline exceeded.
    """
    try:
        async with asyncio.timeout(seconds_left(ctx)):
            yield
    except TimeoutError as error:
        raise deadline_exceeded() from error


class Pulse:
    """When a stream that has nothing to say must speak or end: keepalives, and the caller's timeout."""

    def __init__(self, ctx: Context) -> None:
        self._ctx = ctx
        try:
            wanted_s = int(ctx.request_headers.get("keepalive-ping-interval", ""))
        except ValueError:
            wanted_s = DEFAULT_KEEPALIVE_S
        self._interval_s = min(max(wanted_s, 1), DEFAULT_KEEPALIVE_S)

    async def wait(self, ready: Awaitable[None]) -> bool:
        """Wait until there is something to say; False (and `ready` cancelled) means that a keepalive is due.

        Raises:
            ConnectError: deadline exceeded.
        """
        left_s = seconds_left(self._ctx)
        try:
            async with asyncio.timeout(self._interval_s if left_s is None else min(left_s, self._interval_s)):
                await ready
        except TimeoutError:
            seconds_left(self._ctx)
            return False
        return True
