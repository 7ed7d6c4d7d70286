"""Whose sandbox a call gets: found, made, kept, lost and ended."""

from __future__ import annotations

import asyncio
import dataclasses
import time
import uuid
from typing import Any

import pytest
from e2b_code_interpreter import AsyncSandbox

from agent_tools import CallContext, InvalidCall, Sandboxes, ToolExecutor
from agent_tools.errors import SandboxLost
from agent_tools.results import ExecutionResult
from agent_tools.sandboxes import KEY, OWNER, THREAD, Lease
from tests.sandbox_server.conftest import API_KEY, RunningServer, start_server, stop_server

from .conftest import Contexts, Leases
from .waiting import until

LOST = "is gone and this is a new one: variables, files and installed packages of earlier calls are lost"


async def python(executor: ToolExecutor, context: CallContext, code: str, **options: Any) -> ExecutionResult:
    result = await executor.execute_code(code, "python", context, **options)
    assert result.success, result
    return result


async def ids(sandboxes: Sandboxes, context: CallContext) -> list[str]:
    return [info.sandbox_id for info in await sandboxes.owned(context.owner)]


async def kill(sandboxes: Sandboxes, sandbox_id: str) -> None:
    """End a sandbox behind the back of its lease."""
    settings = sandboxes.settings
    await AsyncSandbox.kill(sandbox_id, **_options(settings))


async def pause(sandboxes: Sandboxes, sandbox_id: str) -> None:
    await AsyncSandbox.pause(sandbox_id, **_options(sandboxes.settings))


def _options(settings: Any) -> dict[str, Any]:
    names = ("api_key", "api_url", "sandbox_url", "domain")
    return {name: getattr(settings, name) for name in names if getattr(settings, name)}


# --- whose it is


async def test_threads_have_sandboxes_of_their_own_and_say_so_in_the_metadata(
    executor: ToolExecutor, new_context: Contexts
):
    one, two = new_context("one"), new_context("two")
    first, second = await python(executor, one, "x = 1"), await python(executor, two, "x = 2")
    assert first.sandbox_id != second.sandbox_id
    assert (await python(executor, one, "x")).output == "1"
    found = await executor.sandboxes.owned(one.owner)
    assert [(info.metadata[OWNER], info.metadata[THREAD]) for info in found] == [(one.owner, "one"), (one.owner, "two")]


@pytest.mark.parametrize(
    "name", ["of the graph", "auth0|ada@example", "a&b=c/%20+", "\u00fc\u4f60\U0001f600", "x" * 500]
)
async def test_a_sandbox_is_found_again_whatever_its_names_are_made_of(
    new_sandboxes: Leases, new_context: Contexts, name: str
):
    context = dataclasses.replace(new_context(name), owner=f"{new_context().owner} {name}")
    first = await python(ToolExecutor(new_sandboxes()), context, "x = 1")
    second = await python(ToolExecutor(new_sandboxes()), context, "x")
    assert (second.output, second.sandbox_id) == ("1", first.sandbox_id)


async def test_the_same_thread_id_of_another_owner_is_another_sandbox(executor: ToolExecutor, new_context: Contexts):
    mine = new_context()
    theirs = dataclasses.replace(mine, owner=f"{mine.owner}-other")
    await python(executor, mine, "secret = 1")
    result = await executor.execute_code("secret", "python", theirs)
    assert result.error is not None and result.error.startswith("NameError")
    assert await ids(executor.sandboxes, theirs) == [result.sandbox_id]
    assert not await executor.sandboxes.kill(theirs.owner, (await ids(executor.sandboxes, mine))[0])


async def test_threads_that_name_the_same_key_share_a_sandbox(executor: ToolExecutor, new_context: Contexts):
    one, two = new_context("one", sandbox_key="shared"), new_context("two", sandbox_key="shared")
    first = await python(executor, one, "x = 1")
    second = await python(executor, two, "x")
    assert (second.output, second.sandbox_id) == ("1", first.sandbox_id)
    assert (await executor.sandboxes.owned(one.owner))[0].metadata[KEY] == "shared"
    stranger = dataclasses.replace(two, owner=f"{two.owner}-other")
    assert (await executor.execute_code("x", "python", stranger)).sandbox_id != first.sandbox_id
    # A key is no thread id.
    assert (await python(executor, new_context("shared"), "1")).sandbox_id != first.sandbox_id


async def test_many_first_calls_of_a_thread_at_once_make_one_sandbox(executor: ToolExecutor, context: CallContext):
    results = await asyncio.gather(*(python(executor, context, str(number)) for number in range(8)))
    assert len({result.sandbox_id for result in results}) == 1
    assert [result.output for result in results] == [str(number) for number in range(8)]
    assert await ids(executor.sandboxes, context) == [results[0].sandbox_id]


async def test_another_process_finds_the_sandbox_of_a_thread(new_sandboxes: Leases, context: CallContext):
    first = await python(ToolExecutor(new_sandboxes()), context, "x = 1")
    second = await python(ToolExecutor(new_sandboxes()), context, "x")
    assert (second.sandbox_id, second.output, second.notes) == (first.sandbox_id, "1", ())


async def test_processes_that_create_at_once_end_with_one_sandbox(new_sandboxes: Leases, context: CallContext):
    executors = [ToolExecutor(new_sandboxes()) for _ in range(4)]
    results = await asyncio.gather(*(python(executor, context, "1") for executor in executors))
    (kept,) = await ids(executors[0].sandboxes, context)
    assert {result.sandbox_id for result in results} == {kept}


# --- lost and found


async def test_a_killed_sandbox_is_replaced_and_the_result_says_so_once(executor: ToolExecutor, context: CallContext):
    first = await python(executor, context, "x = 1")
    await kill(executor.sandboxes, first.sandbox_id)
    second = await python(executor, context, "print('runs')")
    assert second.output == "runs" and second.sandbox_id != first.sandbox_id
    (note,) = second.notes
    assert first.sandbox_id in note and note.endswith(LOST)
    assert (await python(executor, context, "1")).notes == ()


async def test_calls_that_lose_the_sandbox_together_share_one_new_one(executor: ToolExecutor, context: CallContext):
    first = await python(executor, context, "1")
    await kill(executor.sandboxes, first.sandbox_id)
    results = await asyncio.gather(*(python(executor, context, str(number)) for number in range(6)))
    assert await ids(executor.sandboxes, context) == [results[0].sandbox_id]
    assert sum(len(result.notes) for result in results) == 1


async def test_a_file_that_went_with_the_sandbox_is_said_to_be_lost(executor: ToolExecutor, context: CallContext):
    written = await executor.write_file("notes.txt", "x", context)
    await kill(executor.sandboxes, written.sandbox_id)
    with pytest.raises(InvalidCall, match="there is no /home/user/notes.txt .*earlier calls are lost"):
        await executor.read_file("notes.txt", context)
    await kill(executor.sandboxes, (await ids(executor.sandboxes, context))[0])
    assert (await executor.write_file("notes.txt", "x", context)).notes[0].endswith(LOST)


async def test_a_paused_sandbox_is_resumed_with_its_state(executor: ToolExecutor, context: CallContext):
    first = await python(executor, context, "x = 1")
    await pause(executor.sandboxes, first.sandbox_id)
    second = await python(executor, context, "x")
    assert (second.output, second.sandbox_id, second.notes) == ("1", first.sandbox_id, ())
    await pause(executor.sandboxes, first.sandbox_id)
    assert (await executor.run_command("echo up", context)).stdout == "up\n"
    await pause(executor.sandboxes, first.sandbox_id)
    assert (await executor.write_file("a", "x", context)).sandbox_id == first.sandbox_id


async def test_an_earlier_turn_s_sandbox_that_is_gone_is_said_to_be_lost(new_sandboxes: Leases, new_context: Contexts):
    first = await python(ToolExecutor(new_sandboxes()), new_context(), "1")
    again = await python(ToolExecutor(new_sandboxes()), new_context(known_sandbox_id=first.sandbox_id), "1")
    assert again.notes == () and again.sandbox_id == first.sandbox_id
    await kill(new_sandboxes(), first.sandbox_id)
    later = await python(ToolExecutor(new_sandboxes()), new_context(known_sandbox_id=first.sandbox_id), "1")
    assert first.sandbox_id in later.notes[0] and later.notes[0].endswith(LOST)


@pytest.mark.parametrize("how", ["code", "command", "bash"])
async def test_what_has_begun_in_a_sandbox_that_ends_is_not_run_again(
    executor: ToolExecutor, context: CallContext, how: str
):
    first = await python(executor, context, "1")
    code = "import time; open('begun', 'w').close(); time.sleep(100)"
    calls = {
        "code": lambda: executor.execute_code(code, "python", context),
        "command": lambda: executor.run_command("touch begun; sleep 100", context),
        "bash": lambda: executor.execute_code("touch begun; sleep 100", "bash", context),
    }
    running = asyncio.create_task(calls[how]())
    settings = executor.sandboxes.settings
    watching = await AsyncSandbox.connect(first.sandbox_id, **_options(settings))
    await until(lambda: watching.files.exists("begun"))
    await kill(executor.sandboxes, first.sandbox_id)
    with pytest.raises(SandboxLost, match="ended during the call"):
        await running
    assert await ids(executor.sandboxes, context) == []
    after = await executor.execute_code("import os; os.path.exists('begun')", "python", context)
    assert after.output == "False" and after.notes[0].endswith(LOST)


async def test_a_cancelled_call_is_interrupted_and_leaves_the_sandbox_usable(
    executor: ToolExecutor, context: CallContext
):
    await python(executor, context, "import time; x = 1; ended = None")
    code = "open('begun', 'w').close()\ntry:\n    time.sleep(100)\nfinally:\n    ended = time.time()"
    running = asyncio.create_task(executor.execute_code(code, "python", context))
    while (await executor.run_command("test -e begun", context)).exit_code:
        pass
    cancelled = time.time()
    running.cancel()
    with pytest.raises(asyncio.CancelledError):
        await running
    result = await python(executor, context, "print(x, ended)")
    x, ended = result.output.split()
    assert x == "1" and float(ended) - cancelled < 1
    assert result.notes == ()


async def test_a_cancelled_command_ends_with_its_children(executor: ToolExecutor, context: CallContext):
    await python(executor, context, "1")
    running = asyncio.create_task(executor.run_command("(sleep 1234 & echo $! > pid; wait)", context))
    while (await executor.run_command("test -s pid", context)).exit_code:
        pass
    running.cancel()
    with pytest.raises(asyncio.CancelledError):
        await running
    gone = "for i in $(seq 100); do pgrep -f 'sleep [1]234' || exit 0; sleep .02; done; exit 1"
    assert (await executor.run_command(gone, context)).success


async def test_calls_on_one_kernel_run_one_after_the_other_and_keep_their_own_time(
    executor: ToolExecutor, context: CallContext
):
    await python(executor, context, "import time; inside = 0")
    code = "inside += 1; assert inside == 1; time.sleep(.3); inside -= 1; print({})"
    calls = [python(executor, context, code.format(number), timeout_s=2) for number in range(8)]
    results = await asyncio.gather(*calls)
    assert [result.output for result in results] == [str(number) for number in range(8)]


async def test_kernels_of_two_languages_run_at_the_same_time(executor: ToolExecutor, context: CallContext):
    await python(executor, context, "import os, time")
    waiting = python(executor, context, "while not os.path.exists('go'): time.sleep(.01)", timeout_s=60)
    running = asyncio.create_task(waiting)
    assert (await executor.execute_code("touch go", "bash", context)).success
    await running


# --- once per sandbox


@pytest.mark.usefixtures("registries")
async def test_default_packages_are_installed_once_in_each_sandbox(new_sandboxes: Leases, new_context: Contexts):
    context = new_context(default_packages=("cowsay==6.1", "npm:is-number@7"))
    executor, other = ToolExecutor(new_sandboxes()), ToolExecutor(new_sandboxes())
    assert (await python(executor, context, "import cowsay; cowsay.__name__")).output == "cowsay"
    assert (await executor.execute_code("require('is-number')(5)", "javascript", context)).output == "true"
    marker = ".sandloop/default-packages.json"
    before = await executor.run_command(f"stat -c %y {marker}; cat {marker}", context)
    assert "cowsay==6.1" in before.stdout
    # Another process that finds the sandbox sees that they are there.
    await python(other, context, "cowsay")
    assert (await other.run_command(f"stat -c %y {marker}; cat {marker}", context)).stdout == before.stdout


@pytest.mark.usefixtures("registries")
async def test_default_packages_that_cannot_be_installed_do_not_keep_the_sandbox_from_working(
    executor: ToolExecutor, new_context: Contexts
):
    context = new_context(default_packages=("no-such-package-of-anybody-4711",))
    assert (await python(executor, context, "1 + 1")).output == "2"


# --- ending


async def test_an_ephemeral_call_leaves_nothing_behind(new_sandboxes: Leases, context: CallContext):
    executor = ToolExecutor(new_sandboxes(ephemeral=True))
    first, second = await python(executor, context, "x = 1"), await executor.execute_code("x", "python", context)
    assert first.sandbox_id != second.sandbox_id
    assert second.error is not None and second.error.startswith("NameError")
    assert await ids(executor.sandboxes, context) == []


async def test_a_cancelled_ephemeral_call_leaves_nothing_behind(new_sandboxes: Leases, context: CallContext):
    executor = ToolExecutor(new_sandboxes(ephemeral=True))
    running = asyncio.create_task(executor.execute_code("import time; time.sleep(100)", "python", context))
    await until(lambda: ids(executor.sandboxes, context))
    running.cancel()
    await asyncio.wait([running])

    async def gone() -> bool:
        return not await ids(executor.sandboxes, context)

    await until(gone)


@pytest.mark.parametrize(("on_close", "left"), [("kill", []), ("pause", ["paused"]), ("keep", ["running"])])
async def test_close_ends_what_it_created_as_the_settings_say(
    new_sandboxes: Leases, context: CallContext, on_close: str, left: list[str]
):
    async with new_sandboxes(on_close=on_close) as sandboxes:
        first = await python(ToolExecutor(sandboxes), context, "x = 1")
    assert [info.state.value for info in await sandboxes.owned(context.owner)] == left
    again = await python(ToolExecutor(sandboxes), context, "print(globals().get('x'))")
    assert (again.sandbox_id == first.sandbox_id, again.output == "1") == (bool(left), bool(left))
    await sandboxes.release(context)


async def test_close_leaves_a_sandbox_that_another_process_created(new_sandboxes: Leases, context: CallContext):
    creator, user = new_sandboxes(), new_sandboxes()
    first = await python(ToolExecutor(creator), context, "1")
    async with user:
        assert (await python(ToolExecutor(user), context, "1")).sandbox_id == first.sandbox_id
    assert await ids(creator, context) == [first.sandbox_id]


async def test_release_ends_the_sandbox_of_a_thread_only(executor: ToolExecutor, new_context: Contexts):
    one, two = new_context("one"), new_context("two")
    await python(executor, one, "1")
    other = await python(executor, two, "1")
    await executor.sandboxes.release(one)
    assert await ids(executor.sandboxes, one) == [other.sandbox_id]
    assert (await python(executor, one, "1")).notes == ()


async def test_an_unused_sandbox_is_paused_when_its_time_is_over(new_sandboxes: Leases, context: CallContext):
    sandboxes = new_sandboxes(on_timeout="pause")
    first = await python(ToolExecutor(sandboxes), context, "x = 1")
    await AsyncSandbox.set_timeout(first.sandbox_id, 1, **_options(sandboxes.settings))

    async def paused() -> bool:
        return [info.state.value for info in await sandboxes.owned(context.owner)] == ["paused"]

    await until(paused)
    assert (await python(ToolExecutor(sandboxes), context, "x")).output == "1"


async def test_a_server_that_is_started_anew_at_the_same_address_has_lost_the_sandboxes(
    tmp_path_factory: pytest.TempPathFactory, new_sandboxes: Leases, context: CallContext, server: RunningServer
):
    first_server = start_server(tmp_path_factory.mktemp("first"))
    port = first_server.url.rsplit(":", 1)[1]
    executor = ToolExecutor(new_sandboxes(api_key=API_KEY, api_url=first_server.url, sandbox_url=first_server.url))
    first = await python(executor, context, "1")
    stop_server(first_server)
    second_server = start_server(tmp_path_factory.mktemp("second"), "--port", port)
    try:
        second = await python(executor, context, "print('runs')")
        assert second.output == "runs"
        assert first.sandbox_id in second.notes[0] and second.notes[0].endswith(LOST)
        await executor.close()
    finally:
        stop_server(second_server)


async def test_owners_and_threads_whose_names_look_like_queries_are_kept_apart(new_sandboxes: Leases):
    sandboxes = new_sandboxes()
    odd = [f"{owner}-{uuid.uuid4().hex[:8]}" for owner in ("a&sandloop.owner=b", "a%26b", "a+b", "a b")]
    made = {}
    for owner in odd:
        made[owner] = await sandboxes.run(CallContext("t&x=%31", owner), _id)
    for owner in odd:
        assert [found.sandbox_id for found in await sandboxes.owned(owner)] == [made[owner]]
        assert await sandboxes.find(CallContext("t", owner)) is None


async def _id(lease: Lease) -> str:
    return lease.id
