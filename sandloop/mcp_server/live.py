"""Live output of a call as notifications: pieces as log messages, and progress for those who ask for it."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable
from typing import Any, Final, TypeVar

from mcp.server import ServerRequestContext
from mcp.server.connection import allowed_log_levels
from mcp.types import LoggingMessageNotification, LoggingMessageNotificationParams

from agent_tools.context import LiveOutput

from ..http.streams import LivePieces

Done = TypeVar("Done")
Work = Callable[[Callable[[LiveOutput], None]], Awaitable[Done]]

_HEARTBEAT_S: Final = 5
"""Clients give up on calls of which they hear nothing."""
_FLUSH_S: Final = 5
"""What the last pieces of output may take; the result has them all."""
_MESSAGE_CHARACTERS: Final = 200


async def while_telling(context: ServerRequestContext[Any, Any], work: Work[Done], *, logs: bool) -> Done:
    """Do the work and send its live output meanwhile.

    Args:
        context: the request, on whose stream the notifications go.
        work: takes where its output goes.
        logs: whether the session wants log messages.
    """
    teller = _Teller(context, logs=logs)
    pieces = LivePieces()
    telling = asyncio.create_task(teller.tell(pieces))
    beating = asyncio.create_task(teller.beat())
    try:
        done = await work(pieces.put)
        pieces.end()
        await asyncio.wait({telling}, timeout=_FLUSH_S)
        return done
    finally:
        telling.cancel()
        beating.cancel()


class _Teller:
    def __init__(self, context: ServerRequestContext[Any, Any], *, logs: bool) -> None:
        self._session = context.session
        self._request_id = context.request_id
        self._logs = logs and "info" in allowed_log_levels(context.protocol_version, dict(context.meta or {}))
        self._started = time.monotonic()
        self._progress = 0.0

    async def tell(self, pieces: LivePieces) -> None:
        async for piece in pieces:
            if not isinstance(piece, LiveOutput):
                continue  # Pictures come with the answer.
            await self._tell_progress(_last_line(piece.text))
            if self._logs:
                params = LoggingMessageNotificationParams(level="info", logger=piece.stream, data=piece.text)
                await self._session.send_notification(LoggingMessageNotification(params=params), self._request_id)

    async def beat(self) -> None:
        while True:
            await asyncio.sleep(_HEARTBEAT_S)
            await self._tell_progress(f"running for {time.monotonic() - self._started:.0f} s")

    async def _tell_progress(self, message: str) -> None:
        # Seconds; the protocol wants each to be more than the one before.
        self._progress = max(round(time.monotonic() - self._started, 3), self._progress + 0.001)
        await self._session.report_progress(self._progress, None, message)


def _last_line(text: str) -> str:
    return next((line for line in reversed(text.splitlines()) if line.strip()), "")[:_MESSAGE_CHARACTERS]
