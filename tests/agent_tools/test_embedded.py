"""With no key: this user's own server, started when it is needed, and started again when it is gone."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from agent_tools import CallContext, Sandboxes, SandboxSettings, ToolExecutor, coding_tools
from sandbox_server import SandboxServerError, resident
from tests.sandbox_server.conftest import RunningServer


@pytest.fixture
def runtime(server: RunningServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A runtime folder without a server and an environment without a key; what is started in it ends with the test."""
    for name in [name for name in os.environ if name.startswith("E2B_")]:
        monkeypatch.delenv(name)
    monkeypatch.setenv("XDG_RUNTIME_DIR", str(tmp_path))
    yield tmp_path
    with contextlib.suppress(SandboxServerError):
        resident.stop()


@pytest.mark.usefixtures("runtime")
def test_with_no_arguments_and_no_key_it_just_works():
    tools = {tool.name: tool for tool in coding_tools()}
    assert tools["execute_python_code"].invoke({"code": "x = 20\nx + 1"})["output"] == "21"
    assert tools["execute_python_code"].invoke({"code": "x"})["output"] == "20"


@pytest.mark.usefixtures("runtime")
async def test_a_server_that_is_gone_is_started_again_and_the_state_is_said_to_be_lost(context: CallContext):
    executor = ToolExecutor(Sandboxes(SandboxSettings()))
    first = await executor.execute_code("x = 1", "python", context)
    before = resident.status().address
    resident.stop()
    second = await executor.execute_code("print('runs')", "python", context)
    assert second.output == "runs" and resident.status().address.api_key != before.api_key
    assert first.sandbox_id in second.notes[0] and "are lost" in second.notes[0]
    resident.stop()
    command = await executor.run_command("echo runs", context)
    assert command.stdout == "runs\n" and "are lost" in command.notes[0]
    resident.stop()
    written = await executor.write_file("a.txt", "x", context)
    assert "are lost" in written.notes[0]
    resident.stop()
    assert await executor.sandboxes.owned(context.owner) == []
    await executor.close()
