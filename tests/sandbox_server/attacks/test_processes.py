"""Attacks on other processes: the host's, pid 1, the guest daemon; and processes that will not end."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from e2b import SandboxException
from e2b_code_interpreter import Sandbox

from ..conftest import RunningServer
from ..waiting import wait_until
from .attacker import exit_code, probe, processes_with, upload

NewSandbox = Callable[..., Sandbox]


def test_processes_of_the_host_are_not_seen(server: RunningServer, sandbox: Sandbox) -> None:
    pids = [int(pid) for pid in sandbox.commands.run("ls /proc | grep -E '^[0-9]+$'").stdout.split()]
    assert len(pids) < 10
    error = sandbox.run_code(f"import os; os.kill({server.process.pid}, 0)").error
    assert error is not None and error.name == "ProcessLookupError"


def test_pid_1_cannot_be_looked_into(sandbox: Sandbox) -> None:
    assert probe(sandbox, "others") == []


@pytest.mark.parametrize("number", ["TERM", "INT", "HUP", "KILL", "STOP", "SEGV", "USR1", "CHLD", "PIPE"])
def test_a_signal_to_pid_1_changes_nothing(sandbox: Sandbox, number: str) -> None:
    sandbox.commands.run(f"kill -{number} 1")
    assert sandbox.commands.run("echo fine").stdout == "fine\n"
    assert sandbox.run_code("1 + 1").text == "2"


def test_killing_everything_ends_only_this_sandboxes_processes(new_sandbox: NewSandbox) -> None:
    victim, other = new_sandbox(), new_sandbox()
    other.run_code("x = 1")
    victim.run_code("x = 1")
    victim.files.write("kept", "kept")
    victim.commands.run("kill -9 -1")
    assert victim.files.read("kept") == "kept"
    wait_until(lambda: victim.run_code("1 + 1").text == "2")
    assert other.run_code("x").text == "1"


def test_killing_everything_again_and_again_changes_nothing_for_others(new_sandbox: NewSandbox) -> None:
    victim, other = new_sandbox(), new_sandbox()
    for _ in range(10):
        exit_code(victim, "kill -9 -1")
    wait_until(lambda: victim.run_code("1 + 1").text == "2")
    assert other.commands.run("echo fine").stdout == "fine\n"


def test_stopping_everything_does_not_stop_the_guest_daemon(sandbox: Sandbox) -> None:
    with pytest.raises(SandboxException):
        sandbox.commands.run("kill -STOP -1; sleep 60", timeout=1)
    assert sandbox.commands.run("echo fine", request_timeout=60).stdout == "fine\n"


def test_a_sandbox_whose_kernel_was_stopped_can_still_be_killed(sandbox: Sandbox) -> None:
    pid = sandbox.run_code("import os; os.getpid()").text
    sandbox.commands.run(f"kill -STOP {pid}")
    with pytest.raises(SandboxException):
        sandbox.run_code("1", timeout=1)
    assert sandbox.kill()


def test_a_fork_bomb_stops_at_the_limit_and_others_go_on(new_sandbox: NewSandbox) -> None:
    bomb, other = new_sandbox(), new_sandbox()
    assert 0 < probe(bomb, "forks") < 256
    staying = bomb.commands.run(f"python {upload(bomb, 'forks')} stay {bomb.sandbox_id}", background=True)
    assert next(iter(staying))[0]
    assert other.commands.run("echo fine").stdout == "fine\n"
    assert other.run_code("1 + 1").text == "2"
    assert processes_with(bomb.sandbox_id)
    assert bomb.kill()
    wait_until(lambda: not processes_with(bomb.sandbox_id))


def test_a_shell_fork_bomb_is_survived_and_cleared(sandbox: Sandbox, server: RunningServer) -> None:
    with pytest.raises(SandboxException):
        sandbox.commands.run("bomb() { bomb | bomb & }; bomb; sleep 60", timeout=2)
    with server.client() as client:
        assert client.get("/health").status_code == 200
    assert sandbox.kill()


def test_a_thread_bomb_stops_at_the_limit(sandbox: Sandbox) -> None:
    assert 0 < probe(sandbox, "threads") < 256
    assert sandbox.run_code("1 + 1").text == "2"


def test_orphans_that_ignore_every_polite_signal_end_with_the_sandbox(sandbox: Sandbox) -> None:
    marker = f"orphan-of-{sandbox.sandbox_id}"
    sandbox.commands.run(f"python {upload(sandbox, 'orphan')} {marker}")
    assert processes_with(marker)
    assert sandbox.kill()
    wait_until(lambda: not processes_with(marker))


def test_zombies_are_reaped(sandbox: Sandbox) -> None:
    sandbox.commands.run("for i in $(seq 50); do (sleep 0.01 &) ; done")
    wait_until(lambda: exit_code(sandbox, "cat /proc/[0-9]*/stat | grep ' Z '") == 1)


def test_limits_of_the_guest_daemon_cannot_be_changed(sandbox: Sandbox) -> None:
    assert exit_code(sandbox, "prlimit --pid 1 --nofile=3:3 --cpu=0:0") != 0
    assert sandbox.commands.run("ulimit -n 100; ulimit -n").stdout == "100\n"


def test_processes_of_a_killed_sandbox_leave_its_user_id_clean(new_sandbox: NewSandbox) -> None:
    """The next sandbox may get the same user id: nothing that ran under it may be left."""
    first = new_sandbox()
    marker = f"orphan-of-{first.sandbox_id}"
    first.commands.run(f"python {upload(first, 'orphan')} {marker}")
    first.kill()
    wait_until(lambda: not processes_with(marker))
    second = new_sandbox()
    assert exit_code(second, "find / -xdev -user 1000 -newer /proc/1 -path '*orphan*' | grep .") == 1
