"""The built-in scripts, played in a real sandbox."""

from __future__ import annotations

import json
import math
import runpy
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from e2b_code_interpreter import Sandbox
from langchain.agents import create_agent
from langchain_core.messages import HumanMessage, ToolMessage
from langchain_core.tools import BaseTool, tool

from graphs.scripted import ScriptedModel
from tests.sandbox_server.programs import serving

DATA = Path(__file__).parents[2] / "examples/data"


@pytest.fixture(scope="module")
def options(tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, str]]:
    with serving(tmp_path_factory.mktemp("run")) as server:
        yield {"api_url": server.url, "sandbox_url": server.url, "api_key": server.api_key}


@pytest.fixture
def sandbox(options: dict[str, str]) -> Iterator[Sandbox]:
    made = Sandbox.create(timeout=120, **options)
    yield made
    made.kill()


def python_tool(sandbox: Sandbox) -> BaseTool:
    @tool
    def execute_python_code(code: str) -> str:
        """Run Python code."""
        started = time.monotonic()
        done = sandbox.run_code(code)
        output = "".join(done.logs.stdout)
        if done.error:
            error = f"{done.error.name}: {done.error.value}"
            return json.dumps({"success": False, "error": error, "output": output, "code": code})
        return json.dumps({"success": True, "output": output, "execution_time": time.monotonic() - started})

    return execute_python_code


def play(name: str, sandbox: Sandbox, message: str) -> list[Any]:
    agent = create_agent(ScriptedModel.named(name), [python_tool(sandbox)])
    return list(agent.invoke({"messages": [HumanMessage(message)]})["messages"])


def outcomes(messages: list[Any]) -> list[bool]:
    return [json.loads(message.text)["success"] for message in messages if isinstance(message, ToolMessage)]


@pytest.mark.parametrize("name", ["factorial", "demo"])
def test_the_factorial_is_the_sandboxs(sandbox, name):
    messages = play(name, sandbox, "Calculate the factorial of 10")
    assert messages[-1].text == f"The factorial of 10 is {math.factorial(10)}."
    assert outcomes(messages) == [True]


def test_a_factorial_that_fails_is_reported(sandbox):
    sandbox.run_code("import math; del math.factorial")
    messages = play("factorial", sandbox, "Calculate the factorial of 10")
    assert outcomes(messages) == [False]
    assert "AttributeError" in messages[-1].text


def test_the_analysis_repairs_its_error_and_quotes_the_sandbox(sandbox):
    sandbox.files.write("/home/user/bicycle_counts.csv", (DATA / "bicycle_counts.csv").read_bytes())
    messages = play("analysis", sandbox, "Analyse /home/user/bicycle_counts.csv and make a chart")
    assert outcomes(messages) == [False, True, True, True]
    told = [message for message in messages if isinstance(message, ToolMessage)]
    assert "date" in json.loads(told[0].text)["error"]
    assert json.loads(told[2].text)["output"].rstrip() in messages[-1].text
    assert "360 days counted, 5 days without a number" in messages[-1].text
    assert "/home/user/bicycles.png" in messages[-1].text
    assert bytes(sandbox.files.read("/home/user/bicycles.png", format="bytes")).startswith(b"\x89PNG")


def test_an_analysis_without_the_data_makes_nothing_up(sandbox):
    messages = play("demo", sandbox, "Analyse bicycle_counts.csv")
    assert outcomes(messages) == [False, False]
    assert "FileNotFoundError" in messages[-1].text


def test_the_data_is_what_its_generator_makes(tmp_path):
    runpy.run_path(str(DATA / "generate.py"))["main"](tmp_path / "made.csv")
    assert (tmp_path / "made.csv").read_bytes() == (DATA / "bicycle_counts.csv").read_bytes()
