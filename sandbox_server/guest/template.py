"""The template process: warm, single-threaded, without secrets. It forks sandboxes and does nothing else.

The server starts one per template inside the outer wall (bubblewrap) with a message channel, and sends on it

    {"setup": {"root": bool}}                     fds: one file per seccomp program; answered {"ready": {...}}
    {"create": {SandboxConfig as JSON}}           fds: control, files to join control groups by...

A new sandbox answers on its own control channel: {"started": true} with the pidfd of its pid 1, then {"ready": true}
when its walls are up, or {"error": text}; then its guest daemon takes the channel over.
"""

from __future__ import annotations

import contextlib
import gc
import os
import random
import signal
import socket
import sys
import threading
import traceback
from typing import NoReturn

from . import daemon, home, linux, messages, walls
from .config import SandboxConfig
from .kernels import python_main

_REHEARSALS = 10
"""Python rewrites a function's code after its eighth call."""


def main(channel_fd: int) -> None:
    """Warm up, then fork a sandbox per request until the server closes the channel."""
    channel = socket.socket(fileno=channel_fd)
    os.set_inheritable(channel_fd, False)
    received = messages.receive(channel)
    if received is None:
        return
    message, fds = received
    seccomp = [_read_all(fd) for fd in fds]
    if message["setup"]["root"]:
        _prepare_root()
    _warm()
    # Reaped by the kernel: the server watches sandboxes by pidfd, and nobody waits for them here.
    signal.signal(signal.SIGCHLD, signal.SIG_IGN)
    messages.send(channel, {"ready": {"python": sys.version.split()[0], "pid": os.getpid()}})
    while (received := messages.receive(channel)) is not None:
        message, fds = received
        if "create" in message:  # Else a packet that could not be read whole: the server's wait for it will end.
            _make_sandbox(SandboxConfig.from_json(message["create"]), fds, seccomp, channel)
        for fd in fds:
            os.close(fd)


def _prepare_root() -> None:
    """Keep what forking sandboxes of other uids takes, and no more."""
    # bubblewrap covers parts of its /proc when it runs as root, and the kernel lets a user namespace mount a proc only
    # where it can already see a whole one.
    linux.mount("proc", "/proc", "proc", linux.MS_NOSUID | linux.MS_NODEV | linux.MS_NOEXEC)
    os.setgroups([])
    linux.set_capabilities((linux.CAP_SETUID, linux.CAP_SETGID))


def _warm() -> None:
    """Import all that sandboxes share, and end with one thread: a fork would lose the others with locks they hold."""
    daemon.warm()
    python_main.warm()
    _rehearse()
    threads = os.listdir("/proc/self/task")
    if len(threads) != 1:
        raise RuntimeError(f"the template has {len(threads)} threads: {threading.enumerate()}")
    gc.collect()
    gc.disable()
    gc.freeze()
    linux.use_huge_pages()


def _rehearse() -> None:
    """Do what every fork does first, for the traces that it leaves in Python: a fork copies each page it writes.

    A function's code counts its first calls, and then rewrites itself for the types that it meets. Method lookups are
    remembered in a table; what imports looked up is cleared from it, or each entry replaced would be a page written.
    """
    sys._clear_type_cache()
    for _ in range(_REHEARSALS):
        python_main.rehearse()
        daemon.rehearse()


def _make_sandbox(config: SandboxConfig, fds: list[int], seccomp: list[bytes], channel: socket.socket) -> None:
    """Fork a sandbox, which tells the server itself. Nothing that goes wrong with one may end this process."""
    owner = (os.getuid(), os.getgid()) if config.uid is None else (config.uid, config.uid)
    try:
        pid = walls.fork(config)
    except OSError as error:
        with contextlib.suppress(OSError), socket.socket(fileno=os.dup(fds[0])) as control:
            messages.send(control, {"error": f"fork: {error}"})
        return
    if pid == 0:
        channel.close()
        _become_sandbox(config, owner, fds, seccomp)


def _become_sandbox(config: SandboxConfig, owner: tuple[int, int], fds: list[int], seccomp: list[bytes]) -> NoReturn:
    control = socket.socket(fileno=fds[0])
    try:
        pidfd = os.pidfd_open(os.getpid())
        messages.send(control, {"started": True}, [pidfd])
        os.close(pidfd)
        signal.signal(signal.SIGCHLD, signal.SIG_DFL)
        # Python's own handler would let user code end pid 1; without one the kernel drops the signal.
        signal.signal(signal.SIGINT, signal.SIG_DFL)
        random.seed()
        walls.enter(config, owner, fds[1:])
        home.prepare()
        proc_fd = walls.seal()
        walls.harden(seccomp)
        # What is asked of the guest from here on waits in the channel until its daemon reads it.
        messages.send(control, {"ready": True})
        daemon.run(control, config, proc_fd)
    except BaseException as error:
        traceback.print_exc()
        with contextlib.suppress(OSError):
            messages.send(control, {"error": f"{type(error).__name__}: {error}"})
    finally:
        os._exit(1)


def _read_all(fd: int) -> bytes:
    with os.fdopen(fd, "rb") as file:
        return file.read()
