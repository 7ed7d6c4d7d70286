"""The services of the other packages, made as this machine's settings say."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace
from typing import TYPE_CHECKING

from . import logs
from .exits import Problem

if TYPE_CHECKING:
    from agent_tools.executor import ToolExecutor
    from agent_tools.settings import SandboxSettings
    from graphs import AgentService

    from ..settings import Settings

SHORTEST = 8
"""Characters of a thread's id that stand for all of it."""


def settings() -> Settings:
    """Read the settings, and let log lines go where they say.

    Raises:
        SettingsError: they cannot be used.
    """
    from ..settings import load

    loaded = load()
    logs.to_stderr("error" if loaded.log.level == "info" else loaded.log.level)
    return loaded


def throwaway(settings: Settings) -> SandboxSettings:
    """Sandboxes that end with the command, and by themselves when the command is killed."""
    return replace(settings.sandbox_settings, on_close="kill", on_timeout="kill", ephemeral=False)


def lasting(settings: Settings) -> SandboxSettings:
    """Sandboxes that a later command goes on in."""
    return replace(settings.sandbox_settings, on_close="keep", on_timeout="pause", ephemeral=False)


def executor(sandboxes: SandboxSettings) -> ToolExecutor:
    """Return the service for code without a model."""
    from agent_tools.executor import ToolExecutor
    from agent_tools.sandboxes import Sandboxes

    return ToolExecutor(Sandboxes(sandboxes))


@asynccontextmanager
async def agents(settings: Settings) -> AsyncIterator[AgentService]:
    """Open the service for agents, whose sandboxes are paused between commands."""
    from graphs.models import Models
    from graphs.service import AgentService

    from ..settings import environment

    agent = settings.agent_settings()
    # Keys and addresses may be in .env.
    models = Models(agent, environment())
    async with executor(replace(lasting(settings), on_close="pause")) as tools:
        service = AgentService(agent, tools, models=models)
        opening = asyncio.ensure_future(service.__aenter__())
        try:
            # A database that is half open answers to a loop that has ended.
            await asyncio.shield(opening)
            yield service
        finally:
            await asyncio.wait([opening])
            if opening.exception() is None:
                await service.__aexit__(None, None, None)


async def whole_id(service: AgentService, beginning: str) -> str:
    """Return the id of the one thread that is called so, or whose id begins so.

    Raises:
        Problem: there is none, or more than one.
    """
    ids = [thread.id for thread in await service.threads()]
    if beginning in ids:
        return beginning
    found = [known for known in ids if len(beginning) >= SHORTEST and known.startswith(beginning)]
    if len(found) == 1:
        return found[0]
    if found:
        raise Problem(f"{len(found)} threads begin with {beginning!r}: give more of the id")
    raise Problem(f"there is no thread {beginning!r}: 'sandloop threads list' shows those there are")
