"""The server's end of a control channel when everything that comes from the guest is made to hurt."""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import socket
import struct
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
import pytest_asyncio

from sandbox_server.guest import messages
from sandbox_server.sandboxes.channel import GuestChannel, GuestGone

from .attacker import open_files


class Hostile:
    """A channel, the guest's end of it, and what the server let through."""

    def __init__(self) -> None:
        ours, self.guest = messages.pair()
        self.accepted: list[socket.socket] = []
        self.channel = GuestChannel(ours, self.accepted.append)
        self._closed = False

    async def settle(self) -> None:
        """Wait until the server has read everything."""
        for _ in range(1000):
            await asyncio.sleep(0)

    def close(self) -> None:
        if self._closed:
            return
        self._closed = True
        for taken in self.accepted:
            taken.close()
        self.channel.close()
        self.guest.close()


@pytest_asyncio.fixture
async def hostile() -> AsyncIterator[Hostile]:
    before = open_files(os.getpid())
    made = Hostile()
    yield made
    made.close()
    assert open_files(os.getpid()) <= before


PACKETS = [
    b"",
    b"{",
    b"[]",
    b"null",
    b'"text"',
    b"\xff" * 1000,
    b"[" * 100_000,
    b'{"id": NaN}',
    b'{"id": []}',
    b'{"id": {"a": 1}}',
    b'{"id": true, "error": 1}',
    b'{"id": 99999}',
    b'{"id": -1}',
    b'{"id": ' + b"9" * 4000 + b"}",
    b'{"egress": true}',
    b'{"egress": "yes"}',
    b'{"frozen": "yes"}',
    b'{"frozen": []}',
    b'{"ready": true, "started": true}',
    b'{"a": "' + b"x" * (messages.MAX_MESSAGE_BYTES - 10) + b'"}',
]


@pytest.mark.parametrize("packet", PACKETS, ids=range(len(PACKETS)))
async def test_a_malformed_message_is_dropped(hostile: Hostile, packet: bytes) -> None:
    if packet:
        hostile.guest.send(packet)
    await hostile.settle()
    assert hostile.accepted == []
    hostile.channel.open_http().close()


async def test_descriptors_that_are_no_connections_are_closed(hostile: Hostile, tmp_path: Path) -> None:
    read_end, write_end = os.pipe()
    listener = socket.create_server(("127.0.0.1", 0))
    unix, udp = socket.socket(socket.AF_UNIX), socket.socket(type=socket.SOCK_DGRAM)
    file = os.open(tmp_path / "file", os.O_CREAT | os.O_RDWR)
    before = open_files(os.getpid())
    for fd in (read_end, write_end, file, unix.fileno(), udp.fileno()):
        messages.send(hostile.guest, {"egress": True}, [fd])
    messages.send(hostile.guest, {"nothing": True}, [listener.fileno()])
    messages.send(hostile.guest, {"egress": True}, [file] * messages.MAX_FDS)
    socket.send_fds(hostile.guest, [b"{}"], [file] * 100)
    socket.send_fds(hostile.guest, [b"{"], [file] * 3)
    await hostile.settle()
    assert hostile.accepted == []
    assert open_files(os.getpid()) == before
    for fd in (read_end, write_end, file):
        os.close(fd)
    for sock in (listener, unix, udp):
        sock.close()


async def test_answers_to_questions_nobody_asked_are_ignored(hostile: Hostile) -> None:
    dial = asyncio.create_task(hostile.channel.dial(80))
    await hostile.settle()
    for number in (0, 2, 3, "1", None, 1.0, [1]):
        if number != 1.0:
            messages.send(hostile.guest, {"id": number, "error": "x"})
    await hostile.settle()
    assert not dial.done()
    for _ in range(3):
        messages.send(hostile.guest, {"id": 1, "error": "refused"})
    assert await dial is None


async def test_a_guest_that_never_answers_is_given_up_by_numbers(hostile: Hostile) -> None:
    dials = [asyncio.create_task(hostile.channel.dial(80)) for _ in range(400)]
    await hostile.settle()
    refused = [dial for dial in dials if dial.done() and isinstance(dial.exception(), GuestGone)]
    assert len(refused) >= 100
    for dial in dials:
        dial.cancel()
    await asyncio.gather(*dials, return_exceptions=True)


async def test_a_flood_of_messages_leaves_the_loop_to_others(hostile: Hostile) -> None:
    hostile.guest.setblocking(False)  # Full is full: the attack is not this test's to wait for.
    big = json.dumps({"a": [0] * 30_000}).encode()
    turns = 0
    for _ in range(200):
        with contextlib.suppress(BlockingIOError):
            hostile.guest.send(big)
        await asyncio.sleep(0)
        turns += 1
    assert turns == 200


async def test_a_guest_that_leaves_is_told_apart(hostile: Hostile) -> None:
    dial = asyncio.create_task(hostile.channel.dial(80))
    await hostile.settle()
    hostile.guest.close()
    await hostile.settle()
    with pytest.raises(GuestGone):
        hostile.channel.open_http()
    hostile.close()
    with pytest.raises(GuestGone):
        await dial


async def test_a_lingering_connection_does_not_stop_the_loop_when_it_is_closed(hostile: Hostile) -> None:
    """The kernel makes close(2) wait for SO_LINGER, also on a non-blocking socket, at the last reference."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        connection = socket.create_connection(listener.getsockname())
        far, _ = listener.accept()
        connection.setblocking(False)
        try:
            while True:
                connection.send(b"x" * 65536)
        except BlockingIOError:
            pass
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 30))
        messages.send(hostile.guest, {"no": "egress"}, [connection.fileno()])
        connection.close()
        begin = asyncio.get_running_loop().time()
        await hostile.settle()
        far.close()
        assert asyncio.get_running_loop().time() - begin < 25
