"""LangChain's own tests of tools, for every tool."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from langchain_core.tools import BaseTool
from langchain_tests.integration_tests import ToolsIntegrationTests
from langchain_tests.unit_tests import ToolsUnitTests

from agent_tools import Sandboxes, SandboxPolicy, SandboxSettings, ToolExecutor, coding_tools
from agent_tools.loop import run_sync
from agent_tools.tools import TOOLS

EXAMPLES: dict[str, dict[str, Any]] = {
    "execute_python_code": {"code": "1 + 1"},
    "get_sandbox_info": {},
    "execute_code": {"code": "echo hi", "language": "bash"},
    "run_command": {"command": "echo hi"},
    "read_file": {"path": "example.txt"},
    "write_file": {"path": "new.txt", "content": "x"},
    "edit_file": {"path": "example.txt", "old_string": "old", "new_string": "new"},
    "list_files": {"path": "."},
    "install_packages": {"packages": ["numpy"]},
    "delete_file": {"path": "example.txt"},
    "upload_file": {"host_path": "host.txt", "path": "uploaded.txt"},
    "download_file": {"path": "example.txt", "host_path": "downloaded.txt"},
}


def test_there_is_an_example_for_every_tool():
    assert EXAMPLES.keys() == TOOLS.keys()


class _EachTool:
    made: BaseTool
    example: dict[str, Any]

    @property
    def tool_constructor(self) -> BaseTool:
        return self.made

    @property
    def tool_invoke_params_example(self) -> dict[str, Any]:
        return self.example


class TestUnit(_EachTool, ToolsUnitTests):
    @pytest.fixture(autouse=True, params=list(TOOLS))
    def make(self, request: pytest.FixtureRequest) -> None:
        policy = SandboxPolicy(host_directories=("/srv/shared",))
        never_asked = Sandboxes(SandboxSettings(api_key="none", api_url="http://127.0.0.1:1"))
        (self.made,) = coding_tools(never_asked, policy, [request.param])
        self.example = EXAMPLES[request.param]


class TestIntegration(_EachTool, ToolsIntegrationTests):
    @pytest.fixture(autouse=True, params=list(TOOLS))
    def make(self, request: pytest.FixtureRequest, settings: SandboxSettings, tmp_path: Path) -> Iterator[None]:
        (tmp_path / "host.txt").write_text("from the host")
        executor = ToolExecutor(Sandboxes(settings))
        policy = SandboxPolicy(host_directories=(str(tmp_path),))
        writing, self.made = coding_tools(executor, policy, ["write_file", request.param])
        self.example = dict(EXAMPLES[request.param])
        for name in ("host_path",):
            if name in self.example:
                self.example[name] = str(tmp_path / self.example[name])
        assert writing.invoke({"path": "example.txt", "content": "old"})["success"]
        yield
        run_sync(executor.close())
