"""What holds for programs of any language: limits, ends, files. Bash is at hand everywhere and starts fast."""

from __future__ import annotations

import asyncio
import shutil
import time
from typing import Any

import pytest
from e2b_code_interpreter import AsyncSandbox

from agent_tools import errors
from agent_tools.context import LiveOutput
from agent_tools.languages import ProgramResult, find, recipe_for, run_program

BASH = find("bash")
ENOUGH_SECONDS = 60
NOTHING_LEFT = "grep -lsz ^SANDLOOP_RUN= /proc/*/environ; ls /tmp"


async def bash(sandbox: AsyncSandbox, code: str, **options: Any) -> ProgramResult:
    return await run_program(sandbox, BASH, code, **{"timeout_s": ENOUGH_SECONDS, **options})


async def cancel_when_it_says_started(sandbox: AsyncSandbox, code: str) -> float:
    """Run a program, cancel the call, and return how long that took."""
    started = asyncio.Event()

    def see(piece: LiveOutput) -> None:
        if "started" in piece.text:
            started.set()

    async with asyncio.TaskGroup() as group:
        task = group.create_task(bash(sandbox, code, on_output=see))
        await started.wait()
        before = time.monotonic()
        task.cancel()
    return time.monotonic() - before


async def test_a_program_runs_in_the_users_folder_with_its_files(sandbox: AsyncSandbox) -> None:
    await sandbox.files.write("data.txt", "of the user")
    assert (await bash(sandbox, "pwd; cat data.txt")).stdout == "/home/user\nof the user"
    await sandbox.files.write("work/data.txt", "elsewhere")
    assert (await bash(sandbox, "cat data.txt", cwd="/home/user/work")).stdout == "elsewhere"


async def test_a_folder_that_is_not_there_is_a_wrong_call(sandbox: AsyncSandbox) -> None:
    with pytest.raises(errors.InvalidCall, match="'/home/user/nowhere' does not exist"):
        await bash(sandbox, "true", cwd="/home/user/nowhere")


async def test_nothing_of_a_program_is_left_but_the_files_it_wrote(sandbox: AsyncSandbox) -> None:
    await bash(sandbox, "echo made > made.txt")
    assert await sandbox.files.read("made.txt") == "made\n"
    assert (await sandbox.commands.run(NOTHING_LEFT)).stdout == ""


async def test_a_program_without_input_finds_it_empty(sandbox: AsyncSandbox) -> None:
    assert (await bash(sandbox, "cat; echo end")).stdout == "end\n"


async def test_output_comes_while_the_program_runs(sandbox: AsyncSandbox) -> None:
    pieces: list[LiveOutput] = []
    seen = asyncio.Event()

    def see(piece: LiveOutput) -> None:
        pieces.append(piece)
        seen.set()

    async with asyncio.TaskGroup() as group:
        task = group.create_task(bash(sandbox, "echo one; until [ -e go ]; do sleep 0.01; done", on_output=see))
        await seen.wait()
        await sandbox.files.write("go", "")
    assert pieces == [LiveOutput("stdout", "one\n")]
    assert task.result().stdout == "one\n"


async def test_stdout_and_stderr_are_kept_apart(sandbox: AsyncSandbox) -> None:
    result = await bash(sandbox, "echo out; echo err >&2")
    assert (result.stdout, result.stderr) == ("out\n", "err\n")


async def test_the_middle_of_much_output_is_left_out(sandbox: AsyncSandbox) -> None:
    live: list[str] = []
    result = await bash(sandbox, "seq 1000000", max_output_bytes=1000, on_output=lambda piece: live.append(piece.text))
    assert result.stdout.startswith("1\n2\n3\n") and result.stdout.endswith("999999\n1000000\n")
    assert len(result.stdout) < 1100
    assert f"[... {result.left_out_bytes} bytes left out ...]" in result.stdout
    assert result.left_out_bytes == 6_888_896 - 1000
    assert sum(map(len, live)) < 200_000


async def test_a_flood_ends_with_its_time_and_is_not_kept(sandbox: AsyncSandbox) -> None:
    result = await bash(sandbox, "yes", timeout_s=2)
    assert result.error_name == errors.EXECUTION_TIMEOUT
    assert len(result.stdout) < 1_100_000 < result.left_out_bytes


async def test_what_was_printed_before_the_timeout_is_kept(sandbox: AsyncSandbox) -> None:
    result = await bash(sandbox, "echo before; sleep 1000", timeout_s=2)
    assert (result.stdout, result.error_name) == ("before\n", errors.EXECUTION_TIMEOUT)


async def test_a_timeout_ends_the_children_too_also_those_that_left_the_group(sandbox: AsyncSandbox) -> None:
    await bash(sandbox, "sleep 1000 & setsid sleep 1000 & wait", timeout_s=2)
    assert (await sandbox.commands.run(NOTHING_LEFT)).stdout == ""


async def test_cancelling_ends_a_program_at_once_and_the_sandbox_goes_on(sandbox: AsyncSandbox) -> None:
    took = await cancel_when_it_says_started(sandbox, "setsid sleep 1000 & echo started; sleep 1000")
    assert took < 3  # on a busy machine; else some 30 ms
    assert (await sandbox.commands.run(NOTHING_LEFT)).stdout == ""
    assert (await bash(sandbox, "echo on")).stdout == "on\n"


async def test_cancelling_ends_a_program_that_fills_the_process_table(sandbox: AsyncSandbox) -> None:
    code = "echo started; while :; do setsid sleep 1000 & done 2>/dev/null"
    await cancel_when_it_says_started(sandbox, code)
    assert (await sandbox.commands.run(NOTHING_LEFT)).stdout == ""


async def test_a_program_that_needs_too_much_memory_is_told_so(sandbox: AsyncSandbox) -> None:
    # Its own child first, as any other program would be.
    result = await bash(sandbox, "exec python3 -c 'x = []\nwhile True: x.append(bytearray(2 ** 24))'")
    if result.exit_code == 1:
        assert "MemoryError" in result.stderr  # without control groups a limit refuses, and nothing is killed
    else:
        assert (result.error_name, result.exit_code) == (errors.OUT_OF_MEMORY, 137), result
        assert "memory" in result.message
    assert (await bash(sandbox, "echo on")).stdout == "on\n"


async def test_a_crash_is_told_by_its_exit_code(sandbox: AsyncSandbox) -> None:
    result = await bash(sandbox, "kill -SEGV $$")
    assert (result.error_name, result.exit_code) == (errors.NON_ZERO_EXIT, 139)
    assert "Segmentation fault" in result.stderr


async def test_programs_run_side_by_side(sandbox: AsyncSandbox) -> None:
    async with asyncio.TaskGroup() as group:
        tasks = [group.create_task(bash(sandbox, f"echo {number}")) for number in range(8)]
    assert [task.result().stdout for task in tasks] == [f"{number}\n" for number in range(8)]


async def test_a_missing_language_is_told_with_what_to_install(connection: dict[str, Any]) -> None:
    sandbox = await AsyncSandbox.create(timeout=120, envs={"PATH": "/nowhere"}, **connection)
    try:
        result = await run_program(sandbox, find("go"), "package main", timeout_s=ENOUGH_SECONDS)
    finally:
        await sandbox.kill()
    assert (result.error_name, result.exit_code) == (errors.MISSING_LANGUAGE, None)
    assert result.message == "this sandbox has no Go: go is not on its PATH; to have it: apt install golang-go"


async def test_installing_where_nobody_is_root_leaves_the_language_missing(
    connection: dict[str, Any], on_e2b: bool
) -> None:
    if on_e2b:
        pytest.skip("E2B's sandboxes have root")
    sandbox = await AsyncSandbox.create(timeout=120, envs={"PATH": "/nowhere"}, **connection)
    told: list[LiveOutput] = []
    try:
        result = await run_program(
            sandbox,
            find("ruby"),
            "puts 1",
            timeout_s=ENOUGH_SECONDS,
            on_output=told.append,
            install_missing=True,
        )
    finally:
        await sandbox.kill()
    assert told == [LiveOutput("status", "installing Ruby\n")]
    assert result.error_name == errors.MISSING_LANGUAGE
    assert "root" in result.stderr


async def test_a_language_that_was_missing_is_found_once_it_is_there(sandbox: AsyncSandbox) -> None:
    julia = find("julia")
    if await recipe_for(sandbox, julia):
        pytest.skip("julia is there already")
    await sandbox.files.write(".local/bin/julia", '#!/bin/sh\necho "ran $3"\n')
    await sandbox.commands.run("chmod +x ~/.local/bin/julia")
    result = await run_program(sandbox, julia, "1", timeout_s=ENOUGH_SECONDS)
    assert result.stdout.startswith("ran /tmp/") and result.stdout.endswith("/main.jl\n")


async def test_go_has_its_standard_library_ready_and_a_cache_to_write(sandbox: AsyncSandbox) -> None:
    if not shutil.which("go"):
        pytest.skip("no Go on this machine: make setup-languages")
    if not (await sandbox.commands.run("echo $SANDLOOP_GO_CACHE")).stdout.strip():
        pytest.skip("no warm cache for Go on this machine: make setup-languages")
    code = 'package main\nimport ("fmt"; "net/http")\nfunc main() { fmt.Println(http.StatusText(200)) }'
    async with asyncio.TaskGroup() as group:
        tasks = [group.create_task(run_program(sandbox, find("go"), code, timeout_s=100)) for _ in range(3)]
    assert [task.result().stdout for task in tasks] == ["OK\n"] * 3
    # All that was compiled is this program and its like; the library's files are links to the host's.
    compiled = "find ~/.cache/go-build -name '*-d' -type f | wc -l; ls -A ~/.cache"
    count, *caches = (await sandbox.commands.run(compiled)).stdout.split()
    assert int(count) < 20
    assert caches == ["go-build"]
