"""The inner wall: how a fork of the template process becomes a sandbox of its own.

The order matters, and each step says why. `fork` makes pid 1 of new namespaces; there, `enter` gives it its own view
of the machine, `seal` makes /proc read-only, and `harden` drops every privilege.
"""

from __future__ import annotations

import fcntl
import os
import resource
import socket
import struct

from . import linux
from .config import HOME, Limits, SandboxConfig

SANDBOX_UID = 1000
_NAMESPACES = (
    linux.CLONE_NEWUSER
    | linux.CLONE_NEWNS
    | linux.CLONE_NEWPID
    | linux.CLONE_NEWNET
    | linux.CLONE_NEWIPC
    | linux.CLONE_NEWUTS
)


def fork(config: SandboxConfig) -> int:
    """Fork into namespaces of its own; returns 0 in the child, which is pid 1 there. Raises OSError."""
    if config.uid is None:
        return linux.fork(_NAMESPACES)
    # The new user namespace belongs to the effective ids of this moment: the sandbox's own, never root. The real ids
    # stay root's, so that the template process can change back.
    os.setresgid(-1, config.uid, -1)
    os.setresuid(-1, config.uid, -1)
    try:
        return linux.fork(_NAMESPACES)
    finally:
        if os.getpid() != 1:
            os.setresuid(-1, 0, -1)
            os.setresgid(-1, 0, -1)


def enter(config: SandboxConfig, owner: tuple[int, int], cgroup_fds: list[int]) -> None:
    """Join the sandbox's control groups, take on its user, and mount what is its own.

    `owner` is the uid and gid outside: in here they have no name until the maps are written.

    Raises:
        OSError: a wall could not be put up; nothing of the user has run.
    """
    # "0" is the writer itself. Before the cgroup namespace: the sandbox's own group must be its root.
    for fd in cgroup_fds:
        os.write(fd, b"0")
        os.close(fd)
    linux.unshare(linux.CLONE_NEWCGROUP)
    # A change of uid makes a process undumpable and its /proc/self files root's; the uid map must be written.
    linux.prctl(linux.PR_SET_DUMPABLE, 1)
    _write("/proc/self/setgroups", "deny")
    _write("/proc/self/uid_map", f"{SANDBOX_UID} {owner[0]} 1")
    _write("/proc/self/gid_map", f"{SANDBOX_UID} {owner[1]} 1")
    os.setresgid(SANDBOX_UID, SANDBOX_UID, SANDBOX_UID)
    os.setresuid(SANDBOX_UID, SANDBOX_UID, SANDBOX_UID)
    _mount_private(config.limits)
    _raise_loopback()
    _limit(config.limits)


def _mount_private(limits: Limits) -> None:
    linux.mount("none", "/", None, linux.MS_REC | linux.MS_PRIVATE)
    _tmpfs(HOME, limits.home_bytes, 0o755, limits.inodes)
    _tmpfs("/tmp", limits.tmp_bytes, 0o1777, limits.inodes)
    _tmpfs("/run", 1 << 20, 0o755, 1000)
    _tmpfs("/dev/shm", limits.shm_bytes, 0o1777, 10_000)
    # A new instance: terminals of other sandboxes are not in it.
    options = "newinstance,ptmxmode=0666,mode=0620"
    linux.mount("devpts", "/dev/pts", "devpts", linux.MS_NOSUID | linux.MS_NOEXEC, options)
    linux.mount("proc", "/proc", "proc", linux.MS_NOSUID | linux.MS_NODEV | linux.MS_NOEXEC)
    os.chdir(HOME)


def _tmpfs(target: str, size: int, mode: int, inodes: int) -> None:
    options = f"size={size},nr_inodes={inodes},mode={mode:o},uid={SANDBOX_UID},gid={SANDBOX_UID}"
    linux.mount("tmpfs", target, "tmpfs", linux.MS_NOSUID | linux.MS_NODEV, options)


def _raise_loopback() -> None:
    """Set IFF_UP on `lo`: a new network namespace has it down."""
    siocgifflags, siocsifflags, iff_up = 0x8913, 0x8914, 1
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
        request = struct.pack("16sh14x", b"lo", 0)
        flags = struct.unpack("16sh14x", fcntl.ioctl(sock, siocgifflags, request))[1]
        fcntl.ioctl(sock, siocsifflags, struct.pack("16sh14x", b"lo", flags | iff_up))


def _limit(limits: Limits) -> None:
    # RLIMIT_NPROC set in here counts this user namespace's processes only, also when other sandboxes share the uid.
    for name, value in {
        resource.RLIMIT_NPROC: limits.processes,
        resource.RLIMIT_NOFILE: limits.open_files,
        resource.RLIMIT_FSIZE: limits.file_bytes,
        resource.RLIMIT_CORE: 0,
        resource.RLIMIT_MEMLOCK: 64 * 1024,
        resource.RLIMIT_MSGQUEUE: 0,
        resource.RLIMIT_NICE: 0,
        resource.RLIMIT_RTPRIO: 0,
    }.items():
        hard = resource.getrlimit(name)[1]
        bound = value if hard == resource.RLIM_INFINITY else min(value, hard)
        resource.setrlimit(name, (bound, bound))


def seal() -> int:
    """Make /proc read-only for everybody; return a descriptor of the root of a writable one, for the daemon alone."""
    # A second line behind seccomp: no user namespace can be made in here.
    _write("/proc/sys/user/max_user_namespaces", "0")
    writable = os.open("/proc", os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC)
    flags = linux.MS_NOSUID | linux.MS_NODEV | linux.MS_NOEXEC
    linux.mount("proc", "/proc", "proc", flags)
    linux.mount("none", "/proc", None, linux.MS_REMOUNT | linux.MS_BIND | linux.MS_RDONLY | flags)
    return writable


def harden(seccomp: list[bytes]) -> None:
    """Drop every capability, for this process and all that it will start, and filter its system calls."""
    linux.drop_bounding_set()
    linux.prctl(linux.PR_CAP_AMBIENT, linux.PR_CAP_AMBIENT_CLEAR_ALL)
    linux.set_capabilities()
    linux.prctl(linux.PR_SET_NO_NEW_PRIVS, 1)
    # Undumpable: code of the same uid can then not open its /proc/1/mem.
    linux.prctl(linux.PR_SET_DUMPABLE, 0)
    for program in seccomp:
        linux.install_seccomp(program)


def _write(path: str, text: str) -> None:
    # Not open(): a text file would import its codec, in every sandbox.
    fd = os.open(path, os.O_WRONLY | os.O_CLOEXEC)
    try:
        os.write(fd, text.encode())
    finally:
        os.close(fd)
