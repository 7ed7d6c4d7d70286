"""Several processes and one thread; processes that end in a hurry."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from e2b_code_interpreter import AsyncSandbox

from agent_tools import CallContext, Sandboxes, SandboxSettings, ToolExecutor

from .conftest import Leases
from .waiting import until

PROGRAMS = Path(__file__).parent / "programs"
ROOT = Path(__file__).parents[2]
Start = Callable[..., "subprocess.Popen[str]"]


@pytest.fixture
def environ(settings: SandboxSettings) -> dict[str, str]:
    ours = {
        "E2B_API_KEY": settings.api_key,
        "E2B_API_URL": settings.api_url,
        "E2B_SANDBOX_URL": settings.sandbox_url,
        "PYTHONPATH": str(ROOT),
    }
    return {**os.environ, **ours}


@pytest.fixture
def start(environ: dict[str, str]) -> Iterator[Start]:
    """Start a program; those that still run are killed with the test."""
    with contextlib.ExitStack() as ending:

        def starting(program: str, *arguments: str, **options: Any) -> subprocess.Popen[str]:
            command = [sys.executable, str(PROGRAMS / program), *arguments]
            process: subprocess.Popen[str] = subprocess.Popen(
                command, env=environ, text=True, stdin=subprocess.PIPE, stdout=subprocess.PIPE, **options
            )
            ending.enter_context(process)
            ending.callback(process.kill)
            return process

        yield starting


def line(process: subprocess.Popen[str]) -> str:
    assert process.stdout is not None
    return process.stdout.readline().strip()


def go(process: subprocess.Popen[str]) -> None:
    assert process.stdin is not None
    process.stdin.write("go\n")
    process.stdin.flush()


async def test_two_processes_that_call_at_once_have_one_sandbox_in_the_end(
    start: Start, sandboxes: Sandboxes, context: CallContext
):
    processes = [start("one_call.py", context.owner, "1 + 1") for _ in range(2)]
    assert [line(process) for process in processes] == ["ready", "ready"]
    for process in processes:
        go(process)
    answers = [json.loads(line(process)) for process in processes]
    (left,) = await sandboxes.owned(context.owner)
    assert [answer["sandbox_id"] for answer in answers] == [left.sandbox_id] * 2
    assert [answer["output"] for answer in answers] == ["2", "2"]
    await sandboxes.release(context)


async def test_what_a_killed_process_leaves_ends_by_its_time_and_is_found_until_then(
    start: Start, new_sandboxes: Leases, context: CallContext
):
    process = start("one_call.py", context.owner, "x = 7")
    assert line(process) == "ready"
    go(process)
    sandbox_id = json.loads(line(process))["sandbox_id"]
    process.kill()
    process.wait()
    sandboxes = new_sandboxes()
    (left,) = await sandboxes.owned(context.owner)
    assert (left.end_at - datetime.now(UTC)).total_seconds() <= context.policy.timeout
    assert (await ToolExecutor(sandboxes).execute_code("x", "python", context)).output == "7"
    names = ("api_key", "api_url", "sandbox_url", "domain")
    options = {name: value for name in names if (value := getattr(sandboxes.settings, name))}
    await AsyncSandbox.set_timeout(sandbox_id, 1, **options)

    async def paused() -> bool:
        return [info.state.value for info in await sandboxes.owned(context.owner)] == ["paused"]

    await until(paused)
    await sandboxes.release(context)
    assert await sandboxes.owned(context.owner) == []


async def test_ctrl_c_in_a_sync_call_interrupts_the_code_and_keeps_the_sandbox(
    start: Start, executor: ToolExecutor, context: CallContext
):
    await executor.execute_code("import time; ended = 0", "python", context)
    code = "open('begun', 'w').close()\ntry: time.sleep(100)\nfinally: ended = time.time()"
    process = start("one_call.py", context.owner, code, stderr=subprocess.DEVNULL)
    assert line(process) == "ready"
    go(process)

    async def begun() -> bool:
        return (await executor.run_command("test -e begun", context)).success

    await until(begun)
    interrupted = datetime.now(UTC).timestamp()
    process.send_signal(signal.SIGINT)
    assert process.wait(30) != 0
    result = await executor.execute_code("ended", "python", context)
    assert 0 < float(result.output) - interrupted < 2


def test_a_child_that_was_forked_after_first_use_is_told_so_rather_than_stuck(
    start: Start, context: CallContext, sandboxes: Sandboxes
):
    process = start("forked.py", context.owner)
    assert line(process).startswith("child sandboxes were used before this process was forked; use 'spawn'")
    assert line(process) == "parent 1"
    assert process.wait(30) == 0
