"""The tools as LangChain and LangGraph use them: inside and outside a graph, sync and async."""

from __future__ import annotations

import asyncio
import json
import time
import uuid
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from langchain_core.messages import AIMessage, ToolMessage
from langchain_core.runnables import RunnableConfig
from langchain_core.tools import BaseTool
from langgraph.graph import START, MessagesState, StateGraph
from langgraph.prebuilt import ToolNode
from pydantic import ValidationError

from agent_tools import CallContext, InvalidCall, SandboxPolicy, ToolExecutor, coding_tools
from agent_tools.context import current_call
from agent_tools.loop import run_sync
from agent_tools.tools import DEFAULT_TOOLS, TOOLS

from .conftest import Contexts, Leases

PNG = "import matplotlib.pyplot as plt; plt.plot([1]); plt.show()"


@pytest.fixture
def tools(new_sandboxes: Leases) -> dict[str, BaseTool]:
    return {tool.name: tool for tool in coding_tools(new_sandboxes())}


@pytest.fixture
def thread() -> dict[str, Any]:
    return {"configurable": {"thread_id": f"thread-{uuid.uuid4()}"}}


def call(name: str, call_id: str = "c1", /, **arguments: Any) -> dict[str, Any]:
    return {"type": "tool_call", "name": name, "id": call_id, "args": arguments}


def python(call_id: str, code: str) -> dict[str, Any]:
    return call("execute_python_code", call_id, code=code)


def graph(tools: dict[str, BaseTool]) -> Any:
    builder = StateGraph(MessagesState)
    builder.add_node("tools", ToolNode(list(tools.values())))
    builder.add_edge(START, "tools")
    return builder.compile()


def said(*calls: dict[str, Any]) -> dict[str, Any]:
    return {"messages": [AIMessage("", tool_calls=list(calls))]}


# --- outside a graph


def test_the_default_set_is_for_coding_and_the_rest_comes_by_name(new_sandboxes: Leases):
    assert [tool.name for tool in coding_tools(new_sandboxes())] == [
        "execute_python_code",
        "get_sandbox_info",
        "execute_code",
        "run_command",
        "read_file",
        "write_file",
        "edit_file",
        "list_files",
        "install_packages",
    ]
    (named,) = coding_tools(new_sandboxes(), names=["delete_file"])
    assert named.name == "delete_file"
    with pytest.raises(InvalidCall, match="there is no tool 'format_disk'; there are execute_python_code"):
        coding_tools(new_sandboxes(), names=["format_disk"])


def test_a_policy_takes_away_the_tools_that_it_rules_out(new_sandboxes: Leases):
    def names(**rules: Any) -> set[str]:
        every = [*DEFAULT_TOOLS, "delete_file", "upload_file", "download_file"]
        return {tool.name for tool in coding_tools(new_sandboxes(), SandboxPolicy(**rules), every)}

    everything = set(DEFAULT_TOOLS) | {"delete_file"}
    assert names() == everything
    assert names(enable_file_system=False) == {
        *("execute_python_code", "get_sandbox_info", "execute_code", "run_command", "install_packages")
    }
    assert names(enable_installs=False) == everything - {"install_packages"}
    assert names(host_directories=("/srv/x",)) == everything | {"upload_file", "download_file"}
    assert names(allowed_languages=("python",)) == everything - {"execute_code", "run_command"}


def test_python_is_not_a_choice_of_execute_code(tools: dict[str, BaseTool], new_sandboxes: Leases):
    languages = tools["execute_code"].args["language"]["enum"]
    assert "python" not in languages and {"javascript", "typescript", "go", "bash", "csharp"} <= set(languages)
    (narrow,) = coding_tools(new_sandboxes(), SandboxPolicy(allowed_languages=("python", "go")), ["execute_code"])
    schema = narrow.args["language"]
    assert schema.get("enum", [schema.get("const")]) == ["go"]


def test_every_argument_and_tool_is_described(tools: dict[str, BaseTool]):
    for tool in tools.values():
        assert tool.description
        assert all(argument.get("description") for argument in tool.args.values()), tool.name


def test_a_plain_call_answers_with_the_contract_s_keys(tools: dict[str, BaseTool], thread: Any):
    content = tools["execute_python_code"].invoke({"code": "x = 2\nx + 1"}, thread)
    assert (content["success"], content["output"], content["code"]) == (True, "3", "x = 2\nx + 1")
    assert set(content) == {"success", "output", "sandbox_id", "execution_time", "packages_installed", "code"}


async def test_sync_and_async_calls_share_the_thread_s_sandbox(tools: dict[str, BaseTool], thread: Any):
    tool = tools["execute_python_code"]
    await tool.ainvoke({"code": "x = 5"}, thread)
    assert (await asyncio.to_thread(tool.invoke, {"code": "x"}, thread))["output"] == "5"
    other: RunnableConfig = {"configurable": {"thread_id": "another"}}
    assert (await tool.ainvoke({"code": "x"}, other))["error"].startswith("NameError")


def test_calls_without_a_thread_share_the_sandbox_of_their_list(new_sandboxes: Leases):
    sandboxes = new_sandboxes()
    (one,) = coding_tools(sandboxes, names=["execute_python_code"])
    (two,) = coding_tools(sandboxes, names=["execute_python_code"])
    one.invoke({"code": "x = 1"})
    assert one.invoke({"code": "x"})["output"] == "1"
    assert two.invoke({"code": "x"})["success"] is False


def test_a_sync_call_from_a_running_loop_works(tools: dict[str, BaseTool], thread: Any):
    async def main() -> Any:
        return tools["execute_python_code"].invoke({"code": "1 + 1"}, thread)

    assert asyncio.run(main())["output"] == "2"


async def test_a_sync_call_on_the_sandbox_loop_is_refused_rather_than_stuck():
    async def inner() -> None:
        run_sync(asyncio.sleep(0))

    with pytest.raises(RuntimeError, match="would block the loop"):
        await asyncio.to_thread(run_sync, inner())


def test_a_tool_call_answers_with_a_message_without_the_code(tools: dict[str, BaseTool], thread: Any):
    message = tools["execute_python_code"].invoke(python("c9", PNG), thread)
    assert isinstance(message, ToolMessage)
    assert (message.tool_call_id, message.name, message.status) == ("c9", "execute_python_code", "success")
    content = json.loads(str(message.content))
    assert "code" not in content and content["success"] is True and "png: png-1" in content["results"]
    kinds = [result["kind"] for result in message.artifact["results"]]
    assert kinds == ["png", "chart"] and message.artifact["results"][0]["data"]
    assert (message.artifact["exit_code"], message.artifact["truncated"]) == (0, False)
    failed = tools["execute_python_code"].invoke(python("c10", "1/0"), thread)
    content = json.loads(str(failed.content))
    assert "code" not in content and content["error"] == "ZeroDivisionError: division by zero"
    assert failed.artifact["exit_code"] == 1


def test_a_refused_call_tells_the_model_the_rule(tools: dict[str, BaseTool], thread: Any):
    message = tools["read_file"].invoke(call("read_file", path="/etc/shadow"), thread)
    content = json.loads(str(message.content))
    assert content["success"] is False and content["rule"].startswith("path.")
    content = tools["install_packages"].invoke({"packages": ["evil @ https://x.example/e.whl"]}, thread)
    assert content["success"] is False and content["rule"].startswith("package.")


def test_an_argument_that_there_is_not_is_refused(tools: dict[str, BaseTool], thread: Any):
    with pytest.raises(ValidationError, match="shell"):
        tools["run_command"].invoke({"command": "true", "shell": "zsh"}, thread)


def test_an_image_file_is_an_image_block(tools: dict[str, BaseTool], thread: Any):
    tools["execute_python_code"].invoke({"code": PNG.replace("show()", "savefig('chart.png')")}, thread)
    text, image = tools["read_file"].invoke(call("read_file", path="chart.png"), thread).content
    assert json.loads(text["text"])["mime_type"] == "image/png"
    assert (image["type"], image["mime_type"]) == ("image", "image/png") and image["base64"].startswith("iVBOR")


# --- in a graph


def outputs(result: dict[str, Any]) -> dict[str, str]:
    messages = [message for message in result["messages"] if isinstance(message, ToolMessage)]
    return {message.tool_call_id: json.loads(str(message.content))["output"] for message in messages}


@pytest.mark.parametrize("how", ["sync", "async"])
async def test_parallel_calls_of_one_message_take_turns_and_match_their_results(
    tools: dict[str, BaseTool], thread: Any, how: str
):
    setup = said(python("setup", "import time; inside = 0"))
    code = "inside += 1; assert inside == 1; time.sleep(.05); inside -= 1; print({})"
    calls = said(*(python(f"call-{number}", code.format(number)) for number in range(8)))
    agent = graph(tools)
    if how == "sync":
        await asyncio.to_thread(agent.invoke, setup, thread)
        result = await asyncio.to_thread(agent.invoke, calls, thread)
    else:
        await agent.ainvoke(setup, thread)
        result = await agent.ainvoke(calls, thread)
    assert outputs(result) == {f"call-{number}": str(number) for number in range(8)}


def streamed(chunks: Iterator[Any]) -> dict[tuple[str, str], str]:
    found: dict[tuple[str, str], str] = {}
    for chunk in chunks:
        assert chunk["type"] == "tool_output"
        key = (chunk["tool_call_id"], chunk["stream"])
        found[key] = found.get(key, "") + chunk["text"]
    return found


LIVE = said(
    python("a", "import sys; print('of a')"),
    python("b", "import sys; print('of b', file=sys.stderr)"),
    call("run_command", "c", command="echo of c"),
)
LIVE_EXPECTED = {("a", "stdout"): "of a\n", ("b", "stderr"): "of b\n", ("c", "stdout"): "of c\n"}


def test_live_output_is_in_the_custom_stream_with_the_id_of_its_call(tools: dict[str, BaseTool], thread: Any):
    assert streamed(graph(tools).stream(LIVE, thread, stream_mode="custom")) == LIVE_EXPECTED


async def test_live_output_is_in_the_custom_stream_of_an_async_run(tools: dict[str, BaseTool], thread: Any):
    chunks = [chunk async for chunk in graph(tools).astream(LIVE, thread, stream_mode="custom")]
    assert streamed(iter(chunks)) == LIVE_EXPECTED


async def test_live_output_comes_before_the_call_has_ended(tools: dict[str, BaseTool], thread: Any):
    code = "import os, time\nprint('up', flush=True)\nwhile not os.path.exists('go'): time.sleep(.01)"
    async for chunk in graph(tools).astream(said(python("a", code)), thread, stream_mode="custom"):
        assert chunk["text"] == "up\n"
        await tools["write_file"].ainvoke({"path": "go", "content": ""}, thread)


async def test_a_cancelled_run_interrupts_its_code(tools: dict[str, BaseTool], thread: Any):
    code = "import time\nopen('begun', 'w').close()\ntry: time.sleep(100)\nfinally: ended = time.time()"
    run = asyncio.create_task(graph(tools).ainvoke(said(python("a", code)), thread))
    begun = {"command": "test -e begun"}
    while not (await tools["run_command"].ainvoke(begun, thread))["success"]:
        pass
    cancelled = time.time()
    run.cancel()
    with pytest.raises(asyncio.CancelledError):
        await run
    ended = await tools["execute_python_code"].ainvoke({"code": "ended"}, thread)
    assert ended["success"] and float(ended["output"]) - cancelled < 1


async def test_a_graph_may_say_whose_sandbox_a_call_is_for(
    tools: dict[str, BaseTool], new_context: Contexts, executor: ToolExecutor
):
    context: CallContext = new_context("of the graph")
    token = current_call.set(context)
    try:
        answer = await tools["execute_python_code"].ainvoke({"code": "1"}, {"configurable": {"thread_id": "other"}})
    finally:
        current_call.reset(token)
    found = await executor.sandboxes.find(context)
    assert found is not None and found.sandbox_id == answer["sandbox_id"]


async def test_the_agent_server_s_user_is_the_owner(tools: dict[str, BaseTool], executor: ToolExecutor):
    user = f"user-{uuid.uuid4()}"
    config = {"configurable": {"thread_id": "t", "langgraph_auth_user_id": user}}
    answer = await tools["execute_python_code"].ainvoke({"code": "1"}, config)  # type: ignore[arg-type]
    assert [info.sandbox_id for info in await executor.sandboxes.owned(user)] == [answer["sandbox_id"]]


def test_the_documentation_names_every_tool_and_argument(new_sandboxes: Leases):
    rows = (Path(__file__).parents[2] / "docs" / "tools.md").read_text().splitlines()
    policy = SandboxPolicy(host_directories=("/srv/x",))
    for tool in coding_tools(new_sandboxes(), policy, list(TOOLS)):
        (row,) = [row for row in rows if row.startswith(f"| `{tool.name}` |")]
        assert row.split("|")[2].strip() == ", ".join(f"`{name}`" for name in tool.args)
