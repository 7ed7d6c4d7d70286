"""One run: in a task of its own, so that it ends when its reader goes away and not only when somebody reads."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Awaitable, Callable, Coroutine
from typing import Any

import structlog

from agent_tools.errors import AgentToolsError

from .errors import GraphsError
from .requests import AgentEvent, AgentResponse, Ended, Failure

Emit = Callable[[AgentEvent], None]

_log = structlog.get_logger(__name__)


class Run:
    """A run that is going on.

    Args:
        work: does it; emits events and returns when it has ended in order.
        ended: makes the answer, whatever happened: None, or why it failed or was cancelled.
    """

    def __init__(
        self,
        work: Callable[[Emit], Awaitable[None]],
        ended: Callable[[Failure | None, bool], Coroutine[Any, Any, AgentResponse]],
    ) -> None:
        self._work = work
        self._ended = ended
        self._events: asyncio.Queue[AgentEvent | None] = asyncio.Queue()
        self._task: asyncio.Task[None] | None = None
        self._begun = self._stopped = False

    def start(self) -> None:
        """Begin."""
        self._task = asyncio.create_task(self._live(), name="sandloop-run")

    async def events(self) -> AsyncIterator[AgentEvent]:
        """Yield the events until the run has ended."""
        while (event := await self._events.get()) is not None:
            yield event

    async def stop(self) -> None:
        """Cancel it if it still runs, which stops its code, and wait for its end."""
        if self._task is None:
            return
        self._stopped = True
        # A task that is cancelled before its first step does nothing at all, and would keep its claim.
        if self._begun:
            self._task.cancel()
        await asyncio.wait({self._task})

    async def _live(self) -> None:
        failure: Failure | None = None
        cancelled = False
        self._begun = True
        try:
            if self._stopped:
                raise asyncio.CancelledError
            await self._work(self._events.put_nowait)
        except asyncio.CancelledError:
            cancelled = True
        except (GraphsError, AgentToolsError) as error:
            failure = Failure(name=type(error).__name__, message=str(error))
        except Exception:  # the top of this task
            _log.exception("run failed")
            failure = Failure(name="InternalError", message="The agent failed for a reason of its own; see its log.")
        # Another cancellation must not keep the claim and the record from being brought in order.
        last = asyncio.create_task(self._ended(failure, cancelled))
        while not last.done():
            with contextlib.suppress(asyncio.CancelledError):
                await asyncio.wait({last})
        if (unrecorded := last.exception()) is not None:
            _log.error("run not recorded", exc_info=unrecorded)
        else:
            self._events.put_nowait(Ended(response=last.result()))
        self._events.put_nowait(None)
