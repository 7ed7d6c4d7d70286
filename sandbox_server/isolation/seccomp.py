"""The system call filter of sandboxes: what is denied, and why, as data; libseccomp turns it into a BPF program.

Default allow, deny with EPERM. The namespaces and the empty capability sets already stop most of this; the filter
takes away kernel surface that they leave open (io_uring, keyrings, vsock, userfaultfd, other ABIs).
"""

from __future__ import annotations

import ctypes
import errno
import os
import platform
import struct
import tempfile
from dataclasses import dataclass

from ..errors import IsolationUnavailable

_DENIED = (
    # Change or map the VFS (CVE-2021-41133).
    "mount umount umount2 pivot_root chroot move_mount open_tree fsopen fsconfig fsmount fspick mount_setattr",
    # Namespaces: kernel surface that only privileged code reached before.
    "unshare setns",
    # Not namespaced: a store that all sandboxes would share.
    "keyctl add_key request_key",
    # Frequent kernel bugs, or ways around this filter.
    "bpf perf_event_open userfaultfd memfd_secret fanotify_init",
    # Tampering with pid 1 and the guest daemon, which have the same uid. Costs strace and gdb.
    "ptrace process_vm_readv process_vm_writev process_madvise kcmp pidfd_getfd",
    # The host's own affairs; capabilities gate them too.
    "kexec_load kexec_file_load init_module finit_module delete_module reboot swapon swapoff acct quotactl "
    "quotactl_fd syslog sethostname setdomainname vhangup lookup_dcookie",
    # Time is not namespaced.
    "settimeofday clock_settime clock_adjtime adjtimex stime",
    # Legacy surface.
    "iopl ioperm modify_ldt vm86 vm86old uselib ustat sysfs _sysctl nfsservctl",
    # NUMA probing of the host.
    "mbind set_mempolicy get_mempolicy migrate_pages move_pages set_mempolicy_home_node",
    # The old way out of containers by inode number.
    "open_by_handle_at name_to_handle_at",
)
_ABSENT = "io_uring_setup io_uring_enter io_uring_register"
"""Answered ENOSYS: libraries probe for them and fall back."""
_ABSENT_NUMBERS = (457, 458)
"""statmount and listmount, the same on all architectures; libseccomp before 2.6 has no name for them."""

_CLONE_NAMESPACES = (0x00000080, 0x00020000, 0x02000000, 0x04000000, 0x08000000, 0x10000000, 0x20000000, 0x40000000)
_PERSONALITY_BITS = (0x0040000, 0x0100000, 0x0200000, 0x0400000)
"""ADDR_NO_RANDOMIZE, MMAP_PAGE_ZERO, ADDR_COMPAT_LAYOUT, READ_IMPLIES_EXEC."""
_AF_UNIX, _AF_INET, _AF_INET6, _AF_NETLINK = 1, 2, 10, 16
_SOCK_TYPE_MASK, _SOCK_DGRAM = 0xF, 2
_IPPROTO_UDP = 17
_TIOCSTI, _TIOCLINUX = 0x5412, 0x541C
_S_IFMT, _S_IFCHR, _S_IFBLK = 0o170000, 0o020000, 0o060000
_SETUID_SETGID = (0o4000, 0o2000)

_ALLOW = 0x7FFF0000
_KILL_PROCESS = 0x80000000
_EPERM = 0x00050000 | errno.EPERM
_ENOSYS = 0x00050000 | errno.ENOSYS

_NE, _EQ, _GT, _MASKED_EQ = 1, 4, 6, 7
_ACT_BADARCH = 2
_LOW_32 = 0xFFFFFFFF

_NEWEST_SYSCALL = 462
"""mseal. What comes after it was not known when this filter was written: ENOSYS."""
_AUDIT_ARCH = {"x86_64": 0xC000003E, "aarch64": 0xC00000B7}
_FCHMODAT2 = 452
"""Unknown to libseccomp before 2.6; without it chmod(06000) had a side door."""


class _Compare(ctypes.Structure):
    _fields_ = [("arg", ctypes.c_uint), ("op", ctypes.c_int), ("a", ctypes.c_uint64), ("b", ctypes.c_uint64)]


def _eq(arg: int, value: int) -> _Compare:
    return _Compare(arg, _EQ, value, 0)


def _masked(arg: int, mask: int, value: int) -> _Compare:
    return _Compare(arg, _MASKED_EQ, mask, value)


@dataclass(slots=True)
class _Filter:
    """A libseccomp filter in the making."""

    lib: ctypes.CDLL
    context: ctypes.c_void_p

    def deny(self, name: str, *conditions: _Compare, action: int = _EPERM) -> None:
        number = self.lib.seccomp_syscall_resolve_name(name.encode())
        if number >= 0:  # Negative: this libseccomp or this architecture has no such call.
            self.deny_number(number, *conditions, action=action)

    def deny_number(self, number: int, *conditions: _Compare, action: int = _EPERM) -> None:
        array = (_Compare * max(len(conditions), 1))(*conditions)
        result = self.lib.seccomp_rule_add_array(self.context, action, number, len(conditions), array)
        if result != 0:
            raise IsolationUnavailable(f"libseccomp refused a rule for system call {number}: {os.strerror(-result)}")

    def program(self) -> bytes:
        with tempfile.TemporaryFile() as file:
            if self.lib.seccomp_export_bpf(self.context, file.fileno()) != 0:
                raise IsolationUnavailable("libseccomp could not write the filter")
            file.seek(0)
            return file.read()


def programs() -> list[bytes]:
    """Return the BPF programs a sandbox installs, in order.

    Raises:
        IsolationUnavailable: no libseccomp, or a processor that has no filter here.
    """
    machine = platform.machine()
    if machine not in _AUDIT_ARCH:
        raise IsolationUnavailable(f"no system call filter for {machine}: only x86_64 and aarch64 have one")
    lib = _load()
    context = lib.seccomp_init(_ALLOW)
    try:
        # A 32-bit or x32 call number means another call: end the process instead of guessing.
        lib.seccomp_attr_set(context, _ACT_BADARCH, _KILL_PROCESS)
        rules = _Filter(lib, context)
        _add_rules(rules)
        return [rules.program(), _guard(_AUDIT_ARCH[machine])]
    finally:
        lib.seccomp_release(context)


def _load() -> ctypes.CDLL:
    try:
        lib = ctypes.CDLL("libseccomp.so.2")
    except OSError as error:
        raise IsolationUnavailable("libseccomp is missing (Debian, Ubuntu: apt install libseccomp2)") from error
    lib.seccomp_init.restype = ctypes.c_void_p
    lib.seccomp_init.argtypes = [ctypes.c_uint32]
    lib.seccomp_attr_set.argtypes = [ctypes.c_void_p, ctypes.c_int, ctypes.c_uint32]
    lib.seccomp_rule_add_array.argtypes = [
        ctypes.c_void_p,
        ctypes.c_uint32,
        ctypes.c_int,
        ctypes.c_uint,
        ctypes.POINTER(_Compare),
    ]
    lib.seccomp_export_bpf.argtypes = [ctypes.c_void_p, ctypes.c_int]
    lib.seccomp_release.argtypes = [ctypes.c_void_p]
    lib.seccomp_release.restype = None
    return lib


def _add_rules(rules: _Filter) -> None:
    for group in _DENIED:
        for name in group.split():
            rules.deny(name)
    for name in _ABSENT.split():
        rules.deny(name, action=_ENOSYS)
    for number in _ABSENT_NUMBERS:
        rules.deny_number(number, action=_ENOSYS)
    for flag in _CLONE_NAMESPACES:
        rules.deny("clone", _masked(0, flag, flag))
    # Its flags are behind a pointer; libc falls back to clone.
    rules.deny("clone3", action=_ENOSYS)
    # Pid 1 has the sandbox's uid too: its limits are not for others to lower.
    rules.deny("prlimit64", _Compare(0, _NE, 0, 0))
    for bit in _PERSONALITY_BITS:
        rules.deny("personality", _masked(0, bit, bit))
    for kind in (_S_IFCHR, _S_IFBLK):
        rules.deny("mknod", _masked(1, _S_IFMT, kind))
        rules.deny("mknodat", _masked(2, _S_IFMT, kind))
    for bit in _SETUID_SETGID:
        rules.deny("chmod", _masked(1, bit, bit))
        rules.deny("fchmod", _masked(1, bit, bit))
        rules.deny("fchmodat", _masked(2, bit, bit))
        rules.deny_number(_FCHMODAT2, _masked(2, bit, bit))
    for request in (_TIOCSTI, _TIOCLINUX):
        # The kernel looks at 32 bits of the request only, so must the filter.
        rules.deny("ioctl", _masked(1, _LOW_32, request))
    _add_socket_rules(rules)


def _add_socket_rules(rules: _Filter) -> None:
    """Leave UNIX, of INET and INET6 what TCP and UDP are, and NETLINK for routes only (if_nameindex needs that).

    No raw sockets, and no SCTP, DCCP, L2TP or SMC: the kernel would even load their modules for whoever asks.
    """
    for name in ("socket", "socketpair"):
        families = [family for family in range(_AF_NETLINK) if family not in (_AF_UNIX, _AF_INET, _AF_INET6)]
        for family in families:
            rules.deny(name, _masked(0, _LOW_32, family))
        rules.deny(name, _Compare(0, _GT, _AF_NETLINK, 0))
        for family in (_AF_INET, _AF_INET6):
            for kind in range(_SOCK_DGRAM + 1, _SOCK_TYPE_MASK + 1):
                rules.deny(name, _masked(0, _LOW_32, family), _masked(1, _SOCK_TYPE_MASK, kind))
            # Below UDP's number only TCP has a socket of these types (and pings, which no group is allowed in here).
            rules.deny(name, _masked(0, _LOW_32, family), _Compare(2, _GT, _IPPROTO_UDP, 0))
        rules.deny(name, _masked(0, _LOW_32, _AF_NETLINK), _Compare(2, _NE, 0, 0))


def _guard(audit_arch: int) -> bytes:
    """Return a second program: calls newer than the filter do not exist."""
    load, jump_gt, jump_eq, ret = 0x20, 0x25, 0x15, 0x06
    instructions = (
        (load, 0, 0, 4),  # seccomp_data.arch
        (jump_eq, 0, 2, audit_arch),  # another ABI is the first program's affair
        (load, 0, 0, 0),  # seccomp_data.nr
        (jump_gt, 1, 0, _NEWEST_SYSCALL),
        (ret, 0, 0, _ALLOW),
        (ret, 0, 0, _ENOSYS),
    )
    return b"".join(struct.pack("=HBBI", *instruction) for instruction in instructions)
