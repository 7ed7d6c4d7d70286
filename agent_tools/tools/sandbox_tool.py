"""What all tools share: from a model's arguments to the service, and from its result to a tool message."""

from __future__ import annotations

import contextlib
import json
from collections.abc import Awaitable, Callable
from contextvars import ContextVar
from dataclasses import dataclass, replace
from typing import Any, TypeVar

from langchain_core.runnables import RunnableConfig
from langchain_core.tools import StructuredTool
from langgraph.config import get_stream_writer
from pydantic import BaseModel

from ..context import LOCAL_OWNER, CallContext, LiveOutput, current_call, ignore
from ..errors import CallRefused
from ..executor import ToolExecutor
from ..loop import run_sync
from ..policy import SandboxPolicy
from ..results import ExecutionResult, FileResult, Result

Arguments = TypeVar("Arguments", bound=BaseModel)

Content = dict[str, Any] | list[dict[str, Any]]
Answer = tuple[Content, dict[str, Any]]

_call_id: ContextVar[str | None] = ContextVar("sandloop_tool_call_id", default=None)


@dataclass(frozen=True, slots=True)
class ToolSpec:
    """A tool: what a model reads of it, and what it does.

    Attributes:
        arguments: from the policy, the model of the arguments; their descriptions are part of what the model reads.
        run: carries the call out.
        offered: whether a policy lets a model have it.
    """

    name: str
    description: str
    arguments: Callable[[SandboxPolicy], type[BaseModel]]
    run: Callable[[ToolExecutor, CallContext, Any], Awaitable[Result]]
    offered: Callable[[SandboxPolicy], bool] = lambda _: True


class SandboxTool(StructuredTool):
    """A structured tool that knows the id of its call, which live output carries."""

    def run(self, tool_input: str | dict[str, Any], *args: Any, tool_call_id: str | None = None, **kwargs: Any) -> Any:
        """Run it; see `BaseTool.run`."""
        token = _call_id.set(tool_call_id)
        try:
            return super().run(tool_input, *args, tool_call_id=tool_call_id, **kwargs)
        finally:
            _call_id.reset(token)

    async def arun(
        self, tool_input: str | dict[str, Any], *args: Any, tool_call_id: str | None = None, **kwargs: Any
    ) -> Any:
        """Run it; see `BaseTool.arun`."""
        token = _call_id.set(tool_call_id)
        try:
            return await super().arun(tool_input, *args, tool_call_id=tool_call_id, **kwargs)
        finally:
            _call_id.reset(token)


def make_tool(spec: ToolSpec, executor: ToolExecutor, policy: SandboxPolicy, session: str) -> SandboxTool:
    """Return the tool, for calls inside and outside a graph.

    Args:
        spec: what it is.
        executor: carries calls out.
        policy: the rules, where no graph sets others.
        session: the thread of calls whose configuration names none.
    """
    arguments = spec.arguments(policy)

    async def call(context: CallContext, values: dict[str, Any]) -> Answer:
        try:
            result = await spec.run(executor, context, arguments.model_validate(values))
        except CallRefused as refusal:
            return refused(refusal), {}
        return answer(result, told_to_model=context.tool_call_id is not None)

    async def coroutine(config: RunnableConfig, **values: Any) -> Answer:
        return await call(caller(config, policy, session), values)

    def func(config: RunnableConfig, **values: Any) -> Answer:
        return run_sync(call(caller(config, policy, session), values))

    return SandboxTool(
        name=spec.name,
        description=spec.description,
        args_schema=arguments,
        func=func,
        coroutine=coroutine,
        response_format="content_and_artifact",
    )


def refused(refusal: CallRefused) -> dict[str, Any]:
    """Return what a model is told about a call that was not carried out."""
    return {"success": False, "error": f"{type(refusal).__name__}: {refusal}", "rule": refusal.rule}


def answer(result: Result, *, told_to_model: bool) -> Answer:
    """Return content and artifact of a result.

    Args:
        result: what the service answered.
        told_to_model: leave out the code, which the model has just written.
    """
    content = result.content(without=frozenset({"code"}) if told_to_model else frozenset())
    if isinstance(result, ExecutionResult):
        return content, {
            "results": [artifact.model_dump(exclude_none=True) for artifact in result.artifacts],
            "sandbox_id": result.sandbox_id,
            "exit_code": result.exit_code if result.exit_code is not None else 0 if result.success else 1,
            "truncated": result.output_file is not None,
            "output_file": result.output_file,
        }
    if isinstance(result, FileResult) and result.image is not None:
        image = {"type": "image", "base64": result.image, "mime_type": result.mime_type}
        return [{"type": "text", "text": json.dumps(content, ensure_ascii=False)}, image], {}
    return content, {}


def caller(config: RunnableConfig, policy: SandboxPolicy, session: str, call_id: str | None = None) -> CallContext:
    """Return the context that a graph has set, else one from the configuration; live output goes to the graph's stream.

    Args:
        config: of the running graph, or an empty one.
        policy: the rules, where no graph has set others.
        session: the thread, where the configuration names none.
        call_id: the id of the call, where it does not come through a `SandboxTool`.
    """
    call_id = call_id or _call_id.get()
    on_output = _live_output(call_id)
    if (current := current_call.get()) is not None:
        return replace(current, tool_call_id=call_id, on_output=on_output)
    configurable = config.get("configurable") or {}
    return CallContext(
        thread_id=str(configurable.get("thread_id") or session),
        # LangGraph's Agent Server sets it to the user who has logged in.
        owner=str(configurable.get("langgraph_auth_user_id") or LOCAL_OWNER),
        policy=policy,
        tool_call_id=call_id,
        on_output=on_output,
    )


def _live_output(call_id: str | None) -> Callable[[LiveOutput], None]:
    """Return a function that sends live output into the graph's stream, for stream mode `custom`."""
    try:
        write = get_stream_writer()
    except (RuntimeError, KeyError):
        return ignore

    def send(piece: LiveOutput) -> None:
        # The graph's loop may be closed by now; nobody listens then.
        with contextlib.suppress(RuntimeError):
            write({"type": "tool_output", "tool_call_id": call_id, "stream": piece.stream, "text": piece.text})

    return send
