"""Terminals of a sandbox, through the SDK's `pty`."""

from __future__ import annotations

import asyncio
import re

import pytest
from e2b import AuthenticationException, CommandExitException, NotFoundException, PtySize, SandboxException
from e2b.sandbox_sync.commands.command_handle import CommandHandle
from e2b_code_interpreter import AsyncSandbox, Sandbox

from .waiting import wait_until

SIZE = PtySize(rows=24, cols=80)


class Terminal:
    """A terminal and what it has shown so far."""

    def __init__(self, sandbox: Sandbox, handle: CommandHandle[str]) -> None:
        self.pid = handle.pid
        self.handle = handle
        self._sandbox = sandbox
        self._output = iter(handle)
        self.shown = ""

    def send(self, text: str) -> None:
        self._sandbox.pty.send_stdin(self.pid, text.encode())

    def wait_for(self, pattern: str) -> re.Match[str]:
        while not (found := re.search(pattern, self.shown)):
            self.shown += (next(self._output)[2] or b"").decode(errors="replace")
        self.shown = self.shown[found.end() :]
        return found


@pytest.fixture
def terminal(sandbox: Sandbox) -> Terminal:
    return Terminal(sandbox, sandbox.pty.create(SIZE))


def test_a_terminal_is_an_interactive_shell_with_job_control(terminal: Terminal) -> None:
    terminal.send("tty; echo $- $TERM; set -o | grep monitor\n")
    terminal.wait_for(r"/dev/pts/\d+")
    terminal.wait_for(r"i\w* xterm-256color")
    terminal.wait_for(r"monitor\s+on")


def test_what_is_typed_is_shown(terminal: Terminal) -> None:
    terminal.send("echo one$((1+1))two\n")
    terminal.wait_for(re.escape("echo one$((1+1))two"))
    terminal.wait_for("one2two")


def test_resize_reaches_the_program_in_the_foreground(sandbox: Sandbox, terminal: Terminal) -> None:
    terminal.send("stty size\n")
    terminal.wait_for("24 80")
    terminal.send('bash -c \'trap "stty size" WINCH; echo re""ady; while :; do sleep 0.05; done\'\n')
    terminal.wait_for("ready")
    sandbox.pty.resize(terminal.pid, PtySize(rows=50, cols=132))
    terminal.wait_for("50 132")


def test_ctrl_c_interrupts_the_program_and_not_the_shell(sandbox: Sandbox, terminal: Terminal) -> None:
    terminal.send("sleep 1000\n")
    # Only then has the terminal been handed to it.
    wait_until(lambda: sandbox.commands.run("pgrep -x sleep || true").stdout)
    terminal.send("\x03")
    terminal.send("echo al''ive $?\n")
    terminal.wait_for("alive 130")


def test_ctrl_d_ends_the_shell_with_its_code(terminal: Terminal) -> None:
    terminal.send("PS1='[$?]> '\n")
    terminal.send("(exit 7)\n")
    terminal.wait_for(r"\[7\]> ")
    terminal.send("\x04")
    with pytest.raises(CommandExitException) as caught:
        terminal.handle.wait()
    assert caught.value.exit_code == 7


def test_a_terminal_starts_in_its_folder_with_its_variables(sandbox: Sandbox) -> None:
    terminal = Terminal(sandbox, sandbox.pty.create(SIZE, cwd="/tmp", envs={"COLOUR": "ręd"}))
    terminal.send("echo [$PWD $COLOUR]\n")
    terminal.wait_for(r"\[/tmp ręd\]")


def test_a_terminal_survives_its_client_and_another_connects(sandbox: Sandbox, terminal: Terminal) -> None:
    terminal.send("STATE=kept\n")
    terminal.handle.disconnect()
    again = Terminal(sandbox, sandbox.pty.connect(terminal.pid))
    again.send("echo [$STATE]\n")
    again.wait_for(r"\[kept\]")


def test_a_killed_terminal_takes_its_programs_along(sandbox: Sandbox, terminal: Terminal) -> None:
    terminal.send("echo st''art; sleep 1000\n")
    terminal.wait_for("start")
    assert sandbox.pty.kill(terminal.pid)
    assert terminal.pid not in {process.pid for process in sandbox.commands.list()}
    assert not sandbox.pty.kill(terminal.pid)
    with pytest.raises(NotFoundException):
        sandbox.pty.send_stdin(terminal.pid, b"x")


def test_resizing_what_has_no_terminal_is_an_error(sandbox: Sandbox) -> None:
    handle = sandbox.commands.run("sleep 1000", background=True)
    with pytest.raises(SandboxException, match="PTY"):
        sandbox.pty.resize(handle.pid, SIZE)
    with pytest.raises(SandboxException, match="PTY"):
        sandbox.pty.send_stdin(handle.pid, b"x")
    with pytest.raises(NotFoundException):
        sandbox.pty.resize(999_999, SIZE)


@pytest.mark.parametrize("size", [(0, 0), (1, 1), (65535, 65535), (10**6, 10**6)])
def test_any_size_of_a_terminal_is_taken_without_harm(sandbox: Sandbox, size: tuple[int, int]) -> None:
    terminal = Terminal(sandbox, sandbox.pty.create(PtySize(rows=size[0], cols=size[1])))
    terminal.send("exit 5\n")
    with pytest.raises(CommandExitException) as caught:
        terminal.handle.wait()
    assert caught.value.exit_code == 5


def test_a_terminal_of_root_is_refused(sandbox: Sandbox) -> None:
    with pytest.raises(AuthenticationException, match="no root"):
        sandbox.pty.create(SIZE, user="root")


def test_a_large_paste_arrives_whole(sandbox: Sandbox, terminal: Terminal) -> None:
    terminal.send("stty -echo; echo re''ady; cat > pasted\n")
    terminal.wait_for("ready")
    lines = "".join(f"line {number}\n" for number in range(5000))
    terminal.send(lines)
    terminal.send("\x04")
    terminal.send("stty echo; echo do''ne\n")
    terminal.wait_for("done")
    assert sandbox.files.read("pasted") == lines


async def test_the_async_sdk_has_terminals_too(async_sandbox: AsyncSandbox) -> None:
    shown: asyncio.Queue[bytes] = asyncio.Queue()
    handle = await async_sandbox.pty.create(SIZE, on_data=shown.put_nowait)
    await async_sandbox.pty.send_stdin(handle.pid, b"echo one$((1+1))two\n")
    output = b""
    async with asyncio.timeout(60):
        while b"one2two" not in output:
            output += await shown.get()
    await async_sandbox.pty.resize(handle.pid, PtySize(rows=10, cols=20))
    assert await async_sandbox.pty.kill(handle.pid)
