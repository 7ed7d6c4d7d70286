"""Agents that attach the server: by the tools of a graph, and by the mapping of roles."""

from __future__ import annotations

import json
import os
import sys
from collections.abc import AsyncIterator, Mapping
from pathlib import Path

import pytest
import pytest_asyncio
from langchain.agents import create_agent
from langchain_core.messages import HumanMessage, ToolMessage

from graphs.agent_types import McpServer
from graphs.errors import McpServerUnavailable
from graphs.mcp_tools import McpServers
from graphs.scenarios import Scenario, Script, ScriptedCall, Step
from graphs.scripted import ScriptedModel
from sandloop.roles import Roles, RolesInvalid, ToolFailed, UnknownRole, UnknownServer, UnknownTool
from tests.sandbox_server.conftest import RunningServer
from tests.sandloop.http.conftest import RunningSandloop, token

from .conftest import stdio_parameters


@pytest.fixture
def environ(sandbox_server: RunningServer, tmp_path: Path) -> dict[str, str]:
    """The environment of a user whose sandboxes are the tests' server's."""
    return {**os.environ, **(stdio_parameters(sandbox_server, tmp_path).env or {})}


async def test_an_agent_runs_code_by_the_attached_server(environ: Mapping[str, str]) -> None:
    server = McpServer(
        name="python_executor", command=sys.executable, args=("-m", "sandloop", "mcp"), env=dict(environ)
    )
    call = ScriptedCall(tool="python_executor_execute_code", args={"code": "print(6 * 7)"})
    scenario = Scenario(match=".*", steps=(Step(calls=(call,)), Step(text="The answer is {{ last.output }}.")))
    model = ScriptedModel(script=Script(title="test", examples=("hello",), scenarios=(scenario,)))
    servers = McpServers()
    try:
        agent = create_agent(model, list((await servers.atools([server])).values()))
        state = await agent.ainvoke({"messages": [HumanMessage("What is 6 * 7?")]})
    finally:
        await servers.close()
    [answered] = [message for message in state["messages"] if isinstance(message, ToolMessage)]
    assert json.loads(str(answered.content))["output"] == "42"
    assert state["messages"][-1].content == "The answer is 42."


class TestRoles:
    @pytest_asyncio.fixture
    async def roles(self, environ: Mapping[str, str]) -> AsyncIterator[Roles]:
        yield Roles.load(environ=environ)

    async def test_an_agent_of_a_shipped_role_executes_a_tool_of_its_mapping(self, roles: Roles) -> None:
        assert roles.names == ("data_scientist", "coder")
        async with roles.agent("data_scientist") as agent:
            answer = await agent.execute_tool("python_executor", "execute_code", {"code": "x = 20\nx + 1"})
            assert answer.data is not None
            assert (answer.data["success"], answer.data["output"]) == (True, "21")
            chart = "import matplotlib.pyplot as plt\nplt.plot([x])\nplt.show()"
            drawn = await agent.execute_tool("python_executor", "execute_code", {"code": chart})
            assert [kind for kind, _ in drawn.images] == ["image/png"]
            wrong = await agent.execute_tool("python_executor", "execute_code", {"code": "1 / 0"})
            assert wrong.data is not None and not wrong.data["success"]
            with pytest.raises(UnknownTool, match='no tool "run_command".* It has: execute_code, install_package'):
                await agent.execute_tool("python_executor", "run_command", {"command": "ls"})
            with pytest.raises(UnknownServer, match='no server "elsewhere". It has: python_executor'):
                await agent.execute_tool("elsewhere", "execute_code", {})
            with pytest.raises(ToolFailed, match="code: Field required"):
                await agent.execute_tool("python_executor", "execute_code", {})
            tools = [tool.name for tool in await agent.tools()]
            assert "python_executor_execute_code" in tools
            assert "python_executor_run_command" not in tools

    def test_a_role_without_a_list_has_all_tools_also_without_a_loop(self, roles: Roles) -> None:
        agent = roles.agent("coder")
        try:
            answer = agent.execute_tool_sync("python_executor", "run_command", {"command": "echo hello"})
            assert answer.data is not None and answer.data["stdout"] == "hello\n"
            with pytest.raises(UnknownTool, match="It has: execute_code, "):
                agent.execute_tool_sync("python_executor", "no_such_tool")
        finally:
            agent.close_sync()

    async def test_a_server_may_be_an_address_with_a_token(self, sandloop: RunningSandloop, tmp_path: Path) -> None:
        path = tmp_path / "mine.yaml"
        path.write_text(f"""
            servers:
              remote: {{url: "{sandloop.url}/mcp", headers: {{Authorization: "Bearer ${{TOKEN}}"}}}}
            roles:
              guest: {{servers: {{remote: [run_code]}}}}
        """)
        async with Roles.load(path, {"TOKEN": token("dave")}).agent("guest") as agent:
            answer = await agent.execute_tool("remote", "run_code", {"code": "6 * 7"})
            assert json.loads(answer.text)["results"] == [{"text": "42"}]
        async with Roles.load(path, {}).agent("guest") as agent:
            with pytest.raises(McpServerUnavailable, match="does not start or answer"):
                await agent.execute_tool("remote", "run_code", {"code": "6 * 7"})

    def test_an_unknown_role_is_told_the_known_ones(self, roles: Roles) -> None:
        with pytest.raises(UnknownRole, match="Known: data_scientist, coder"):
            roles.agent("poet")

    @pytest.mark.parametrize(
        ("text", "told"),
        [
            ("", "its fields"),
            ("servers: {a: {command: x}}", "roles: Field required"),
            ("servers: {a: {command: x}}\nroles: {r: {servers: {b: []}}}", 'names the server "b"; there are a'),
            (
                "servers: {a: {command: x, url: 'http://x'}}\nroles: {r: {servers: {a: []}}}",
                "either a command or a url",
            ),
            ("servers: {a: {command: x}}\nroles: {r: {tools: []}}", "roles.r"),
            ("servers: [", "cannot be read"),
        ],
    )
    def test_a_malformed_mapping_is_refused_naming_the_place(self, tmp_path: Path, text: str, told: str) -> None:
        path = tmp_path / "mine.yaml"
        path.write_text(text)
        with pytest.raises(RolesInvalid, match='"mine.yaml"') as caught:
            Roles.load(path)
        assert told in str(caught.value)

    def test_variables_of_a_mapping_come_from_the_environment(self, tmp_path: Path) -> None:
        path = tmp_path / "mine.yaml"
        path.write_text(
            "servers: {a: {command: x, env: {KEY: '${SOME_KEY}', NONE: '${NOT_SET}'}}}\nroles: {r: {servers: {a: [t]}}}"
        )
        [server] = Roles.load(path, {"SOME_KEY": "secret"}).agent("r").servers
        assert server.env == {"KEY": "secret"}
        assert server.tools == ("t",)
        assert "secret" not in repr(server)

    async def test_no_mapping_is_no_mapping(self, tmp_path: Path) -> None:
        with pytest.raises(RolesInvalid, match="cannot be read"):
            Roles.load(tmp_path / "none.yaml")
