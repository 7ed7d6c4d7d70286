from __future__ import annotations

import asyncio
import os
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from agent_tools import SandboxPolicy
from graphs.agent_types import McpServer
from graphs.errors import McpServerUnavailable
from graphs.mcp_tools import McpServers
from tests.agent_tools.waiting import until

from .asking import ask, tool_messages
from .conftest import OpenService
from .openai_server import Call, OpenAIServer, Reply

ROOT = Path(__file__).parents[2]
ENV = {"PYTHONPATH": str(ROOT)}
STDIO = McpServer(name="weather", command=sys.executable, args=("-m", "tests.graphs.mcp_server"), env=ENV)


def write_type(folder: Path, server: McpServer) -> None:
    text = "name: forecaster\ndescription: Knows the weather.\nprompt: Say the weather.\ntools: [execute_python_code]\n"
    lines = [f"    {name}: {value!r}\n" for name, value in server.model_dump(exclude_defaults=True).items()]
    folder.mkdir()
    text += "mcp_servers:\n  -\n" + "".join(lines).replace("(", "[").replace(",)", "]").replace(")", "]")
    (folder / "forecaster.yaml").write_text(text)


@pytest.fixture
def http_server() -> Iterator[McpServer]:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    process = subprocess.Popen(
        [sys.executable, "-m", "tests.graphs.mcp_server", str(port)],
        cwd=ROOT,
        env={**os.environ, **ENV},
        stderr=subprocess.DEVNULL,
    )
    deadline = time.monotonic() + 60
    while time.monotonic() < deadline:
        try:
            socket.create_connection(("127.0.0.1", port), 1).close()
            break
        except OSError:
            time.sleep(0.05)
    yield McpServer(name="weather", url=f"http://127.0.0.1:{port}/mcp")
    process.terminate()
    process.wait(10)


@pytest.fixture
def forecaster(tmp_path: Path) -> Path:
    write_type(tmp_path / "types", STDIO)
    return tmp_path / "types"


async def test_an_agent_type_has_the_tools_of_its_servers(
    open_service: OpenService, openai: OpenAIServer, forecaster: Path
) -> None:
    service = await open_service(agent_types=forecaster)
    openai.replies(
        Reply(calls=(Call("weather_forecast", {"city": "Oslo", "config": "long"}),)),
        Reply(calls=(Call("weather_refuse"), Call("weather_flood"), Call("weather_picture"))),
        Reply("Rain."),
    )
    policy = SandboxPolicy(max_output_bytes=2048)
    answer = await ask(service, "Weather?", agent_type="forecaster", policy=policy)
    assert openai.requests[0].tools[0] == "execute_python_code"
    assert "weather_forecast" in openai.requests[0].tools
    by_name = {step.name: step for step in answer.steps}
    assert by_name["weather_forecast"].content == "long: rain in Oslo"
    assert "there is no weather today" in str(by_name["weather_refuse"].content) and by_name["weather_refuse"].failed
    assert len(str(by_name["weather_flood"].content)) < 4000
    assert "a pixel" in str(by_name["weather_picture"].content)
    assert answer.sandbox_id is None


async def test_a_request_can_choose_among_a_servers_tools(
    open_service: OpenService, openai: OpenAIServer, forecaster: Path
) -> None:
    service = await open_service(agent_types=forecaster)
    openai.replies(Reply(calls=(Call("weather_refuse"),)), Reply("No."))
    answer = await ask(service, "Weather?", agent_type="forecaster", tools=("weather_forecast",))
    assert openai.requests[0].tools == ["weather_forecast"]
    assert "There is no tool" in tool_messages(openai.requests[1])[0]
    assert answer.steps[0].failed


async def test_a_server_that_ends_fails_the_call_and_comes_back(
    open_service: OpenService, openai: OpenAIServer, forecaster: Path
) -> None:
    service = await open_service(agent_types=forecaster)
    openai.replies(
        Reply(calls=(Call("weather_crash"),)),
        Reply(calls=(Call("weather_forecast", {"city": "Rome"}),)),
        Reply("Rain."),
    )
    answer = await ask(service, "Weather?", agent_type="forecaster")
    assert [step.failed for step in answer.steps] == [True, False]
    assert "could not carry the call out" in str(answer.steps[0].content)


async def test_a_server_that_does_not_start_is_named(open_service: OpenService, tmp_path: Path) -> None:
    write_type(tmp_path / "types", McpServer(name="weather", command=str(tmp_path / "nothing")))
    service = await open_service(agent_types=tmp_path / "types")
    with pytest.raises(McpServerUnavailable, match="weather"):
        await ask(service, "Weather?", agent_type="forecaster")


async def test_a_server_is_reached_over_http(http_server: McpServer) -> None:
    servers = McpServers()
    tools = await servers.atools((http_server,))
    assert await tools["weather_forecast"].ainvoke({"city": "Oslo"}) == "short: rain in Oslo"
    await servers.close()


def test_tools_work_from_synchronous_code() -> None:
    servers = McpServers()
    tools = servers.tools((STDIO,))
    assert tools["weather_forecast"].invoke({"city": "Oslo"}) == "short: rain in Oslo"
    asyncio.run(servers.close())


async def test_an_address_that_does_not_answer_is_named_without_what_may_be_a_key() -> None:
    server = McpServer(name="closed", url="http://user:secret@127.0.0.1:1/mcp?token=secret")
    with pytest.raises(McpServerUnavailable) as unavailable:
        await McpServers().atools([server])
    assert "127.0.0.1" in str(unavailable.value) and "secret" not in str(unavailable.value)


async def test_those_who_wait_for_a_server_that_is_given_up_are_told() -> None:
    servers = McpServers()
    silent = McpServer(name="silent", command="sleep", args=("60",))
    waiting = [asyncio.create_task(servers.atools([silent])) for _ in range(2)]

    async def begun() -> bool:
        return bool(servers._connections)

    await until(begun)
    await servers.close()
    told = await asyncio.gather(*waiting, return_exceptions=True)
    assert [type(error) for error in told] == [McpServerUnavailable] * 2
