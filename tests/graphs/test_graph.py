"""The graph without the service: in somebody's own code, synchronous and not."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from langchain_core.tools import tool
from langgraph.checkpoint.memory import InMemorySaver
from langgraph.store.memory import InMemoryStore
from langgraph.types import Command

from agent_tools import SandboxPolicy, ToolExecutor
from graphs import AgentContext, create_coding_agent
from graphs.coding import graph as served_graph
from graphs.errors import RequestRefused
from graphs.scripted import ScriptedModel

from .asking import python
from .openai_server import Call, OpenAIServer, Reply
from .test_approvals import ASKS, SHELL

QUESTION: Any = {"messages": [("user", "Calculate the factorial of 10")]}
THREAD: Any = {"configurable": {"thread_id": "own"}}


def local_model(openai: OpenAIServer) -> Any:
    from graphs.providers import chat_model

    return chat_model("openai-compatible", "local", base_url=openai.url)


async def test_the_graph_has_two_nodes_and_answers(executor: ToolExecutor) -> None:
    agent = create_coding_agent(ScriptedModel.named(), sandboxes=executor)
    assert set(agent.get_graph().nodes) == {"__start__", "model", "tools", "__end__"}
    result = await agent.ainvoke(QUESTION)
    assert result["messages"][-1].text == "The factorial of 10 is 3628800."
    assert result["sandbox_id"]


def test_the_graph_answers_synchronous_callers(sandbox_settings: Any) -> None:
    from agent_tools import Sandboxes

    agent = create_coding_agent(
        ScriptedModel.named(),
        sandboxes=Sandboxes(sandbox_settings),
        checkpointer=InMemorySaver(),
        store=InMemoryStore(),
    )
    for _ in range(2):
        result = agent.invoke(QUESTION, THREAD)
        assert result["messages"][-1].text == "The factorial of 10 is 3628800."
    assert len(result["messages"]) == 8


def test_approvals_work_for_synchronous_callers(sandbox_settings: Any, openai: OpenAIServer) -> None:
    from agent_tools import Sandboxes

    agent = create_coding_agent(
        local_model(openai),
        sandboxes=Sandboxes(sandbox_settings),
        checkpointer=InMemorySaver(),
        defaults=AgentContext(policy=ASKS),
    )
    openai.replies(python(SHELL), Reply("Done."))
    waiting = agent.invoke(QUESTION, THREAD)
    assert waiting["__interrupt__"][0].value["type"] == "tool_approval"
    result = agent.invoke(Command(resume={"type": "approve"}), THREAD)
    assert result["messages"][-1].text == "Done."


async def test_tools_of_ones_own_are_there_in_every_run(executor: ToolExecutor, openai: OpenAIServer) -> None:
    @tool
    def secret() -> str:
        """Tell the secret."""
        raise ValueError("password hunter2")

    agent = create_coding_agent(local_model(openai), sandboxes=executor, tools=[secret])
    openai.replies(Reply(calls=(Call("secret"),)), Reply("It failed."))
    result = await agent.ainvoke(QUESTION, context=AgentContext(agent_type="chat"))
    assert openai.requests[0].tools == ["secret"]
    assert "hunter2" not in str(result["messages"])


async def test_a_shared_folder_of_the_host_adds_its_tools(
    executor: ToolExecutor, openai: OpenAIServer, tmp_path: Path
) -> None:
    (tmp_path / "a.txt").write_text("from the host")
    policy = SandboxPolicy(host_directories=(str(tmp_path),))
    agent = create_coding_agent(local_model(openai), sandboxes=executor)
    upload = Call("upload_file", {"host_path": str(tmp_path / "a.txt"), "path": "a.txt"})
    openai.replies(Reply(calls=(upload,)), python("print(open('a.txt').read())"), Reply("Read."))
    context = AgentContext(policy=policy, tools=("upload_file", "execute_python_code"))
    result = await agent.ainvoke(QUESTION, context=context)
    assert "from the host" in result["messages"][-2].text


async def test_where_others_write_the_context_it_opens_no_folders_of_the_host(
    executor: ToolExecutor, openai: OpenAIServer, tmp_path: Path
) -> None:
    """LangGraph's own server takes the context from its clients."""
    agent = create_coding_agent(local_model(openai), sandboxes=executor, host_directories=())
    policy = SandboxPolicy(host_directories=(str(tmp_path),))
    with pytest.raises(RequestRefused, match="folders of this machine"):
        await agent.ainvoke(QUESTION, context=AgentContext(policy=policy, tools=("upload_file",)))
    with pytest.raises(RequestRefused, match="folders of this machine"):
        await served_graph.ainvoke(QUESTION, context=AgentContext(policy=policy))
    assert not openai.requests
