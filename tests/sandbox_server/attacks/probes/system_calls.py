"""Makes system calls that a sandbox must not have; prints {name: "ok" or the name of the errno}. For x86-64."""

import ctypes
import errno
import json
import os
import struct

libc = ctypes.CDLL(None, use_errno=True)
libc.syscall.restype = ctypes.c_long

CLONE_NEWUSER = 0x10000000
SIGCHLD = 17


def call(number, *arguments):
    """Returns what the kernel said; an exit of a child that was made by it, too."""
    ctypes.set_errno(0)
    converted = [ctypes.c_ulong(value) if isinstance(value, int) else value for value in arguments]
    result = libc.syscall(ctypes.c_long(number), *converted)
    return "ok" if result >= 0 else errno.errorcode[ctypes.get_errno()]


def clone(number, *arguments):
    """Calls something that would make a process; the new process ends at once."""
    pid = os.getpid()
    outcome = call(number, *arguments)
    if os.getpid() != pid:
        os._exit(0)
    return outcome


def attempt(action):
    """Runs something that raises OSError."""
    try:
        action()
    except OSError as error:
        return errno.errorcode[error.errno or 0]
    return "ok"


def setuid_by(number, *before):
    """Tries to give a program of ours the setuid bit by a call."""
    path = b"/tmp/setuid"
    os.close(os.open(path, os.O_CREAT | os.O_RDWR, 0o755))
    outcome = call(number, *[path if word == "path" else word for word in before])
    if os.stat(path).st_mode & 0o6000:
        return "ok"
    return outcome


def main():
    zeros = ctypes.create_string_buffer(4096)
    clone_args = ctypes.create_string_buffer(struct.pack("11Q", CLONE_NEWUSER, 0, 0, 0, SIGCHLD, 0, 0, 0, 0, 0, 0))
    file = os.open("/tmp/file", os.O_CREAT | os.O_RDWR, 0o755)
    own_namespace = os.open("/proc/self/ns/net", os.O_RDONLY)
    terminal, _ = os.openpty()
    at_fdcwd = -100 & 0xFFFFFFFFFFFFFFFF
    me = os.getpid()
    calls = {
        # mounts
        "mount": lambda: call(165, b"none", b"/tmp", b"tmpfs", 0, None),
        "mount bind": lambda: call(165, b"/usr", b"/tmp", None, 4096, None),
        "mount proc": lambda: call(165, b"proc", b"/tmp", b"proc", 0, None),
        "remount rw": lambda: call(165, b"none", b"/proc", None, 32, None),
        "umount2": lambda: call(166, b"/proc", 2),
        "umount2 home": lambda: call(166, b"/home/user", 2),
        "pivot_root": lambda: call(155, b"/tmp", b"/tmp"),
        "chroot": lambda: call(161, b"/tmp"),
        "open_tree": lambda: call(428, at_fdcwd, b"/", 1),
        "move_mount": lambda: call(429, 3, b"", at_fdcwd, b"/tmp", 4),
        "fsopen": lambda: call(430, b"tmpfs", 0),
        "fsmount": lambda: call(432, 3, 0, 0),
        "fspick": lambda: call(433, at_fdcwd, b"/", 0),
        "mount_setattr": lambda: call(442, at_fdcwd, b"/", 0, zeros, 32),
        "open_tree_attr": lambda: call(467, at_fdcwd, b"/", 1, zeros, 32),
        "statmount": lambda: call(457, zeros, zeros, 4096, 0),
        "listmount": lambda: call(458, zeros, zeros, 8, 0),
        # devices and setuid files
        "mknod block": lambda: attempt(lambda: os.mknod("/tmp/b", 0o60660, os.makedev(254, 0))),
        "mknod char": lambda: attempt(lambda: os.mknod("/tmp/c", 0o20660, os.makedev(1, 1))),
        "mknodat char": lambda: call(259, at_fdcwd, b"/tmp/d", 0o20660, os.makedev(1, 1)),
        "chmod setuid": lambda: setuid_by(90, "path", 0o4755),
        "chmod setgid": lambda: setuid_by(90, "path", 0o2755),
        "fchmod setuid": lambda: call(91, file, 0o4755),
        "fchmodat setuid": lambda: setuid_by(268, at_fdcwd, "path", 0o4755),
        "fchmodat2 setuid": lambda: setuid_by(452, at_fdcwd, "path", 0o6755, 0),
        # namespaces
        "unshare user": lambda: call(272, CLONE_NEWUSER),
        "unshare net": lambda: call(272, 0x40000000),
        "unshare mount": lambda: call(272, 0x20000),
        "clone user": lambda: clone(56, CLONE_NEWUSER | SIGCHLD, 0, 0, 0, 0),
        "clone pid": lambda: clone(56, 0x20000000 | SIGCHLD, 0, 0, 0, 0),
        "clone3 user": lambda: clone(435, clone_args, 88),
        "setns": lambda: call(308, own_namespace, 0),
        # other processes
        "ptrace attach 1": lambda: call(101, 16, 1, 0, 0),
        "ptrace seize 1": lambda: call(101, 0x4206, 1, 0, 0),
        "ptrace traceme": lambda: call(101, 0, 0, 0, 0),
        "process_vm_readv 1": lambda: call(310, 1, zeros, 1, zeros, 1, 0),
        "process_vm_writev 1": lambda: call(311, 1, zeros, 1, zeros, 1, 0),
        "process_madvise": lambda: call(440, 3, zeros, 1, 4, 0),
        "kcmp": lambda: call(312, me, 1, 0, 0, 0),
        "pidfd_getfd": lambda: call(438, os.pidfd_open(1), 0, 0),
        # keys
        "keyctl": lambda: call(250, 0, -3 & 0xFFFFFFFFFFFFFFFF, 1),
        "add_key": lambda: call(248, b"user", b"name", b"value", 5, -4 & 0xFFFFFFFFFFFFFFFF),
        "request_key": lambda: call(249, b"user", b"name", None, -4 & 0xFFFFFFFFFFFFFFFF),
        # frequent kernel bugs
        "bpf": lambda: call(321, 0, zeros, 48),
        "perf_event_open": lambda: call(
            298, ctypes.create_string_buffer(struct.pack("IIQ", 1, 112, 0), 112), 0, -1 & 0xFFFFFFFF, -1 & 0xFFFFFFFF, 0
        ),
        "userfaultfd": lambda: call(323, 1),
        "memfd_secret": lambda: call(447, 0),
        "fanotify_init": lambda: call(300, 0, 0),
        "io_uring_setup": lambda: call(425, 8, zeros),
        "io_uring_enter": lambda: call(426, 3, 1, 1, 0, None, 0),
        "io_uring_register": lambda: call(427, 3, 0, None, 0),
        "modify_ldt": lambda: call(154, 0, zeros, 16),
        "uselib": lambda: call(134, b"/lib/x"),
        "name_to_handle_at": lambda: call(303, at_fdcwd, b"/usr", zeros, zeros, 0),
        "open_by_handle_at": lambda: call(304, at_fdcwd, zeros, 0),
        "personality no ASLR": lambda: call(135, 0x0040000),
        "personality executable data": lambda: call(135, 0x0400000),
        "move_pages": lambda: call(279, 0, 0, None, None, None, 0),
        "mbind": lambda: call(237, 0, 0, 0, None, 0, 0),
        "a call of the future": lambda: call(600, 0),
        # the host's own affairs
        "kexec_load": lambda: call(246, 0, 0, None, 0),
        "init_module": lambda: call(175, zeros, 8, b""),
        "finit_module": lambda: call(313, file, b"", 0),
        "delete_module": lambda: call(176, b"loop", 0),
        "reboot": lambda: call(169, 0xFEE1DEAD, 672274793, 0, None),
        "swapon": lambda: call(167, b"/tmp/file", 0),
        "swapoff": lambda: call(168, b"/tmp/file"),
        "quotactl": lambda: call(179, 0, None, 0, None),
        "syslog": lambda: call(103, 3, zeros, 4096),
        "acct": lambda: call(163, b"/tmp/file"),
        "settimeofday": lambda: call(164, zeros, None),
        "clock_settime": lambda: call(227, 0, zeros),
        "adjtimex": lambda: call(159, zeros),
        "sethostname": lambda: call(170, b"evil", 4),
        "iopl": lambda: call(172, 3),
        "ioperm": lambda: call(173, 0, 8, 1),
        "setuid 0": lambda: call(105, 0),
        "setgroups": lambda: call(116, 1, zeros),
        "capset": lambda: call(
            126,
            ctypes.create_string_buffer(struct.pack("Ii", 0x20080522, 0)),
            ctypes.create_string_buffer(b"\xff" * 24),
        ),
        # terminals
        "TIOCSTI": lambda: call(16, terminal, 0x5412, b"x"),
        "TIOCSTI with high bits": lambda: call(16, terminal, 0x100005412, b"x"),
        "TIOCLINUX": lambda: call(16, terminal, 0x541C, zeros),
        "TIOCLINUX with high bits": lambda: call(16, terminal, 0xFFFFFFFF0000541C, zeros),
        # socket families
        "vsock": lambda: call(41, 40, 1, 0),
        "vsock with high bits": lambda: call(41, 0x100000028, 1, 0),
        "packet": lambda: call(41, 17, 3, 0),
        "raw ip": lambda: call(41, 2, 3, 1),
        "raw ip with flags": lambda: call(41, 2, 3 | 0o2000000, 255),
        "raw ip6": lambda: call(41, 10, 3, 58),
        "netlink audit": lambda: call(41, 16, 3, 9),
        "netlink netfilter": lambda: call(41, 16, 3, 12),
        "alg": lambda: call(41, 38, 5, 0),
        "bluetooth": lambda: call(41, 31, 3, 0),
        "rds": lambda: call(41, 21, 5, 0),
        "tipc": lambda: call(41, 30, 1, 0),
        "xdp": lambda: call(41, 44, 3, 0),
        "can": lambda: call(41, 29, 3, 1),
    }
    print(json.dumps({name: action() for name, action in calls.items()}))


main()
