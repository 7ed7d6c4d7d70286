"""From LangGraph's stream to the events of a run, and to its answer."""

from __future__ import annotations

import contextlib
import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

from langchain_core.messages import AIMessage, AIMessageChunk, AnyMessage, BaseMessage, ToolMessage
from langgraph.types import StateSnapshot

from agent_tools.results import Artifact

from .requests import (
    AgentEvent,
    ApprovalRequest,
    StoppedBecause,
    Token,
    ToolCalled,
    ToolOutput,
    ToolReturned,
    ToolStep,
    Usage,
)
from .state import ours

_STREAMS = ("stdout", "stderr", "status")


class Transcript:
    """Collects what happens in one run.

    Attributes:
        approvals: the calls that wait for a person when it has ended.
    """

    def __init__(self) -> None:
        self.steps: list[ToolStep] = []
        self.approvals: tuple[ApprovalRequest, ...] = ()
        self.sandbox_id: str | None = None
        self._args: dict[str, dict[str, Any]] = {}
        self._answered: set[str] = set()
        self._called: set[str] = set()
        self._spoken: set[str] = set()
        self._replies: dict[str, AIMessage] = {}

    def begin(self, messages: Sequence[AnyMessage], sandbox_id: str | None) -> None:
        """Note what is in the thread already: the arguments of calls, and which have answers."""
        self.sandbox_id = sandbox_id
        for message in messages:
            self._note_calls(message)
            if isinstance(message, ToolMessage):
                self._answered.add(message.tool_call_id)

    def take(self, part: Mapping[str, Any]) -> Iterator[AgentEvent]:
        """Yield the events of one part of the stream: modes `updates`, `messages` and `custom`, version 2."""
        data = part["data"]
        match part["type"]:
            case "messages":
                yield from self._words(*data)
            case "custom" if isinstance(data, dict):
                yield from self._live(data)
            case "updates":
                for update in _updates(data):
                    self.sandbox_id = update.get("sandbox_id") or self.sandbox_id
                    for message in update.get("messages") or ():
                        yield from self._message(message)

    @property
    def answer(self) -> str:
        """The model's last words."""
        return next((reply.text for reply in reversed(self._replies.values()) if reply.text), "")

    @property
    def usage(self) -> Usage:
        """The tokens of all replies."""
        used = [reply.usage_metadata for reply in self._replies.values() if reply.usage_metadata is not None]
        return Usage(
            input_tokens=sum(one["input_tokens"] for one in used),
            output_tokens=sum(one["output_tokens"] for one in used),
            total_tokens=sum(one["total_tokens"] for one in used),
        )

    @property
    def stopped_because(self) -> StoppedBecause:
        """Why the run ended, when it ended in order."""
        last = next(reversed(self._replies.values()), None)
        because: StoppedBecause = ours(last).get("stopped_because", "answered") if last is not None else "answered"
        return because

    @property
    def artifacts(self) -> tuple[Artifact, ...]:
        """What all steps made."""
        return tuple(artifact for step in self.steps for artifact in step.artifacts)

    def _words(self, chunk: Any, about: Mapping[str, Any]) -> Iterator[AgentEvent]:
        if not isinstance(chunk, AIMessageChunk) or about.get("langgraph_node") != "model" or "lc_source" in about:
            return
        if chunk.id:
            self._spoken.add(chunk.id)
        if chunk.text:
            yield Token(text=chunk.text)

    def _live(self, data: Mapping[str, Any]) -> Iterator[AgentEvent]:
        call_id = data.get("tool_call_id")
        if data.get("type") == "tool_call" and call_id not in self._called:
            self._called.add(str(call_id))
            self._args[str(call_id)] = dict(data["args"])
            yield ToolCalled(tool_call_id=str(call_id), name=str(data["name"]), args=data["args"])
        elif data.get("type") == "tool_output" and data.get("stream") in _STREAMS:
            yield ToolOutput(tool_call_id=call_id, stream=data["stream"], text=str(data["text"]))

    def _message(self, message: object) -> Iterator[AgentEvent]:
        if isinstance(message, AIMessage):
            self._note_calls(message)
            key = message.id or f"reply-{len(self._replies)}"
            if key not in self._spoken and key not in self._replies and message.text:
                yield Token(text=message.text)
            self._replies[key] = message
        elif isinstance(message, ToolMessage) and message.tool_call_id not in self._answered:
            self._answered.add(message.tool_call_id)
            step = step_of(message, self._args.get(message.tool_call_id, {}))
            self.steps.append(step)
            yield ToolReturned(step=step)

    def _note_calls(self, message: BaseMessage) -> None:
        if isinstance(message, AIMessage):
            for call in message.tool_calls:
                self._args[call["id"] or ""] = call["args"]


def step_of(message: ToolMessage, args: Mapping[str, Any]) -> ToolStep:
    """Return a tool's answer as a step."""
    # Before the answer of a call that a person edited, LangChain puts a note to the model that ends so.
    content: Any = message.text.rpartition("Tool response:\n")[2]
    with contextlib.suppress(json.JSONDecodeError):
        content = json.loads(content)
    failed = message.status == "error" or (isinstance(content, dict) and content.get("success") is False)
    return ToolStep(
        tool_call_id=message.tool_call_id,
        name=message.name or "",
        args=dict(args),
        content=content,
        artifacts=tuple(_artifacts(message)),
        failed=failed,
        seconds=float(ours(message).get("seconds", 0)),
    )


def pending_approvals(state: StateSnapshot) -> dict[str, tuple[str, ApprovalRequest]]:
    """Return the calls that wait for a person, by their ids, each with the id of its interrupt."""
    found: dict[str, tuple[str, ApprovalRequest]] = {}
    for interrupt in state.interrupts:
        value = interrupt.value
        if isinstance(value, dict) and value.get("type") == "tool_approval":
            request = ApprovalRequest(
                tool_call_id=value["tool_call_id"],
                name=value["name"],
                args=value["args"],
                reason=value.get("description", ""),
            )
            found[request.tool_call_id] = (interrupt.id, request)
    return found


def _artifacts(message: ToolMessage) -> Iterator[Artifact]:
    if isinstance(message.artifact, dict):
        for shown in message.artifact.get("results") or ():
            yield Artifact.model_validate(shown)


def _updates(data: Mapping[str, Any]) -> Iterable[Mapping[str, Any]]:
    """Yield the updates of all nodes, each of which is one or a list of them."""
    for update in data.values():
        for one in update if isinstance(update, list | tuple) else (update,):
            if isinstance(one, Mapping):
                yield one
