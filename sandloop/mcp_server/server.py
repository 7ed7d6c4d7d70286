"""The MCP server `python_executor`: the sandbox tools, offered and called over any transport.

It is built on the SDK's low-level server: the tools' schemas are those of `agent_tools`, and not read off functions.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass
from importlib.metadata import version
from typing import Any, Final

import anyio
from mcp.server import Server, ServerRequestContext
from mcp.server.context import CallNext, HandlerResult
from mcp.shared.exceptions import MCPError
from mcp.shared.jsonrpc_dispatcher import cancelled_request_id_from_params
from mcp.types import (
    CallToolRequestParams,
    CallToolResult,
    EmptyResult,
    ListToolsResult,
    LoggingLevel,
    PaginatedRequestParams,
    RequestId,
    SetLevelRequestParams,
    Tool,
    ToolAnnotations,
)
from pydantic import BaseModel, ValidationError

from agent_tools.context import CallContext
from agent_tools.errors import CallRefused, SandboxUnavailable
from agent_tools.executor import ToolExecutor
from agent_tools.policy import SandboxPolicy
from agent_tools.results import Result
from agent_tools.tools.sandbox_tool import ToolSpec

from ..http import problems
from . import tools
from .answers import answer, failed, output_schema
from .live import while_telling
from .sessions import Session

NAME: Final = "python_executor"
CANCELLED: Final = -32800
"""As the language server protocol has it; a client that cancels does not wait for it."""
_INSTRUCTIONS = (
    "Runs code, commands and package installs in a sandbox that belongs to this session: variables, files and "
    "packages stay until it ends. The sandbox has no access to the user's machine."
)
_WITHOUT_INFO: Final[frozenset[LoggingLevel]] = frozenset(
    {"notice", "warning", "error", "critical", "alert", "emergency"}
)
_REMEMBERED = 10_000

Request = ServerRequestContext[Any, Any]


@dataclass(frozen=True, slots=True)
class _Offer:
    """A tool, with the model of its arguments under the server's policy."""

    spec: ToolSpec
    arguments: type[BaseModel]


class PythonExecutor:
    """The server, for any transport; `server` is the SDK's.

    Args:
        executor: carries calls out.
        policy: the rules of all calls.
        session_of: says whose a request is; raises `MCPError` for a request of no session.
        unavailable: what a client is told when there is no sandbox; by default all that is known.
    """

    def __init__(
        self,
        executor: ToolExecutor,
        policy: SandboxPolicy,
        session_of: Callable[[Request], Session],
        unavailable: Callable[[SandboxUnavailable], str] = str,
    ) -> None:
        self._executor = executor
        self._policy = policy
        self._session_of = session_of
        self._unavailable = unavailable
        self._offers = {name: _Offer(spec, spec.arguments(policy)) for name, spec in tools.offered(policy).items()}
        self._running: dict[tuple[Session, RequestId | None], anyio.CancelScope] = {}
        self._quiet: OrderedDict[Session, None] = OrderedDict()
        self.server: Server[Any] = Server(
            NAME,
            title="Sandloop",
            version=version("sandloop"),
            instructions=_INSTRUCTIONS,
            on_list_tools=self._list,
            on_call_tool=self._call,
        )
        self.server.add_request_handler("logging/setLevel", SetLevelRequestParams, self._set_level)
        self.server.middleware.append(self._cancelling)

    async def _list(self, _: Request, __: PaginatedRequestParams | None) -> ListToolsResult:
        return ListToolsResult(
            tools=[
                Tool(
                    name=name,
                    description=offer.spec.description,
                    input_schema=offer.arguments.model_json_schema(),
                    output_schema=output_schema(tools.result_of(name)),
                    annotations=ToolAnnotations(read_only_hint=name in tools.READ_ONLY),
                )
                for name, offer in self._offers.items()
            ]
        )

    async def _call(self, request: Request, params: CallToolRequestParams) -> CallToolResult:
        session = self._session_of(request)
        key = (session, request.request_id)
        with anyio.CancelScope() as scope:
            self._running[key] = scope
            try:
                return await self._answered(request, session, params)
            finally:
                # A client that gives two calls one id can cancel only the later one.
                if self._running.get(key) is scope:
                    del self._running[key]
        raise MCPError(code=CANCELLED, message="The call was cancelled, and its code stopped.")

    async def _answered(self, request: Request, session: Session, params: CallToolRequestParams) -> CallToolResult:
        offer = self._offers.get(params.name)
        if offer is None:
            return failed(f"There is no tool {params.name[:100]!r}; there are {', '.join(self._offers)}.")
        try:
            arguments = _checked(offer, params.arguments or {})
        except _Malformed as error:
            return failed(str(error))
        try:
            return await self._carried_out(offer, arguments, request, session)
        except CallRefused as refusal:
            return failed(f"{type(refusal).__name__} ({refusal.rule}): {refusal}")
        except SandboxUnavailable as error:
            return failed(f"{type(error).__name__}: {self._unavailable(error)}")
        except Exception as error:
            problems.unexpected(error, tool=params.name)
            return failed(f"{params.name} could not be carried out; the server's log says why.")

    async def _carried_out(
        self, offer: _Offer, arguments: BaseModel, request: Request, session: Session
    ) -> CallToolResult:
        context = CallContext(thread_id=session.thread_id, owner=session.owner, policy=self._policy)

        async def run(on_output: Any) -> Result:
            telling = CallContext(context.thread_id, context.owner, context.policy, on_output=on_output)
            return await offer.spec.run(self._executor, telling, arguments)

        result = await while_telling(request, run, logs=session not in self._quiet)
        return await answer(result, self._executor, context)

    async def _set_level(self, request: Request, params: SetLevelRequestParams) -> EmptyResult:
        session = self._session_of(request)
        self._quiet.pop(session, None)
        if params.level in _WITHOUT_INFO:
            self._quiet[session] = None
            if len(self._quiet) > _REMEMBERED:
                self._quiet.popitem(last=False)
        return EmptyResult()

    async def _cancelling(self, ctx: Request, call_next: CallNext) -> HandlerResult:
        """Cancel a call whose cancellation comes by another connection, as it does over HTTP."""
        if ctx.method == "notifications/cancelled":
            cancelled = cancelled_request_id_from_params(ctx.params)
            if scope := self._running.get((self._session_of(ctx), cancelled)):
                scope.cancel()
        return await call_next(ctx)


class _Malformed(Exception):
    """The arguments are not those of the tool."""


def _checked(offer: _Offer, values: dict[str, Any]) -> BaseModel:
    """Return the arguments.

    Raises:
        _Malformed: says which are wrong, without their values.
    """
    if any(isinstance(value, str) and _is_no_text(value) for value in values.values()):
        raise _Malformed(f"{offer.spec.name}: an argument holds NUL or a lone surrogate.")
    try:
        return offer.arguments.model_validate(values)
    except ValidationError as error:
        wrong = error.errors(include_url=False, include_input=False, include_context=False)[:5]
        places = [".".join(str(part)[:100] for part in each["loc"]) for each in wrong]
        told = "; ".join(f"{place}: {each['msg']}" for place, each in zip(places, wrong, strict=True))
        known = ", ".join(offer.arguments.model_fields) or "none"
        raise _Malformed(f"{offer.spec.name}: {told}. Its arguments are: {known}.") from None


def _is_no_text(value: str) -> bool:
    return "\0" in value or any("\ud800" <= character <= "\udfff" for character in value)
