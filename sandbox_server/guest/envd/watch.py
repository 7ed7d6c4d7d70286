"""What happens in a folder, by inotify(7), in the words of E2B's events (those of Go's fsnotify)."""

from __future__ import annotations

import asyncio
import ctypes
import errno
import os
import struct
from collections.abc import Iterator

from connectrpc.code import Code
from connectrpc.errors import ConnectError
from e2b.envd.filesystem.filesystem_pb import EntryInfo, EventType, FilesystemEvent

from . import entries, errors

IN_MODIFY = 0x002
IN_ATTRIB = 0x004
IN_MOVED_FROM = 0x040
IN_MOVED_TO = 0x080
IN_CREATE = 0x100
IN_DELETE = 0x200
IN_DELETE_SELF = 0x400
IN_MOVE_SELF = 0x800
IN_Q_OVERFLOW = 0x4000
IN_IGNORED = 0x8000
IN_ONLYDIR = 0x0100_0000
IN_ISDIR = 0x4000_0000

_TYPES = {
    IN_CREATE: EventType.CREATE,
    IN_MOVED_TO: EventType.CREATE,
    IN_MOVED_FROM: EventType.RENAME,
    IN_MOVE_SELF: EventType.RENAME,
    IN_ATTRIB: EventType.CHMOD,
    IN_MODIFY: EventType.WRITE,
    IN_DELETE: EventType.REMOVE,
    IN_DELETE_SELF: EventType.REMOVE,
}
_WITH_ENTRY = {EventType.CREATE, EventType.WRITE, EventType.CHMOD}
"""After the others something else may be at the path."""
_HEADER = struct.Struct("iIII")  # struct inotify_event: wd, mask, cookie, length of the name
_READ_BYTES = 64 * 1024
MAX_EVENTS = 16_384
"""Events one watch keeps for a client that does not fetch them."""

_libc = ctypes.CDLL(None, use_errno=True)


class Watch:
    """One watched folder, with the folders below it if asked."""

    def __init__(self, path: str, *, recursive: bool, with_entries: bool) -> None:
        """Start watching.

        Raises:
            ConnectError: not found, not a folder, or the kernel's limit of watches.
        """
        self._path = path
        self._recursive = recursive
        self._with_entries = with_entries
        self._events: list[FilesystemEvent] = []
        self._lost = False
        self._something = asyncio.Event()
        self._folders: dict[int, str] = {}
        if not os.path.isdir(path):
            os.stat(path)
            raise errors.invalid(f"path {path} is not a directory")
        self._fd = _check(_libc.inotify_init1(os.O_NONBLOCK | os.O_CLOEXEC), "watch")
        try:
            self._root = self._add(path)
            if recursive:
                for folder in _folders_below(path):
                    self._add(folder)
        except BaseException:
            os.close(self._fd)
            raise
        asyncio.get_running_loop().add_reader(self._fd, self._on_readable)

    def close(self) -> None:
        """Stop watching."""
        asyncio.get_running_loop().remove_reader(self._fd)
        os.close(self._fd)

    async def ready(self) -> None:
        """Wait until `take` has something to return."""
        while not (self._events or self._lost):
            self._something.clear()
            await self._something.wait()

    def take(self) -> list[FilesystemEvent]:
        """Return what happened since the last call.

        Raises:
            ConnectError: aborted, when more happened than is kept; the watch goes on with what comes.
        """
        self._on_readable()
        taken, self._events = self._events, []
        if self._lost:
            self._lost = False
            raise ConnectError(Code.ABORTED, f"more than {MAX_EVENTS} events were waiting: some are lost")
        return taken

    def _on_readable(self) -> None:
        try:
            data = os.read(self._fd, _READ_BYTES)
        except BlockingIOError:
            return
        at = 0
        while at < len(data):
            watched, mask, _, length = _HEADER.unpack_from(data, at)
            at += _HEADER.size
            name = os.fsdecode(data[at : at + length].rstrip(b"\0"))
            at += length
            self._on_event(watched, mask, name)

    def _on_event(self, watched: int, mask: int, name: str) -> None:
        if mask & IN_Q_OVERFLOW:
            self._lost = True
            self._something.set()
        if mask & IN_IGNORED:
            self._folders.pop(watched, None)
        folder = self._folders.get(watched)
        if folder is None or (not name and watched != self._root):
            return  # A folder below tells of itself through its parent, by name.
        path = os.path.join(folder, name) if name else folder
        for bit, kind in _TYPES.items():
            if mask & bit:
                self._tell(kind, path)
        if self._recursive and mask & IN_ISDIR and mask & (IN_CREATE | IN_MOVED_TO):
            self._follow(path)

    def _follow(self, folder: str) -> None:
        """Watch a new folder. What came into it before that has no event: tell of it, rather twice than never."""
        new = [folder]
        while new:
            current = new.pop()
            try:
                self._add(current)
                with os.scandir(current) as scan:
                    children = sorted(scan, key=lambda child: child.name)
            except (OSError, ConnectError):
                continue
            for child in children:
                self._tell(EventType.CREATE, child.path)
                if child.is_dir(follow_symlinks=False):
                    new.append(child.path)

    def _add(self, folder: str) -> int:
        mask = IN_ONLYDIR | IN_CREATE | IN_DELETE | IN_MODIFY | IN_ATTRIB | IN_MOVED_FROM | IN_MOVED_TO
        if not self._folders:
            mask |= IN_DELETE_SELF | IN_MOVE_SELF
        watched = _check(_libc.inotify_add_watch(self._fd, os.fsencode(folder), mask), folder)
        self._folders[watched] = folder
        return watched

    def _tell(self, kind: EventType, path: str) -> None:
        self._something.set()
        if len(self._events) >= MAX_EVENTS:
            self._lost = True
            return
        entry: EntryInfo | None = None
        if self._with_entries and kind in _WITH_ENTRY:
            try:
                entry = entries.describe(path)
            except OSError:
                entry = None  # Gone meanwhile.
        name = errors.printable(os.path.relpath(path, self._path))
        self._events.append(FilesystemEvent(name=name, type=kind, entry=entry))


def _folders_below(path: str) -> Iterator[str]:
    for folder, folders, _ in os.walk(path):
        for name in folders:
            below = os.path.join(folder, name)
            if not os.path.islink(below):
                yield below


def _check(result: int, path: str) -> int:
    if result >= 0:
        return result
    number = ctypes.get_errno()
    if number in (errno.ENOSPC, errno.EMFILE):
        message = "the kernel's limit of watches is reached: watch fewer folders"
        # Not "resource exhausted": the SDK tells its users then that a rate limit was exceeded.
        raise ConnectError(Code.FAILED_PRECONDITION, message)
    raise OSError(number, os.strerror(number), path)
