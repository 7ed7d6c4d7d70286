"""Short names for what tests of agents do again and again."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from typing import Any

from graphs import AgentEvent, AgentRequest, AgentResponse, AgentService
from graphs.requests import Ended

from .openai_server import Call, Reply, Request


def python(code: str, **more: Any) -> Reply:
    """A reply that runs Python."""
    return Reply(calls=(Call("execute_python_code", {"code": code, **more}),))


async def ask(service: AgentService, message: str, **more: Any) -> AgentResponse:
    owner = more.pop("owner", "local")
    return await service.run(AgentRequest(message=message, **more), owner=owner)


async def all_of(events: AsyncIterator[AgentEvent]) -> list[AgentEvent]:
    return [event async for event in events]


def response(events: list[AgentEvent]) -> AgentResponse:
    assert isinstance(events[-1], Ended)
    return events[-1].response


def tool_messages(request: Request) -> list[str]:
    """What the model was told by tools, in a request of chat completions."""
    return [_text(message["content"]) for message in request.messages if message["role"] == "tool"]


def told(request: Request) -> dict[str, Any]:
    """The last tool's JSON in a request."""
    content = json.loads(tool_messages(request)[-1])
    assert isinstance(content, dict)
    return content


def _text(content: Any) -> str:
    return content if isinstance(content, str) else "".join(block.get("text", "") for block in content)
