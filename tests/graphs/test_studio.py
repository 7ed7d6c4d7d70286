"""LangGraph's own server, as `langgraph dev` starts it, driven by its SDK as Studio does."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest
import pytest_asyncio
from langgraph_sdk import get_client

from agent_tools import SandboxSettings

pytest.importorskip("langgraph_api", reason='needs the extra "studio"')

ROOT = Path(__file__).parents[2]
START_S = 110
QUESTION = {"messages": [{"role": "user", "content": "Calculate the factorial of 10"}]}
ASKS = {"dangerousCodePatterns": [{"name": "factorials", "calls": ["math.factorial"], "action": "ask"}]}


@pytest.fixture(scope="module")
def studio(sandbox_server: Any, tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[str, Path]]:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    folder = tmp_path_factory.mktemp("studio")
    log = folder / "log"
    settings = SandboxSettings(api_key="test-key", api_url=sandbox_server.url, sandbox_url=sandbox_server.url)
    environ = {
        **{name: value for name, value in os.environ.items() if not name.startswith(("OPENAI_", "SANDLOOP_", "LANG"))},
        "E2B_API_KEY": settings.api_key,
        "E2B_API_URL": settings.api_url,
        "E2B_SANDBOX_URL": settings.sandbox_url,
        "LANGGRAPH_CLI_NO_ANALYTICS": "1",
        "LANGSMITH_TRACING": "false",
    }
    command = [sys.executable, "-m", "langgraph_cli", "dev", "--no-browser", "--no-reload", "--port", str(port)]
    with log.open("wb") as output:
        process = subprocess.Popen(
            [*command, "--config", str(ROOT / "langgraph.json"), "--n-jobs-per-worker", "4"],
            cwd=folder,
            env=environ,
            stdout=output,
            stderr=subprocess.STDOUT,
        )
    url = f"http://127.0.0.1:{port}"
    _wait_until_ready(url, process, log)
    yield url, log
    process.send_signal(signal.SIGINT)
    try:
        process.wait(20)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait(10)


def _wait_until_ready(url: str, process: subprocess.Popen[bytes], log: Path) -> None:
    deadline = time.monotonic() + START_S
    while time.monotonic() < deadline:
        assert process.poll() is None, log.read_text()
        try:
            if httpx.get(f"{url}/ok", timeout=2, trust_env=False).status_code == 200:
                return
        except httpx.HTTPError:
            time.sleep(0.1)
    raise AssertionError(log.read_text())


@pytest_asyncio.fixture
async def client(studio: tuple[str, Path]) -> AsyncIterator[Any]:
    async with get_client(url=studio[0]) as made:
        yield made


@pytest.mark.timeout(240)
async def test_the_agent_is_there_with_its_picture_and_its_form(client: Any) -> None:
    (assistant,) = await client.assistants.search()
    assert assistant["graph_id"] == "coding"
    picture = await client.assistants.get_graph(assistant["assistant_id"])
    assert {"model", "tools"} <= {node["id"] for node in picture["nodes"]}
    schemas = await client.assistants.get_schemas(assistant["assistant_id"])
    form = (schemas.get("context_schema") or {})["properties"]
    assert form["system_prompt"]["langgraph_type"] == "prompt"
    assert {"agent_type", "provider_id", "model_id", "tools", "policy"} <= form.keys()
    assert all(field.get("description") for field in form.values())


@pytest.mark.timeout(240)
async def test_a_run_is_streamed_with_live_output_and_the_next_turn_goes_on(
    client: Any, studio: tuple[str, Path]
) -> None:
    thread = await client.threads.create()
    custom: list[Any] = []
    words = 0
    async for part in client.runs.stream(
        thread["thread_id"], "coding", input=QUESTION, stream_mode=["updates", "messages-tuple", "custom"]
    ):
        assert part.event != "error", part.data
        words += part.event == "messages"
        if part.event == "custom":
            custom.append(part.data)
    assert [piece["type"] for piece in custom] == ["tool_call", "tool_output"]
    assert custom[1]["text"] == "3628800\n"
    assert words > 5
    state = await client.threads.get_state(thread["thread_id"])
    first = state["values"]
    assert first["messages"][-1]["content"] == "The factorial of 10 is 3628800."
    again = {"messages": [{"role": "user", "content": "Calculate the factorial of 5"}]}
    second: Any = await client.runs.wait(thread["thread_id"], "coding", input=again)
    assert second["messages"][-1]["content"] == "The factorial of 5 is 120."
    assert second["sandbox_id"] == first["sandbox_id"]
    assert "BlockingError" not in studio[1].read_text()


@pytest.mark.timeout(240)
async def test_an_approval_interrupts_and_a_resume_goes_on(client: Any) -> None:
    thread = await client.threads.create()
    await client.runs.wait(thread["thread_id"], "coding", input=QUESTION, context={"policy": ASKS})
    state = await client.threads.get_state(thread["thread_id"])
    (waiting,) = state["interrupts"]
    assert waiting["value"]["type"] == "tool_approval"
    assert "factorial" in waiting["value"]["args"]["code"]
    result: Any = await client.runs.wait(
        thread["thread_id"], "coding", command={"resume": {"type": "approve"}}, context={"policy": ASKS}
    )
    assert result["messages"][-1]["content"] == "The factorial of 10 is 3628800."


def test_the_configuration_is_valid() -> None:
    done = subprocess.run(
        [sys.executable, "-m", "langgraph_cli", "validate", "--config", str(ROOT / "langgraph.json")],
        capture_output=True,
        text=True,
        env={**os.environ, "LANGGRAPH_CLI_NO_ANALYTICS": "1"},
        timeout=100,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert "1 graph" in done.stdout
