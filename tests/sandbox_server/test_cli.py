import os
import shutil
import signal
import socket
import stat
import subprocess
from pathlib import Path

import pytest

from tests.sandbox_server.programs import descendants, run, running, serving, start, state, until


def control_groups_of(pid: int) -> list[Path]:
    return list(Path("/sys/fs/cgroup").glob(f"**/sandloop-{pid}*"))


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_a_signal_ends_the_server_and_everything_in_it(tmp_path: Path, number: signal.Signals):
    with serving(tmp_path) as server:
        server.create()
        processes = descendants(server.process.pid)
        assert len(processes) > 2
        code, out, err = server.end(number)
        assert (code, out) == (0, ""), err
        assert "Traceback" not in err
        until(lambda: not any(map(running, processes)))
        assert control_groups_of(server.process.pid) == []
        assert not (tmp_path / "sandloop/server.json").exists()


def test_a_second_signal_ends_the_server_at_once(tmp_path: Path):
    with serving(tmp_path) as server:
        processes = descendants(server.process.pid)
        # Both are there when it looks.
        server.process.send_signal(signal.SIGSTOP)
        server.process.send_signal(signal.SIGINT)
        server.process.send_signal(signal.SIGTERM)
        code, out, _ = server.end(signal.SIGCONT)
        assert (code, out) == (130, "")
        until(lambda: not any(map(running, processes)))


def test_a_signal_during_a_template_build_ends_the_installer_too(tmp_path: Path):
    process = start(tmp_path, XDG_CACHE_HOME=str(tmp_path / "cache"), UV_CACHE_DIR=str(tmp_path / "uv"))
    assert process.stderr
    assert "building the sandbox template" in process.stderr.readline()
    until(lambda: bool(descendants(process.pid)))
    children = descendants(process.pid)
    process.terminate()
    out, err = process.communicate(timeout=60)
    assert (process.returncode, out) == (0, ""), err
    assert "Traceback" not in err
    assert not any(map(running, children))
    assert not list((tmp_path / "cache").glob("**/*.partial"))


def test_the_made_up_key_is_in_a_file_that_only_this_user_reads(tmp_path: Path):
    with serving(tmp_path) as server:
        found = state(tmp_path)
        assert (found["url"], int(found["pid"])) == (server.url, server.process.pid)
        assert len(found["api_key"]) > 40
        assert server.create()
        modes = {path.name: stat.S_IMODE(path.stat().st_mode) for path in (tmp_path / "sandloop").iterdir()}
        assert modes == {"server.json": 0o600, "server.lock": 0o600}
        assert stat.S_IMODE((tmp_path / "sandloop").stat().st_mode) == 0o700


def test_the_key_comes_from_the_option_before_the_environment(tmp_path: Path):
    with serving(tmp_path, "--api-key", "mine", E2B_API_KEY="other") as server:
        assert state(tmp_path)["api_key"] == "mine"
        assert server.create()
    with serving(tmp_path, E2B_API_KEY="other") as server:
        assert server.api_key == "other"


def test_a_second_server_needs_a_key_of_its_own(tmp_path: Path):
    with serving(tmp_path) as first:
        refused = run(tmp_path, "serve", "--port", "0")
        assert (refused.returncode, refused.stdout) == (1, "")
        assert "--api-key" in refused.stderr
        with serving(tmp_path, "--api-key", "mine") as second:
            assert second.create()
            assert state(tmp_path)["url"] == first.url
        assert state(tmp_path)["url"] == first.url


def test_a_taken_port_is_a_clear_error(tmp_path: Path):
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        refused = run(tmp_path, "serve", "--port", str(port))
    assert (refused.returncode, refused.stdout) == (1, "")
    assert f"port {port} of 127.0.0.1 is taken" in refused.stderr
    assert "Traceback" not in refused.stderr


def test_without_bubblewrap_nothing_is_served(tmp_path: Path):
    (tmp_path / "bin").mkdir()
    refused = run(tmp_path, "serve", "--port", "0", PATH=str(tmp_path / "bin"))
    assert (refused.returncode, refused.stdout) == (1, "")
    assert "bubblewrap is missing: install it" in refused.stderr
    assert "Traceback" not in refused.stderr
    assert not (tmp_path / "sandloop/server.json").exists()


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--host", "0.0.0.0"], "open to other machines"),
        (["--api-key", ""], "API key"),
        (["--api-key", "two words"], "API key"),
        (["--api-key", "schlüssel"], "API key"),
        (["--port", "65536"], "port"),
        (["--template", "mine"], "NAME=FILE"),
        (["--template", "mine=/nowhere/list.txt"], "no file '/nowhere/list.txt'"),
        (["--memory-mb", "0"], "at least 1"),
        (["--cpus", "nan"], "above 0"),
        (["--idle-exit", "-1"], "above 0"),
    ],
)
def test_wrong_options_are_explained(tmp_path: Path, options: list[str], message: str):
    refused = run(tmp_path, "serve", *options)
    assert (refused.returncode, refused.stdout) == (2, "")
    assert message in refused.stderr


def test_a_toolchain_without_programs_is_a_clear_error(tmp_path: Path):
    refused = run(tmp_path, "serve", "--port", "0", "--toolchain", str(tmp_path))
    assert (refused.returncode, refused.stdout) == (1, "")
    assert "it has no bin/" in refused.stderr


def test_an_open_host_with_a_key_is_warned_about(tmp_path: Path):
    with serving(tmp_path, "--host", "0.0.0.0", "--api-key", "mine") as server:
        _, _, err = server.end()
        assert "warning: 0.0.0.0 is open to other machines" in err


def test_a_server_without_work_ends_by_itself(tmp_path: Path):
    with serving(tmp_path, "--idle-exit", "1") as server:
        out, err = server.process.communicate(timeout=60)
        assert (server.process.returncode, out) == (0, "")
        assert "1 seconds without a sandbox" in err
        assert not (tmp_path / "sandloop/server.json").exists()


def test_a_server_with_a_sandbox_does_not_end_by_itself(tmp_path: Path):
    with serving(tmp_path, "--idle-exit", "1.5") as server:
        server.create()
        with pytest.raises(subprocess.TimeoutExpired):
            server.process.wait(timeout=4)


@pytest.mark.parametrize("command", ["status", "list", "stop"])
def test_without_a_server_commands_say_so(tmp_path: Path, command: str):
    answer = run(tmp_path, command)
    assert (answer.returncode, answer.stdout) == (1, "")
    assert "no sandbox server runs" in answer.stderr


def test_status_and_list_show_what_runs(tmp_path: Path):
    with serving(tmp_path) as server:
        sandbox = server.create()
        status = run(tmp_path, "status")
        assert f"running at {server.url} (pid {server.process.pid}" in status.stdout
        assert "1 running and 0 paused" in status.stdout
        header, row = run(tmp_path, "list").stdout.splitlines()
        assert header.split() == ["ID", "TEMPLATE", "STATE", "STARTED", "ENDS"]
        assert row.split()[:3] == [sandbox, "code-interpreter-v1", "running"]


def test_stop_ends_a_server_in_the_foreground_too(tmp_path: Path):
    with serving(tmp_path) as server:
        assert run(tmp_path, "stop").returncode == 0
        assert server.process.wait(timeout=60) == 0


def test_env_prints_three_lines_for_a_shell_and_stop_ends_what_it_started(tmp_path: Path):
    try:
        answer = run(tmp_path, "env", E2B_API_KEY="a key of the cloud")
        assert answer.returncode == 0, answer.stderr
        names = [line.partition("=")[0] for line in answer.stdout.splitlines()]
        assert names == ["export E2B_API_URL", "export E2B_SANDBOX_URL", "export E2B_API_KEY"]
        script = answer.stdout + 'printf %s "$E2B_API_URL $E2B_SANDBOX_URL $E2B_API_KEY"'
        found = state(tmp_path)
        shown = subprocess.check_output(["/bin/sh", "-c", script], text=True)
        assert shown == f"{found['url']} {found['url']} {found['api_key']}"
        assert found["api_key"] != "a key of the cloud"
        fish = run(tmp_path, "env", "--shell", "fish").stdout
        assert f"set -gx E2B_API_URL '{found['url']}'\n" in fish
    finally:
        stopped = run(tmp_path, "stop")
    assert stopped.returncode == 0
    assert not running(int(found["pid"]))


@pytest.mark.skipif(os.getuid() != 0, reason="takes another user's file")
def test_a_runtime_folder_of_another_user_is_refused(tmp_path: Path):
    (tmp_path / "sandloop").mkdir(mode=0o700)
    shutil.chown(tmp_path / "sandloop", 12345)
    for command in ("serve", "env", "status", "stop"):
        refused = run(tmp_path, command)
        assert (refused.returncode, refused.stdout) == (1, "")
        assert "belongs to another user" in refused.stderr
