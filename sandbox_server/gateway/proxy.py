"""Requests for sandboxes: find the sandbox, check the token, stream both ways."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Awaitable, Callable
from contextlib import suppress
from typing import Any

from ..sandboxes.registry import NoSuchSandbox, Sandboxes, WrongState
from ..sandboxes.sandbox import Sandbox, State
from .access import ENVD_PORT, INTERPRETER_PORT, BadTarget, Denied, Target, check, find_target, signed_with
from .upstream import Header, Upstream, UpstreamError

Scope = dict[str, Any]
Receive = Callable[[], Awaitable[dict[str, Any]]]
Send = Callable[[dict[str, Any]], Awaitable[None]]

GUEST_PORTS = frozenset({ENVD_PORT, INTERPRETER_PORT})
DROP = "sandloop.drop"
"""Where the server's protocol leaves a function that breaks the client's connection."""
_HOP_BY_HOP = frozenset({b"connection", b"keep-alive", b"proxy-connection", b"te", b"trailer", b"upgrade"})
_NOT_PASSED_ON = _HOP_BY_HOP | {b"e2b-sandbox-port", b"x-api-key", b"e2b-traffic-access-token"}
"""Secrets end here: kernels are forks of the guest, so what it was told is in their memory."""
_NOT_FOR_GUESTS = _NOT_PASSED_ON | {b"x-access-token"}
_MAX_IDLE = 8
_LATE_BODY_SECONDS = 1.0
_RESUME_TIMEOUT_S = 300
"""How long a sandbox that a request woke up lives, as after a connect call without a time."""


class Refused(Exception):
    """The request gets this answer instead of the sandbox's."""

    def __init__(self, status: int, message: str, sandbox_id: str = "") -> None:
        super().__init__(message)
        self.status = status
        self.body: dict[str, object] = {"code": status, "message": message}
        if sandbox_id:
            self.body["sandboxId"] = sandbox_id


class Gateway:
    """Routes requests into sandboxes; an ASGI application once the target is known."""

    def __init__(self, sandboxes: Sandboxes) -> None:
        self._sandboxes = sandboxes
        self._idle: dict[str, list[Upstream]] = {}

    async def admit(self, target: Target, method: str, path: str, headers: dict[bytes, bytes], query: bytes) -> Sandbox:
        """Return the running sandbox of a request that may pass. Raises Refused."""
        try:
            sandbox = self._sandboxes.get(target.sandbox_id)
        except NoSuchSandbox:
            raise _not_found(target) from None
        try:
            check(sandbox.access, target.port, method, path, headers, query)
        except Denied as error:
            raise Refused(401, str(error)) from None
        if sandbox.state is State.PAUSED:
            if not sandbox.lease.auto_resume:
                raise _not_found(target)
            try:
                await self._sandboxes.resume(sandbox.id, _RESUME_TIMEOUT_S)
            except WrongState:
                pass  # Another request woke it meanwhile.
            except NoSuchSandbox:
                raise _not_found(target) from None
            except OSError as error:
                raise Refused(502, f"the sandbox could not be resumed: {error}", sandbox.id) from error
        return sandbox

    async def connect(self, sandbox: Sandbox, port: int) -> Upstream:
        """Return a connection to a port of it. Raises Refused."""
        try:
            if port in GUEST_PORTS:
                return await self._connect_guest(sandbox)
            stream = await sandbox.channel.dial(port)
        except OSError as error:  # The guest is gone, or the server has no descriptor left.
            if isinstance(error.__cause__, ConnectionError):
                raise _not_found(Target(sandbox.id, port)) from error  # Its channel is closed: it is ending.
            raise Refused(502, str(error), sandbox.id) from error
        if stream is None:
            raise Refused(502, "The sandbox is running but port is not open", sandbox.id)
        return await Upstream.over(stream)

    async def _connect_guest(self, sandbox: Sandbox) -> Upstream:
        idle = self._idle.get(sandbox.id, [])
        while idle:
            connection = idle.pop()
            if connection.reusable:
                return connection
        return await Upstream.over(sandbox.channel.open_http())

    def _give_back(self, sandbox: Sandbox, port: int, connection: Upstream) -> None:
        if not (connection.reusable and port in GUEST_PORTS and self._has(sandbox)):
            connection.close()
            return
        if sandbox.id not in self._idle:
            self._idle[sandbox.id] = []
            sandbox.on_end.append(lambda: self._drop(sandbox.id))
        idle = self._idle[sandbox.id]
        if len(idle) < _MAX_IDLE:
            idle.append(connection)
        else:
            connection.close()

    def _drop(self, sandbox_id: str) -> None:
        for connection in self._idle.pop(sandbox_id, []):
            connection.close()

    async def __call__(self, target: Target, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one request for a sandbox."""
        headers = dict(scope["headers"])
        try:
            sandbox = await self.admit(target, scope["method"], scope["path"], headers, scope["query_string"])
            connection = await self.connect(sandbox, target.port)
        except Refused as refused:
            return await answer(send, refused)
        try:
            await _exchange(connection, scope, target.port, receive, send)
        except UpstreamError as error:
            if connection.status < 200 and scope["method"] == "GET" and target.port in GUEST_PORTS:
                await answer(send, _not_found(target))  # A guest that lives answers; and nothing was begun.
            elif connection.status < 200 and self._has(sandbox):
                await answer(send, Refused(502, str(error), sandbox.id))
            else:
                # Killed while it worked, or broken off after the head: only a broken connection says that.
                scope[DROP]()
                await receive()
        finally:
            self._give_back(sandbox, target.port, connection)

    def target_of_signed_url(self, method: str, path: str, query: bytes) -> Target | None:
        """Return the sandbox that a signed file URL without an id is for."""
        if path != "/files":
            return None
        tokens = ((sandbox.id, sandbox.access.envd_token) for sandbox in self._sandboxes)
        owner = signed_with(tokens, method, query)
        return Target(owner, ENVD_PORT) if owner else None

    def _has(self, sandbox: Sandbox) -> bool:
        with suppress(NoSuchSandbox):
            return self._sandboxes.get(sandbox.id) is sandbox
        return False


def target_of(headers: dict[bytes, bytes]) -> Target | None:
    """Return which sandbox a request is for, None for the control plane. Raises Refused."""
    try:
        return find_target(headers)
    except BadTarget as error:
        raise Refused(400, str(error)) from None


async def _exchange(connection: Upstream, scope: Scope, port: int, receive: Receive, send: Send) -> None:
    """Send the request and stream the answer. A client that goes away closes the guest's side too."""
    connection.start(_head(scope, port), without_body=scope["method"] == "HEAD")
    chunked = any(name == b"transfer-encoding" for name, _ in scope["headers"])
    upload = asyncio.create_task(_upload(connection, receive, chunked))
    try:
        status, headers = await connection.head()
        if status >= 400 and not upload.done():
            # Clients that are still sending may take an early refusal for a broken connection.
            await connection.wait_until_sent(_LATE_BODY_SECONDS)
        await send({"type": "http.response.start", "status": status, "headers": _end_to_end(status, headers)})
        async for chunk in connection.body():
            await send({"type": "http.response.body", "body": chunk, "more_body": True})
        await send({"type": "http.response.body", "body": b"", "more_body": False})
    finally:
        if not upload.done():
            upload.cancel()
            with suppress(asyncio.CancelledError):
                await upload


async def _upload(connection: Upstream, receive: Receive, chunked: bool) -> None:
    """Pass the body on, framed as the head says; then wait for the client to go away."""
    more = True
    while True:
        message = await receive()
        if message["type"] == "http.disconnect":
            connection.close()
            return
        if more:
            body = message.get("body", b"")
            more = message.get("more_body", False)
            if chunked:
                body = (b"%x\r\n%s\r\n" % (len(body), body) if body else b"") + (b"" if more else b"0\r\n\r\n")
            if body:
                await connection.write(body)
            if not more:
                connection.finish()


def _head(scope: Scope, port: int) -> bytes:
    path = scope["raw_path"]
    if scope["query_string"]:
        path += b"?" + scope["query_string"]
    lines = [b"%s %s HTTP/1.1" % (scope["method"].encode(), path)]
    dropped = _NOT_FOR_GUESTS if port in GUEST_PORTS else _NOT_PASSED_ON
    lines += [b"%s: %s" % (name, value) for name, value in scope["headers"] if name not in dropped]
    if port in GUEST_PORTS:
        # The guest chooses between its two services by this header: never the client's own, which beside a host name
        # could say something else than what was checked.
        lines.append(b"e2b-sandbox-port: %d" % port)
    else:
        lines.append(b"connection: close")
    return b"\r\n".join(lines) + b"\r\n\r\n"


def _end_to_end(status: int, headers: list[Header]) -> list[Header]:
    # transfer-encoding is this hop's own: uvicorn frames the body anew. It would wait for the body whose length a 304
    # may tell without sending it.
    own = _HOP_BY_HOP | {b"transfer-encoding"} | ({b"content-length"} if status in (204, 304) else set())
    return [header for header in headers if header[0] not in own]


def _not_found(target: Target) -> Refused:
    """Return E2B's answer for a sandbox that is gone: the SDK looks for these words."""
    return Refused(502, "The sandbox was not found", target.sandbox_id)


async def answer(send: Send, refusal: Refused) -> None:
    """Send a refusal in the form of E2B's proxy."""
    body = json.dumps(refusal.body).encode()
    headers = [(b"content-type", b"application/json"), (b"content-length", b"%d" % len(body))]
    await send({"type": "http.response.start", "status": refusal.status, "headers": headers})
    await send({"type": "http.response.body", "body": body})
