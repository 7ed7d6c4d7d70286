"""Control groups: memory, process and CPU limits of a sandbox, freezing it, and what it uses.

Version 2 where a subtree is delegated to this user, version 1 as root, else none: then `detect` returns None and the
limits are rlimits and a watchdog (`watchdog`), which is weaker and says so.
"""

from __future__ import annotations

import contextlib
import errno
import os
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from ..guest.config import Limits

PREFIX = "sandloop-"
"""Of the folder of one server, followed by its pid."""
_PERIOD_US = 100_000
_FREEZE_SECONDS = 30.0


class Group(Protocol):
    """The control group of one sandbox."""

    def open_procs(self) -> list[int]:
        """Return descriptors into which a single-threaded process writes "0" to join; the caller closes them."""

    def freeze(self) -> None:
        """Stop every process; returns when all have stopped. Raises TimeoutError."""

    def thaw(self) -> None:
        """Let them run again."""

    def remove(self) -> bool:
        """Remove the empty group; False while something is still in it."""


class Hierarchy(Protocol):
    """Where the groups of this server's sandboxes are made."""

    @property
    def description(self) -> str:
        """Which it is, for people."""

    def create(self, name: str, limits: Limits) -> Group:
        """Make a group with these limits. Raises OSError."""

    def remove(self) -> None:
        """Remove the server's own folder; groups still in it are left."""


def detect(pid: int, root: Path = Path("/sys/fs/cgroup"), proc: Path = Path("/proc/self/cgroup")) -> Hierarchy | None:
    """Return the best hierarchy that this process, of this pid, may use, or None."""
    name = f"{PREFIX}{pid}"
    own = dict(_own_paths(proc))
    for attempt in (_detect_v2, _detect_v1):
        with contextlib.suppress(OSError):
            hierarchy = attempt(name, root, own)
            if hierarchy is not None:
                return hierarchy
    return None


def _sweep(base: Path) -> None:
    """Remove what servers left that were killed: the kernel ends their sandboxes, but not the empty groups."""
    for folder in base.glob(f"{PREFIX}*"):
        pid = folder.name.removeprefix(PREFIX).removesuffix("-server")
        if not Path("/proc", pid).exists():
            with contextlib.suppress(OSError):
                for child in folder.glob("*/"):
                    # What was paused then does not die in version 1 before it is thawed: it goes at the next sweep.
                    with contextlib.suppress(OSError):
                        _write(child / "freezer.state", "THAWED")
                    with contextlib.suppress(OSError):
                        child.rmdir()
                folder.rmdir()


def _own_paths(proc: Path) -> list[tuple[str, str]]:
    """Read /proc/self/cgroup: controller → path; version 2 has the controller ""."""
    paths = []
    for line in proc.read_text().splitlines():
        _, controllers, path = line.split(":", 2)
        paths += [(controller, path) for controller in controllers.split(",")]
    return paths


# --- version 2


_CONTROLLERS_V2 = ("memory", "pids", "cpu")
_ENABLE_V2 = " ".join(f"+{controller}" for controller in _CONTROLLERS_V2)


def _detect_v2(name: str, root: Path, own: dict[str, str]) -> Hierarchy | None:
    """Look in the process's own group (a delegated scope), then at the top (root on a host with systemd)."""
    for base in (root / own.get("", "/").lstrip("/"), root):
        with contextlib.suppress(OSError):
            if _can_have_children(base, name):
                _sweep(base)
                folder = base / name
                folder.mkdir(exist_ok=True)
                _write(folder / "cgroup.subtree_control", _ENABLE_V2)
                return HierarchyV2(folder)
    return None


def _can_have_children(base: Path, name: str) -> bool:
    """Whether groups under `base` can have limits; switches the controllers on where that disturbs nobody."""
    if set(_CONTROLLERS_V2) <= set(_read(base / "cgroup.subtree_control").split()):
        return True
    if not set(_CONTROLLERS_V2) <= set(_read(base / "cgroup.controllers").split()):
        return False
    # With controllers on, processes may only be in leaves. The server moves into one, but nobody else's process.
    if _read(base / "cgroup.procs").split() != [str(os.getpid())]:
        return False
    leaf = base / f"{name}-server"
    leaf.mkdir(exist_ok=True)
    _write(leaf / "cgroup.procs", str(os.getpid()))
    _write(base / "cgroup.subtree_control", _ENABLE_V2)
    return True


@dataclass(frozen=True, slots=True)
class HierarchyV2:
    """A delegated subtree of the unified hierarchy."""

    folder: Path
    description: str = "cgroup v2 (memory, pids, cpu)"

    def create(self, name: str, limits: Limits) -> Group:
        """See `Hierarchy`."""
        folder = self.folder / name
        folder.mkdir()
        _write(folder / "memory.max", str(limits.total_memory_bytes))
        with contextlib.suppress(OSError):  # absent without swap accounting
            _write(folder / "memory.swap.max", "0")
        _write(folder / "pids.max", str(limits.processes))
        _write(folder / "cpu.max", f"{int(limits.cpus * _PERIOD_US)} {_PERIOD_US}")
        return _GroupV2(folder)

    def remove(self) -> None:
        """See `Hierarchy`."""
        _rmdir(self.folder)


@dataclass(frozen=True, slots=True)
class _GroupV2:
    folder: Path

    def open_procs(self) -> list[int]:
        return [os.open(self.folder / "cgroup.procs", os.O_WRONLY | os.O_CLOEXEC)]

    def freeze(self) -> None:
        _write(self.folder / "cgroup.freeze", "1")
        _wait(lambda: _keyed(self.folder / "cgroup.events")["frozen"] == 1)

    def thaw(self) -> None:
        _write(self.folder / "cgroup.freeze", "0")

    def remove(self) -> bool:
        return _rmdir(self.folder)


# --- version 1

_CONTROLLERS_V1 = ("memory", "pids", "cpu", "freezer")


def _detect_v1(name: str, root: Path, own: dict[str, str]) -> Hierarchy | None:
    folders: dict[str, Path] = {}
    for controller in _CONTROLLERS_V1:
        base = root / controller / own.get(controller, "/").lstrip("/")
        _sweep(base)
        folder = base / name
        folder.mkdir(exist_ok=True)
        folders[controller] = folder
    return HierarchyV1(folders)


@dataclass(frozen=True, slots=True)
class HierarchyV1:
    """One folder a controller; root only."""

    folders: dict[str, Path]
    description: str = "cgroup v1 (memory, pids, cpu, freezer)"

    def create(self, name: str, limits: Limits) -> Group:
        """See `Hierarchy`."""
        folders = {controller: folder / name for controller, folder in self.folders.items()}
        for folder in set(folders.values()):
            # Controllers can be mounted together: one folder then, reached by two names.
            folder.mkdir(exist_ok=True)
        _write(folders["memory"] / "memory.limit_in_bytes", str(limits.total_memory_bytes))
        with contextlib.suppress(OSError):  # absent without swap accounting
            _write(folders["memory"] / "memory.memsw.limit_in_bytes", str(limits.total_memory_bytes))
        _write(folders["pids"] / "pids.max", str(limits.processes))
        _write(folders["cpu"] / "cpu.cfs_quota_us", str(int(limits.cpus * _PERIOD_US)))
        return _GroupV1(folders)

    def remove(self) -> None:
        """See `Hierarchy`."""
        for folder in self.folders.values():
            _rmdir(folder)


@dataclass(frozen=True, slots=True)
class _GroupV1:
    folders: dict[str, Path]

    def open_procs(self) -> list[int]:
        # Not cgroup.procs: a thread that moves itself alone needs no lock over all threads of the host, and the first
        # to take that lock waits for an RCU grace period (measured: 15 ms against 0.1 ms).
        return [os.open(folder / "tasks", os.O_WRONLY | os.O_CLOEXEC) for folder in self.folders.values()]

    def freeze(self) -> None:
        state = self.folders["freezer"] / "freezer.state"
        _write(state, "FROZEN")
        _wait(lambda: _read(state).strip() == "FROZEN")

    def thaw(self) -> None:
        _write(self.folders["freezer"] / "freezer.state", "THAWED")

    def remove(self) -> bool:
        # All of them, also when the first is still busy.
        return all([_rmdir(folder) for folder in self.folders.values()])


def _keyed(path: Path) -> dict[str, int]:
    return {key: int(value) for key, value in (line.split() for line in _read(path).splitlines())}


def _read(path: Path) -> str:
    return path.read_text(encoding="ascii")


def _write(path: Path, text: str) -> None:
    # No O_CREAT, no buffering: a file that is not there is an error, and so is a refused value.
    fd = os.open(path, os.O_WRONLY | os.O_CLOEXEC)
    try:
        os.write(fd, text.encode())
    finally:
        os.close(fd)


def _rmdir(folder: Path) -> bool:
    try:
        folder.rmdir()
    except FileNotFoundError:
        return True
    except OSError as error:
        if error.errno != errno.EBUSY:
            raise
        return False
    return True


def _wait(done: Callable[[], bool]) -> None:
    deadline = time.monotonic() + _FREEZE_SECONDS
    while not done():
        if time.monotonic() > deadline:
            raise TimeoutError("the sandbox did not stop in time")
        time.sleep(0.0005)
