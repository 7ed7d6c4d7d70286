"""Commands of a sandbox, through the SDK: output, input, ends, and what survives its client."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

import pytest
from e2b import (
    AuthenticationException,
    CommandExitException,
    InvalidArgumentException,
    NotFoundException,
    SandboxException,
    TimeoutException,
)
from e2b_code_interpreter import AsyncSandbox, Sandbox

from .waiting import wait_until

MIB = 1024 * 1024


def failed(sandbox: Sandbox, command: str) -> CommandExitException[str]:
    with pytest.raises(CommandExitException) as caught:
        sandbox.commands.run(command)
    return caught.value


def pids(sandbox: Sandbox) -> set[int]:
    return {process.pid for process in sandbox.commands.list()}


@pytest.mark.parametrize("code", [1, 2, 42, 127, 255])
def test_an_exit_code_arrives_with_the_output_before_it(sandbox: Sandbox, code: int) -> None:
    error = failed(sandbox, f"echo out; echo err >&2; exit {code}")
    assert (error.exit_code, error.stdout, error.stderr) == (code, "out\n", "err\n")


@pytest.mark.parametrize(
    ("name", "says"), [("TERM", "terminated"), ("KILL", "killed"), ("SEGV", "segmentation fault"), ("ABRT", "aborted")]
)
def test_a_signal_ends_a_command_with_minus_one_and_its_name(sandbox: Sandbox, name: str, says: str) -> None:
    error = failed(sandbox, f"kill -{name} $$")
    assert error.exit_code == -1
    assert error.error == f"signal: {says}"


def test_a_program_that_is_not_there_is_the_shells_127(sandbox: Sandbox) -> None:
    error = failed(sandbox, "no-such-program")
    assert error.exit_code == 127
    assert "not found" in error.stderr


@pytest.mark.parametrize("text", ["", "no newline", "a\nb\n", "żółć 🐍\n", "tab\tand\x1b[31mcolour\n", "nul\0inside"])
def test_output_arrives_as_it_was_written(sandbox: Sandbox, text: str) -> None:
    sandbox.files.write("text", text)
    assert sandbox.commands.run("cat text").stdout == text


def test_bytes_that_are_no_utf8_are_replaced_and_the_rest_stays(sandbox: Sandbox) -> None:
    assert sandbox.commands.run(r"printf 'a\xff\xfeb\xc3'").stdout == "a\ufffd\ufffdb\ufffd"


def test_a_character_split_between_two_writes_stays_whole(sandbox: Sandbox) -> None:
    handle = sandbox.commands.run(r"printf '\xf0\x9f'; read line; printf '\x90\x8d'", background=True, stdin=True)
    handle.send_stdin("go on\n")
    assert handle.wait().stdout == "🐍"


def test_ten_megabytes_of_output_arrive_whole(sandbox: Sandbox) -> None:
    result = sandbox.commands.run("head -c 10485760 /dev/zero | tr '\\0' x")
    assert len(result.stdout) == 10 * MIB


def test_output_comes_while_the_command_runs(sandbox: Sandbox) -> None:
    handle = sandbox.commands.run("echo first; read line; echo $line", background=True, stdin=True)
    output = iter(handle)
    assert next(output)[0] == "first\n"
    handle.send_stdin("second\n")
    assert next(output)[0] == "second\n"


def test_stdout_and_stderr_go_to_their_own_callbacks(sandbox: Sandbox) -> None:
    out: list[str] = []
    err: list[str] = []
    sandbox.commands.run("echo a; echo b >&2; echo c", on_stdout=out.append, on_stderr=err.append)
    assert ("".join(out), "".join(err)) == ("a\nc\n", "b\n")


def test_a_reader_that_stops_slows_the_program_down_and_loses_nothing(sandbox: Sandbox) -> None:
    handle = sandbox.commands.run("seq 1 2000000 | tee progress", background=True)
    output = iter(handle)
    read = next(output)[0] or ""
    sizes = []

    def has_stopped() -> bool:
        sizes.append(sandbox.files.get_info("progress").size)
        return len(sizes) > 20 and len(set(sizes[-20:])) == 1

    wait_until(has_stopped)
    whole = "".join(f"{number}\n" for number in range(1, 2_000_001))
    assert sizes[-1] < len(whole)
    assert read + "".join(chunk or "" for chunk, _, _ in output) == whole


def test_a_command_has_its_folder_and_its_variables(sandbox: Sandbox) -> None:
    sandbox.files.make_dir("work")
    result = sandbox.commands.run("pwd; echo $A; echo $B", cwd="work", envs={"A": "1 2", "B": "ż'\""})
    assert result.stdout == "/home/user/work\n1 2\nż'\"\n"
    assert sandbox.commands.run("echo -$A-").stdout == "--\n"


def test_a_commands_variables_win_over_the_sandboxes(new_sandbox: Callable[..., Sandbox]) -> None:
    sandbox = new_sandbox(envs={"A": "sandbox", "B": "sandbox"})
    assert sandbox.commands.run("echo $A $B", envs={"A": "command"}).stdout == "command sandbox\n"


@pytest.mark.parametrize("cwd", ["/no/such/folder", "/etc/hostname"])
def test_a_folder_that_is_none_is_an_error_that_names_it(sandbox: Sandbox, cwd: str) -> None:
    with pytest.raises(SandboxException, match=cwd):
        sandbox.commands.run("true", cwd=cwd)


def test_commands_run_as_the_sandboxes_user_at_home(sandbox: Sandbox) -> None:
    assert sandbox.commands.run("id -un; id -u; echo $HOME; pwd").stdout == "user\n1000\n/home/user\n/home/user\n"


@pytest.mark.parametrize("user", ["root", "nobody"])
def test_another_user_is_refused_with_what_to_do(sandbox: Sandbox, user: str) -> None:
    with pytest.raises(AuthenticationException, match="pip or npm.*template file"):
        sandbox.commands.run("id", user=user)


def test_sudo_says_what_to_do_instead(sandbox: Sandbox) -> None:
    error = failed(sandbox, "sudo apt-get install -y cowsay")
    assert error.exit_code != 0
    for word in ("pip", "npm", "template"):
        assert word in error.stderr


def test_a_command_over_its_time_is_killed_with_its_children(sandbox: Sandbox) -> None:
    with pytest.raises(TimeoutException):
        sandbox.commands.run("sleep 1000 & sleep 1000; echo never", timeout=1)
    wait_until(lambda: not sandbox.commands.run("pgrep -c sleep || true").stdout.strip("0\n"))


def test_a_background_command_goes_on_when_its_client_leaves(sandbox: Sandbox) -> None:
    command = "while read line; do echo $line; echo $line >> seen; done"
    handle = sandbox.commands.run(command, background=True, stdin=True, timeout=0)
    handle.disconnect()
    sandbox.commands.send_stdin(handle.pid, "unheard\n")
    wait_until(lambda: sandbox.commands.run("cat seen || true").stdout == "unheard\n")
    again = sandbox.commands.connect(handle.pid)
    sandbox.commands.send_stdin(handle.pid, "heard\n")
    sandbox.commands.close_stdin(handle.pid)
    assert again.wait().stdout == "heard\n"


def test_two_clients_of_one_command_both_get_its_output_and_its_end(sandbox: Sandbox) -> None:
    first = sandbox.commands.run("read line; echo $line; exit 3", background=True, stdin=True)
    second = sandbox.commands.connect(first.pid)
    first.send_stdin("both\n")
    for handle in (first, second):
        with pytest.raises(CommandExitException) as caught:
            handle.wait()
        assert (caught.value.stdout, caught.value.exit_code) == ("both\n", 3)


def test_a_left_over_child_does_not_hold_up_the_end(sandbox: Sandbox) -> None:
    result = sandbox.commands.run("sleep 1000 & echo started", timeout=60)
    assert result.stdout == "started\n"
    assert sandbox.commands.run("pgrep -c sleep").stdout == "1\n"


def test_list_tells_what_runs_and_how_it_was_started(sandbox: Sandbox) -> None:
    handle = sandbox.commands.run("sleep 1000", background=True, cwd="/tmp", envs={"A": "1"})
    [process] = sandbox.commands.list()
    assert process.pid == handle.pid
    assert process.cmd == "/bin/bash"
    assert process.args[-1] == "sleep 1000"
    assert process.cwd == "/tmp"
    assert process.envs == {"A": "1"}
    assert handle.kill()
    assert sandbox.commands.list() == []


def test_a_killed_command_is_gone_and_cannot_be_killed_again(sandbox: Sandbox) -> None:
    handle = sandbox.commands.run("sleep 1000", background=True)
    assert sandbox.commands.kill(handle.pid)
    assert handle.pid not in pids(sandbox)
    assert not sandbox.commands.kill(handle.pid)
    with pytest.raises(CommandExitException) as caught:
        handle.wait()
    assert caught.value.exit_code == -1


@pytest.mark.parametrize("pid", [999_999, 1, 2**31])
def test_a_process_that_nobody_started_here_is_not_found(sandbox: Sandbox, pid: int) -> None:
    assert not sandbox.commands.kill(pid)
    with pytest.raises(NotFoundException):
        sandbox.commands.send_stdin(pid, "x")
    with pytest.raises(NotFoundException):
        sandbox.commands.connect(pid)


def test_a_megabyte_of_input_arrives_whole(sandbox: Sandbox) -> None:
    handle = sandbox.commands.run("sha256sum", background=True, stdin=True)
    handle.send_stdin("x" * MIB)
    handle.close_stdin()
    expected = sandbox.commands.run("head -c 1048576 /dev/zero | tr '\\0' x | sha256sum").stdout
    assert handle.wait().stdout == expected


def test_input_is_streamed_in_order(sandbox: Sandbox) -> None:
    handle = sandbox.commands.run("cat > received", background=True, stdin=True)
    sandbox.commands.stream_input(handle.pid, (f"{number}\n" for number in range(1000)))
    handle.close_stdin()
    handle.wait()
    assert sandbox.files.read("received") == "".join(f"{number}\n" for number in range(1000))


def test_without_stdin_a_command_reads_the_end_at_once(sandbox: Sandbox) -> None:
    assert sandbox.commands.run("cat; echo done").stdout == "done\n"


def test_input_to_a_command_that_was_started_without_is_refused(sandbox: Sandbox) -> None:
    handle = sandbox.commands.run("sleep 1000", background=True)
    with pytest.raises(InvalidArgumentException, match="stdin"):
        handle.send_stdin("x")


def test_input_after_the_program_closed_its_own_is_an_error_and_no_hang(sandbox: Sandbox) -> None:
    handle = sandbox.commands.run("exec <&-; echo closed; sleep 1000", background=True, stdin=True)
    assert next(iter(handle))[0] == "closed\n"
    with pytest.raises(SandboxException):
        for _ in range(100):
            handle.send_stdin("x" * 65536)


def test_many_commands_at_once_keep_their_outputs_apart(sandbox: Sandbox) -> None:
    handles = [
        sandbox.commands.run(f"read line; echo {number} $line", background=True, stdin=True) for number in range(20)
    ]
    for handle in reversed(handles):
        handle.send_stdin("answer\n")
    assert [handle.wait().stdout for handle in handles] == [f"{number} answer\n" for number in range(20)]


def test_two_hundred_commands_one_after_the_other_leave_no_process_behind(sandbox: Sandbox) -> None:
    def processes() -> int:
        return int(sandbox.commands.run("ls /proc | grep -c '^[0-9]'").stdout)

    before = processes()
    for number in range(200):
        assert sandbox.commands.run(f"echo {number}").stdout == f"{number}\n"
    wait_until(lambda: processes() == before)
    assert sandbox.commands.list() == []


@pytest.mark.parametrize("command", ["echo 'a", "if true", "((("])
def test_a_shell_syntax_error_is_a_result(sandbox: Sandbox, command: str) -> None:
    error = failed(sandbox, command)
    assert error.exit_code in (1, 2)
    assert "syntax" in error.stderr or "unexpected" in error.stderr


def test_pipes_and_job_control_work_as_in_a_shell(sandbox: Sandbox) -> None:
    assert sandbox.commands.run("yes | head -n 2; (exit 3) & wait $!; echo $?").stdout == "y\ny\n3\n"


async def test_async_commands_run_side_by_side(async_sandbox: AsyncSandbox) -> None:
    async with asyncio.TaskGroup() as group:
        tasks = [group.create_task(async_sandbox.commands.run(f"echo {number}")) for number in range(20)]
    assert [task.result().stdout for task in tasks] == [f"{number}\n" for number in range(20)]


async def test_async_output_is_streamed_to_a_callback_while_input_is_sent(async_sandbox: AsyncSandbox) -> None:
    heard: asyncio.Queue[str] = asyncio.Queue()
    handle = await async_sandbox.commands.run(
        "while read line; do echo got $line; done", background=True, stdin=True, on_stdout=heard.put_nowait
    )
    for number in range(3):
        await async_sandbox.commands.send_stdin(handle.pid, f"{number}\n")
        async with asyncio.timeout(60):
            assert await heard.get() == f"got {number}\n"
    await async_sandbox.commands.close_stdin(handle.pid)
    assert (await handle.wait()).exit_code == 0


async def test_an_async_client_that_is_cancelled_leaves_the_command_running(async_sandbox: AsyncSandbox) -> None:
    waiting = asyncio.create_task(async_sandbox.commands.run("touch started; sleep 1000"))
    async with asyncio.timeout(60):
        while not await async_sandbox.files.exists("started"):
            await asyncio.wait([waiting], timeout=0.02)
    waiting.cancel()
    await asyncio.wait([waiting])
    [process] = await async_sandbox.commands.list()
    assert await async_sandbox.commands.kill(process.pid)
