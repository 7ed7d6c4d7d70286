"""Two connections that the guest joins: what one sends the other gets, and none is left open behind them."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import AsyncIterator, Callable, Coroutine
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

import pytest
import uvloop

from sandbox_server.guest import splice

from .waiting import wait_until

SECONDS = 60


@dataclass
class End:
    """A program's end of a connection, and the guest's end of the same."""

    program: socket.socket
    transport: asyncio.Transport
    side: splice.Side
    loop: asyncio.AbstractEventLoop = field(default_factory=asyncio.get_running_loop)

    async def send(self, data: bytes) -> None:
        await self.loop.sock_sendall(self.program, data)

    async def read(self) -> bytes:
        """Return everything until the end."""
        data = b""
        while more := await self.loop.sock_recv(self.program, 65536):
            data += more
        return data


@asynccontextmanager
async def two_ends() -> AsyncIterator[tuple[End, End]]:
    loop = asyncio.get_running_loop()
    ends = []
    for _ in range(2):
        program, guest = socket.socketpair()
        program.setblocking(False)
        guest.setblocking(False)
        transport, side = await loop.create_connection(splice.Side, sock=guest)
        ends.append(End(program, transport, side))
    async with asyncio.timeout(SECONDS):
        yield ends[0], ends[1]
    for end in ends:
        end.program.close()
        end.transport.abort()


def join(one: End, other: End) -> None:
    splice.join(one.transport, one.side, other.transport, other.side)


async def until(done: Callable[[], object]) -> None:
    """Wait until the guest's end has seen what the program did."""
    await asyncio.to_thread(wait_until, done)


async def both_are_closed(one: End, other: End) -> None:
    await until(lambda: one.transport.is_closing() and other.transport.is_closing())


async def the_end_of_one_direction_leaves_the_other_open() -> None:
    async with two_ends() as (one, other):
        join(one, other)
        await one.send(b"question")
        one.program.shutdown(socket.SHUT_WR)
        assert await other.read() == b"question"
        assert not one.transport.is_closing()
        answer = bytes(8 * 1024 * 1024)
        reading = asyncio.create_task(one.read())
        await other.send(answer)
        other.program.close()
        assert await reading == answer
        await both_are_closed(one, other)


async def what_came_before_they_were_joined_arrives() -> None:
    async with two_ends() as (one, other):
        for end, text in ((one, b"from one"), (other, b"from the other")):
            await end.send(text)
            end.program.shutdown(socket.SHUT_WR)
            await until(lambda side=end.side: side.at_end)  # type: ignore[misc]
        join(one, other)
        assert await one.read() == b"from the other"
        assert await other.read() == b"from one"
        await both_are_closed(one, other)


async def one_that_is_lost_closes_the_other() -> None:
    async with two_ends() as (one, other):
        join(one, other)
        one.transport.abort()
        assert await other.read() == b""
        await both_are_closed(one, other)


async def one_that_was_lost_before_closes_the_other() -> None:
    async with two_ends() as (one, other):
        await one.send(b"early")
        one.transport.abort()
        join(one, other)
        assert await other.read() in (b"", b"early")
        await both_are_closed(one, other)


@pytest.mark.parametrize(
    "case",
    [
        the_end_of_one_direction_leaves_the_other_open,
        what_came_before_they_were_joined_arrives,
        one_that_is_lost_closes_the_other,
        one_that_was_lost_before_closes_the_other,
    ],
    ids=lambda case: case.__name__,
)
def test_of_two_joined_connections(case: Callable[[], Coroutine[Any, Any, None]]) -> None:
    uvloop.run(case())  # the guest's loop, which treats transports unlike asyncio's
