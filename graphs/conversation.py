"""A thread's messages as people read them."""

from __future__ import annotations

from collections.abc import Sequence

from langchain_core.messages import AIMessage, AnyMessage, HumanMessage, ToolMessage

from .history import repaired
from .requests import ThreadMessage
from .state import is_users, ours
from .transcript import step_of


def conversation(messages: Sequence[AnyMessage]) -> tuple[ThreadMessage, ...]:
    """Return what both sides said; each call of a tool has its result, or that it was interrupted."""
    said: list[ThreadMessage] = []
    answers = {message.tool_call_id: message for message in repaired(messages) if isinstance(message, ToolMessage)}
    for message in messages:
        if isinstance(message, HumanMessage) and is_users(message):
            said.append(ThreadMessage(role="user", text=str(ours(message).get("text", message.text))))
        elif isinstance(message, AIMessage):
            calls = [(call["id"] or "", call["args"]) for call in message.tool_calls]
            steps = tuple(step_of(answers[call_id], args) for call_id, args in calls if call_id in answers)
            said.append(ThreadMessage(role="assistant", text=message.text, steps=steps))
    return tuple(said)
