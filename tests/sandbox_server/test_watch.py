"""Watching folders of a sandbox, through the SDK: by polling (sync) and by a stream (async)."""

from __future__ import annotations

import asyncio

import pytest
from e2b import (
    AuthenticationException,
    FileNotFoundException,
    FilesystemEvent,
    FilesystemEventType,
    InvalidArgumentException,
    SandboxException,
)
from e2b.sandbox_sync.filesystem.watch_handle import WatchHandle
from e2b_code_interpreter import AsyncSandbox, Sandbox

from .waiting import wait_until

Kind = FilesystemEventType
Seen = set[tuple[str, Kind]]


class Watcher:
    """What a watch has told so far."""

    def __init__(self, handle: WatchHandle) -> None:
        self._handle = handle
        self.events: list[FilesystemEvent] = []

    def seen(self) -> Seen:
        self.events += self._handle.get_new_events()
        return {(event.name, event.type) for event in self.events}

    def wait_for(self, *expected: tuple[str, Kind]) -> None:
        wait_until(lambda: set(expected) <= self.seen())


@pytest.mark.parametrize(
    ("command", "expected"),
    [
        ("touch new", {("new", Kind.CREATE)}),
        ("echo more >> old", {("old", Kind.WRITE)}),
        ("chmod 600 old", {("old", Kind.CHMOD)}),
        ("rm old", {("old", Kind.REMOVE)}),
        ("mv old young", {("old", Kind.RENAME), ("young", Kind.CREATE)}),
        ("mkdir folder", {("folder", Kind.CREATE)}),
        ("touch żółć", {("żółć", Kind.CREATE)}),
        ("mv old ../out", {("old", Kind.RENAME)}),
    ],
)
def test_what_happens_in_a_folder_is_told(sandbox: Sandbox, command: str, expected: Seen) -> None:
    sandbox.files.write("watched/old", "x")
    watcher = Watcher(sandbox.files.watch_dir("watched"))
    sandbox.commands.run(command, cwd="watched")
    watcher.wait_for(*expected)


def test_a_plain_watch_does_not_tell_of_what_is_below(sandbox: Sandbox) -> None:
    sandbox.files.make_dir("watched/below")
    watcher = Watcher(sandbox.files.watch_dir("watched"))
    sandbox.commands.run("touch below/deep last", cwd="watched")
    watcher.wait_for(("last", Kind.CREATE))
    assert not {name for name, _ in watcher.seen() if "deep" in name}


def test_a_recursive_watch_follows_folders_old_and_new(sandbox: Sandbox) -> None:
    sandbox.files.make_dir("watched/old")
    watcher = Watcher(sandbox.files.watch_dir("watched", recursive=True))
    sandbox.commands.run("touch old/a; mkdir -p new/deep/er; touch new/deep/er/b; mv new moved", cwd="watched")
    watcher.wait_for(("old/a", Kind.CREATE), ("new/deep/er/b", Kind.CREATE), ("moved", Kind.CREATE))
    sandbox.commands.run("echo x > moved/deep/er/c", cwd="watched")
    watcher.wait_for(("moved/deep/er/c", Kind.WRITE))


def test_a_watch_tells_about_the_entry_when_asked(sandbox: Sandbox) -> None:
    sandbox.files.make_dir("watched")
    watcher = Watcher(sandbox.files.watch_dir("watched", include_entry=True))
    sandbox.commands.run("printf 12345 > a", cwd="watched")
    watcher.wait_for(("a", Kind.WRITE))
    sizes = [event.entry.size for event in watcher.events if event.type is Kind.WRITE and event.entry]
    assert sizes[-1] == 5


def test_events_are_told_once_and_in_order(sandbox: Sandbox) -> None:
    sandbox.files.make_dir("watched")
    watcher = Watcher(sandbox.files.watch_dir("watched"))
    sandbox.commands.run("for n in $(seq 200); do mkdir $n; done", cwd="watched")
    watcher.wait_for(("200", Kind.CREATE))
    assert [event.name for event in watcher.events] == [str(number) for number in range(1, 201)]


def test_a_watch_that_nobody_reads_says_that_it_lost_events_and_lives_on(sandbox: Sandbox) -> None:
    sandbox.files.make_dir("watched")
    handle = sandbox.files.watch_dir("watched")
    sandbox.commands.run("seq 20000 | xargs mkdir", cwd="watched")
    with pytest.raises(SandboxException, match="some are lost"):
        handle.get_new_events()
    sandbox.commands.run("touch after", cwd="watched")
    Watcher(handle).wait_for(("after", Kind.CREATE))


def test_a_stopped_watch_is_gone(sandbox: Sandbox) -> None:
    handle = sandbox.files.watch_dir("/home/user")
    handle.stop()
    with pytest.raises(SandboxException):
        handle.get_new_events()


def test_what_cannot_be_watched_says_so(sandbox: Sandbox) -> None:
    sandbox.files.write("file", "x")
    with pytest.raises(FileNotFoundException):
        sandbox.files.watch_dir("missing")
    with pytest.raises(InvalidArgumentException, match="directory"):
        sandbox.files.watch_dir("file")
    with pytest.raises(AuthenticationException, match="no root"):
        sandbox.files.watch_dir("/home/user", user="root")


def test_too_many_watches_are_refused_until_some_are_stopped(sandbox: Sandbox) -> None:
    handles = [sandbox.files.watch_dir("/home/user") for _ in range(64)]
    with pytest.raises(SandboxException, match="stop some"):
        sandbox.files.watch_dir("/home/user")
    handles[0].stop()
    sandbox.files.watch_dir("/home/user")


async def test_the_async_sdk_streams_events_until_stopped(async_sandbox: AsyncSandbox) -> None:
    await async_sandbox.files.make_dir("watched")
    events: asyncio.Queue[FilesystemEvent] = asyncio.Queue()
    handle = await async_sandbox.files.watch_dir("watched", on_event=events.put_nowait, recursive=True)
    await async_sandbox.files.write("watched/a/b", "x")
    seen: Seen = set()
    async with asyncio.timeout(60):
        while ("a/b", Kind.CREATE) not in seen:
            event = await events.get()
            seen.add((event.name, event.type))
    await handle.stop()
    await async_sandbox.files.write("watched/c", "x")
    await async_sandbox.commands.run("true")
    assert ("c", Kind.CREATE) not in {(event.name, event.type) for event in iter_queue(events)}


def iter_queue(queue: asyncio.Queue[FilesystemEvent]) -> list[FilesystemEvent]:
    return [queue.get_nowait() for _ in range(queue.qsize())]
