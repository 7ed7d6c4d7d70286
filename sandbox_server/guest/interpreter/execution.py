"""POST /execute, as a bare ASGI application: the one route whose overhead counts."""

from __future__ import annotations

import asyncio
import contextlib
import json
from typing import Any

from ..kernels import Event, KernelUnavailable
from . import requests
from .contexts import Context, ContextNotFound, Contexts
from .languages import UnknownLanguage

_KEEPALIVE_SECONDS = 5.0
_WATCH_AFTER_SECONDS = 0.02
"""An execution that is over by then is not watched: a client that has left by then changes nothing."""
_BUFFER_BYTES = 64 * 1024
_END = b'{"type": "end_of_execution"}\n'
_KEEPALIVE = b'{"type": "keepalive"}\n'
_encode = json.JSONEncoder(separators=(", ", ": ")).encode


class Execute:
    """The route."""

    def __init__(self, contexts: Contexts) -> None:
        self._contexts = contexts

    async def __call__(self, receive: Any, send: Any) -> None:
        """Answer one request."""
        reply = _Reply(receive, send)
        try:
            request = requests.execution(await requests.body(receive))
            if request.context_id:
                context = self._contexts.get(request.context_id)
            else:
                context = self._contexts.default(request.language or "python")
        except (requests.BadRequest, UnknownLanguage) as error:
            return await reply.refuse(400, str(error))
        except ContextNotFound as error:
            return await reply.refuse(404, str(error))
        except requests.ClientGone:
            return None
        await self._run(context, request, reply)

    async def _run(self, context: Context, request: requests.Execution, reply: _Reply) -> None:
        with reply.watched():
            try:
                events = self._contexts.execute(context, request.code, request.env_vars)
                async with contextlib.aclosing(events):  # type: ignore[type-var]
                    async for event in events:
                        await reply.write(event)
            except KernelUnavailable as error:
                await reply.refuse(400, str(error))
            else:
                await reply.finish()


class _Reply:
    """The response: lines that wait for each other while nothing has to be waited for, and leave in one piece."""

    def __init__(self, receive: Any, send: Any) -> None:
        self._receive = receive
        self._send = send
        self._started = False
        self._lines: list[bytes] = []
        self._size = 0
        self._due: asyncio.Handle | None = None
        self._flushing: asyncio.Task[None] | None = None

    @contextlib.contextmanager
    def watched(self) -> Any:
        """Cancel the block when the client goes away; leave it quietly then. Send keepalives in it."""
        loop = asyncio.get_running_loop()
        main = asyncio.current_task()
        assert main is not None
        watch: list[asyncio.Task[None]] = []
        start = loop.call_later(_WATCH_AFTER_SECONDS, lambda: watch.append(loop.create_task(self._watch(main))))
        try:
            yield
        except asyncio.CancelledError:
            if not (watch and watch[0].done()):
                raise
            main.uncancel()
        finally:
            start.cancel()
            if watch:
                watch[0].cancel()
            if self._due is not None:
                self._due.cancel()

    async def _watch(self, main: asyncio.Task[None]) -> None:
        while True:
            try:
                async with asyncio.timeout(_KEEPALIVE_SECONDS):
                    while (await self._receive())["type"] != "http.disconnect":
                        pass
            except TimeoutError:
                self._lines.append(_KEEPALIVE)
                self._flush_soon()
            else:
                main.cancel()
                return

    async def refuse(self, status: int, text: str) -> None:
        """Answer with an error, or when the answer has begun already, end it with one."""
        if self._started:
            await self.write({"type": "error", "name": "KernelUnavailable", "value": text, "traceback": ""})
            return await self.finish()
        body = text.encode(errors="replace")
        headers = [(b"content-type", b"text/plain; charset=utf-8"), (b"content-length", str(len(body)).encode())]
        await self._send({"type": "http.response.start", "status": status, "headers": headers})
        await self._send({"type": "http.response.body", "body": body})

    async def write(self, event: Event) -> None:
        """Send an event, soon; wait only for a client that is slower than the kernel."""
        line = _encode(event).encode() + b"\n"
        self._lines.append(line)
        self._size += len(line)
        if self._size > _BUFFER_BYTES:
            await self._flush()
        elif self._due is None:
            # Runs when this task has nothing more to do at the moment: what is there by then leaves together.
            self._due = asyncio.get_running_loop().call_soon(self._flush_soon)

    async def finish(self) -> None:
        """Send the end."""
        if self._due is not None:
            self._due.cancel()
        self._lines.append(_END)
        await self._flush(more=False)

    def _flush_soon(self) -> None:
        self._due = None
        if self._flushing is None or self._flushing.done():
            self._flushing = asyncio.ensure_future(self._flush_lines(more=True))

    async def _flush(self, more: bool = True) -> None:
        if self._flushing is not None and not self._flushing.done():
            await asyncio.wait([self._flushing])
        await self._flush_lines(more)

    async def _flush_lines(self, more: bool) -> None:
        body, self._lines, self._size = b"".join(self._lines), [], 0
        if not self._started:
            self._started = True
            headers = [(b"content-type", b"application/x-ndjson")]
            if not more:
                headers.append((b"content-length", str(len(body)).encode()))
            await self._send({"type": "http.response.start", "status": 200, "headers": headers})
        await self._send({"type": "http.response.body", "body": body, "more_body": more})
