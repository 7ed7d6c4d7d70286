"""Whether this machine can wall sandboxes in, and what keeps it from it."""

from __future__ import annotations

import re
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path

from ..errors import IsolationUnavailable
from ..isolation import cgroups, seccomp
from .finding import Finding, Level

_BUBBLEWRAP_FLOOR = (0, 5)
"""The first one with --perms and --clearenv."""
_RUN_SECONDS = 30
_CAPABILITIES = {"CAP_SETGID": 6, "CAP_SETUID": 7, "CAP_NET_ADMIN": 12, "CAP_SYS_ADMIN": 21}
"""What bubblewrap and the template process use when the server is root."""
_INSTALL_BUBBLEWRAP = "install it: apt install bubblewrap (Fedora: dnf install bubblewrap)"
_DOCKER_OPTIONS = (
    "docker run --cap-add SYS_ADMIN --cap-add NET_ADMIN --security-opt seccomp=unconfined "
    "--security-opt apparmor=unconfined --security-opt systempaths=unconfined"
)
"""Docker's filter refuses namespaces, its AppArmor profile mounts; where /proc is masked no other may be mounted."""


def bubblewrap(search_path: str, *, root: bool) -> Finding:
    """Look for bubblewrap on a PATH, and run it."""
    name = "bubblewrap"
    program = shutil.which("bwrap", path=search_path)
    if program is None:
        return Finding(name, Level.FAIL, "not found", _INSTALL_BUBBLEWRAP)
    version = _output([program, "--version"])
    numbers = tuple(map(int, re.findall(r"\d+", version)[:2]))
    if numbers < _BUBBLEWRAP_FLOOR:
        needed = ".".join(map(str, _BUBBLEWRAP_FLOOR))
        return Finding(
            name, Level.FAIL, f"{program} is {version or 'of no known version'}", f"update it to {needed} or newer"
        )
    user = [] if root else ["--unshare-user"]
    walls = ["--unshare-pid", "--unshare-net", "--unshare-ipc", "--unshare-uts", *user]
    try:
        subprocess.run(
            [program, "--ro-bind", "/", "/", *walls, "--proc", "/proc", "--", "/bin/sh", "-c", ":"],
            check=True,
            capture_output=True,
            text=True,
            timeout=_RUN_SECONDS,
        )
    except subprocess.CalledProcessError as error:
        return Finding(name, Level.FAIL, f"{program} is refused: {error.stderr.strip()}", "see the lines below")
    except (OSError, subprocess.TimeoutExpired) as error:
        return Finding(name, Level.FAIL, f"{program} does not run: {error}", _INSTALL_BUBBLEWRAP)
    return Finding(name, Level.OK, f"{version.removeprefix('bubblewrap ')} at {program}")


def user_namespaces(proc: Path = Path("/proc")) -> Iterator[Finding]:
    """Read what turns user namespaces off. Each sandbox makes one, also when the server is root."""
    switches = proc / "sys"
    name = "user namespaces"
    if not (proc / "self" / "ns" / "user").exists():
        yield Finding(name, Level.FAIL, "this kernel has none", "use one with CONFIG_USER_NS=y")
    elif _read(switches / "kernel/unprivileged_userns_clone") == "0":
        yield Finding(name, Level.FAIL, "off for users", "turn them on: sysctl -w kernel.unprivileged_userns_clone=1")
    elif _read(switches / "user/max_user_namespaces") == "0":
        yield Finding(name, Level.FAIL, "none are allowed", "allow some: sysctl -w user.max_user_namespaces=10000")
    else:
        yield Finding(name, Level.OK, "allowed")
    if _read(switches / "kernel/apparmor_restrict_unprivileged_userns") == "1":
        yield Finding(
            "AppArmor",
            Level.WARN,
            "it restricts user namespaces to programs with a profile",
            "if the self-test fails, give bwrap a profile with 'userns,', "
            "or: sysctl -w kernel.apparmor_restrict_unprivileged_userns=0",
        )


def container(marks: tuple[Path, ...], status: Path, *, root: bool) -> Finding | None:
    """Tell whether this is a container that was started without what nested isolation needs.

    Args:
        marks: files that container engines leave in a container; None is returned when there is none of them.
        status: /proc/self/status.
        root: whether the server is root.
    """
    if not any(mark.exists() for mark in marks):
        return None
    fields = dict(line.split(":", 1) for line in status.read_text(encoding="utf-8").splitlines() if ":" in line)
    held = int(fields.get("CapEff", "0").strip(), 16)
    lacking = [name for name, bit in _CAPABILITIES.items() if root and not held >> bit & 1]
    filtered = fields.get("Seccomp", "0").strip() == "2"
    if not lacking and not filtered:
        return Finding("container", Level.OK, "this is one, with the capabilities and without a filter of its own")
    problems = [*lacking, *(["its system call filter"] if filtered else [])]
    return Finding(
        "container",
        Level.WARN,
        f"this is one; in the way may be: {', '.join(problems)} (if the self-test succeeds, it is not)",
        f"start it by: {_DOCKER_OPTIONS} IMAGE",
    )


def system_call_filter() -> Finding:
    """Compile the filter."""
    try:
        programs = seccomp.programs()
    except IsolationUnavailable as error:
        return Finding("seccomp", Level.FAIL, "the filter cannot be made", str(error))
    return Finding("seccomp", Level.OK, f"filter of {sum(map(len, programs)) // 8} instructions")


def control_groups(pid: int, root: Path = Path("/sys/fs/cgroup"), own: Path = Path("/proc/self/cgroup")) -> Finding:
    """Tell which level of limits holds. `pid` is that of this process: a group of its name is tried with."""
    hierarchy = cgroups.detect(pid, root, own)
    if hierarchy is None:
        return Finding(
            "control groups",
            Level.WARN,
            "none may be used: rlimits and a watchdog bound memory and processes, which is weaker",
            "start the server by: systemd-run --user --scope -p Delegate=yes, or as root",
        )
    hierarchy.remove()
    return Finding("control groups", Level.OK, hierarchy.description)


def _output(command: list[str]) -> str:
    try:
        return subprocess.run(command, capture_output=True, text=True, timeout=_RUN_SECONDS, check=False).stdout.strip()
    except (OSError, subprocess.TimeoutExpired):
        return ""


def _read(path: Path) -> str | None:
    try:
        return path.read_text(encoding="ascii").strip()
    except OSError:
        return None
