"""The server as `/mcp` of `sandloop serve`: streamable HTTP, behind the same authentication as all else.

No state of a session is in this process but the calls that run: the session's id, together with the token's subject,
names the sandbox. So any worker serves any request, and a restart loses no session.

The newest protocol has no sessions over HTTP, and a sandbox is a session's state. So this offers the versions that
begin with a handshake, to which clients then turn by themselves.
"""

from __future__ import annotations

import re
import uuid
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace
from typing import Any, Final

from mcp.server.streamable_http import MCP_SESSION_ID_HEADER
from mcp.server.streamable_http_manager import StreamableHTTPSessionManager
from mcp.server.transport_security import TransportSecuritySettings
from mcp.shared.exceptions import MCPError
from mcp.shared.inbound import MCP_PROTOCOL_VERSION_HEADER
from mcp.types import INVALID_REQUEST, UNSUPPORTED_PROTOCOL_VERSION
from mcp.types.version import HANDSHAKE_PROTOCOL_VERSIONS
from starlette.datastructures import Headers, MutableHeaders
from starlette.responses import JSONResponse, Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from agent_tools.context import CallContext
from agent_tools.errors import SandboxUnavailable
from agent_tools.executor import ToolExecutor
from agent_tools.sandboxes import Sandboxes

from ..http import problems
from ..http.app import Mounted
from ..http.callers import caller_of
from ..http.services import Services
from ..settings import MIB
from .server import PythonExecutor, Request
from .sessions import Session

PATH: Final = "/mcp"
_SESSION = "sandloop.mcp_session"
_ID = re.compile(r"[\x21-\x7e]{1,128}", re.ASCII)


@dataclass(frozen=True, slots=True)
class _Place:
    """A request's session, and whether it begins with it."""

    session: Session
    begins: bool


@asynccontextmanager
async def running(services: Services) -> AsyncIterator[ASGIApp]:
    """Make the server, and end its sandboxes with it."""
    settings = services.settings
    ending = replace(settings.sandbox_settings, on_timeout="kill", on_close="kill")
    async with ToolExecutor(Sandboxes(ending)) as executor:
        made = PythonExecutor(executor, settings.policy, _session_of, _told)
        manager = StreamableHTTPSessionManager(
            made.server,
            stateless=True,
            max_request_body_size=settings.limits.json_mib * MIB,
            # Host and Origin are checked before a request comes here.
            security_settings=TransportSecuritySettings(enable_dns_rebinding_protection=False),
        )
        async with manager.run():
            yield _Endpoint(manager, executor)


MOUNT: Final = Mounted(PATH, running)


class _Endpoint:
    """Gives each client a session, and ends it."""

    def __init__(self, manager: StreamableHTTPSessionManager, executor: ToolExecutor) -> None:
        self._manager = manager
        self._executor = executor

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        headers = Headers(scope=scope)
        answer = _refusal(scope, headers)
        if answer is not None:
            return await answer(scope, receive, send)
        caller = caller_of(scope)
        assert caller is not None, "the server is mounted without authentication"
        given = headers.get(MCP_SESSION_ID_HEADER)
        session_id = given or uuid.uuid4().hex
        session = Session.named(session_id, caller.subject)
        if scope["method"] == "DELETE":
            await self._executor.sandboxes.release(CallContext(session.thread_id, session.owner))
            return await Response(status_code=204)(scope, receive, send)
        scope[_SESSION] = _Place(session, begins=given is None)

        async def naming(message: Message) -> None:
            if message["type"] == "http.response.start":
                MutableHeaders(scope=message)[MCP_SESSION_ID_HEADER] = session_id
            await send(message)

        await self._manager.handle_request(scope, receive, naming)


def _refusal(scope: Scope, headers: Headers) -> Response | None:
    if not scope["path"].rstrip("/").endswith(PATH):
        return problems.not_found("page").response
    if scope["method"] not in ("POST", "DELETE"):
        # There is nothing to listen for but the answers to calls.
        return Response(status_code=405, headers={"Allow": "POST, DELETE"})
    wanted = headers.get(MCP_PROTOCOL_VERSION_HEADER)
    if wanted is not None and wanted not in HANDSHAKE_PROTOCOL_VERSIONS:
        data = {"supported": list(HANDSHAKE_PROTOCOL_VERSIONS), "requested": wanted[:50]}
        return _error(UNSUPPORTED_PROTOCOL_VERSION, "Unsupported protocol version", data)
    given = headers.get(MCP_SESSION_ID_HEADER)
    if (given is None and scope["method"] == "DELETE") or (given is not None and not _ID.fullmatch(given)):
        return _error(INVALID_REQUEST, "Send the Mcp-Session-Id of the answer to initialize.")
    return None


def _error(code: int, message: str, data: Mapping[str, Any] | None = None) -> Response:
    error = {"code": code, "message": message} | ({"data": data} if data else {})
    return JSONResponse({"jsonrpc": "2.0", "id": None, "error": error}, status_code=400)


def _session_of(request: Request) -> Session:
    place = request.request.scope[_SESSION] if request.request is not None else None
    assert isinstance(place, _Place)
    if place.begins:
        raise MCPError(INVALID_REQUEST, "Call initialize first, and send the Mcp-Session-Id of its answer.")
    return place.session


def _told(error: SandboxUnavailable) -> str:
    """What a client may know: the rest is in the server's log."""
    problem = problems.of(error)
    assert problem is not None
    return str(problem.detail)
