"""One connection into a sandbox: when its answer is whole, and when another request may follow on it."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import AsyncIterator
from dataclasses import dataclass

import pytest
import pytest_asyncio

from sandbox_server.gateway.upstream import Upstream, UpstreamError

GET = b"GET / HTTP/1.1\r\nhost: sandbox\r\n\r\n"
POST = b"POST / HTTP/1.1\r\nhost: sandbox\r\ncontent-length: 10\r\n\r\n"
OK = b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok"
MIB = 1024 * 1024


@dataclass(frozen=True)
class Line:
    """The gateway's end of a connection, and the sandbox's."""

    near: Upstream
    reader: asyncio.StreamReader
    writer: asyncio.StreamWriter

    async def ask(self, head: bytes = GET) -> None:
        self.near.start(head, without_body=head.startswith(b"HEAD"))
        assert await self.reader.readuntil(b"\r\n\r\n") == head

    async def answer(self, data: bytes) -> None:
        self.writer.write(data)
        await self.writer.drain()

    async def hang_up(self) -> None:
        self.writer.close()
        await self.writer.wait_closed()

    async def body(self) -> bytes:
        return b"".join([chunk async for chunk in self.near.body()])


@pytest_asyncio.fixture
async def line() -> AsyncIterator[Line]:
    ours, theirs = socket.socketpair()
    ours.setblocking(False)
    reader, writer = await asyncio.open_connection(sock=theirs)
    made = Line(await Upstream.over(ours), reader, writer)
    yield made
    made.near.close()
    writer.close()


async def closed(line: Line) -> None:
    """Wait until the sandbox's side sees that the gateway has closed."""
    try:
        async with asyncio.timeout(60):
            while await line.reader.read(MIB):
                pass
    except ConnectionError:
        pass


async def test_a_second_request_follows_the_first_on_the_same_connection(line: Line) -> None:
    for _ in range(2):
        await line.ask()
        line.near.finish()
        await line.answer(OK)
        assert (await line.near.head())[0] == 200
        assert await line.body() == b"ok"
        assert line.near.reusable


async def test_an_early_answer_to_an_upload_ends_the_connection(line: Line) -> None:
    await line.ask(POST)
    await line.near.write(b"12345")
    await line.answer(b"HTTP/1.1 400 Bad Request\r\ncontent-length: 2\r\n\r\nno")
    assert (await line.near.head())[0] == 400
    assert await line.body() == b"no"
    assert not line.near.reusable


async def test_an_answer_that_nobody_has_read_ends_the_connection(line: Line) -> None:
    await line.ask()
    line.near.finish()
    await line.answer(OK)
    await line.near.head()
    assert not line.near.reusable


@pytest.mark.parametrize(
    "head",
    [
        b"HTTP/1.1 200 OK\r\nconnection: close\r\ncontent-length: 2\r\n\r\nok",
        b"HTTP/1.0 200 OK\r\ncontent-length: 2\r\n\r\nok",
    ],
    ids=["connection: close", "HTTP/1.0"],
)
async def test_an_answer_that_announces_the_end_is_the_last(line: Line, head: bytes) -> None:
    await line.ask()
    line.near.finish()
    await line.answer(head)
    await line.near.head()
    assert await line.body() == b"ok"
    assert not line.near.reusable


async def test_an_answer_that_nobody_asked_for_ends_the_connection(line: Line) -> None:
    await line.ask()
    line.near.finish()
    await line.answer(OK + b"HTTP/1.1 201 Created\r\ncontent-length: 6\r\n\r\nforged")
    assert (await line.near.head())[0] == 200
    assert await line.body() == b"ok"
    assert not line.near.reusable
    await closed(line)


async def test_an_unasked_answer_on_an_idle_connection_ends_it(line: Line) -> None:
    await line.ask()
    line.near.finish()
    await line.answer(OK)
    await line.near.head()
    await line.body()
    await line.answer(b"HTTP/1.1 201 Created\r\ncontent-length: 6\r\n\r\nforged")
    await closed(line)
    assert not line.near.reusable


@pytest.mark.parametrize("length", [b"content-length: 5\r\n", b"transfer-encoding: chunked\r\n", b""])
async def test_the_answer_to_head_has_no_body(line: Line, length: bytes) -> None:
    await line.ask(b"HEAD / HTTP/1.1\r\nhost: sandbox\r\n\r\n")
    line.near.finish()
    await line.answer(b"HTTP/1.1 200 OK\r\n" + length + b"\r\n")
    assert (await line.near.head())[0] == 200
    async with asyncio.timeout(60):
        assert await line.body() == b""


@pytest.mark.parametrize("status", [204, 304])
@pytest.mark.parametrize("length", [b"content-length: 5\r\n", b""])
async def test_a_status_without_a_body_is_whole_at_its_head(line: Line, status: int, length: bytes) -> None:
    await line.ask()
    line.near.finish()
    await line.answer(b"HTTP/1.1 %d Fine\r\n%s\r\n" % (status, length))
    assert (await line.near.head())[0] == status
    async with asyncio.timeout(60):
        assert await line.body() == b""


async def test_a_204_without_a_length_leaves_the_connection_open(line: Line) -> None:
    await line.ask()
    line.near.finish()
    await line.answer(b"HTTP/1.1 204 No Content\r\n\r\n")
    await line.near.head()
    assert line.near.reusable


async def test_a_body_after_the_answer_to_head_is_dropped(line: Line) -> None:
    await line.ask(b"HEAD / HTTP/1.1\r\nhost: sandbox\r\n\r\n")
    await line.answer(OK)
    await line.near.head()
    assert await line.body() == b""


async def test_an_interim_answer_is_not_the_answer(line: Line) -> None:
    await line.ask(POST.replace(b"\r\n\r\n", b"\r\nexpect: 100-continue\r\n\r\n"))
    await line.answer(b"HTTP/1.1 100 Continue\r\nx-interim: 1\r\n\r\nHTTP/1.1 103 Early Hints\r\nlink: </a>\r\n\r\n")
    await line.near.write(b"0123456789")
    line.near.finish()
    assert await line.reader.readexactly(10) == b"0123456789"
    await line.answer(OK)
    assert await line.near.head() == (200, [(b"content-length", b"2")])
    assert await line.body() == b"ok"
    assert line.near.reusable


async def test_without_a_length_the_body_ends_with_the_connection(line: Line) -> None:
    await line.ask()
    line.near.finish()
    await line.answer(b"HTTP/1.0 200 OK\r\n\r\nall of it")
    await line.hang_up()
    assert (await line.near.head())[0] == 200
    assert await line.body() == b"all of it"
    assert not line.near.reusable


@pytest.mark.parametrize(
    "head",
    [b"content-length: 100\r\n\r\npart", b"transfer-encoding: chunked\r\n\r\n4\r\npart\r\n"],
    ids=["length", "chunked"],
)
async def test_a_body_that_breaks_off_is_delivered_up_to_there_and_then_an_error(line: Line, head: bytes) -> None:
    await line.ask()
    line.near.finish()
    await line.answer(b"HTTP/1.1 200 OK\r\n" + head)
    await line.hang_up()
    await line.near.head()
    arrived = b""
    with pytest.raises(UpstreamError, match="closed the connection"):
        async for chunk in line.near.body():
            arrived += chunk
    assert arrived == b"part"


@pytest.mark.parametrize(
    "answer",
    [
        b"SSH-2.0-OpenSSH\r\n",
        b"HTTP/1.1 200 OK\r\ncontent-length: 5\r\ncontent-length: 6\r\n\r\n",
        b"HTTP/1.1 200 OK\r\ncontent-length: -1\r\n\r\n",
        b"HTTP/1.1 999 Odd\r\n\r\n",
        b"HTTP/1.1 101 Switching Protocols\r\nconnection: upgrade\r\nupgrade: x\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nx: " + b"a" * (100 * 1024),
        b"HTTP/1.1 100 Continue\r\n\r\n" * 10_000,
    ],
    ids=["not HTTP", "two lengths", "negative length", "status 999", "unasked upgrade", "huge head", "endless interim"],
)
async def test_an_answer_that_is_not_http_is_an_error(line: Line, answer: bytes) -> None:
    await line.ask()
    line.near.finish()
    line.writer.write(answer)
    async with asyncio.timeout(60):
        with pytest.raises(UpstreamError):
            await line.near.head()
    assert not line.near.reusable
    await closed(line)


async def test_a_reader_that_stops_stops_the_sandbox(line: Line) -> None:
    await line.ask()
    line.near.finish()
    line.writer.transport.set_write_buffer_limits(high=0)
    await line.answer(b"HTTP/1.1 200 OK\r\ncontent-length: %d\r\n\r\n" % (16 * MIB))
    await line.near.head()
    # With no more than what the gateway, its transport and the socket hold, the whole body would never be written.
    line.writer.write(bytes(16 * MIB))
    drained = asyncio.create_task(line.writer.drain())
    left = 16 * MIB
    while left != (left := line.writer.transport.get_write_buffer_size()):
        await asyncio.wait([drained], timeout=0.1)
    assert left > 12 * MIB
    assert len(await line.body()) == 16 * MIB
    await drained
    assert line.near.reusable


async def test_a_connection_goes_on_reading_after_a_large_answer(line: Line) -> None:
    for _ in range(2):
        await line.ask()
        line.near.finish()
        sending = asyncio.create_task(line.answer(b"HTTP/1.1 200 OK\r\ncontent-length: %d\r\n\r\n" % MIB + bytes(MIB)))
        await line.near.head()
        assert len(await line.body()) == MIB
        await sending


async def test_writing_waits_for_a_sandbox_that_does_not_read(line: Line) -> None:
    line.near.start(b"POST / HTTP/1.1\r\nhost: sandbox\r\ncontent-length: %d\r\n\r\n" % (8 * MIB))
    writing = asyncio.create_task(line.near.write(bytes(8 * MIB)))
    await asyncio.wait([writing], timeout=0.1)
    assert not writing.done()
    await line.reader.readuntil(b"\r\n\r\n")
    assert len(await line.reader.readexactly(8 * MIB)) == 8 * MIB
    await writing


async def test_closing_wakes_whoever_waits(line: Line) -> None:
    await line.ask()
    waiting = asyncio.create_task(line.near.head())
    await asyncio.wait([waiting], timeout=0.01)
    line.near.close()
    with pytest.raises(UpstreamError):
        await waiting
