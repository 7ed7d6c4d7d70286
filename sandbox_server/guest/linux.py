"""The Linux system calls that Python 3.11 has no function for. Names and constants as in the kernel's headers."""

from __future__ import annotations

import ctypes
import os
import signal

PR_SET_DUMPABLE = 4
PR_SET_SECCOMP = 22
PR_CAPBSET_DROP = 24
PR_SET_NO_NEW_PRIVS = 38
PR_CAP_AMBIENT = 47
PR_CAP_AMBIENT_CLEAR_ALL = 4
SECCOMP_MODE_FILTER = 2

CLONE_NEWNS = 0x00020000
CLONE_NEWCGROUP = 0x02000000
CLONE_NEWUTS = 0x04000000
CLONE_NEWIPC = 0x08000000
CLONE_NEWUSER = 0x10000000
CLONE_NEWPID = 0x20000000
CLONE_NEWNET = 0x40000000

MS_RDONLY = 1
MS_NOSUID = 2
MS_NODEV = 4
MS_NOEXEC = 8
MS_REMOUNT = 32
MS_BIND = 4096
MS_REC = 16384
MS_PRIVATE = 1 << 18

_MADV_COLLAPSE = 25
_HUGE_PAGE = 2 * 1024 * 1024

CAP_SETGID = 6
CAP_SETUID = 7
CAP_LAST = 40
_CAPABILITY_VERSION_3 = 0x20080522

_SYS_CLONE = {"x86_64": 56, "aarch64": 220}

_libc = ctypes.CDLL(None, use_errno=True)
# Keeps the GIL through the call: a forked child must not wait for a lock that its parent's state says is taken.
_libc_with_gil = ctypes.PyDLL(None, use_errno=True)


def _check(result: int, what: str) -> int:
    if result < 0:
        number = ctypes.get_errno()
        raise OSError(number, f"{what}: {os.strerror(number)}")
    return result


def prctl(option: int, arg2: int = 0, arg3: int = 0) -> int:
    """Call the kernel's process control. Raises OSError."""
    args = [ctypes.c_ulong(value) for value in (arg2, arg3, 0, 0)]
    return _check(_libc.prctl(option, *args), f"prctl({option})")


def fork(flags: int) -> int:
    """Fork as os.fork does, with the child in new namespaces: one clone(2) instead of fork, unshare and fork again.

    libc's own fork handlers do not run, so this is for a process with one thread only. Raises OSError.
    """
    ctypes.pythonapi.PyOS_BeforeFork()
    pid = _libc_with_gil.syscall(_SYS_CLONE[os.uname().machine], ctypes.c_ulong(flags | signal.SIGCHLD), 0, 0, 0, 0)
    number = ctypes.get_errno()
    if pid == 0:
        ctypes.pythonapi.PyOS_AfterFork_Child()
        return 0
    ctypes.pythonapi.PyOS_AfterFork_Parent()
    if pid < 0:
        raise OSError(number, f"clone: {os.strerror(number)}")
    return int(pid)


def use_huge_pages() -> None:
    """Put this process's own memory into huge pages, where the kernel can: a fork copies one entry instead of 512."""
    with open("/proc/self/maps", encoding="ascii") as file:
        lines = file.read().splitlines()
    for line in lines:
        span, mode, _, _, inode = line.split()[:5]
        if mode != "rw-p" or inode != "0":
            continue
        start, end = (int(address, 16) for address in span.split("-"))
        for page in range(-(-start // _HUGE_PAGE) * _HUGE_PAGE, end - _HUGE_PAGE + 1, _HUGE_PAGE):
            _libc.madvise(ctypes.c_void_p(page), ctypes.c_size_t(_HUGE_PAGE), _MADV_COLLAPSE)


def unshare(flags: int) -> None:
    """Leave the namespaces of these flags for new ones. Raises OSError."""
    _check(_libc.unshare(flags), f"unshare({flags:#x})")


def mount(source: str, target: str, kind: str | None, flags: int, data: str | None = None) -> None:
    """Mount a file system, or bind or change a mount by its flags. Raises OSError."""
    encoded = [None if text is None else text.encode() for text in (source, target, kind, data)]
    result = _libc.mount(encoded[0], encoded[1], encoded[2], ctypes.c_ulong(flags), encoded[3])
    _check(result, f"mount {kind or 'bind'} on {target}")


class _CapHeader(ctypes.Structure):
    _fields_ = [("version", ctypes.c_uint32), ("pid", ctypes.c_int)]


class _CapData(ctypes.Structure):
    _fields_ = [("effective", ctypes.c_uint32), ("permitted", ctypes.c_uint32), ("inheritable", ctypes.c_uint32)]


def set_capabilities(keep: tuple[int, ...] = ()) -> None:
    """Keep exactly these capabilities, effective and permitted; none inheritable. Raises OSError."""
    header = _CapHeader(_CAPABILITY_VERSION_3, 0)
    data = (_CapData * 2)()
    for capability in keep:
        word, bit = divmod(capability, 32)
        data[word].effective |= 1 << bit
        data[word].permitted |= 1 << bit
    _check(_libc.capset(ctypes.byref(header), data), "capset")


def drop_bounding_set() -> None:
    """Empty the bounding set, so that no program regains a capability by being executed. Raises OSError."""
    for capability in range(CAP_LAST + 1):
        try:
            prctl(PR_CAPBSET_DROP, capability)
        except OSError as error:
            if error.errno != 22:  # EINVAL: this kernel knows fewer capabilities
                raise


class _SockFprog(ctypes.Structure):
    _fields_ = [("len", ctypes.c_ushort), ("filter", ctypes.c_char_p)]


def install_seccomp(program: bytes) -> None:
    """Install a classic BPF filter (8 bytes an instruction). Needs no_new_privs. Raises OSError."""
    prog = _SockFprog(len(program) // 8, program)
    prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, ctypes.addressof(prog))
