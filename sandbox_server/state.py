"""Where this user's server is: a state file in the user's runtime folder, and the locks around it.

    server.json    address, key and process of the registered server
    server.lock    held by that server as long as it lives
    start.lock     held by whoever decides whether a server is started, kept or ended
    server.log     what a server in the background says; server.log.1 what it said before

A server that dies without a word leaves its state file, but not its lock.
"""

from __future__ import annotations

import contextlib
import fcntl
import importlib.metadata
import json
import os
import stat
import time
from collections.abc import Iterator
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Self

from .errors import SandboxServerError

LOG = "server.log"
_STATE = "server.json"
_SERVER_LOCK = "server.lock"
_START_LOCK = "start.lock"
_MAX_STATE_BYTES = 64 * 1024
_CLAIM_SECONDS = 1.0


@dataclass(frozen=True, slots=True)
class State:
    """What the state file says of a server."""

    pid: int
    pid_started: int
    """When the process started (clock ticks after boot): another process of the same number is not believed."""
    version: str
    url: str = ""
    """Empty until it can make sandboxes."""
    api_key: str = field(default="", repr=False)

    @property
    def alive(self) -> bool:
        """Whether that very process still runs."""
        return start_time(self.pid) == self.pid_started


def start_time(pid: int) -> int | None:
    """Return when a process started, in clock ticks after boot; None when it has ended."""
    try:
        text = Path("/proc", str(pid), "stat").read_text(encoding="utf-8", errors="replace")
    except OSError:
        return None
    # Its second field is the program's name, which may hold anything, parentheses and spaces too.
    fields = text.rpartition(")")[2].split()
    return None if fields[0] in "ZX" else int(fields[19])


def version() -> str:
    """Return the version of this distribution; "0" where it is not installed."""
    try:
        return importlib.metadata.version("sandloop")
    except importlib.metadata.PackageNotFoundError:
        return "0"


class RuntimeFolder:
    """A private folder, opened once: files are reached by its descriptor, whatever becomes of the path meanwhile."""

    def __init__(self, path: Path, fd: int) -> None:
        self.path = path
        self._fd = fd

    @classmethod
    def open(cls, path: Path) -> Self:
        """Open the folder, making it first when needed.

        Raises:
            SandboxServerError: it is not ours alone, or cannot be made.
        """
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            with contextlib.suppress(FileExistsError):
                path.mkdir(mode=0o700)
            fd = os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC)
        except OSError as error:
            raise SandboxServerError(
                f"the runtime folder '{path}' cannot be used: {error.strerror}; "
                "set XDG_RUNTIME_DIR to a folder of your own, or unset it"
            ) from error
        found = os.fstat(fd)
        if found.st_uid != os.geteuid():
            os.close(fd)
            raise SandboxServerError(
                f"the runtime folder '{path}' belongs to another user; set XDG_RUNTIME_DIR to a folder of your own"
            )
        if stat.S_IMODE(found.st_mode) != 0o700:
            os.fchmod(fd, 0o700)
        return cls(path, fd)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        os.close(self._fd)

    # --- the state file

    def read(self) -> State | None:
        """Return what the state file says; None when there is none, or it makes no sense.

        Raises:
            SandboxServerError: somebody else wrote it, or may read it.
        """
        try:
            fd = self._open(_STATE, os.O_RDONLY)
        except FileNotFoundError:
            return None
        with open(fd, "rb") as file:
            data = file.read(_MAX_STATE_BYTES)
        with contextlib.suppress(ValueError, TypeError):
            state = State(**json.loads(data))
            if isinstance(state.pid, int) and isinstance(state.url, str) and isinstance(state.api_key, str):
                return state
        return None

    def write(self, state: State) -> None:
        """Put a state file in place, whole."""
        draft = f"{_STATE}.{os.getpid()}"
        with contextlib.suppress(FileNotFoundError):
            os.unlink(draft, dir_fd=self._fd)
        fd = self._open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL)
        with open(fd, "w", encoding="utf-8") as file:
            json.dump(asdict(state), file)
        os.replace(draft, _STATE, src_dir_fd=self._fd, dst_dir_fd=self._fd)

    def remove(self) -> None:
        """Take the state file away."""
        with contextlib.suppress(FileNotFoundError):
            os.unlink(_STATE, dir_fd=self._fd)

    def touch(self) -> None:
        """Note that somebody was given the address now."""
        with contextlib.suppress(FileNotFoundError):
            os.utime(_STATE, dir_fd=self._fd, follow_symlinks=False)

    def touched_at(self) -> float:
        """Return when somebody was last given the address (Unix seconds); 0 when there is none."""
        try:
            return os.stat(_STATE, dir_fd=self._fd, follow_symlinks=False).st_mtime
        except FileNotFoundError:
            return 0.0

    # --- locks

    def claim(self) -> int | None:
        """Become this user's server: return the descriptor that holds the lock, None when another has it."""
        fd = self._open(_SERVER_LOCK, os.O_RDWR | os.O_CREAT)
        deadline = time.monotonic() + _CLAIM_SECONDS
        while not _try_lock(fd):
            # `served` takes it for a moment, too.
            if time.monotonic() > deadline:
                os.close(fd)
                return None
            time.sleep(0.01)
        return fd

    def served(self) -> bool:
        """Whether a server holds the lock: it starts, serves or ends."""
        fd = self._open(_SERVER_LOCK, os.O_RDWR | os.O_CREAT)
        try:
            return not _try_lock(fd)
        finally:
            os.close(fd)

    @contextlib.contextmanager
    def deciding(self, *, wait: bool) -> Iterator[bool]:
        """Hold the lock of who starts and ends servers; False when another has it and `wait` is False."""
        fd = self._open(_START_LOCK, os.O_RDWR | os.O_CREAT)
        try:
            if wait:
                fcntl.flock(fd, fcntl.LOCK_EX)
            yield wait or _try_lock(fd)
        finally:
            os.close(fd)

    # --- the log

    def new_log(self) -> int:
        """Put the log aside and return a descriptor of an empty one, for appending."""
        with contextlib.suppress(FileNotFoundError):
            os.replace(LOG, f"{LOG}.1", src_dir_fd=self._fd, dst_dir_fd=self._fd)
        return self._open(LOG, os.O_WRONLY | os.O_CREAT | os.O_APPEND)

    def open_log(self) -> int:
        """Return a descriptor of the log, for reading."""
        return self._open(LOG, os.O_RDONLY)

    def _open(self, name: str, flags: int) -> int:
        try:
            fd = os.open(name, flags | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC, 0o600, dir_fd=self._fd)
        except FileNotFoundError:
            raise
        except OSError as error:
            raise self._not_ours(name) from error
        found = os.fstat(fd)
        if found.st_uid != os.geteuid() or not stat.S_ISREG(found.st_mode) or found.st_mode & 0o077:
            os.close(fd)
            raise self._not_ours(name)
        return fd

    def _not_ours(self, name: str) -> SandboxServerError:
        return SandboxServerError(
            f"'{self.path / name}' is not a private file of this user; remove it, "
            "or set XDG_RUNTIME_DIR to a folder of your own"
        )


def _try_lock(fd: int) -> bool:
    try:
        fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True
