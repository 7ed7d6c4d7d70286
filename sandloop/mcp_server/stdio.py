"""The server over standard input and output: one process for one client."""

from __future__ import annotations

import asyncio
import os
import signal
import sys
from dataclasses import replace
from typing import Any

from mcp.server.stdio import stdio_server

from agent_tools.executor import ToolExecutor
from agent_tools.sandboxes import Sandboxes

from ..cli import logs
from ..settings import Settings
from .server import PythonExecutor
from .sessions import Session

_SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


def serve_stdio(settings: Settings) -> None:
    """Serve until the client closes standard input, or a signal comes; the sandbox ends with it.

    Standard output carries the protocol, and all else goes to standard error.
    """
    logs.to_stderr("warning" if settings.log.level == "info" else settings.log.level)
    stopped = asyncio.run(_serve(settings))
    if stopped is not None:
        # A thread still waits for standard input, and nothing ends that.
        sys.stderr.flush()
        os._exit(128 + stopped)


async def _serve(settings: Settings) -> signal.Signals | None:
    """Return the signal that ended it; None at the end of standard input."""
    session = Session.fresh()
    ending = replace(settings.sandbox_settings, on_timeout="kill", on_close="kill")
    stopped: asyncio.Future[signal.Signals] = asyncio.get_running_loop().create_future()
    for number in _SIGNALS:
        asyncio.get_running_loop().add_signal_handler(number, _note, stopped, number)
    async with ToolExecutor(Sandboxes(ending)) as executor:
        served = asyncio.ensure_future(_served(PythonExecutor(executor, settings.policy, lambda _: session)))
        both: set[asyncio.Future[Any]] = {served, stopped}
        await asyncio.wait(both, return_when=asyncio.FIRST_COMPLETED)
    if served.done():
        await served
        return None
    return stopped.result()


def _note(stopped: asyncio.Future[signal.Signals], number: signal.Signals) -> None:
    if not stopped.done():
        stopped.set_result(number)


async def _served(executor: PythonExecutor) -> None:
    server = executor.server
    async with stdio_server() as (incoming, outgoing):
        await server.run(incoming, outgoing, server.create_initialization_options())
