"""Long answers: events as they come, and work that ends when the client goes away."""

from __future__ import annotations

import asyncio
import contextlib
import json
from collections import deque
from collections.abc import AsyncIterator, Coroutine
from dataclasses import dataclass
from typing import Any, TypeVar

from fastapi import Request
from fastapi.responses import Response
from starlette.types import Receive, Scope, Send

from agent_tools.context import LiveOutput
from agent_tools.results import Artifact

from . import problems

Done = TypeVar("Done")

EVENT_STREAM = "text/event-stream"
KEEP_ALIVE_SECONDS = 15
_SEND_SECONDS = 60
"""A client that takes nothing for this long is gone."""
_FIRST_SECONDS = 0.5
"""What is refused is refused at once: a short wait for the first event makes it a status, and not an event."""
_PENDING_CHARACTERS = 1024 * 1024


@dataclass(frozen=True, slots=True)
class Event:
    """A server-sent event. `data` is JSON."""

    name: str
    data: str

    def encode(self) -> bytes:
        """Return it as it is sent: JSON has no line breaks, so it is one line."""
        return f"event: {self.name}\ndata: {self.data}\n\n".encode()


def wants_events(request: Request) -> bool:
    """Whether the client asks for events rather than one JSON answer."""
    accepted = ",".join(request.headers.getlist("accept"))
    return any(part.strip().partition(";")[0].lower() == EVENT_STREAM for part in accepted.split(","))


async def while_connected(request: Request, work: Coroutine[Any, Any, Done], seconds: float) -> Done:
    """Do the work; when the client goes away, or the time is over, the work is cancelled.

    Raises:
        TimeoutError: it took too long.
        ClientGone: nobody waits for the answer any more.
    """
    task = asyncio.ensure_future(work)
    gone = asyncio.ensure_future(_disconnected(request.receive))
    try:
        async with asyncio.timeout(seconds):
            await asyncio.wait((task, gone), return_when=asyncio.FIRST_COMPLETED)
        if not task.done():
            raise ClientGone
        return await task
    finally:
        gone.cancel()
        await _ended(task)


class ClientGone(Exception):
    """The client has closed the connection."""


async def _disconnected(receive: Receive) -> None:
    while (await receive())["type"] != "http.disconnect":
        pass


async def _ended(task: asyncio.Future[Any]) -> None:
    task.cancel()
    with contextlib.suppress(asyncio.CancelledError, Exception):
        await task


class EventStream(Response):
    """An answer of events. The iterator is closed when the client goes away, or the time is over.

    What goes wrong after the first event is an event too: `problem`.
    """

    media_type = EVENT_STREAM

    def __init__(self, events: AsyncIterator[Event], seconds: float) -> None:
        self._events = events
        self._seconds = seconds
        self._sending = asyncio.Lock()
        self.status_code = 200
        self.background = None
        self.init_headers({"cache-control": "no-store", "x-accel-buffering": "no"})

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Send the events until they end, or nobody takes them."""
        first = asyncio.ensure_future(anext(self._events, None))
        gone = asyncio.ensure_future(_disconnected(receive))
        pump = alive = None
        try:
            await asyncio.wait((first, gone), timeout=_FIRST_SECONDS, return_when=asyncio.FIRST_COMPLETED)
            if first.done() and (error := first.exception()) is not None:
                raise error
            await send({"type": "http.response.start", "status": 200, "headers": self.raw_headers})
            pump = asyncio.ensure_future(self._pump(first, send))
            alive = asyncio.ensure_future(self._keep_alive(send))
            await asyncio.wait((pump, gone, alive), return_when=asyncio.FIRST_COMPLETED)
            if pump.done():
                await pump
        finally:
            for task in (gone, alive, pump, first):
                if task is not None:
                    await _ended(task)
            if (close := getattr(self._events, "aclose", None)) is not None:
                await close()

    async def _pump(self, first: asyncio.Future[Event | None], send: Send) -> None:
        try:
            async with asyncio.timeout(self._seconds):
                event = await first
                while event is not None:
                    await self._send(send, event.encode())
                    event = await anext(self._events, None)
        except _Stalled:
            return
        except Exception as error:
            problem = problems.of(error) or problems.unexpected(error)
            await self._send(send, Event("problem", json.dumps(problem.body.model_dump())).encode())
        await self._send(send, b"", more=False)

    async def _keep_alive(self, send: Send) -> None:
        with contextlib.suppress(_Stalled):
            while True:
                await asyncio.sleep(KEEP_ALIVE_SECONDS)
                await self._send(send, b": still here\n\n")

    async def _send(self, send: Send, body: bytes, *, more: bool = True) -> None:
        async with self._sending:
            try:
                async with asyncio.timeout(_SEND_SECONDS):
                    await send({"type": "http.response.body", "body": body, "more_body": more})
            except TimeoutError:
                raise _Stalled from None


class _Stalled(Exception):
    """The client takes nothing."""


Piece = LiveOutput | Artifact


class LivePieces:
    """Live output and results on their way from the thread of the sandbox loop to a stream, never more than so much.

    All of it comes with the result; a client that reads slowly misses only what it could have seen live.
    """

    def __init__(self) -> None:
        self._loop = asyncio.get_running_loop()
        self._pieces: deque[Piece] = deque()
        self._pending = 0
        self._left_out = 0
        self._came = asyncio.Event()
        self._ended = False

    def put(self, piece: Piece) -> None:
        """Take a piece, from any thread."""
        with contextlib.suppress(RuntimeError):  # The loop is closed: nobody listens.
            self._loop.call_soon_threadsafe(self._put, piece)

    def _put(self, piece: Piece) -> None:
        size = _size(piece)
        if self._pending and self._pending + size > _PENDING_CHARACTERS:
            self._left_out += size
        else:
            self._pieces.append(piece)
            self._pending += size
        self._came.set()

    def end(self) -> None:
        """Say that nothing more comes."""
        self._loop.call_soon(self._end)

    def _end(self) -> None:
        self._ended = True
        self._came.set()

    async def __aiter__(self) -> AsyncIterator[Piece]:
        """Yield pieces; neighbours of the same stream come as one."""
        while True:
            await self._came.wait()
            self._came.clear()
            while self._pieces:
                yield self._next()
            if self._left_out:
                text = f"{self._left_out} characters of live output are left out: they are read too slowly\n"
                self._left_out = 0
                yield LiveOutput("status", text)
            if self._ended:
                return

    def _next(self) -> Piece:
        first = self._pieces.popleft()
        self._pending -= _size(first)
        if isinstance(first, Artifact):
            return first
        texts = [first.text]
        while self._pieces and isinstance(follows := self._pieces[0], LiveOutput) and follows.stream == first.stream:
            texts.append(follows.text)
            self._pending -= _size(follows)
            self._pieces.popleft()
        return LiveOutput(first.stream, "".join(texts))


def _size(piece: Piece) -> int:
    return len(piece.data or "") if isinstance(piece, Artifact) else len(piece.text)
