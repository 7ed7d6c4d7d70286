"""The bodies and events that OpenAI's two chat APIs send for one reply."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Literal

Api = Literal["chat", "responses"]
Body = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Call:
    """A call of a tool. Arguments that are a string are sent as they are, and may be malformed."""

    name: str
    arguments: str | Mapping[str, object] = "{}"
    id: str = ""

    @property
    def text(self) -> str:
        return self.arguments if isinstance(self.arguments, str) else json.dumps(self.arguments)

    def id_in(self, reply: int, index: int) -> str:
        return self.id or f"call_{reply}_{index}"


@dataclass(frozen=True, slots=True)
class Reply:
    """What the model says and calls.

    Attributes:
        finish_reason: as chat completions names it; by default what fits. `length` is a truncated reply.
        usage: tokens in and out.
    """

    text: str = ""
    calls: tuple[Call, ...] = ()
    finish_reason: str = ""
    refusal: str = ""
    usage: tuple[int, int] = (11, 7)

    @property
    def finish(self) -> str:
        return self.finish_reason or ("tool_calls" if self.calls else "stop")


def whole(api: Api, reply: Reply, number: int) -> Body:
    """The body of a reply that is not streamed. `number` makes its ids unique."""
    return _chat_body(reply, number) if api == "chat" else _response_body(reply, number)


def events(api: Api, reply: Reply, number: int, *, whole: bool = True) -> Iterator[bytes]:
    """The server-sent events of a streamed reply; without `whole`, the second half is missing."""
    made = list(_chat_events(reply, number) if api == "chat" else _response_events(reply, number))
    yield from made if whole else made[: len(made) // 2]


def _pieces(text: str) -> list[str]:
    return re.findall(r"\S*\s*", text)[:-1]


# --- chat completions


def _chat_head(number: int, object_: str) -> Body:
    return {"id": f"chatcmpl-{number}", "object": object_, "created": 1_790_000_000, "model": "test-model"}


def _chat_usage(reply: Reply) -> Body:
    prompt, completion = reply.usage
    return {"prompt_tokens": prompt, "completion_tokens": completion, "total_tokens": prompt + completion}


def _chat_call(reply: int, index: int, call: Call) -> Body:
    return {
        "id": call.id_in(reply, index),
        "type": "function",
        "function": {"name": call.name, "arguments": call.text},
    }


def _chat_body(reply: Reply, number: int) -> Body:
    message: Body = {"role": "assistant", "content": reply.text or None, "refusal": reply.refusal or None}
    if reply.calls:
        message["tool_calls"] = [_chat_call(number, index, call) for index, call in enumerate(reply.calls)]
    choice = {"index": 0, "message": message, "finish_reason": reply.finish, "logprobs": None}
    return {**_chat_head(number, "chat.completion"), "choices": [choice], "usage": _chat_usage(reply)}


def _chat_events(reply: Reply, number: int) -> Iterator[bytes]:
    def event(delta: Body, finish: str | None = None) -> bytes:
        choice = {"index": 0, "delta": delta, "finish_reason": finish, "logprobs": None}
        return _event({**_chat_head(number, "chat.completion.chunk"), "choices": [choice], "usage": None})

    yield event({"role": "assistant", "content": ""})
    for piece in _pieces(reply.text):
        yield event({"content": piece})
    if reply.refusal:
        yield event({"refusal": reply.refusal})
    for index, call in enumerate(reply.calls):
        first = _chat_call(number, index, call)
        first["function"]["arguments"] = ""
        yield event({"tool_calls": [{"index": index, **first}]})
        for start in range(0, len(call.text), 12):
            part = {"index": index, "function": {"arguments": call.text[start : start + 12]}}
            yield event({"tool_calls": [part]})
    yield event({}, reply.finish)
    yield _event({**_chat_head(number, "chat.completion.chunk"), "choices": [], "usage": _chat_usage(reply)})
    yield b"data: [DONE]\n\n"


# --- responses


def _output(reply: Reply, number: int) -> list[Body]:
    items: list[Body] = []
    if reply.text or reply.refusal:
        part: Body = {"type": "output_text", "text": reply.text, "annotations": []}
        if reply.refusal:
            part = {"type": "refusal", "refusal": reply.refusal}
        items.append(
            {"type": "message", "id": f"msg_{number}", "role": "assistant", "status": "completed", "content": [part]}
        )
    for index, call in enumerate(reply.calls):
        items.append(
            {
                "type": "function_call",
                "id": f"fc_{number}_{index}",
                "call_id": call.id_in(number, index),
                "name": call.name,
                "arguments": call.text,
                "status": "completed",
            }
        )
    return items


def _response_body(reply: Reply, number: int) -> Body:
    reasons = {"length": "max_output_tokens", "content_filter": "content_filter"}
    incomplete = reasons.get(reply.finish)
    prompt, completion = reply.usage
    return {
        "id": f"resp_{number}",
        "object": "response",
        "created_at": 1_790_000_000,
        "model": "test-model",
        "status": "incomplete" if incomplete else "completed",
        "incomplete_details": {"reason": incomplete} if incomplete else None,
        "error": None,
        "instructions": None,
        "metadata": {},
        "output": _output(reply, number),
        "parallel_tool_calls": True,
        "temperature": 1.0,
        "tool_choice": "auto",
        "tools": [],
        "top_p": 1.0,
        "usage": {
            "input_tokens": prompt,
            "input_tokens_details": {"cached_tokens": 0},
            "output_tokens": completion,
            "output_tokens_details": {"reasoning_tokens": 0},
            "total_tokens": prompt + completion,
        },
    }


def _response_events(reply: Reply, number: int) -> Iterator[bytes]:
    whole = _response_body(reply, number)
    started = {**whole, "status": "in_progress", "output": [], "usage": None, "incomplete_details": None}
    sequence = iter(range(10_000))

    def event(type_: str, **fields: object) -> bytes:
        return _event({"type": type_, "sequence_number": next(sequence), **fields}, name=type_)

    yield event("response.created", response=started)
    yield event("response.in_progress", response=started)
    for index, item in enumerate(whole["output"]):
        yield from _item_events(event, index, item)
    yield event("response.incomplete" if whole["incomplete_details"] else "response.completed", response=whole)


def _item_events(event: Any, index: int, item: Body) -> Iterator[bytes]:
    at = {"item_id": item["id"], "output_index": index}
    if item["type"] == "function_call":
        yield event("response.output_item.added", output_index=index, item={**item, "arguments": ""})
        text = item["arguments"]
        for start in range(0, len(text), 12):
            yield event("response.function_call_arguments.delta", **at, delta=text[start : start + 12])
        yield event("response.function_call_arguments.done", **at, name=item["name"], arguments=text)
    else:
        part = item["content"][0]
        at["content_index"] = 0
        yield event("response.output_item.added", output_index=index, item={**item, "content": []})
        if part["type"] == "refusal":
            yield event("response.refusal.done", **at, refusal=part["refusal"])
        else:
            yield event("response.content_part.added", **at, part={**part, "text": ""})
            for piece in _pieces(part["text"]):
                yield event("response.output_text.delta", **at, delta=piece, logprobs=[])
            yield event("response.output_text.done", **at, text=part["text"], logprobs=[])
            yield event("response.content_part.done", **at, part=part)
    yield event("response.output_item.done", output_index=index, item=item)


def _event(data: Body, name: str = "") -> bytes:
    head = f"event: {name}\n" if name else ""
    return f"{head}data: {json.dumps(data)}\n\n".encode()
