"""The process of a Python kernel: forked from pid 1's warm interpreter, serves one daemon over one socket.

`warm` runs once in the template, `main` in each forked kernel. A kernel in which the user has installed another
version of what is preloaded cannot use the fork: compiled modules stay bound to the numpy they were loaded with. As
long as it has no state, it replaces itself by a cold interpreter that loads everything from files (`cold`).
"""

from __future__ import annotations

import asyncio
import contextlib
import io
import json
import os
import random
import socket
import sys
from pathlib import Path
from typing import Any

from ..config import VENV
from . import display, shell
from .cells import Cells, Request
from .preload import USER_PACKAGES, Preload, exercise

_preload: Preload
_LIBRARY = str(Path(__file__).parents[3])
_BOOT = (
    f"import sys; sys.path.append({_LIBRARY!r}); "
    "from sandbox_server.guest.kernels.python_main import cold; cold(*map(int, sys.argv[1:]))"
)


def warm() -> None:
    """Prepare the template. Call it last, so that kernels know what else was imported is the guest's."""
    global _preload
    _preload = Preload()


def rehearse() -> None:
    """Do in the template what every kernel does first."""
    exercise(_preload.shell)
    asyncio.SelectorEventLoop().close()


def main(options: dict[str, Any], fds: list[int]) -> None:
    """Run a kernel. `options`: env (the whole environment), cwd, cpus. `fds`: one, the daemon's socket."""
    os.environ.clear()
    os.environ.update(options["env"])
    os.chdir(options["cwd"])
    _redirect_stdio()
    _preload.enter(max(1, round(options["cpus"])))
    random.seed()
    exercise(_preload.shell)
    channel = socket.socket(fileno=fds[0])
    Cells(_preload.shell, channel, _Replacement(channel.fileno())).run()


def cold(channel: int, request: int, execution_count: int) -> None:
    """Run a kernel with nothing preloaded. `channel` and `request` are descriptors, the latter of a file with JSON."""
    sys.path.remove(_LIBRARY)
    with open(request, encoding="utf-8") as file:
        first = json.load(file)
    os.set_inheritable(channel, False)
    _redirect_stdio()
    made = shell.create()
    exercise(made)
    with contextlib.suppress(ImportError):  # The user's own Pillow may be a broken one.
        display.show_images()
    made.execution_count = execution_count
    for name in [name for name in sys.modules if name.startswith("sandbox_server")]:
        del sys.modules[name]
    sys.argv = [""]
    Cells(made, socket.socket(fileno=channel)).run(first)


class _Replacement:
    """Replaces the process by a cold one, when the user's packages ask for it and nothing would be lost."""

    def __init__(self, channel: int) -> None:
        self._channel = channel
        self._start = self._state()
        self._checked_ns = -1

    def __call__(self, request: Request) -> None:
        changed_ns = os.stat(USER_PACKAGES).st_mtime_ns if os.path.isdir(USER_PACKAGES) else 0
        if changed_ns == self._checked_ns:
            return
        self._checked_ns = changed_ns
        if not _preload.stash.displaced_by(USER_PACKAGES) or self._state() != self._start:
            return
        file = os.memfd_create("request", 0)  # 0: inheritable
        os.write(file, json.dumps(request).encode())
        os.lseek(file, 0, os.SEEK_SET)
        os.set_inheritable(self._channel, True)
        python = f"{VENV}/bin/python"
        numbers = (self._channel, file, _preload.shell.execution_count)
        os.execv(python, [python, "-c", _BOOT, *map(str, numbers)])

    def _state(self) -> tuple[object, ...]:
        """What cells may have changed, as far as one can see: variables, folder, environment, threads."""
        names = frozenset(name for name in _preload.shell.user_ns if not name.startswith("_"))
        return names, os.getcwd(), dict(os.environ), len(os.listdir("/proc/self/task")), _preload.stash.in_use


class _Stream(io.TextIOWrapper):
    """Text to a pipe, at once: what has no newline yet is shown as well."""

    def write(self, text: str) -> int:
        written = super().write(text)
        self.flush()
        return written


def _redirect_stdio() -> None:
    sys.stdin = io.TextIOWrapper(io.BufferedReader(io.FileIO(0, closefd=False)), encoding="utf-8")
    out, err = (io.BufferedWriter(io.FileIO(fd, "w", closefd=False)) for fd in (1, 2))
    sys.stdout = _Stream(out, encoding="utf-8", errors="backslashreplace")
    sys.stderr = _Stream(err, encoding="utf-8", errors="backslashreplace")
    for name in ("stdin", "stdout", "stderr"):
        setattr(sys, f"__{name}__", getattr(sys, name))
