"""The tools' side of the loop: who may call what, for whom, whether a person agrees, and what becomes of failures."""

from __future__ import annotations

import contextlib
import json
import time
import uuid
from collections.abc import Awaitable, Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Final, cast

import structlog
from langchain.agents import AgentState
from langchain.agents.middleware import AgentMiddleware, HumanInTheLoopMiddleware
from langchain.agents.middleware.human_in_the_loop import InterruptOnConfig
from langchain.agents.middleware.types import ToolCallRequest
from langchain_core.messages import ToolCall, ToolMessage
from langgraph.errors import GraphBubbleUp
from langgraph.runtime import Runtime
from langgraph.types import Command

from agent_tools.context import LOCAL_OWNER, CallContext, current_call
from agent_tools.errors import CallRefused, SandboxLost, SandboxUnavailable
from agent_tools.rules.approvals import asks_of_call
from agent_tools.tools import TOOLS

from ..context import AgentContext
from ..history import refusal
from ..markers import Markers
from ..mcp_tools import McpToolFailed
from ..state import OURS, CodingState, of_turn, ours
from ..toolset import Plan, Toolset

THREAD: Final = "sandloop_thread"
"""The entry of `configurable` that names the conversation, where `thread_id` is more than that."""

_LOST_TIMES: Final = 3

Result = ToolMessage | Command[Any]

_log = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True)
class Call:
    """A tool call of a run."""

    request: ToolCallRequest
    plan: Plan
    thread_id: str
    owner: str

    @property
    def id(self) -> str:
        """The model's id of it, unique in its thread."""
        return self.request.tool_call["id"] or ""

    @property
    def name(self) -> str:
        """The tool's name."""
        return self.request.tool_call["name"]

    @property
    def state(self) -> CodingState:
        """The thread's state."""
        return cast(CodingState, self.request.state)


class ToolCalls(AgentMiddleware[CodingState, AgentContext, Any]):
    """Carries tool calls out, each with the context of its run.

    A tool that the run's plan does not have is not run, whatever the model was told. What the policy marks `ask` waits
    for a person. A call that was begun by an earlier process is not repeated.

    Args:
        toolset: makes the plan of a run.
        defaults: the context of a run that has none.
    """

    state_schema = CodingState

    def __init__(self, toolset: Toolset, defaults: AgentContext) -> None:
        super().__init__()
        self._toolset = toolset
        self._defaults = defaults
        self._session = f"graph-{uuid.uuid4().hex[:12]}"
        on = InterruptOnConfig(
            allowed_decisions=["approve", "edit", "reject"], description=self._reasons, when=self._needs_approval
        )
        self._approvals = HumanInTheLoopMiddleware[Any, AgentContext](
            dict.fromkeys(TOOLS, on), interrupt_mode="per_call"
        )

    def wrap_tool_call(self, request: ToolCallRequest, handler: Callable[[ToolCallRequest], Result]) -> Result:
        """See `awrap_tool_call`."""
        call = self._call(request, self._toolset.plan(self._context(request)))
        if isinstance(call, ToolMessage):
            return call

        def run(approved: ToolCallRequest) -> Result:
            markers = Markers.of(approved.runtime.store, call.thread_id, call.owner)
            if not markers.begin(call.id):
                return _repeated(call)
            with self._running(call, approved) as running:
                try:
                    return running.ended(handler(approved))
                except GraphBubbleUp:
                    raise
                except Exception as error:  # of any tool: the model is told, and the log
                    return running.failed(error)

        return self._approvals.wrap_tool_call(call.request, run)

    async def awrap_tool_call(
        self, request: ToolCallRequest, handler: Callable[[ToolCallRequest], Awaitable[Result]]
    ) -> Result:
        """Carry a call out.

        Raises:
            SandboxUnavailable: again, after the model was told once.
        """
        call = self._call(request, await self._toolset.aplan(self._context(request)))
        if isinstance(call, ToolMessage):
            return call

        async def run(approved: ToolCallRequest) -> Result:
            markers = Markers.of(approved.runtime.store, call.thread_id, call.owner)
            if not await markers.abegin(call.id):
                return _repeated(call)
            with self._running(call, approved) as running:
                try:
                    return running.ended(await handler(approved))
                except GraphBubbleUp:
                    raise
                except Exception as error:  # of any tool: the model is told, and the log
                    return running.failed(error)

        return await self._approvals.awrap_tool_call(call.request, run)

    def _context(self, request: ToolCallRequest) -> AgentContext:
        return cast(AgentContext, request.runtime.context) or self._defaults

    def _call(self, request: ToolCallRequest, plan: Plan) -> Call | ToolMessage:
        asked = request.tool_call
        tool = plan.tools.get(asked["name"])
        if tool is None:
            known = ", ".join(plan.tools) or "none"
            return refusal(asked["id"] or "", asked["name"], f"There is no tool {asked['name']!r}. Tools: {known}.")
        configurable = request.runtime.config.get("configurable") or {}
        return Call(
            request=request.override(tool=tool),
            plan=plan,
            thread_id=str(configurable.get(THREAD) or configurable.get("thread_id") or self._session),
            # LangGraph's Agent Server sets it to the user who has logged in.
            owner=str(configurable.get("langgraph_auth_user_id") or LOCAL_OWNER),
        )

    def _needs_approval(self, request: ToolCallRequest) -> bool:
        policy = self._toolset.policy(self._context(request))
        return bool(asks_of_call(policy, request.tool_call["name"], request.tool_call["args"]))

    def _reasons(self, tool_call: ToolCall, state: AgentState[Any], runtime: Runtime[Any]) -> str:
        policy = self._toolset.policy(runtime.context or self._defaults)
        return "\n".join(ask.reason for ask in asks_of_call(policy, tool_call["name"], tool_call["args"]))

    @contextlib.contextmanager
    def _running(self, call: Call, approved: ToolCallRequest) -> Iterator[_Running]:
        token = current_call.set(
            CallContext(
                thread_id=call.thread_id,
                owner=call.owner,
                policy=call.plan.policy,
                # What the policy asks about comes here only when a person has agreed.
                asks_approved=self._needs_approval(call.request),
                known_sandbox_id=call.state.get("sandbox_id"),
                tool_call_id=call.id,
            )
        )
        made = approved.tool_call
        approved.runtime.stream_writer(
            {"type": "tool_call", "tool_call_id": call.id, "name": made["name"], "args": made["args"]}
        )
        try:
            yield _Running(call)
        finally:
            current_call.reset(token)


class _Running:
    """A call that has begun."""

    def __init__(self, call: Call) -> None:
        self._call = call
        self._started = time.monotonic()

    def ended(self, result: Result) -> Result:
        """Return the result with its time, and the sandbox's id for the state."""
        if not isinstance(result, ToolMessage):
            return result
        self._mark(result, {})
        sandbox_id = _sandbox_id(result)
        if sandbox_id is None or sandbox_id == self._call.state.get("sandbox_id"):
            return result
        return Command(update={"messages": [result], "sandbox_id": sandbox_id})

    def failed(self, error: Exception) -> ToolMessage:
        """Return what the model is told, which of an unexpected error is nothing but that.

        Raises:
            SandboxUnavailable: the model was told before, and cannot help it.
        """
        marks: dict[str, Any] = {}
        if isinstance(error, SandboxUnavailable):
            marks["unavailable"] = type(error).__name__
            times = _times_unavailable(self._call.state)
            if times >= (_LOST_TIMES if isinstance(error, SandboxLost) else 1):
                raise error
        if isinstance(error, SandboxUnavailable | CallRefused):
            text = f"{type(error).__name__}: {error}"
        elif isinstance(error, McpToolFailed):
            text = str(error)
        else:
            _log.error("tool failed", tool=self._call.name, tool_call_id=self._call.id, exc_info=error)
            text = "The tool failed for a reason that is not the call's; it is in the log. Try another way."
        message = refusal(self._call.id, self._call.name, text)
        self._mark(message, marks)
        return message

    def _mark(self, message: ToolMessage, marks: Mapping[str, Any]) -> None:
        message.additional_kwargs[OURS] = {"seconds": round(time.monotonic() - self._started, 3), **marks}


def _repeated(call: Call) -> ToolMessage:
    return refusal(
        call.id,
        call.name,
        "Interrupted: the run ended while this call was running, and it was not repeated. It may have run in whole or "
        "in part: look at the state of the sandbox before you repeat it.",
    )


def _times_unavailable(state: CodingState) -> int:
    return sum("unavailable" in ours(message) for message in of_turn(state["messages"]))


def _sandbox_id(message: ToolMessage) -> str | None:
    artifact = message.artifact
    if isinstance(artifact, dict) and isinstance(artifact.get("sandbox_id"), str):
        return str(artifact["sandbox_id"])
    if message.name not in TOOLS:
        return None
    try:
        content = json.loads(message.text)
    except json.JSONDecodeError:
        return None
    found = content.get("sandbox_id") if isinstance(content, dict) else None
    return found if isinstance(found, str) else None
