"""E2B's `filesystem.Filesystem` service."""

from __future__ import annotations

import errno
import os
import secrets
from collections.abc import AsyncGenerator, Iterator
from contextlib import suppress

from connectrpc.code import Code
from connectrpc.errors import ConnectError
from e2b.envd.filesystem import filesystem_pb as pb
from e2b.envd.filesystem.filesystem_connect import Filesystem

from . import entries, errors, paths, turns, wire
from .watch import Watch

MAX_ENTRIES = 50_000
"""Bound of one listing: its answer is built in memory (some 500 bytes an entry)."""
_ENTRIES_A_TURN = 50
MAX_WATCHERS = 64
"""Watchers that are polled live until they are removed."""


class FilesystemService(Filesystem):
    """The sandbox's files. Whatever can take long (trees, copies) goes on in turns with the rest."""

    def __init__(self) -> None:
        self._watchers: dict[str, Watch] = {}

    async def stat(self, request: pb.StatRequest, ctx: wire.Context, /) -> pb.StatResponse:
        """Tell about one entry."""
        return pb.StatResponse(entry=entries.describe(paths.resolve(request.path)))

    async def make_dir(self, request: pb.MakeDirRequest, ctx: wire.Context, /) -> pb.MakeDirResponse:
        """Make a folder and those above it."""
        return pb.MakeDirResponse(entry=_make_folder(paths.resolve(request.path)))

    async def move(self, request: pb.MoveRequest, ctx: wire.Context, /) -> pb.MoveResponse:
        """Rename, also from one file system to another."""
        source, destination = paths.resolve(request.source), paths.resolve(request.destination)
        os.lstat(source)
        paths.make_parents(destination)
        try:
            os.rename(source, destination)
        except OSError as error:
            if error.errno != errno.EXDEV:
                raise
            await turns.take(_move_across(source, destination))
        return pb.MoveResponse(entry=entries.describe(destination))

    async def list_dir(self, request: pb.ListDirRequest, ctx: wire.Context, /) -> pb.ListDirResponse:
        """List a folder, depth first and by name; a depth of 0 means 1. Symbolic links below it are not followed."""
        found = await turns.take(_list(paths.resolve(request.path), request.depth or 1))
        return pb.ListDirResponse(entries=found)

    async def remove(self, request: pb.RemoveRequest, ctx: wire.Context, /) -> pb.RemoveResponse:
        """Remove a file, or a folder with all in it; nothing there is fine."""
        with suppress(FileNotFoundError):
            await turns.take(turns.remove(paths.resolve(request.path)))
        return pb.RemoveResponse()

    async def watch_dir(self, request: pb.WatchDirRequest, ctx: wire.Context, /) -> AsyncGenerator[pb.WatchDirResponse]:
        """Stream what happens in a folder."""
        pulse = wire.Pulse(ctx)
        watch = Watch(paths.resolve(request.path), recursive=request.recursive, with_entries=request.include_entry)
        try:
            yield pb.WatchDirResponse(event=wire.one_of("start", pb.WatchDirResponse.StartEvent()))
            while True:
                if not await pulse.wait(watch.ready()):
                    yield pb.WatchDirResponse(event=wire.one_of("keepalive", pb.WatchDirResponse.KeepAlive()))
                    continue
                for event in watch.take():
                    yield pb.WatchDirResponse(event=wire.one_of("filesystem", event))
        finally:
            watch.close()

    async def create_watcher(self, request: pb.CreateWatcherRequest, ctx: wire.Context, /) -> pb.CreateWatcherResponse:
        """Watch a folder for a client that polls."""
        if len(self._watchers) >= MAX_WATCHERS:
            raise ConnectError(Code.FAILED_PRECONDITION, f"{MAX_WATCHERS} watchers are open: stop some of them")
        watch = Watch(paths.resolve(request.path), recursive=request.recursive, with_entries=request.include_entry)
        watcher_id = f"w{secrets.token_hex(8)}"
        self._watchers[watcher_id] = watch
        return pb.CreateWatcherResponse(watcher_id=watcher_id)

    async def get_watcher_events(
        self, request: pb.GetWatcherEventsRequest, ctx: wire.Context, /
    ) -> pb.GetWatcherEventsResponse:
        """Return what happened since the last call."""
        return pb.GetWatcherEventsResponse(events=self._watcher(request.watcher_id).take())

    async def remove_watcher(self, request: pb.RemoveWatcherRequest, ctx: wire.Context, /) -> pb.RemoveWatcherResponse:
        """Stop watching."""
        self._watcher(request.watcher_id).close()
        del self._watchers[request.watcher_id]
        return pb.RemoveWatcherResponse()

    def _watcher(self, watcher_id: str) -> Watch:
        try:
            return self._watchers[watcher_id]
        except KeyError:
            raise ConnectError(Code.NOT_FOUND, f"watcher with id {watcher_id} not found") from None


def _make_folder(path: str) -> pb.EntryInfo:
    if os.path.isdir(path):
        raise ConnectError(Code.ALREADY_EXISTS, f"directory already exists: {path}")
    if os.path.lexists(path):
        raise errors.invalid(f"path already exists but it is not a directory: {path}")
    paths.make_folders(path)
    return entries.describe(path)


def _list(path: str, depth: int) -> turns.Steps[list[pb.EntryInfo]]:
    if not os.path.isdir(path):
        os.stat(path)
        raise errors.invalid(f"path is not a directory: {path}")
    found: list[pb.EntryInfo] = []
    for below in _walk(path, depth):
        if len(found) == MAX_ENTRIES:
            message = f"more than {MAX_ENTRIES} entries below {path}: list a smaller folder or a smaller depth"
            raise ConnectError(Code.FAILED_PRECONDITION, message)
        # An entry may be gone between listing and looking.
        with suppress(FileNotFoundError):
            found.append(entries.describe(below))
        if len(found) % _ENTRIES_A_TURN == 0:
            yield
    return found


def _walk(folder: str, depth: int) -> Iterator[str]:
    with os.scandir(folder) as scan:
        children = sorted(scan, key=lambda child: child.name)
    for child in children:
        yield child.path
        if depth > 1 and child.is_dir(follow_symlinks=False):
            # Gone meanwhile, or not ours to open: the rest is still worth telling.
            with suppress(OSError):
                yield from _walk(child.path, depth - 1)


def _move_across(source: str, destination: str) -> turns.Steps[None]:
    """Copy and delete, refusing what rename(2) refuses."""
    if os.path.isdir(destination):
        raise FileExistsError(errno.EEXIST, "File exists", destination)
    with suppress(FileNotFoundError):
        os.unlink(destination)
    yield from turns.copy(source, destination)
    yield from turns.remove(source)
