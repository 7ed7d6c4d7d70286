"""System calls that a sandbox must not have, and what the kernel tells it about the host."""

from __future__ import annotations

import platform
import signal
from typing import Any

import pytest
from e2b_code_interpreter import Sandbox

from .attacker import exit_code, probe

pytestmark = pytest.mark.skipif(platform.machine() != "x86_64", reason="the probes use x86-64 system call numbers")

ABSENT = {
    "clone3 user",
    "io_uring_setup",
    "io_uring_enter",
    "io_uring_register",
    "open_tree_attr",
    "a call of the future",
    "statmount",
    "listmount",
}
"""Answered as by a kernel that does not have them: libraries ask, and fall back."""
OTHERWISE = {"kexec_load", "uselib", "setuid 0"}
"""Refused too, by whichever check of the kernel comes first."""


@pytest.fixture
def outcomes(sandbox: Sandbox) -> Any:
    return probe(sandbox, "system_calls")


def test_every_dangerous_system_call_is_refused(outcomes: dict[str, str]) -> None:
    allowed = {name for name, outcome in outcomes.items() if outcome == "ok"}
    assert allowed == set()
    assert {name for name, outcome in outcomes.items() if outcome == "ENOSYS"} - OTHERWISE == ABSENT
    assert {name for name, outcome in outcomes.items() if outcome != "EPERM"} - ABSENT - OTHERWISE == set()


def test_a_kernel_process_is_filtered_as_well(sandbox: Sandbox) -> None:
    """Kernels are forks and no programs: they must have gone through the same walls."""
    status = "".join(sandbox.run_code("print(open('/proc/self/status').read())").logs.stdout)
    _check(status)


def test_a_command_has_no_privileges_at_all(sandbox: Sandbox) -> None:
    _check(sandbox.commands.run("cat /proc/self/status").stdout)


def _check(status: str) -> None:
    fields = dict(line.split(":", 1) for line in status.splitlines() if line)
    for name in ("CapInh", "CapPrm", "CapEff", "CapBnd", "CapAmb"):
        assert int(fields[name], 16) == 0, name
    assert fields["NoNewPrivs"].strip() == "1"
    assert fields["Seccomp"].strip() == "2"
    assert fields["Groups"].split() in ([], ["65534"])
    assert fields["Uid"].split() == ["1000"] * 4


def test_other_binary_interfaces_of_the_kernel_end_the_process(sandbox: Sandbox) -> None:
    assert probe(sandbox, "other_abis") == {"int 0x80": signal.SIGSYS, "x32": signal.SIGSYS}


def test_there_is_no_terminal_of_the_host_to_type_into(sandbox: Sandbox) -> None:
    error = sandbox.run_code("open('/dev/tty')").error
    assert error is not None and "No such device or address" in error.value
    assert sandbox.commands.run("ls /dev/pts").stdout.split() == ["ptmx"]


def test_kernel_addresses_are_hidden(sandbox: Sandbox) -> None:
    assert exit_code(sandbox, "cut -d ' ' -f 1 /proc/kallsyms | grep -v '^0*$'") == 1


@pytest.mark.parametrize(
    "path",
    [
        "/proc/kcore",
        "/proc/kmsg",
        "/dev/kmsg",
        "/proc/kpageflags",
        "/proc/slabinfo",
        "/proc/vmallocinfo",
        "/proc/timer_list",
    ],
)
def test_the_kernels_own_tables_cannot_be_read(sandbox: Sandbox, path: str) -> None:
    assert exit_code(sandbox, f"timeout 2 head -c 64 {path} | grep -q .") != 0


def test_there_is_no_sys_and_no_control_group_to_write(sandbox: Sandbox) -> None:
    assert exit_code(sandbox, "ls /sys/* /sys/fs/cgroup") != 0
    assert exit_code(sandbox, "cut -d : -f 3 /proc/self/cgroup | grep -v '^/$'") == 1


def test_only_harmless_devices_are_there(sandbox: Sandbox) -> None:
    devices = set(sandbox.commands.run("find /dev -not -type d -not -type l -not -path '/dev/shm/*'").stdout.split())
    assert devices == {f"/dev/{name}" for name in ("null", "zero", "full", "random", "urandom", "tty", "pts/ptmx")}
    assert exit_code(sandbox, "grep -E '^/dev/' /proc/mounts | cut -d ' ' -f 4 | grep -v '^ro,'") == 1


def test_keys_of_the_host_are_not_listed(sandbox: Sandbox) -> None:
    assert sandbox.commands.run("cat /proc/keys").stdout == ""


def test_what_libraries_need_of_the_kernel_is_there(sandbox: Sandbox) -> None:
    """The filter must not break ordinary programs."""
    code = (
        "import multiprocessing, mmap, os, pty, select, signal, socket, subprocess, threading\n"
        "os.memfd_create('m'); select.epoll(); os.eventfd(0); os.pidfd_open(os.getpid())\n"
        "multiprocessing.get_context('spawn').Semaphore(); socket.if_nameindex(); pty.openpty()\n"
        "os.sched_getaffinity(0); os.setpriority(os.PRIO_PROCESS, 0, 5); os.mkfifo('/tmp/fifo')\n"
        "subprocess.run(['true'], check=True); threading.Thread(target=int).start()"
    )
    assert sandbox.run_code(code).error is None
