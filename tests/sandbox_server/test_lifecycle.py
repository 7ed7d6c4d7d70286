"""Sandboxes come, are found, and go: E2B's control plane through the SDK."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from datetime import UTC, datetime, timedelta

import httpx
import pytest
from e2b import SandboxException, SandboxNotFoundException, SandboxQuery, SandboxState, TimeoutException
from e2b_code_interpreter import AsyncSandbox, Sandbox

from .conftest import API_KEY, RunningServer
from .waiting import wait_until

NewSandbox = Callable[..., Sandbox]


def test_a_new_sandbox_runs_and_is_gone_after_kill(server: RunningServer, sandbox: Sandbox) -> None:
    assert sandbox.is_running()
    assert sandbox.kill()
    assert not sandbox.is_running()
    assert not sandbox.kill()
    with pytest.raises(SandboxNotFoundException):
        Sandbox.connect(sandbox.sandbox_id, **server.options)


def test_info_says_what_was_asked_for(new_sandbox: NewSandbox) -> None:
    sandbox = new_sandbox(metadata={"user": "ann"}, timeout=100, allow_internet_access=False)
    info = sandbox.get_info()
    assert info.metadata == {"user": "ann"}
    assert info.state is SandboxState.RUNNING
    assert info.allow_internet_access is False
    assert info.template_id == "code-interpreter-v1"
    assert timedelta(seconds=90) < info.end_at - datetime.now(UTC) <= timedelta(seconds=100)


def test_the_base_template_is_an_alias(new_sandbox: NewSandbox) -> None:
    assert new_sandbox(template="base").get_info().template_id == "code-interpreter-v1"


def test_an_unknown_template_is_refused_with_what_to_do(new_sandbox: NewSandbox) -> None:
    with pytest.raises(SandboxException, match="--template"):
        new_sandbox(template="no-such-template")


def test_create_passes_environment_variables(new_sandbox: NewSandbox) -> None:
    sandbox = new_sandbox(envs={"GREETING": "hello"})
    assert sandbox.commands.run("echo $GREETING").stdout == "hello\n"
    assert sandbox.run_code("import os; os.environ['GREETING']").text == "hello"


def test_list_filters_by_metadata_and_state(server: RunningServer, new_sandbox: NewSandbox) -> None:
    key = f"mark-{time.time_ns()}"
    wanted = [new_sandbox(metadata={"key": key}) for _ in range(2)]
    new_sandbox(metadata={"key": "other"})
    wanted[0].pause()
    query = SandboxQuery(metadata={"key": key})
    assert _ids(server, query) == {sandbox.sandbox_id for sandbox in wanted}
    running = SandboxQuery(metadata={"key": key}, state=[SandboxState.RUNNING])
    assert _ids(server, running) == {wanted[1].sandbox_id}


def test_list_pages_are_newest_first_and_complete(server: RunningServer, new_sandbox: NewSandbox) -> None:
    key = f"mark-{time.time_ns()}"
    made = [new_sandbox(metadata={"key": key}).sandbox_id for _ in range(3)]
    paginator = Sandbox.list(query=SandboxQuery(metadata={"key": key}), limit=2, **server.options)
    first = [info.sandbox_id for info in paginator.next_items()]
    assert paginator.has_next
    second = [info.sandbox_id for info in paginator.next_items()]
    assert not paginator.has_next
    assert first + second == made[::-1]


def _ids(server: RunningServer, query: SandboxQuery) -> set[str]:
    return {info.sandbox_id for info in Sandbox.list(query=query, **server.options).next_items()}


def test_a_sandbox_ends_at_its_timeout(sandbox: Sandbox) -> None:
    sandbox.set_timeout(0)
    wait_until(lambda: not sandbox.is_running())


def test_connect_lengthens_the_lease_and_never_shortens_it(server: RunningServer, new_sandbox: NewSandbox) -> None:
    sandbox = new_sandbox(timeout=200)
    ends_at = sandbox.get_info().end_at
    Sandbox.connect(sandbox.sandbox_id, timeout=10, **server.options)
    assert sandbox.get_info().end_at == ends_at
    Sandbox.connect(sandbox.sandbox_id, timeout=400, **server.options)
    assert sandbox.get_info().end_at > ends_at


def test_looking_at_a_sandbox_does_not_renew_it(sandbox: Sandbox) -> None:
    ends_at = sandbox.get_info().end_at
    sandbox.get_metrics()
    sandbox.is_running()
    assert sandbox.get_info().end_at == ends_at


def test_a_paused_sandbox_keeps_memory_and_files(server: RunningServer, sandbox: Sandbox) -> None:
    sandbox.run_code("x = 41")
    sandbox.files.write("note.txt", "kept")
    sandbox.pause()
    assert sandbox.get_info().state is SandboxState.PAUSED
    with pytest.raises(TimeoutException):
        sandbox.commands.run("true")
    again = Sandbox.connect(sandbox.sandbox_id, **server.options)
    assert again.get_info().state is SandboxState.RUNNING
    assert again.run_code("x + 1").text == "42"
    assert again.files.read("note.txt") == "kept"


def test_pausing_twice_is_no_error_and_changes_nothing(sandbox: Sandbox) -> None:
    assert sandbox.pause() is True
    assert sandbox.pause() is False


def test_a_paused_sandbox_can_be_killed(sandbox: Sandbox) -> None:
    sandbox.pause()
    assert sandbox.kill()


def test_auto_pause_freezes_at_the_timeout_and_connect_wakes(server: RunningServer, new_sandbox: NewSandbox) -> None:
    sandbox = new_sandbox(timeout=60, lifecycle={"on_timeout": "pause"})
    sandbox.run_code("x = 1")
    sandbox.set_timeout(0)
    wait_until(lambda: sandbox.get_info().state is SandboxState.PAUSED)
    assert Sandbox.connect(sandbox.sandbox_id, **server.options).run_code("x").text == "1"


def test_traffic_wakes_a_sandbox_with_auto_resume(new_sandbox: NewSandbox) -> None:
    sandbox = new_sandbox(lifecycle={"on_timeout": "pause", "auto_resume": True})
    sandbox.pause()
    assert sandbox.commands.run("echo awake").stdout == "awake\n"
    assert sandbox.get_info().state is SandboxState.RUNNING


def test_metrics_have_the_limits_and_grow_with_use(sandbox: Sandbox) -> None:
    sandbox.run_code("data = bytearray(b'x') * (200 << 20)")
    metrics = sandbox.get_metrics()[-1]
    assert metrics.mem_total == 1 << 30
    assert metrics.mem_used > 200 << 20
    assert metrics.cpu_count == 2
    assert metrics.disk_total == 2 << 30


@pytest.mark.parametrize(
    "call",
    [lambda s: s.create_snapshot(), lambda s: s.fork()],
    ids=["snapshot", "fork"],
)
def test_what_the_embedded_server_lacks_says_so(sandbox: Sandbox, call: Callable[[Sandbox], object]) -> None:
    with pytest.raises(SandboxException, match="embedded E2B has no"):
        call(sandbox)


async def test_the_async_sdk_works_too(async_sandbox: AsyncSandbox) -> None:
    execution = await async_sandbox.run_code("1 + 1")
    assert execution.text == "2"
    assert (await async_sandbox.commands.run("echo hi")).stdout == "hi\n"
    await async_sandbox.files.write("a.txt", "b")
    assert await async_sandbox.files.read("a.txt") == "b"
    await async_sandbox.pause()
    assert not await async_sandbox.is_running()
    await async_sandbox.connect()
    assert await async_sandbox.is_running()


def test_a_sandbox_that_nobody_can_start_leaves_nothing(server: RunningServer) -> None:
    before = Sandbox.list(**server.options).next_items()
    with pytest.raises(SandboxException):
        Sandbox.create(timeout=10**9, **server.options)
    assert len(Sandbox.list(**server.options).next_items()) == len(before)


async def test_a_create_that_is_given_up_harms_no_other_sandbox(
    server: RunningServer, async_sandbox: AsyncSandbox
) -> None:
    for delay_s in (0, 0.002, 0.005, 0.01, 0.02) * 4:
        creating = asyncio.create_task(AsyncSandbox.create(timeout=10, **server.options))
        await asyncio.wait([creating], timeout=delay_s)
        creating.cancel()
    assert (await async_sandbox.run_code("1 + 1")).text == "2"
    assert await (await AsyncSandbox.create(timeout=300, **server.options)).kill()


async def test_many_large_creates_at_once_all_succeed(server: RunningServer) -> None:
    """Together they are more than the template's channel holds."""
    body = {"templateID": "base", "timeout": 300, "envVars": {f"V{number}": "x" * 30_000 for number in range(4)}}
    async with httpx.AsyncClient(base_url=server.url, headers={"X-API-Key": API_KEY}, timeout=120) as client:
        creating = [asyncio.create_task(client.post("/v2/sandboxes", json=body)) for _ in range(30)]
        await asyncio.wait(creating)
        answers = [task.result() for task in creating]
        for answer in answers:
            await client.delete(f"/sandboxes/{answer.json().get('sandboxID')}")
    assert {answer.status_code for answer in answers} == {201}


async def test_pause_and_connect_at_once_leave_it_as_its_state_says(
    server: RunningServer, async_sandbox: AsyncSandbox
) -> None:
    for _ in range(10):
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(async_sandbox.pause())
            tasks.create_task(async_sandbox.connect())
            tasks.create_task(async_sandbox.connect())
        await async_sandbox.connect()
        assert (await async_sandbox.run_code("1 + 1")).text == "2"


async def test_killed_while_it_is_paused_it_ends(server: RunningServer) -> None:
    for _ in range(5):
        sandbox = await AsyncSandbox.create(timeout=300, **server.options)
        pausing = asyncio.create_task(sandbox.pause())
        await asyncio.wait([pausing], timeout=0.002)
        assert await sandbox.kill()
        await asyncio.wait([pausing])
        assert isinstance(pausing.exception(), SandboxNotFoundException | None)
        assert not await sandbox.is_running()
