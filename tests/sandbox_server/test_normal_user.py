"""The server started by a normal user: no control groups, one kernel user for all sandboxes, and the same walls."""

from __future__ import annotations

import os
import platform
import shutil
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from e2b import SandboxException
from e2b_code_interpreter import Sandbox

from .attacks.attacker import exit_code, probe, processes_with, upload
from .attacks.test_kernel_surface import ABSENT, OTHERWISE
from .conftest import RunningServer
from .normal_user import UID, install
from .waiting import wait_until

pytestmark = [
    pytest.mark.skipif(os.getuid() != 0, reason="whoever is no root tests this with the whole suite"),
    pytest.mark.skipif(not shutil.which("setpriv"), reason="setpriv (util-linux) is missing"),
    pytest.mark.timeout(900),  # The first run builds a template.
    pytest.mark.xdist_group("normal-user"),
]
NewSandbox = Callable[..., Sandbox]


@pytest.fixture(scope="session")
def server() -> Iterator[RunningServer]:
    """In place of the one that runs as root."""
    # Not pytest's own temporary folder: each session that starts closes it to other users.
    with tempfile.TemporaryDirectory(prefix="sandloop-normal-user-", dir="/var/tmp") as name:
        folder = Path(name)
        folder.chmod(0o755)
        runtime = folder / "run"
        runtime.mkdir()
        with install(folder / "site").server(runtime, "--memory-mb", "512") as running:
            yield running


@pytest.fixture
def new_sandbox(server: RunningServer) -> Iterator[NewSandbox]:
    made: list[Sandbox] = []

    def create(**options: Any) -> Sandbox:
        made.append(Sandbox.create(**{"timeout": 120, **server.options, **options}))
        return made[-1]

    yield create
    for sandbox in made:
        sandbox.kill()


def test_the_server_is_no_root(server: RunningServer) -> None:
    assert os.stat(f"/proc/{server.process.pid}").st_uid == UID


def test_code_commands_and_files_work(sandbox: Sandbox) -> None:
    sandbox.run_code("import numpy, pandas; x = 41")
    assert sandbox.run_code("x + 1").text == "42"
    assert sandbox.commands.run("echo hi; id -u").stdout == "hi\n1000\n"
    sandbox.files.write("a/b", "c")
    assert sandbox.files.read("a/b") == "c"
    context = sandbox.create_code_context(language="bash")
    assert "ok" in "".join(sandbox.run_code("echo ok", context=context).logs.stdout)


def test_a_sandbox_pauses_and_resumes_without_a_freezer(server: RunningServer, sandbox: Sandbox) -> None:
    sandbox.run_code("x = 1")
    sandbox.commands.run("while :; do date +%s%N > /tmp/beat; done", background=True)
    wait_until(lambda: sandbox.files.exists("/tmp/beat"))
    sandbox.pause()
    again = Sandbox.connect(sandbox.sandbox_id, **server.options)
    assert again.run_code("x").text == "1"
    beat = again.files.get_info("/tmp/beat").modified_time
    wait_until(lambda: again.files.get_info("/tmp/beat").modified_time != beat)


def test_a_kill_ends_every_process(sandbox: Sandbox) -> None:
    marker = f"orphan-of-{sandbox.sandbox_id}"
    sandbox.commands.run(f"python {upload(sandbox, 'orphan')} {marker}")
    assert processes_with(marker)
    sandbox.kill()
    wait_until(lambda: not processes_with(marker))


def test_the_users_own_files_outside_are_not_there(sandbox: Sandbox, tmp_path: Path) -> None:
    """To the kernel the sandbox is the user that the server runs as: only what is mounted keeps it out."""
    canary = tmp_path / "canary"
    canary.write_text("of the host")
    os.chown(canary, UID, UID)
    for path in (str(canary), f"/proc/self/root{canary}", f"/proc/1/root{canary}"):
        assert exit_code(sandbox, f"cat {path}") != 0
        with pytest.raises(SandboxException):
            sandbox.files.read(path)
    for number in range(64):
        with pytest.raises(SandboxException):
            sandbox.files.write(f"/proc/self/fd/{number}", "evil")
    for path in ("/usr/e", "/etc/e", "/e", "/dev/e", "/opt/sandloop/template/e", "/opt/sandloop/lib/e"):
        assert exit_code(sandbox, f"touch {path}") != 0
    assert exit_code(sandbox, "find / -xdev -writable -type f 2>/dev/null | grep -v -e ^/proc -e ^/dev") == 1
    assert canary.read_text() == "of the host"


@pytest.mark.parametrize("path", ["/proc/sys/kernel/core_pattern", "/proc/sys/vm/swappiness", "/proc/self/uid_map"])
def test_kernel_settings_cannot_be_changed(sandbox: Sandbox, path: str) -> None:
    error = sandbox.run_code(f"open({path!r}, 'r+').write('0')").error
    assert error is not None and error.name in ("PermissionError", "OSError")


@pytest.mark.skipif(platform.machine() != "x86_64", reason="the probes use x86-64 system call numbers")
def test_every_dangerous_system_call_is_refused(sandbox: Sandbox) -> None:
    outcomes = probe(sandbox, "system_calls")
    assert {name for name, outcome in outcomes.items() if outcome == "ok"} == set()
    assert {name for name, outcome in outcomes.items() if outcome != "EPERM"} <= ABSENT | OTHERWISE


def test_pid_1_cannot_be_looked_into_and_the_server_is_not_seen(server: RunningServer, sandbox: Sandbox) -> None:
    assert probe(sandbox, "others") == []
    error = sandbox.run_code(f"import os; os.kill({server.process.pid}, 9)").error
    assert error is not None and error.name == "ProcessLookupError"
    exit_code(sandbox, "kill -9 -1")
    assert sandbox.commands.run("echo fine").stdout == "fine\n"


def test_sandboxes_of_one_kernel_user_are_apart(new_sandbox: NewSandbox) -> None:
    first, second = new_sandbox(), new_sandbox()
    first.commands.run(f"exec -a {first.sandbox_id} sleep 600", background=True)
    exit_code(second, "kill -9 -1")
    exit_code(second, "ipcrm --all")
    assert processes_with(first.sandbox_id)
    first.run_code("from multiprocessing import shared_memory as s; kept = s.SharedMemory('canary', True, 10)")
    assert second.commands.run("ls /dev/shm; tail -n +2 /proc/sysvipc/shm").stdout == ""


def test_a_fork_bomb_stops_at_the_limit_and_others_go_on(new_sandbox: NewSandbox) -> None:
    bomb, other = new_sandbox(), new_sandbox()
    assert 0 < probe(bomb, "forks") < 257
    staying = bomb.commands.run(f"python {upload(bomb, 'forks')} stay {bomb.sandbox_id}", background=True)
    assert next(iter(staying))[0]
    assert other.commands.run("echo fine").stdout == "fine\n"
    assert other.run_code("1 + 1").text == "2"
    assert processes_with(bomb.sandbox_id)
    assert bomb.kill()
    wait_until(lambda: not processes_with(bomb.sandbox_id))


@pytest.mark.parametrize("way", ["objects", "forks", "hidden"])
def test_a_memory_bomb_is_ended_by_the_watchdog(new_sandbox: NewSandbox, way: str) -> None:
    bomb, other = new_sandbox(), new_sandbox()
    other.run_code("x = 1")
    assert exit_code(bomb, f"python {upload(bomb, 'memory')} {way}") != 0
    assert bomb.commands.run("echo fine").stdout == "fine\n"
    assert other.run_code("x").text == "1"


def test_a_kernel_over_the_memory_limit_is_replaced(sandbox: Sandbox) -> None:
    execution = sandbox.run_code("import time\nkept = [bytearray(b'x' * 10**7) for _ in range(100)]\ntime.sleep(30)")
    assert execution.error is not None
    assert sandbox.run_code("1 + 1").text == "2"


def test_a_full_home_is_no_reason_to_kill(sandbox: Sandbox) -> None:
    sandbox.run_code("x = 1")
    exit_code(sandbox, "fallocate -l 1500M a; fallocate -l 1500M b")
    assert sandbox.run_code("x").text == "1"
