"""A sandbox server of the worker's own, an OpenAI-compatible server, and agents between them."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import AsyncExitStack
from pathlib import Path
from typing import Any

import pytest
import pytest_asyncio

from agent_tools import Sandboxes, SandboxSettings, ToolExecutor
from graphs import AgentService, AgentSettings
from graphs.models import Models
from tests.sandbox_server.conftest import API_KEY, RunningServer, start_server, stop_server

from .openai_server import OpenAIServer

OpenService = Callable[..., Awaitable[AgentService]]


@pytest.fixture(scope="session")
def sandbox_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningServer]:
    running = start_server(tmp_path_factory.mktemp("run"))
    yield running
    stop_server(running)


@pytest.fixture
def sandbox_settings(sandbox_server: RunningServer) -> SandboxSettings:
    return SandboxSettings(api_key=API_KEY, api_url=sandbox_server.url, sandbox_url=sandbox_server.url)


@pytest_asyncio.fixture
async def executor(sandbox_settings: SandboxSettings) -> AsyncIterator[ToolExecutor]:
    async with ToolExecutor(Sandboxes(sandbox_settings)) as made:
        yield made


@pytest.fixture
def openai() -> Iterator[OpenAIServer]:
    with OpenAIServer() as server:
        yield server


@pytest.fixture
def model_env(openai: OpenAIServer) -> dict[str, str]:
    """The environment of an agent whose model is the test's server."""
    return {"OPENAI_API_KEY": "sk-test-key-000000", "OPENAI_BASE_URL": openai.url}


@pytest_asyncio.fixture
async def open_service(executor: ToolExecutor, model_env: dict[str, str], tmp_path: Path) -> AsyncIterator[OpenService]:
    """Open services on one database, which are closed with the test. Their model is the OpenAI-compatible server."""
    async with AsyncExitStack() as stack:

        async def opened(tools: ToolExecutor | None = None, **changes: Any) -> AgentService:
            values = {"database": str(tmp_path / "threads.sqlite"), "provider_id": "openai", "model_id": "gpt-4o"}
            settings = AgentSettings(**{**values, **changes})
            service = AgentService(settings, tools or executor, models=Models(settings, model_env))
            return await stack.enter_async_context(service)

        yield opened


@pytest_asyncio.fixture
async def service(open_service: OpenService) -> AgentService:
    return await open_service()
