"""Attacks on the host's files, from inside a sandbox and through the file API."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

import pytest
from e2b import SandboxException
from e2b_code_interpreter import Sandbox

from ..conftest import RunningServer
from .attacker import exit_code

NewSandbox = Callable[..., Sandbox]


@pytest.fixture
def canary(tmp_path: Path) -> Path:
    """A file of the host that everyone may read and write, as far as the host's permissions go."""
    path = tmp_path / "canary"
    path.write_text("of the host")
    path.chmod(0o666)
    for parent in [tmp_path, tmp_path.parent]:
        parent.chmod(0o777)
    return path


@pytest.mark.parametrize(
    "path",
    ["/etc/shadow", "/srv", "/var/log", "/sys/kernel", "/boot", "/root/.ssh", "/proc/kcore", "/dev/mem", "/dev/kmsg"],
)
def test_a_file_of_the_host_is_not_there(sandbox: Sandbox, path: str) -> None:
    assert exit_code(sandbox, f"cat {path} || ls {path}/*") != 0
    with pytest.raises(SandboxException):
        sandbox.files.read(path)


def test_the_same_path_outside_is_another_file(sandbox: Sandbox, canary: Path) -> None:
    assert not sandbox.files.exists(str(canary))
    sandbox.files.write(str(canary), "of the sandbox")
    assert canary.read_text() == "of the host"


def test_the_root_links_of_proc_lead_to_the_sandbox_only(sandbox: Sandbox) -> None:
    assert exit_code(sandbox, "ls /proc/1/root") != 0
    inside = sandbox.run_code("import os; sorted(os.listdir('/proc/self/root/../../..')) == sorted(os.listdir('/'))")
    assert inside.text == "True"
    assert exit_code(sandbox, "test -e /proc/self/root/srv || test -e /proc/self/cwd/../../srv") == 1


@pytest.mark.parametrize("link", ["{canary}", "/proc/self/root{canary}", "/proc/1/root{canary}", "/../../..{canary}"])
def test_a_link_to_a_host_file_reads_nothing_through_the_api(sandbox: Sandbox, canary: Path, link: str) -> None:
    sandbox.commands.run(f"ln -s {link.format(canary=canary)} link")
    with pytest.raises(SandboxException):
        sandbox.files.read("link")
    sandbox.commands.run(f"ln -s {link.format(canary=canary.parent)} folder")
    with pytest.raises(SandboxException):
        sandbox.files.read("folder/canary")


@pytest.mark.parametrize("path", ["../../../etc/shadow", "/home/user/../../etc/shadow", "~/../../etc/shadow"])
def test_dots_in_a_path_stay_in_the_sandbox(sandbox: Sandbox, path: str) -> None:
    with pytest.raises(SandboxException):
        sandbox.files.read(path)


def test_a_link_to_a_host_file_is_not_written_through_the_api(sandbox: Sandbox, canary: Path) -> None:
    sandbox.commands.run(f"ln -s {canary} run.sh")
    with pytest.raises(SandboxException):
        # The link's folder does not exist in here; nothing may be made up for it.
        sandbox.files.write("run.sh", "echo evil")
        sandbox.files.read(str(canary.parent / "other"))
    assert canary.read_text() == "of the host"


def test_a_killed_sandbox_takes_its_links_with_it_and_not_their_targets(sandbox: Sandbox, canary: Path) -> None:
    sandbox.commands.run(f"ln -s / x; ln -s /home h; ln -s {canary.parent} c; mkdir -p d; ln -s {canary} d/canary")
    assert sandbox.kill()
    assert canary.read_text() == "of the host"


@pytest.mark.parametrize(
    "path",
    [
        "/usr/bin/e",
        "/etc/e",
        "/e",
        "/dev/e",
        "/opt/sandloop/e",
        "/opt/sandloop/template/e",
        "/root/e",
        "/home/e",
        "/proc/e",
    ],
)
def test_the_system_cannot_be_written(sandbox: Sandbox, path: str) -> None:
    assert "read-only" in sandbox.run_code(f"open({path!r}, 'w')").error.value.lower() or path == "/proc/e"
    with pytest.raises(SandboxException):
        sandbox.files.write(path, "evil")
    assert not sandbox.files.exists(path)


def test_modules_of_the_guest_cannot_be_replaced(sandbox: Sandbox) -> None:
    guest = "/opt/sandloop/lib/sandbox_server/guest"
    assert exit_code(sandbox, f"mv {guest}/daemon.py /tmp || rm {guest}/processes.py || touch {guest}/evil.py") != 0
    assert exit_code(sandbox, f"find {guest} /opt/sandloop/template -writable -not -type l | grep .") == 1


def test_no_program_raises_privileges(sandbox: Sandbox) -> None:
    sandbox.commands.run("cp /bin/bash x")
    assert exit_code(sandbox, "chmod 4755 x") != 0
    assert sandbox.commands.run("./x -p -c 'id -u'").stdout == "1000\n"
    for program in ("su -c id", "sudo -n id", "mount", "passwd -S root", "newgrp root -c id"):
        assert "uid=0" not in sandbox.commands.run(f"{program} 2>&1 < /dev/null || true").stdout
    assert exit_code(sandbox, "ln /usr/bin/su su || ln /usr/bin/su /tmp/su") != 0


@pytest.mark.parametrize(
    "path",
    [
        "/proc/sys/kernel/core_pattern",
        "/proc/sys/vm/overcommit_memory",
        "/proc/sys/user/max_user_namespaces",
        "/proc/sys/net/ipv4/ip_forward",
        "/proc/self/oom_score_adj",
        "/proc/self/uid_map",
    ],
)
def test_kernel_settings_cannot_be_changed(sandbox: Sandbox, path: str) -> None:
    error = sandbox.run_code(f"open({path!r}, 'r+').write('0')").error
    assert error is not None and error.name in ("PermissionError", "OSError")


def test_the_guest_has_no_open_file_of_the_host(sandbox: Sandbox) -> None:
    """Through /proc/self/fd the API opens anew what the guest daemon itself has open."""
    for entry in sandbox.files.list("/proc/self/fd"):
        assert str(entry.symlink_target).startswith(("/dev/null", "/proc")), entry
    for number in range(64):
        with pytest.raises(SandboxException):
            sandbox.files.read(f"/proc/self/fd/{number}")
        with pytest.raises(SandboxException):
            sandbox.files.write(f"/proc/self/fd/{number}", "evil")
    assert sandbox.commands.run("echo fine").stdout == "fine\n"


def test_a_kernel_inherits_no_open_file(sandbox: Sandbox) -> None:
    links = sandbox.run_code(
        "import os\n"
        "names = (f'/proc/self/fd/{n}' for n in os.listdir('/proc/self/fd'))\n"
        "print(*[os.readlink(name) for name in names if os.path.islink(name)])"
    )
    for target in "".join(links.logs.stdout).split():
        assert target == "/dev/null" or target.startswith(("pipe:", "socket:", "anon_inode:", "/proc/", "/dev/pts")), (
            target
        )


def test_a_new_sandbox_finds_nothing_of_others_in_its_folders(new_sandbox: NewSandbox) -> None:
    first = new_sandbox()
    first.commands.run("for folder in /tmp /run /dev/shm ~; do echo mine > $folder/mine; done")
    second = new_sandbox()
    assert exit_code(second, "ls /tmp/mine /run/mine /dev/shm/mine ~/mine") == 2
    assert second.commands.run("ls -A /tmp /run /dev/shm | grep -v ':$' || true").stdout.strip() == ""


SHADOWS = [
    "json.py",
    "asyncio.py",
    "uvloop.py",
    ".bashrc",
    ".profile",
    ".local/lib/python3.11/site-packages/usercustomize.py",
    ".venv/lib/python3.11/site-packages/sitecustomize.py",
    ".venv/lib/python3.11/site-packages/evil.pth",
    ".ipython/profile_default/startup/00.py",
    ".ipython/profile_default/ipython_config.py",
]


def test_files_that_shadow_modules_harm_the_users_own_processes_only(sandbox: Sandbox) -> None:
    for name in SHADOWS:
        evil = "import os; os.write(2, b'evil'); os._exit(66)"
        sandbox.files.write(name, "exit 66" if name.startswith((".bashrc", ".prof")) else evil)
    assert sandbox.files.read("json.py").startswith("import os")
    for name in SHADOWS:
        sandbox.files.remove(name)
    assert sandbox.run_code("1 + 1").text == "2"
    assert sandbox.commands.run("echo fine").stdout == "fine\n"


def test_a_link_as_the_home_of_a_watch_shows_the_sandboxes_own_root(sandbox: Sandbox) -> None:
    names = {entry.name for entry in sandbox.files.list("/")}
    assert names == set(sandbox.commands.run("ls -A /").stdout.split())
    assert "srv" not in names or not os.path.exists("/srv")


def test_the_server_keeps_no_sandbox_file_open(server: RunningServer, sandbox: Sandbox) -> None:
    sandbox.files.write("big", b"x" * 1_000_000)
    targets = {os.readlink(entry) for entry in Path(f"/proc/{server.process.pid}/fd").iterdir() if entry.is_symlink()}
    assert not any(target.startswith("/home/user") for target in targets)
