"""Ends of kernels, sandboxes, templates and servers: nothing is left over, and the rest goes on."""

from __future__ import annotations

import contextlib
import os
import shutil
import signal
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from e2b import SandboxException
from e2b_code_interpreter import Sandbox

from ..conftest import API_KEY, RunningServer, start_server
from ..programs import descendants
from ..waiting import wait_until
from .attacker import exit_code, probe, processes_with, upload

NewSandbox = Callable[..., Sandbox]


@pytest.fixture
def own_server(tmp_path: Path) -> Iterator[RunningServer]:
    """A server that the test may end in its own way."""
    running = start_server(tmp_path)
    yield running
    running.process.terminate()
    running.process.wait(60)
    assert running.process.stdout is not None
    running.process.stdout.close()


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGTERM])
def test_the_end_of_the_server_is_the_end_of_every_process(own_server: RunningServer, number: signal.Signals) -> None:
    sandbox = Sandbox.create(timeout=300, **own_server.options)
    marker = f"orphan-of-{sandbox.sandbox_id}"
    for _ in range(10):
        sandbox.commands.run(f"python {upload(sandbox, 'orphan')} {marker}")
    started = descendants(own_server.process.pid)
    assert len(processes_with(marker)) >= 10
    own_server.process.send_signal(number)
    wait_until(lambda: not processes_with(marker))
    own_server.process.wait(60)
    wait_until(lambda: not any(Path("/proc", str(pid)).exists() for pid in started))


def test_a_stopped_server_can_still_be_killed_with_everything_in_it(own_server: RunningServer) -> None:
    sandbox = Sandbox.create(timeout=300, **own_server.options)
    marker = f"orphan-of-{sandbox.sandbox_id}"
    sandbox.commands.run(f"python {upload(sandbox, 'orphan')} {marker}")
    own_server.process.send_signal(signal.SIGSTOP)
    own_server.process.kill()
    wait_until(lambda: not processes_with(marker))


def test_the_end_of_the_template_process_ends_its_sandboxes_and_the_next_create_starts_another(
    own_server: RunningServer,
) -> None:
    sandbox = Sandbox.create(timeout=300, **own_server.options)
    for pid in descendants(own_server.process.pid):
        if b"bwrap" in Path(f"/proc/{pid}/cmdline").read_bytes():
            os.kill(pid, signal.SIGKILL)
            break
    wait_until(lambda: not sandbox.is_running())
    again = Sandbox.create(timeout=300, **own_server.options)
    assert again.run_code("1 + 1").text == "2"


DEATHS = {
    "a segmentation fault": "import ctypes; ctypes.string_at(0)",
    "an abort": "import os; os.abort()",
    "an exit": "import os; os._exit(1)",
    "a kill": "import os, signal; os.kill(os.getpid(), signal.SIGKILL)",
    "a closed channel": "import os; os.closerange(3, 256); os._exit(0)",
    "a fork that returns": "import os; os.fork(); 1",
    "an exec": "import os; os.execv('/bin/true', ['true'])",
}


@pytest.mark.parametrize("name", list(DEATHS))
def test_a_kernel_that_dies_is_replaced_at_once(sandbox: Sandbox, name: str) -> None:
    sandbox.run_code("x = 1")
    execution = sandbox.run_code(DEATHS[name], timeout=60)
    assert execution.error is not None or name == "a fork that returns"
    assert sandbox.run_code("1 + 1", timeout=60).text == "2"


@pytest.mark.parametrize("code", ["raise SystemExit", "exit()", "raise KeyboardInterrupt", "raise GeneratorExit"])
def test_an_exception_that_asks_to_leave_is_only_an_error(sandbox: Sandbox, code: str) -> None:
    sandbox.run_code("x = 1")
    sandbox.run_code(code, timeout=60)
    assert sandbox.run_code("1 + 1").text == "2"


def test_closed_descriptors_of_a_kernel_are_its_own_loss(sandbox: Sandbox) -> None:
    with contextlib.suppress(SandboxException):
        sandbox.run_code("import os; os.closerange(0, 256)", timeout=10)
    assert sandbox.commands.run("echo fine").stdout == "fine\n"
    assert sandbox.run_code("1 + 1", timeout=60).text == "2"


def test_processes_that_ignore_signals_are_paused_all_the_same(server: RunningServer, sandbox: Sandbox) -> None:
    code = (
        "import os, signal, time\n"
        "for n in (signal.SIGTERM, signal.SIGTSTP, signal.SIGCONT): signal.signal(n, signal.SIG_IGN)\n"
        "while True:\n    open('/tmp/beat', 'w').write(str(time.monotonic_ns()))\n"
    )
    sandbox.files.write("spin.py", code)
    for _ in range(8):
        sandbox.commands.run("python spin.py", background=True)
    wait_until(lambda: sandbox.files.exists("/tmp/beat"))
    sandbox.pause()
    again = Sandbox.connect(sandbox.sandbox_id, **server.options)
    assert again.commands.run("echo awake").stdout == "awake\n"


def test_a_paused_fork_bomb_can_be_killed(sandbox: Sandbox) -> None:
    bomb = sandbox.commands.run(f"python {upload(sandbox, 'forks')} stay {sandbox.sandbox_id}", background=True)
    assert next(iter(bomb))[0]
    sandbox.pause()
    assert sandbox.kill()
    wait_until(lambda: not processes_with(sandbox.sandbox_id))


def test_killed_sandboxes_leave_no_control_group(own_server: RunningServer) -> None:
    groups = f"*/**/sandloop-{own_server.process.pid}/*/tasks"
    for _ in range(3):
        sandbox = Sandbox.create(timeout=300, **own_server.options)
        probe(sandbox, "threads")
        sandbox.kill()
    wait_until(lambda: not list(Path("/sys/fs/cgroup").glob(groups)))


def test_without_bubblewrap_the_server_refuses_to_start_and_says_what_to_install(tmp_path: Path) -> None:
    command = [sys.executable, "-m", "sandbox_server", "serve", "--port", "0", "--api-key", API_KEY]
    folder = tmp_path / "bin"
    folder.mkdir()
    for name in ("sh", "env"):
        os.symlink(str(shutil.which(name)), folder / name)
    environ = {**os.environ, "PATH": str(folder), "XDG_RUNTIME_DIR": str(tmp_path)}
    ended = subprocess.run(command, env=environ, capture_output=True, text=True, timeout=60, check=False)
    assert ended.returncode != 0
    assert ended.stdout == ""
    assert "bubblewrap" in ended.stderr
    assert "Traceback" not in ended.stderr


def test_with_a_bubblewrap_that_fails_the_server_refuses_to_start(tmp_path: Path) -> None:
    command = [sys.executable, "-m", "sandbox_server", "serve", "--port", "0", "--api-key", API_KEY]
    fake = tmp_path / "bwrap"
    fake.write_text("#!/bin/sh\necho 'bwrap: setting up uid map: Permission denied' >&2\nexit 1\n")
    fake.chmod(0o755)
    environ = {**os.environ, "PATH": f"{tmp_path}:{os.environ['PATH']}", "XDG_RUNTIME_DIR": str(tmp_path)}
    ended = subprocess.run(command, env=environ, capture_output=True, text=True, timeout=60, check=False)
    assert ended.returncode != 0
    assert "uid map: Permission denied" in ended.stderr


def test_a_bubblewrap_that_walls_nothing_in_is_found_out(tmp_path: Path) -> None:
    """Something on PATH that runs the command as it is must not become an unwalled sandbox."""
    command = [sys.executable, "-m", "sandbox_server", "serve", "--port", "0", "--api-key", API_KEY]
    fake = tmp_path / "bwrap"
    fake.write_text('#!/bin/sh\nwhile [ "$1" != -- ]; do shift; done\nshift\nexec "$@"\n')
    fake.chmod(0o755)
    environ = {**os.environ, "PATH": f"{tmp_path}:{os.environ['PATH']}", "XDG_RUNTIME_DIR": str(tmp_path)}
    ended = subprocess.run(command, env=environ, capture_output=True, text=True, timeout=60, check=False)
    assert ended.returncode != 0
    assert ended.stdout == ""


def test_a_create_that_fails_leaves_no_group_and_no_process(server: RunningServer) -> None:
    before = descendants(server.process.pid)
    for options in ({"template": "nothing"}, {"timeout": 10**8}, {"envs": {"A": "x" * 40_000}}):
        with pytest.raises(SandboxException):
            Sandbox.create(**{**server.options, **options})
    wait_until(lambda: descendants(server.process.pid) <= before)


def test_killing_twice_and_at_the_same_moment_is_harmless(server: RunningServer, new_sandbox: NewSandbox) -> None:
    sandbox = new_sandbox()
    with server.client() as client:
        statuses = [client.delete(f"/sandboxes/{sandbox.sandbox_id}").status_code for _ in range(3)]
    assert statuses == [204, 404, 404]


def test_a_sandbox_survives_the_thread_that_made_it(server: RunningServer) -> None:
    """bubblewrap dies with the thread that started it: that must be the server's own."""
    made: list[Sandbox] = []
    thread = threading.Thread(target=lambda: made.append(Sandbox.create(timeout=300, **server.options)))
    thread.start()
    thread.join()
    assert made[0].commands.run("echo alive").stdout == "alive\n"
    assert exit_code(made[0], "sleep 1") == 0
    assert made[0].kill()
