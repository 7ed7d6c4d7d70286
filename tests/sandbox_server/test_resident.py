import contextlib
import dataclasses
import json
import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

import sandbox_server
from sandbox_server import resident
from sandbox_server.errors import SandboxServerError, ServerNotRunning, ServerStartFailed
from sandbox_server.state import RuntimeFolder, State, start_time, version
from tests.sandbox_server.programs import ask, descendants, environment, running, serving, start, until

ENSURE = "import sandbox_server; print(sandbox_server.ensure().pid)"


@pytest.fixture
def runtime(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A runtime folder without a server; what is started in it ends with the test."""
    monkeypatch.setenv("XDG_RUNTIME_DIR", str(tmp_path))
    yield tmp_path / "sandloop"
    with contextlib.suppress(SandboxServerError):
        resident.stop()


def create(address: resident.Address) -> str:
    body = json.dumps({"templateID": "base"}).encode()
    return str(json.loads(ask(address.url, address.api_key, "POST", "/v2/sandboxes", body))["sandboxID"])


def test_processes_that_ask_at_the_same_time_get_the_same_server(runtime: Path):
    command = [sys.executable, "-c", ENSURE]
    environ = environment(runtime.parent)
    asking = [subprocess.Popen(command, env=environ, stdout=subprocess.PIPE, text=True) for _ in range(3)]
    pids = {process.communicate(timeout=90)[0].strip() for process in asking}
    assert pids == {str(resident.status().address.pid)}


def test_the_server_is_found_again_and_is_not_a_child_of_the_one_that_started_it(runtime: Path):
    address = resident.ensure()
    assert resident.ensure() == address
    assert address.version == version()
    assert running(address.pid)
    assert address.pid not in descendants(os.getpid())
    assert os.getsid(address.pid) != os.getsid(0)
    assert os.readlink(f"/proc/{address.pid}/fd/0") == "/dev/null"
    assert os.readlink(f"/proc/{address.pid}/fd/2") == str(runtime / "server.log")


def test_an_address_gives_the_variables_of_the_sdk_and_does_not_show_its_key():
    address = resident.Address("http://127.0.0.1:1", "secret", 1, "1")
    assert address.env() == {
        "E2B_API_URL": "http://127.0.0.1:1",
        "E2B_SANDBOX_URL": "http://127.0.0.1:1",
        "E2B_API_KEY": "secret",
    }
    assert "secret" not in repr(address)
    assert "secret" not in repr(State(1, 1, "1", "http://127.0.0.1:1", "secret"))


def test_stop_ends_the_server_and_its_sandboxes(runtime: Path):
    address = resident.ensure()
    create(address)
    processes = descendants(address.pid)
    assert resident.stop().pid == address.pid
    assert not running(address.pid)
    until(lambda: not any(map(running, processes)))
    for call in (resident.stop, resident.status):
        with pytest.raises(ServerNotRunning):
            call()


def test_after_a_sudden_death_nothing_is_left_and_the_next_one_starts_another(runtime: Path):
    first = resident.ensure()
    create(first)
    processes = descendants(first.pid)
    os.kill(first.pid, signal.SIGKILL)
    until(lambda: not any(map(running, {first.pid, *processes})))
    assert (runtime / "server.json").exists()
    with pytest.raises(ServerNotRunning):
        resident.status()
    assert resident.ensure().pid != first.pid


def test_a_state_file_with_the_number_of_another_process_is_not_believed(runtime: Path):
    with RuntimeFolder.open(runtime) as folder:
        folder.write(State(os.getpid(), 1, version(), "http://127.0.0.1:9", "key"))
    with pytest.raises(ServerNotRunning):
        resident.stop()
    assert resident.ensure().pid != os.getpid()


def test_a_state_file_without_a_lock_is_not_believed(runtime: Path):
    started = start_time(os.getpid())
    assert started
    with RuntimeFolder.open(runtime) as folder:
        folder.write(State(os.getpid(), started, version(), "http://127.0.0.1:9", "key"))
    with pytest.raises(ServerNotRunning):
        resident.stop()


@pytest.mark.parametrize("content", [b"", b"[]", b"{", b'{"pid": "1"}', b"\xff", b'{"pid": 1, "more": 1}'])
def test_a_state_file_without_sense_is_no_state(runtime: Path, content: bytes):
    with RuntimeFolder.open(runtime) as folder:
        (runtime / "server.json").write_bytes(content)
        (runtime / "server.json").chmod(0o600)
        assert folder.read() is None


def rewrite(runtime: Path, **changes: Any) -> None:
    with RuntimeFolder.open(runtime) as folder:
        state = folder.read()
        assert state
        folder.write(dataclasses.replace(state, **changes))


def test_an_idle_server_of_another_version_is_replaced(runtime: Path):
    first = resident.ensure()
    rewrite(runtime, version="0.0.1")
    second = resident.ensure()
    assert second.pid != first.pid
    assert not running(first.pid)


def test_a_busy_server_of_another_version_is_kept_and_told_about(runtime: Path):
    first = resident.ensure()
    create(first)
    rewrite(runtime, version="0.0.1")
    said: list[str] = []
    assert resident.ensure(progress=said.append).pid == first.pid
    assert "version 0.0.1" in said[0]
    assert "1 sandboxes" in said[0]


def test_a_server_that_does_not_take_its_key_is_an_error(runtime: Path):
    resident.ensure()
    rewrite(runtime, api_key="another")
    with pytest.raises(ServerStartFailed, match="does not answer as it should.*sandbox_server stop"):
        resident.ensure()


def test_whoever_asks_while_a_server_starts_in_the_foreground_waits_for_that_one(runtime: Path):
    process = start(runtime.parent, "--api-key", "mine")
    try:
        until((runtime / "server.json").exists)
        said: list[str] = []
        address = resident.ensure(progress=said.append)
        assert (address.pid, address.api_key) == (process.pid, "mine")
        assert "waiting" in said[0]
    finally:
        process.terminate()
        process.communicate(timeout=60)


def test_whoever_gets_an_address_finds_a_server_there_for_the_whole_idle_time(runtime: Path):
    # An idle time far longer than it takes to ask again, also on a busy machine.
    with serving(runtime.parent, "--idle-exit", "3") as server:
        began = time.monotonic()
        until(lambda: time.monotonic() > began + 5 or resident.ensure().pid != server.process.pid)
        assert time.monotonic() > began + 5
        server.process.wait(timeout=60)


def test_a_first_start_shows_the_build_of_the_template_and_can_be_stopped(runtime: Path, tmp_path: Path):
    environ = environment(runtime.parent, XDG_CACHE_HOME=str(tmp_path / "cache"), UV_CACHE_DIR=str(tmp_path / "uv"))
    asking = subprocess.Popen([sys.executable, "-c", ENSURE], env=environ, stderr=subprocess.PIPE, text=True)
    assert asking.stderr
    assert "building the sandbox template" in asking.stderr.readline()
    stopped = resident.stop()
    assert (stopped.url, running(stopped.pid)) == ("", False)
    assert "ServerStartFailed: the sandbox server did not start" in asking.communicate(timeout=60)[1]


def test_why_a_server_did_not_start_is_told_to_whoever_asked(runtime: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("PATH", str(runtime))
    said: list[str] = []
    with pytest.raises(ServerStartFailed, match="bubblewrap is missing: install it"):
        resident.ensure(progress=said.append)
    assert any("bubblewrap is missing" in line for line in said)
    with pytest.raises(ServerNotRunning):
        resident.status()


def test_links_in_place_of_the_runtime_folder_and_its_files_are_refused(runtime: Path, tmp_path: Path):
    target = tmp_path / "target"
    target.mkdir(mode=0o700)
    runtime.symlink_to(target)
    with pytest.raises(SandboxServerError, match="cannot be used"):
        resident.ensure()
    assert list(target.iterdir()) == []
    runtime.unlink()

    runtime.mkdir(mode=0o700)
    for name in ("server.json", "server.lock", "start.lock", "server.log"):
        (runtime / name).symlink_to(target / "canary")
        with RuntimeFolder.open(runtime) as folder, pytest.raises(SandboxServerError, match=name):
            match name:
                case "server.json":
                    folder.read()
                case "server.lock":
                    folder.claim()
                case "start.lock":
                    with folder.deciding(wait=True):
                        pass
                case _:
                    folder.open_log()
        (runtime / name).unlink()
    assert list(target.iterdir()) == []


def test_a_state_file_that_others_may_read_is_refused(runtime: Path):
    with RuntimeFolder.open(runtime) as folder:
        (runtime / "server.json").write_text("{}")
        (runtime / "server.json").chmod(0o644)
        with pytest.raises(SandboxServerError, match="not a private file"):
            folder.read()


@pytest.mark.skipif(os.getuid() != 0, reason="takes another user's file")
def test_a_state_file_of_another_user_is_refused(runtime: Path):
    with RuntimeFolder.open(runtime) as folder:
        folder.write(State(1, 1, "1", "http://127.0.0.1:9", "key"))
        shutil.chown(runtime / "server.json", 12345)
        with pytest.raises(SandboxServerError, match="not a private file"):
            folder.read()


def test_a_runtime_folder_that_was_open_to_others_is_closed(runtime: Path):
    runtime.mkdir(mode=0o755)
    with RuntimeFolder.open(runtime):
        assert runtime.stat().st_mode & 0o777 == 0o700


def test_a_long_log_is_put_aside(runtime: Path):
    program = (
        "import sys; from sandbox_server import foreground; from sandbox_server.settings import runtime_folder\n"
        "with foreground.RuntimeFolder.open(runtime_folder()) as folder:\n"
        "    sys.stderr.write('x' * 5_000_000); sys.stderr.flush()\n"
        "    foreground._bound_log(folder); print('after', file=sys.stderr)"
    )
    with RuntimeFolder.open(runtime) as folder:
        log = folder.new_log()
    environ = environment(runtime.parent)
    subprocess.run([sys.executable, "-c", program], env=environ, stderr=log, check=True)
    os.close(log)
    assert (runtime / "server.log").read_text() == "after\n"
    assert (runtime / "server.log.1").stat().st_size == 5_000_000


def test_the_package_is_light_and_its_names_are_there():
    program = (
        "import sys, sandbox_server; heavy = {'starlette', 'uvicorn', 'sandbox_server.server'} & sys.modules.keys();"
        "from sandbox_server import *; assert not heavy, heavy; print(ensure.__module__, Server.__module__)"
    )
    shown = subprocess.check_output([sys.executable, "-c", program], text=True)
    assert shown.split() == ["sandbox_server.resident", "sandbox_server.server"]
    assert sandbox_server.__all__ == sorted(sandbox_server.__all__)
    with pytest.raises(AttributeError, match="no attribute 'nothing'"):
        _ = sandbox_server.nothing
