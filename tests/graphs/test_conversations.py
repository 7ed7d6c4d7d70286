"""What the model reads of a thread: repaired, with images where it takes them, and no longer than its window."""

from __future__ import annotations

from typing import Any

from langchain_core.messages import AIMessage, AnyMessage, HumanMessage, ToolMessage
from langchain_core.messages.tool import tool_call

from graphs.history import repaired, with_own_ids
from graphs.images import MAX_IMAGES, placed

from .asking import ask, python, tool_messages
from .conftest import OpenService
from .openai_server import OpenAIServer, Reply

PNG = {"kind": "png", "name": "png-1", "mime_type": "image/png", "data": "aGk=", "size": 2}


def calls(*ids: str) -> AIMessage:
    return AIMessage("", tool_calls=[tool_call(name="run", args={}, id=call_id) for call_id in ids])


def answer(call_id: str, *, charts: int = 0) -> ToolMessage:
    return ToolMessage(f"answer {call_id}", tool_call_id=call_id, name="run", artifact={"results": [PNG] * charts})


def kinds(messages: list[AnyMessage]) -> list[str]:
    return [message.type for message in messages]


def test_calls_without_answers_get_one_right_behind_them() -> None:
    messages: list[AnyMessage] = [HumanMessage("go"), calls("a", "b"), answer("b"), HumanMessage("well?")]
    whole = repaired(messages)
    assert kinds(whole) == ["human", "ai", "tool", "tool", "human"]
    assert "Interrupted" in whole[2].text and whole[3].text == "answer b"


def test_answers_that_nobody_asked_for_and_second_ones_are_left_out() -> None:
    messages: list[AnyMessage] = [
        answer("x"),
        HumanMessage("go"),
        calls("a"),
        HumanMessage("hm"),
        answer("a"),
        answer("a"),
    ]
    assert kinds(repaired(messages)) == ["human", "ai", "tool", "human"]


def test_a_sound_conversation_stays_as_it_is() -> None:
    messages: list[AnyMessage] = [HumanMessage("go"), calls("a", "b"), answer("a"), answer("b"), AIMessage("done")]
    assert repaired(messages) == messages


def test_ids_are_made_unique_in_the_thread() -> None:
    reply = with_own_ids(calls("a", "b", "b", ""), {"a"})
    ids = [call["id"] for call in reply.tool_calls]
    assert len(set(ids)) == 4 and "a" not in ids and "b" in ids


def test_images_follow_in_a_message_behind_all_answers() -> None:
    messages: list[AnyMessage] = [HumanMessage("go"), calls("a", "b"), answer("a", charts=1), answer("b", charts=1)]
    shown = placed(messages, "user")
    assert kinds(shown) == ["human", "ai", "tool", "tool", "human"]
    assert [block["type"] for block in shown[-1].content] == ["text", "image", "text", "image"]  # type: ignore[index]
    assert isinstance(shown[2].content, str)


def test_images_are_in_tool_messages_where_the_model_takes_them() -> None:
    shown = placed([calls("a"), answer("a", charts=1)], "tool")
    assert [block["type"] for block in shown[-1].content] == ["text", "image"]  # type: ignore[index]


def test_a_model_without_eyes_gets_text_only() -> None:
    blocks: list[str | dict[Any, Any]] = [
        {"type": "text", "text": "read"},
        {"type": "image", "base64": "aGk=", "mime_type": "image/png"},
    ]
    read = ToolMessage(blocks, tool_call_id="a", name="read_file")
    shown = placed([calls("a", "b"), read, answer("b", charts=2)], "nowhere")
    assert shown[1].content == "read\n(The image is not shown to you.)"
    assert shown[2].content == "answer b"


def test_only_the_newest_images_are_shown() -> None:
    messages: list[AnyMessage] = []
    for number in range(MAX_IMAGES + 3):
        messages += [calls(str(number)), answer(str(number), charts=1)]
    shown = placed(messages, "user")
    assert kinds(shown).count("human") == MAX_IMAGES
    assert kinds(shown)[-1] == "human" and kinds(shown)[:4] == ["ai", "tool", "ai", "tool"]


async def test_a_chart_is_seen_by_models_that_take_images(open_service: OpenService, openai: OpenAIServer) -> None:
    chart = "import matplotlib.pyplot as plt; plt.plot([1, 2]); plt.show()"
    service = await open_service()
    openai.replies(python(chart), Reply("A line."), python(chart), Reply("I cannot see."))
    await ask(service, "Draw")
    seen = openai.requests[1].messages[-1]
    assert seen["role"] == "user"
    assert [block["type"] for block in seen["content"]] == ["text", "image_url"]
    await ask(service, "Draw", model_id="gpt-4")
    assert openai.requests[3].messages[-1]["role"] == "tool"


async def test_a_conversation_beyond_the_window_is_summarised_and_kept(
    open_service: OpenService, openai: OpenAIServer
) -> None:
    service = await open_service(model_id="some-local-model", context_tokens=2000)
    openai.answer(
        lambda request: Reply(
            "SUMMARY: a word was said." if "context extraction" in str(request.messages).lower() else "Understood."
        )
    )
    for number in range(8):
        await ask(service, f"{number} " + "word " * 300, thread_id="t", agent_type="chat")
    assert any("SUMMARY" in str(message) for message in openai.requests[-1].messages)
    assert len(openai.requests[-1].messages) < 12
    detail = await service.thread("t")
    assert len(detail.messages) == 16
    assert detail.messages[0].text.startswith("0 word")
    assert not any("SUMMARY" in message.text for message in detail.messages)


async def test_long_output_reaches_the_model_shortened(open_service: OpenService, openai: OpenAIServer) -> None:
    service = await open_service()
    openai.replies(python("print('x' * 1_000_000)"), Reply("Long."))
    await ask(service, "Print")
    assert len(tool_messages(openai.requests[1])[0]) < 40_000
