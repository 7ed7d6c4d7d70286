from __future__ import annotations

import json
from typing import Any

import pytest
from langchain.agents import create_agent
from langchain_core.messages import AIMessage, AIMessageChunk, HumanMessage, ToolMessage
from langchain_core.tools import tool

from graphs.providers import chat_model
from graphs.scenarios import Script
from graphs.scripted import ScriptedModel

SCRIPT = Script.model_validate(
    {
        "title": "Divisions",
        "examples": ["Divide 6 by 0"],
        "scenarios": [
            {
                "match": r"(?i)divide (?P<a>\d+) by (?P<b>\d+)",
                "steps": [
                    {
                        "text": "I will divide  them,\nboth ways.",
                        "calls": [
                            {"tool": "divide", "args": {"a": "{{ match.a }}", "b": "{{ match.b }}"}},
                            {"tool": "divide", "args": {"a": "{{ match.b }}", "b": "{{ match.a }}"}},
                        ],
                    },
                    {
                        "when": "failed",
                        "text": "That failed: {{ last.error }}",
                        "calls": [{"tool": "divide", "args": {"a": "{{ match.a }}", "b": "1"}}],
                    },
                    {"text": "The result is {{ last.output }}."},
                ],
            }
        ],
    }
)
QUESTION = [HumanMessage("Divide 6 by 0")]
ASKED: Any = {"messages": QUESTION}
WORDS = "I will divide  them,\nboth ways.That failed: division by zeroThe result is 6.0."


@tool
def divide(a: str, b: str) -> str:
    """Divide."""
    try:
        return json.dumps({"success": True, "output": str(int(a) / int(b))})
    except ZeroDivisionError as error:
        return json.dumps({"success": False, "error": str(error)})


@pytest.fixture
def model() -> ScriptedModel:
    return ScriptedModel(script=SCRIPT, model_name="divisions")


def texts(messages: list[Any]) -> list[str]:
    return [message.text for message in messages if isinstance(message, AIMessage)]


def test_an_agent_runs_the_calls_and_the_model_quotes_real_results(model):
    messages = create_agent(model, [divide]).invoke(ASKED)["messages"]
    assert "".join(texts(messages)) == WORDS
    assert [json.loads(m.text)["success"] for m in messages if isinstance(m, ToolMessage)] == [False, True, True]


async def test_an_agent_runs_it_without_threads_too(model):
    messages = (await create_agent(model, [divide]).ainvoke(ASKED))["messages"]
    assert "".join(texts(messages)) == WORDS


async def test_updates_come_step_by_step(model):
    agent = create_agent(model, [divide])
    nodes = [node async for part in agent.astream(ASKED, stream_mode="updates") for node in part]
    assert nodes == ["model", "tools", "tools", "model", "tools", "model"]


async def test_messages_come_word_by_word_with_whole_calls(model):
    agent = create_agent(model, [divide])
    chunks = [
        chunk async for chunk, _ in agent.astream(ASKED, stream_mode="messages") if isinstance(chunk, AIMessageChunk)
    ]
    assert "".join(chunk.text for chunk in chunks) == WORDS
    assert max(len(chunk.text.split()) for chunk in chunks) == 1
    pieces = [piece for chunk in chunks for piece in chunk.tool_call_chunks]
    assert [piece["name"] for piece in pieces if piece["name"]] == ["divide"] * 3
    assert all(chunk.id for chunk in chunks)


def test_sync_streams_are_the_same(model):
    agent = create_agent(model, [divide])
    chunks = [c for c, _ in agent.stream(ASKED, stream_mode="messages") if isinstance(c, AIMessageChunk)]
    assert "".join(chunk.text for chunk in chunks) == WORDS


async def test_streamed_and_whole_replies_are_equal(model):
    bound = model.bind_tools([divide])
    messages = QUESTION
    whole = [bound.invoke(messages), await bound.ainvoke(messages)]
    streams = [list(bound.stream(messages)), [chunk async for chunk in bound.astream(messages)]]
    for chunks in streams:
        total = chunks[0]
        for chunk in chunks[1:]:
            total += chunk
        whole.append(total)
    seen = [
        (m.text, [(c["name"], c["args"]) for c in m.tool_calls], m.usage_metadata, m.response_metadata) for m in whole
    ]
    assert all(one == seen[0] for one in seen)
    ids = [call["id"] for message in whole for call in message.tool_calls]
    assert len(set(ids)) == len(ids) == 8


def test_a_reply_says_that_it_is_scripted_and_what_it_used(model):
    reply = model.bind_tools([divide]).invoke(QUESTION)
    assert reply.response_metadata["model_provider"] == "scripted"
    assert reply.response_metadata["model_name"] == "divisions"
    assert reply.response_metadata["finish_reason"] == "tool_calls"
    assert reply.usage_metadata == {"input_tokens": 4, "output_tokens": 14, "total_tokens": 18}


async def test_a_second_turn_of_a_thread_is_played_from_the_start(model):
    agent = create_agent(model, [divide])
    first = await agent.ainvoke(ASKED)
    second = await agent.ainvoke({"messages": [*first["messages"], HumanMessage("And now divide 8 by 2")]})
    assert texts(second["messages"])[-1] == "The result is 0.25."


async def test_a_message_without_a_scenario_gets_an_introduction_and_the_way_to_a_real_model(model):
    reply = (await create_agent(model, [divide]).ainvoke({"messages": [HumanMessage("Write a poem")]}))["messages"][-1]
    for words in ("scripted model", "Divide 6 by 0", "OPENAI_API_KEY", "OPENAI_BASE_URL", "provider_id"):
        assert words in reply.text


@tool
def multiply(a: str, b: str) -> str:
    """Multiply."""
    return str(int(a) * int(b))


@pytest.mark.parametrize("tools", [[], [multiply]], ids=["no tools", "other tools"])
def test_without_its_tools_the_model_says_which_it_misses(model, tools):
    messages = create_agent(model, tools).invoke(ASKED)["messages"]
    assert len(messages) == 2
    assert "divide" in messages[-1].text
    assert 'agent_type "coding"' in messages[-1].text


def test_the_provider_makes_the_model_of_a_name_or_a_script():
    named = chat_model("scripted", "factorial")
    assert isinstance(named, ScriptedModel)
    assert named.model_name == "factorial"
    given = chat_model("scripted", "mine", script=SCRIPT)
    assert isinstance(given, ScriptedModel)
    assert given.script is SCRIPT


def test_its_profile_allows_tools_and_summaries(model):
    assert model.profile["tool_calling"] is True
    assert model.profile["max_input_tokens"] > 0
