"""Starting and reaping the sandbox's processes. The guest daemon is pid 1: all of them are its children in the end.

As pid 1 it cannot be killed or stopped from inside (the kernel drops signals that the init process of a pid namespace
has no handler for), and when it ends, the kernel ends everything else.
"""

from __future__ import annotations

import asyncio
import contextlib
import errno
import fcntl
import gc
import os
import signal
import subprocess
import sys
import termios
import traceback
from collections.abc import Callable
from dataclasses import dataclass, field
from signal import Signals
from typing import Any, NoReturn

from . import linux

Fork = Callable[[dict[str, Any], list[int]], None]
"""Runs in a forked child with the caller's options and extra descriptors; the child ends when it returns."""

_OOM_SCORE = 500
"""Of everything but the daemon: when memory runs out, it is the last to go."""


@dataclass(slots=True)
class Child:
    """A process that was started here. It leads its own session and process group."""

    pid: int
    _code: int | None = None
    _ended: asyncio.Event = field(default_factory=asyncio.Event, repr=False)

    @property
    def running(self) -> bool:
        """Whether its end has not been noticed yet."""
        return self._code is None

    async def wait(self) -> int:
        """Return its exit code, negative for the signal that ended it."""
        while self._code is None:
            await self._ended.wait()
        return self._code

    def end(self, code: int) -> None:
        """Take note of its end."""
        self._code = code
        self._ended.set()

    def signal(self, number: Signals) -> bool:
        """Signal the process alone; False when it has ended."""
        return self._send(os.kill, number)

    def signal_group(self, number: Signals) -> bool:
        """Signal its whole process group; False when none of it is left."""
        return self._send(os.killpg, number)

    def _send(self, kill: Callable[[int, int], None], number: Signals) -> bool:
        # Until it is reaped, which resolves the future, the pid may be a zombie's but is never another process's.
        try:
            kill(self.pid, number)
        except ProcessLookupError:
            return False
        return True


class Processes:
    """Starts processes and learns of their end. One per daemon."""

    def __init__(self, forks: dict[str, Fork], proc_fd: int) -> None:
        """`proc_fd` is the root of a writable proc: the one that everybody sees is read-only."""
        self._forks = forks
        self._proc_fd = proc_fd
        self._children: dict[int, Child] = {}

    def watch(self) -> None:
        """Begin to notice the end of processes; call it once, in the running loop."""
        loop = asyncio.get_running_loop()
        # Not in the handler itself: it can run between a fork and the line that remembers the child. uvloop keeps
        # its own method for handlers from this signal.
        signal.signal(signal.SIGCHLD, lambda *_: loop.call_soon_threadsafe(self._reap))
        self._reap()

    async def exec(self, argv: list[str], *, env: dict[str, str], cwd: str, fds: list[int], tty: bool = False) -> Child:
        """Run a program. `fds` are stdin, stdout, stderr and any extra ones; the caller still owns and closes them.

        With `tty` the terminal on stdin becomes the controlling one. Extra descriptors keep their numbers in the
        program, which finds them in the environment variable SANDLOOP_FDS ("5,6").

        Raises:
            OSError: it could not be started (no such program or folder, no permission, arguments too long).
        """
        stdin, stdout, stderr, *extra = fds
        if extra:
            env = {**env, "SANDLOOP_FDS": ",".join(map(str, extra))}
        try:
            process = subprocess.Popen(  # noqa: ASYNC220 - a vfork: asyncio's own would reap children before `_reap`
                argv,
                stdin=stdin,
                stdout=stdout,
                stderr=stderr,
                pass_fds=extra,
                env=env,
                cwd=cwd,
                start_new_session=True,
                # A preexec_fn rules out vfork; only a terminal needs one.
                preexec_fn=_take_terminal if tty else None,
            )
        except (ValueError, subprocess.SubprocessError) as error:  # a NUL in a word, no terminal on stdin
            raise OSError(errno.EINVAL, str(error)) from error
        process.returncode = 0  # Ours to reap: keeps Popen's finaliser from waiting for it too.
        self._make_likelier_victim(str(process.pid))
        return self._add(process.pid)

    def fork(self, entry: str, options: dict[str, Any], fds: list[int]) -> Child:
        """Fork this warm interpreter into the entry point of that name; `fds` as for `exec`.

        Before there is a loop, it costs half: the daemon's own work makes the two share ever fewer pages.

        Raises:
            OSError: the fork failed (the sandbox's process limit).
        """
        pid = os.fork()
        if pid == 0:
            self._run_forked(self._forks[entry], options, fds)
        return self._add(pid)

    def _add(self, pid: int) -> Child:
        child = self._children[pid] = Child(pid)
        return child

    def _run_forked(self, entry: Fork, options: dict[str, Any], fds: list[int]) -> NoReturn:
        """Become what was asked for. Nothing above this frame ever runs again in this process."""
        code = 1
        try:
            # What belongs to the daemon must not be finalised here: its descriptors' numbers get other uses.
            gc.freeze()
            gc.enable()
            signal.set_wakeup_fd(-1)
            signal.signal(signal.SIGCHLD, signal.SIG_DFL)
            signal.signal(signal.SIGINT, signal.default_int_handler)
            # The daemon is closed to debuggers. User code may look at itself; until then its /proc files are root's.
            linux.prctl(linux.PR_SET_DUMPABLE, 1)
            self._make_likelier_victim("self")
            os.setsid()
            for target, fd in enumerate(fds[:3]):
                os.dup2(fd, target)
            _close_all_but(fds[3:])
            entry(options, fds[3:])
            code = 0
        except SystemExit as leaving:
            code = leaving.code if isinstance(leaving.code, int) else 1
        except BaseException:
            traceback.print_exc()
        finally:
            with contextlib.suppress(Exception):
                sys.stdout.flush()
                sys.stderr.flush()
            os._exit(code)

    def _make_likelier_victim(self, pid: str) -> None:
        with contextlib.suppress(OSError):  # It may have ended already.
            fd = os.open(f"{pid}/oom_score_adj", os.O_WRONLY | os.O_CLOEXEC, dir_fd=self._proc_fd)
            try:
                os.write(fd, str(_OOM_SCORE).encode())
            finally:
                os.close(fd)

    def _reap(self) -> None:
        while True:
            try:
                pid, status = os.waitpid(-1, os.WNOHANG)
            except ChildProcessError:
                return
            if pid == 0:
                return
            child = self._children.pop(pid, None)
            if child is not None:
                child.end(os.waitstatus_to_exitcode(status))


def signal_all(number: Signals) -> None:
    """Signal every process of the sandbox but this one. A stopped one stays so until SIGCONT."""
    with contextlib.suppress(ProcessLookupError):
        os.kill(-1, number)


def _close_all_but(keep: list[int]) -> None:
    low = 3
    for fd in sorted(keep):
        os.closerange(low, fd)
        low = fd + 1
    os.closerange(low, os.sysconf("SC_OPEN_MAX"))


def _take_terminal() -> None:
    """Make the terminal on stdin the controlling one. The session is new; TIOCSCTTY needs that."""
    fcntl.ioctl(0, termios.TIOCSCTTY, 0)
