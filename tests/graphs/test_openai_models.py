"""Models of OpenAI's protocols, by both APIs, streamed and not, sync and async, against a server on a socket."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterator
from typing import Any, cast

import pytest
from langchain.agents import create_agent
from langchain_core.language_models import BaseChatModel
from langchain_core.messages import AIMessage, AIMessageChunk, HumanMessage, ToolMessage
from langchain_core.tools import tool

from graphs import errors
from graphs.failures import provider_failure, reply_failure
from graphs.providers import chat_model

from .openai_server import Answer, Broken, Call, Hang, OpenAIServer, Raw, Refusal, Reply, retries

KEY = "sk-a-key-that-nobody-may-see"
MODEL = "test-model"
UNUSED = "http://127.0.0.1:9/v1"  # the discard port: nothing listens there

Ask = Callable[[BaseChatModel, str], Awaitable[AIMessage]]


@tool
def add(a: int, b: int) -> int:
    """Add two numbers."""
    return a + b


async def invoke(model: BaseChatModel, message: str) -> AIMessage:
    return model.invoke(message)


async def ainvoke(model: BaseChatModel, message: str) -> AIMessage:
    return await model.ainvoke(message)


async def stream(model: BaseChatModel, message: str) -> AIMessage:
    return _sum(list(model.stream(message)))


async def astream(model: BaseChatModel, message: str) -> AIMessage:
    return _sum([chunk async for chunk in model.astream(message)])


def _sum(chunks: list[Any]) -> AIMessage:
    total: AIMessageChunk = chunks[0]
    for chunk in chunks[1:]:
        total += chunk
    return total


@pytest.fixture(params=[invoke, ainvoke, stream, astream], ids=lambda ask: ask.__name__)
def ask(request: pytest.FixtureRequest) -> Ask:
    return cast(Ask, request.param)


@pytest.fixture(params=[False, True], ids=["chat", "responses"])
def responses_api(request: pytest.FixtureRequest) -> bool:
    return bool(request.param)


@pytest.fixture(scope="module")
def running() -> Iterator[OpenAIServer]:
    with OpenAIServer() as server:
        yield server


@pytest.fixture
def server(running: OpenAIServer) -> OpenAIServer:
    running.reset()
    return running


def model_at(server: OpenAIServer | str, responses_api: bool = False, **settings: Any) -> BaseChatModel:
    url = server if isinstance(server, str) else server.url
    options = {"timeout_s": 60, "max_retries": 0, **settings}
    return chat_model("openai", MODEL, base_url=url, api_key=KEY, responses_api=responses_api, **options)


def with_tools(model: BaseChatModel) -> BaseChatModel:
    return cast(BaseChatModel, model.bind_tools([add]))


async def failure(model: BaseChatModel, ask: Ask) -> errors.ModelFailure | errors.RequestRefused:
    with pytest.raises(Exception) as raised:
        await ask(with_tools(model), "hello")
    failed = provider_failure(raised.value, model_id=MODEL)
    assert KEY not in f"{failed} {getattr(failed, 'detail', '')}"
    return failed


async def test_a_text_arrives_with_its_usage(server, responses_api, ask):
    server.replies(Reply("Hello, big world.", usage=(12, 5)))
    reply = await ask(model_at(server, responses_api), "hello")
    assert reply.text == "Hello, big world."
    assert reply.usage_metadata
    assert (reply.usage_metadata["input_tokens"], reply.usage_metadata["output_tokens"]) == (12, 5)
    assert reply_failure(reply) is None
    assert server.requests[0].api == ("responses" if responses_api else "chat")
    assert server.requests[0].streamed is ("stream" in ask.__name__)
    assert server.requests[0].headers["authorization"] == f"Bearer {KEY}"


async def test_parallel_calls_arrive_with_their_arguments(server, responses_api, ask):
    server.replies(Reply("Two at once.", (Call("add", {"a": 1, "b": 2}), Call("add", {"a": 3, "b": 4}))))
    reply = await ask(with_tools(model_at(server, responses_api)), "hello")
    assert [(call["name"], call["args"]) for call in reply.tool_calls] == [
        ("add", {"a": 1, "b": 2}),
        ("add", {"a": 3, "b": 4}),
    ]
    assert len({call["id"] for call in reply.tool_calls}) == 2
    assert reply_failure(reply) is None
    assert server.requests[0].tools == ["add"]


@pytest.mark.parametrize("ask", [stream, astream])
async def test_a_streamed_call_without_arguments_is_a_call(server, responses_api, ask):
    server.replies(Reply(calls=(Call("add", ""),)))
    reply = await ask(with_tools(model_at(server, responses_api)), "hello")
    assert [call["args"] for call in reply.tool_calls] == [{}]


MALFORMED = [
    '{"a": 1, "b"',
    '{"code": "rm -r /ho',
    '{"code": "a\\',
    '{"a": [1, 2',
    '{"a": 1} and more',
    "not JSON at all",
    '{"a": {"b": "x"}',
]


@pytest.mark.parametrize("arguments", MALFORMED)
async def test_malformed_arguments_are_never_completed(server, responses_api, ask, arguments):
    server.replies(Reply(calls=(Call("add", {"a": 1, "b": 2}), Call("add", arguments))))
    reply = await ask(with_tools(model_at(server, responses_api)), "hello")
    assert [call["args"] for call in reply.tool_calls] == [{"a": 1, "b": 2}]
    assert [call["name"] for call in reply.invalid_tool_calls] == ["add"]
    assert str(reply.invalid_tool_calls[0]["args"]).startswith(arguments)
    assert reply_failure(reply) is None


async def test_an_agent_tells_the_model_about_an_unknown_tool(server, responses_api):
    server.replies(Reply(calls=(Call("subtract", {"a": 1}),)), Reply("Then not."))
    agent = create_agent(model_at(server, responses_api), [add])
    state = await agent.ainvoke({"messages": [HumanMessage("hello")]})
    told = next(message for message in state["messages"] if isinstance(message, ToolMessage))
    assert told.status == "error"
    assert "subtract" in told.text
    assert state["messages"][-1].text == "Then not."


@pytest.mark.parametrize("mode", ["updates", "messages", "values"])
async def test_an_agent_loops_from_model_to_tool_to_model(server, responses_api, mode):
    server.replies(Reply("Let me see.", (Call("add", {"a": 1, "b": 2}),)), Reply("It is 3."))
    agent = create_agent(model_at(server, responses_api), [add])
    seen = [part async for part in agent.astream({"messages": [HumanMessage("1 + 2?")]}, stream_mode=mode)]
    assert seen
    second = server.requests[1].messages
    assert any(item.get("role") == "tool" or item.get("type") == "function_call_output" for item in second)
    if mode == "messages":
        assert "".join(chunk.text for chunk, _ in seen if isinstance(chunk, AIMessageChunk)) == "Let me see.It is 3."


@pytest.mark.parametrize(
    ("answer", "expected", "words"),
    [
        (Refusal(401, f"Incorrect API key provided: {KEY}", "invalid_api_key"), errors.ModelKeyRejected, "API key"),
        (Refusal(402), errors.ModelQuotaExhausted, "credit"),
        (Refusal(403, "no access"), errors.ModelAccessDenied, "no access"),
        (Refusal(404, f"no {MODEL}", "model_not_found"), errors.ModelNotFound, f'"{MODEL}".*model_id and base_url'),
        (Refusal(400, f"unknown parameter, Bearer {KEY}"), errors.ModelRequestRejected, "unknown parameter"),
        (Refusal(400, "too long", "context_length_exceeded"), errors.ContextTooLong, "new thread"),
        (Refusal(400, "This model's maximum context length is 8192 tokens."), errors.ContextTooLong, "new thread"),
        (Refusal(413), errors.ContextTooLong, "new thread"),
        (Refusal(400, "registry/library/gemma does not support tools"), errors.ToolCallingUnsupported, "another model"),
        (
            Refusal(400, '"auto" tool choice requires --enable-auto-tool-choice and --tool-call-parser to be set'),
            errors.ToolCallingUnsupported,
            "start the model server",
        ),
        (Refusal(404, "No endpoints found that support tool use."), errors.ToolCallingUnsupported, "another model"),
        (Refusal(500, "tools param requires --jinja flag"), errors.ToolCallingUnsupported, "--jinja"),
        (Refusal(429, "You exceeded your current quota", "insufficient_quota"), errors.ModelQuotaExhausted, "credit"),
        (Refusal(429, "slow down"), errors.ModelRateLimited, "in a minute"),
        (Refusal(500), errors.ModelUnavailable, "status 500.*try again"),
        (Refusal(503, "overloaded"), errors.ModelUnavailable, "overloaded"),
        (Refusal(504), errors.ModelTimeout, "in time"),
        (Broken("one two three four five six"), errors.ModelUnavailable, "broke off"),
        (Raw(b'{"choices": "\xff\xfe"}'), errors.ReplyUnreadable, "provider_id and base_url"),
        (Raw(b'data: {"choices": "\xff\xfe"}\n\n', "text/event-stream"), errors.ReplyUnreadable, "base_url"),
        (Raw(b"<html>a login page</html>", "text/html"), errors.ReplyUnreadable, "base_url"),
        (Raw(b"<html>a login page</html>"), errors.ReplyUnreadable, "base_url"),
        (Raw(b"{}"), errors.ReplyUnreadable, "base_url"),
        (Raw(b'{"error": {"message": "boom"}}'), errors.ReplyUnreadable, "base_url"),
        (Raw(b""), errors.ReplyUnreadable, "base_url"),
    ],
    ids=lambda value: str(getattr(value, "__name__", value))[:40],
)
async def test_each_failure_has_its_own_error(
    server, responses_api, ask, answer: Answer, expected: type[Exception], words: str
):
    server.replies(answer)
    failed = await failure(model_at(server, responses_api), ask)
    assert type(failed) is expected
    with pytest.raises(expected, match=words):
        raise failed


async def test_a_rate_limit_says_when_to_come_back(server, responses_api, ask):
    server.replies(Refusal(429, "slow down", headers={"Retry-After": "17"}))
    failed = await failure(model_at(server, responses_api), ask)
    assert isinstance(failed, errors.ModelRateLimited)
    assert failed.retry_after_s == 17
    assert "in 17 seconds" in str(failed)
    assert failed.retryable


@pytest.mark.parametrize("answer", [Hang(), Hang(after="one two three four five six")], ids=["at once", "in a stream"])
async def test_a_model_that_says_nothing_is_given_up(server, responses_api, ask, answer):
    server.replies(answer)
    failed = await failure(model_at(server, responses_api, timeout_s=0.5), ask)
    assert isinstance(failed, errors.ModelTimeout)


async def test_no_server_says_the_address_and_what_to_do(responses_api, ask):
    failed = await failure(model_at(UNUSED.replace("//", "//me:secret@"), responses_api), ask)
    assert isinstance(failed, errors.ModelUnavailable)
    assert f"Nothing answers at {UNUSED}: start the model server" in str(failed)
    assert "secret" not in str(failed)


async def test_a_reply_at_the_limit_of_tokens_is_truncated_even_with_a_call(server, responses_api, ask):
    server.replies(Reply("So far", (Call("add", {"a": 1, "b": 2}),), finish_reason="length"))
    reply = await ask(with_tools(model_at(server, responses_api)), "hello")
    assert isinstance(reply_failure(reply), errors.ReplyTruncated)


@pytest.mark.parametrize("ask", [stream, astream])
async def test_a_stream_that_ends_in_order_but_too_early_is_truncated(server, responses_api, ask):
    server.replies(Broken("one two three four five six", politely=True))
    reply = await ask(model_at(server, responses_api), "hello")
    assert isinstance(reply_failure(reply), errors.ReplyTruncated)


async def test_an_empty_reply_is_a_failure(server, responses_api, ask):
    server.replies(Reply(""))
    failed = reply_failure(await ask(model_at(server, responses_api), "hello"))
    assert isinstance(failed, errors.ReplyEmpty)
    assert failed.retryable


async def test_a_reply_that_was_held_back_is_a_failure(server, responses_api, ask):
    server.replies(Reply("", finish_reason="content_filter"))
    assert isinstance(reply_failure(await ask(model_at(server, responses_api), "hello")), errors.ReplyFiltered)


async def test_a_refusal_is_quoted_where_the_sdk_hands_it_over(server, responses_api, ask):
    server.replies(Reply(refusal="I will not."))
    failed = reply_failure(await ask(model_at(server, responses_api), "hello"))
    if responses_api or "stream" not in ask.__name__:
        assert isinstance(failed, errors.ReplyFiltered)
        assert "I will not." in str(failed)
    else:
        assert isinstance(failed, errors.ReplyEmpty)  # LangChain drops a streamed refusal of chat completions


async def test_retries_are_bounded_and_wait_as_told(server, responses_api, ask):
    server.replies(*[Refusal(429, headers={"retry-after-ms": "1"})] * 5)
    failed = await failure(model_at(server, responses_api, max_retries=2), ask)
    assert isinstance(failed, errors.ModelRateLimited)
    assert retries(server) == [0, 1, 2]


async def test_a_retry_that_succeeds_is_not_noticed(server, responses_api, ask):
    server.replies(Refusal(503, headers={"retry-after-ms": "1"}), Reply("Here I am."))
    assert (await ask(model_at(server, responses_api, max_retries=1), "hello")).text == "Here I am."


async def test_a_refused_key_is_not_tried_again(server, responses_api, ask):
    server.replies(Refusal(401))
    await failure(model_at(server, responses_api, max_retries=2), ask)
    assert retries(server) == [0]
