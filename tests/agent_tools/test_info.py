"""Describing a sandbox, which changes nothing about it."""

from __future__ import annotations

import dataclasses
from typing import Any

from e2b_code_interpreter import AsyncSandbox

from agent_tools import CallContext, Sandboxes, ToolExecutor

from .conftest import Contexts, Leases


async def pause(sandboxes: Sandboxes, sandbox_id: str) -> None:
    names = ("api_key", "api_url", "sandbox_url", "domain")
    options: dict[str, Any] = {name: value for name in names if (value := getattr(sandboxes.settings, name))}
    await AsyncSandbox.pause(sandbox_id, **options)


async def test_a_thread_without_a_sandbox_is_told_so_and_gets_none(executor: ToolExecutor, context: CallContext):
    content = (await executor.sandbox_info(context)).content()
    assert content["success"] is True and content["sandbox"] is None
    assert content["notes"] == ["this thread has no sandbox yet; the first run of code makes one"]
    assert await executor.sandboxes.owned(context.owner) == []


async def test_a_running_sandbox_is_described_whole(executor: ToolExecutor, context: CallContext):
    made = await executor.execute_code("1", "python", context)
    info = (await executor.sandbox_info(context)).sandbox
    assert info is not None
    assert (info.sandbox_id, info.state, info.thread_id) == (made.sandbox_id, "running", context.thread_id)
    assert info.template and info.started_at < info.ends_at
    assert 0 < info.seconds_left <= context.policy.timeout
    assert info.cpu_count >= 1 and info.cpu_percent is not None
    assert info.memory_mib is not None and 0 < info.memory_mib <= info.memory_limit_mib
    assert info.disk_mib is not None and info.disk_limit_mib is not None and info.disk_mib < info.disk_limit_mib
    assert {"python", "bash"} <= set(info.languages)
    versions = {package.name.lower(): package.version for package in info.packages}
    assert versions["numpy"] and versions["pandas"] and info.python.startswith("3.")
    assert info.metadata == {}


async def test_looking_renews_nothing_from_whichever_process(new_sandboxes: Leases, new_context: Contexts):
    sandboxes = new_sandboxes()
    executor, context = ToolExecutor(sandboxes), new_context(timeout=10)
    made = await executor.execute_code("1", "python", context, timeout_s=1)
    before = await sandboxes.find(context)
    for looking in (executor, ToolExecutor(new_sandboxes())):
        assert (await looking.sandbox_info(context)).sandbox is not None
        assert (await looking.sandbox_info(context, made.sandbox_id)).sandbox is not None
        assert len(await looking.sandboxes_of(context.owner)) == 1
        assert await looking.sandbox_numbers(context.owner, made.sandbox_id) is not None
    after = await sandboxes.find(context)
    assert before is not None and after is not None and after.end_at == before.end_at


async def test_looking_at_a_paused_sandbox_does_not_resume_it(new_sandboxes: Leases, context: CallContext):
    sandboxes = new_sandboxes()
    made = await ToolExecutor(sandboxes).execute_code("1", "python", context)
    await pause(sandboxes, made.sandbox_id)
    for looking in (ToolExecutor(sandboxes), ToolExecutor(new_sandboxes())):
        info = (await looking.sandbox_info(context)).sandbox
        assert info is not None and info.state == "paused" and info.packages == ()
    assert [found.state.value for found in await sandboxes.owned(context.owner)] == ["paused"]


async def test_other_sandboxes_of_the_caller_are_named_and_nobody_else_s(executor: ToolExecutor, new_context: Contexts):
    one, two = new_context("one"), new_context("two")
    stranger = dataclasses.replace(one, owner=f"{one.owner}-stranger")
    for context in (one, two, stranger):
        await executor.execute_code("1", "python", context)
    result = await executor.sandbox_info(one)
    assert result.sandbox is not None and result.sandbox.thread_id == "one"
    assert [(other.thread_id, other.packages) for other in result.others] == [("two", ())]
    named = await executor.sandbox_info(one, result.others[0].sandbox_id)
    assert named.sandbox is not None and named.sandbox.thread_id == "two" and named.sandbox.packages


async def test_an_unknown_id_and_another_owner_s_are_the_same_clear_answer(
    executor: ToolExecutor, new_context: Contexts
):
    mine = new_context()
    stranger = dataclasses.replace(mine, owner=f"{mine.owner}-stranger")
    theirs = await executor.execute_code("1", "python", stranger)
    for sandbox_id in ("nosuchsandbox", theirs.sandbox_id, "../x", ""):
        answer = await executor.sandbox_info(mine, sandbox_id)
        assert not answer.success
        assert answer.error == f"NotFound: you have no sandbox {sandbox_id!r}; it may have ended"


async def test_a_sandbox_that_answers_nonsense_about_itself_is_still_described(
    executor: ToolExecutor, context: CallContext
):
    await executor.execute_code("1", "python", context)
    await executor.run_command("rm .venv/bin/python3", context)
    await executor.write_file(".venv/bin/python3", "#!/bin/bash\necho '{\"packages\": 1}'\n", context)
    await executor.run_command("chmod +x .venv/bin/python3", context)
    info = (await executor.sandbox_info(context)).sandbox
    assert info is not None and info.state == "running" and info.packages == ()
