"""Conversations that a provider accepts: every tool call has one answer, right behind it."""

from __future__ import annotations

import json
import uuid
from collections.abc import Iterable, Sequence

from langchain_core.messages import AIMessage, AnyMessage, ToolMessage

INTERRUPTED = (
    "Interrupted: the call was stopped before it had answered. It may have run in part; look before you repeat it."
)


def repaired(messages: Sequence[AnyMessage]) -> list[AnyMessage]:
    """Return the messages with an answer behind each tool call, and none elsewhere.

    A run that was cancelled or crashed leaves calls without answers, after which providers refuse the conversation.
    """
    answers: dict[str, ToolMessage] = {}
    for message in messages:
        if isinstance(message, ToolMessage):
            answers.setdefault(message.tool_call_id, message)
    whole: list[AnyMessage] = []
    for message in messages:
        if isinstance(message, ToolMessage):
            continue
        whole.append(message)
        if isinstance(message, AIMessage):
            for call in (*message.tool_calls, *message.invalid_tool_calls):
                if (call_id := call["id"]) is not None:
                    whole.append(answers.get(call_id) or refusal(call_id, call["name"] or "unknown", INTERRUPTED))
    return whole


def refusal(call_id: str, name: str, error: str, *, rule: str | None = None) -> ToolMessage:
    """Return the answer to a call that was not carried out."""
    content = {"success": False, "error": error} | ({"rule": rule} if rule else {})
    return ToolMessage(json.dumps(content, ensure_ascii=False), tool_call_id=call_id, name=name, status="error")


def with_own_ids(reply: AIMessage, used: Iterable[str]) -> AIMessage:
    """Return the reply with an id for each call that no other call of the conversation has.

    Some servers send none, or count from 0 in every reply; calls and answers could then not be told apart.
    """
    taken = set(used)
    changed = False
    for calls in (reply.tool_calls, reply.invalid_tool_calls):
        for call in calls:
            if not call["id"] or call["id"] in taken:
                call["id"], changed = f"call_{uuid.uuid4().hex}", True
            taken.add(str(call["id"]))
    # A copy, so that what was derived from the old ids is made anew.
    return reply.model_copy() if changed else reply


def call_ids(messages: Iterable[AnyMessage]) -> set[str]:
    """Return the ids of all calls."""
    return {
        call["id"]
        for message in messages
        if isinstance(message, AIMessage)
        for call in message.tool_calls
        if call["id"]
    }
