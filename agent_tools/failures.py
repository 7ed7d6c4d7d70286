"""What E2B's SDK raises, as this package's errors."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator

import e2b
import httpx
from e2b.exceptions import ServiceBusyException, is_sandbox_not_found_message

from .errors import (
    ApiKeyRejected,
    InvalidCall,
    SandboxLimitReached,
    SandboxLost,
    SandboxUnavailable,
    ServiceUnreachable,
)

SDK_ERRORS = (
    e2b.SandboxException,
    e2b.AuthenticationException,
    ServiceBusyException,
    httpx.HTTPError,
    ConnectionError,
    OSError,
)
"""All that the SDK raises when a request could not be carried out."""

_NOT_CONNECTED = "client error (Connect)"
_KILLED_DURING_REQUEST = "was killed while the request was in progress"


def is_gone(error: BaseException) -> bool:
    """True when the service says that the sandbox is not running, so that nothing of the call was carried out."""
    if isinstance(error, e2b.SandboxNotFoundException | e2b.SandboxNotRunningException):
        return True
    # `run_code` raises a plain TimeoutException for the gateway's 502.
    return isinstance(error, e2b.TimeoutException) and is_sandbox_not_found_message(str(error))


def never_sent(error: BaseException) -> bool:
    """True when there was no connection to send the request on, so that nothing of the call was carried out."""
    # The SDK raises this one for files and commands and keeps of its cause only the words, which are the HTTP client's.
    return isinstance(error, httpx.ConnectError) or (
        isinstance(error, e2b.SandboxUnreachableException) and _NOT_CONNECTED in str(error.__cause__ or "")
    )


def translated(error: BaseException, *, sandbox_id: str | None = None) -> Exception:
    """Return this package's error for one that the SDK raised, with what to do about it."""
    text = str(error) or type(error).__name__
    if isinstance(error, e2b.AuthenticationException):
        return ApiKeyRejected(
            "the sandbox service does not accept the API key. Check E2B_API_KEY (E2B's dashboard shows your keys), or "
            "unset it to use this machine's own sandboxes"
        )
    if isinstance(error, e2b.RateLimitException | ServiceBusyException):
        return SandboxLimitReached(f"there is no room for one more sandbox: {text}. End some, or try again later")
    if isinstance(error, e2b.NotEnoughSpaceException):
        return InvalidCall(f"the sandbox's disk is full: {text}. Delete files that are not needed", rule="disk.full")
    if is_gone(error) or _KILLED_DURING_REQUEST in text:
        return SandboxLost(
            f"the sandbox {sandbox_id or ''} ended during the call (it was killed, or its time was over); "
            "its variables and files are gone. The next call gets a new sandbox"
        )
    if isinstance(error, e2b.InvalidArgumentException):
        return InvalidCall(text, rule="argument.invalid")
    if isinstance(error, e2b.SandboxUnreachableException | httpx.TransportError | OSError):
        return ServiceUnreachable(
            f"the sandbox service does not answer: {text}. Check the network, or, for the embedded server, run "
            "'python -m sandbox_server status'"
        )
    return SandboxUnavailable(f"the sandbox service could not do this: {text}")


@contextlib.contextmanager
def translating(sandbox_id: str | None = None) -> Iterator[None]:
    """Raise what the SDK raises inside as this package's errors."""
    try:
        yield
    except SDK_ERRORS as error:
        raise translated(error, sandbox_id=sandbox_id) from error
