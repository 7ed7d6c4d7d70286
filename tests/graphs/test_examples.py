"""The examples that use the graph run as their first lines say."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from agent_tools import SandboxSettings

from .asking import told
from .openai_server import Call, OpenAIServer, Reply
from .test_postgres import postgres

__all__ = ["postgres"]  # a fixture

ROOT = Path(__file__).parents[2]


def run(example: str, settings: SandboxSettings, **more: str) -> str:
    keep = {name: value for name, value in os.environ.items() if not name.startswith(("OPENAI_", "SANDLOOP_"))}
    sandboxes = {
        "E2B_API_KEY": settings.api_key,
        "E2B_API_URL": settings.api_url,
        "E2B_SANDBOX_URL": settings.sandbox_url,
    }
    done = subprocess.run(
        [sys.executable, "-m", f"examples.{example}"],
        cwd=ROOT,
        env={**keep, **sandboxes, **more},
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=110,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


@pytest.mark.parametrize("example", ["create_agent", "own_graph", "custom_agent_type", "approvals"])
def test_an_example_runs_without_a_key(example: str, sandbox_settings: SandboxSettings) -> None:
    assert "The factorial of 10 is 3628800." in run(example, sandbox_settings)


def test_the_postgres_example_runs(sandbox_settings: SandboxSettings, postgres: str) -> None:  # noqa: F811
    assert "The factorial of 5 is 120." in run("postgres_threads", sandbox_settings, SANDLOOP_DATABASE=postgres)


def test_the_openai_agents_example_runs(sandbox_settings: SandboxSettings, openai: OpenAIServer) -> None:
    code = {"code": "import math; print(math.factorial(10))"}
    openai.answer(
        lambda request: (
            Reply(f"It is {told(request)['output']}.")
            if any(message["role"] == "tool" for message in request.messages)
            else Reply(calls=(Call("run_python", code),))
        )
    )
    shown = run(
        "openai_agents",
        sandbox_settings,
        OPENAI_API_KEY="sk-test-key-000000",
        OPENAI_BASE_URL=openai.url,
        SANDLOOP_MODEL="gpt-4o",
    )
    assert "It is 3628800." in shown
