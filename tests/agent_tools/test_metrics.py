"""What Prometheus is told."""

from __future__ import annotations

import asyncio

import pytest
from prometheus_client import REGISTRY

from agent_tools import CallContext, PolicyRefusal, ToolExecutor
from agent_tools.rules.patterns import CodePattern

from .conftest import Contexts, Leases


def sample(name: str, **labels: str) -> float:
    return REGISTRY.get_sample_value(name, labels) or 0


async def test_executions_are_counted_by_language_and_outcome(new_sandboxes: Leases, context: CallContext):
    executor = ToolExecutor(new_sandboxes(output_limit_bytes=100_000))

    def counts() -> dict[tuple[str, str], float]:
        outcomes = ("success", "error", "ExecutionTimeout", "OutputLimit", "cancelled")
        pairs = [*(("python", outcome) for outcome in outcomes), ("bash", "success")]
        return {
            (language, outcome): sample("sandloop_executions_total", language=language, outcome=outcome)
            for language, outcome in pairs
        }

    before, seconds = counts(), sample("sandloop_execution_seconds_count", language="python")
    await executor.execute_code("1", "python", context)
    await executor.execute_code("class Mine(Exception): pass\nraise Mine", "python", context)
    await executor.execute_code("while True: pass", "python", context, timeout_s=1)
    await executor.execute_code("print('x' * 1_000_000)", "python", context)
    await executor.execute_code("true", "bash", context)
    running = asyncio.create_task(executor.execute_code("import time; time.sleep(100)", "python", context))
    await asyncio.wait([running], timeout=0.5)
    running.cancel()
    await asyncio.wait([running])
    await executor.execute_code("1", "python", context)
    after = counts()
    assert {key: after[key] - before[key] for key in after} == {
        ("python", "success"): 2,
        ("python", "error"): 1,
        ("python", "ExecutionTimeout"): 1,
        ("python", "OutputLimit"): 1,
        ("python", "cancelled"): 1,
        ("bash", "success"): 1,
    }
    assert sample("sandloop_execution_seconds_count", language="python") - seconds == 6


async def test_sandboxes_are_counted_while_they_are_held(new_sandboxes: Leases, new_context: Contexts):
    names = ("sandloop_sandboxes_alive", "sandloop_sandboxes_created_total", "sandloop_sandboxes_killed_total")
    before = {name: sample(name) for name in names}

    def changes() -> list[float]:
        return [sample(name) - before[name] for name in names]

    sandboxes = new_sandboxes()
    executor = ToolExecutor(sandboxes)
    await executor.execute_code("1", "python", new_context("one"))
    await executor.execute_code("1", "python", new_context("two"))
    assert changes() == [2, 2, 0]
    found = await sandboxes.find(new_context("one"))
    assert found is not None
    await sandboxes.kill(new_context().owner, found.sandbox_id)
    assert changes() == [1, 2, 1]
    await sandboxes.close()
    assert changes() == [0, 2, 2]


async def test_cut_output_replaced_sandboxes_and_refusals_are_counted(new_sandboxes: Leases, new_context: Contexts):
    names = ("sandloop_output_truncated_total", "sandloop_sandboxes_replaced_total")
    before = {name: sample(name) for name in names}
    refusals = sample("sandloop_refusals_total", rule="package.denied")
    context = new_context(max_output_bytes=1024, denied_packages=("torch",), known_sandbox_id="gone")
    executor = ToolExecutor(new_sandboxes())
    await executor.execute_code("print('x' * 5000)", "python", context)
    assert {name: sample(name) - before[name] for name in names} == dict.fromkeys(names, 1)
    with pytest.raises(PolicyRefusal):
        await executor.install_packages(["torch"], "python", context)
    assert sample("sandloop_refusals_total", rule="package.denied") - refusals == 1


@pytest.mark.usefixtures("registries")
async def test_installs_are_timed(executor: ToolExecutor, context: CallContext):
    before = sample("sandloop_install_seconds_count", language="python")
    await executor.install_packages(["cowsay"], "python", context)
    assert sample("sandloop_install_seconds_count", language="python") - before == 1


async def test_patterns_that_a_policy_names_itself_are_one_count(executor: ToolExecutor, new_context: Contexts):
    pattern = CodePattern(name="mine-1", regex="forbidden", action="block")
    before = sample("sandloop_refusals_total", rule="code.other")
    with pytest.raises(PolicyRefusal):
        await executor.execute_code("forbidden", "python", new_context(dangerous_code_patterns=(pattern,)))
    assert sample("sandloop_refusals_total", rule="code.other") - before == 1
    assert sample("sandloop_refusals_total", rule="code.mine-1") == 0
