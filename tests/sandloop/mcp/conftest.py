"""The official client, over a real `sandloop mcp` process and over a real `serve` process."""

from __future__ import annotations

import asyncio
import os
import sys
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from pathlib import Path
from typing import Any

import httpx2
import pytest
import pytest_asyncio
from mcp import Client, StdioServerParameters
from mcp.client.streamable_http import streamable_http_client

from tests.sandbox_server.conftest import RunningServer, start_server, stop_server
from tests.sandloop.http.conftest import RunningSandloop, start_sandloop, stop_sandloop, token

ROOT = Path(__file__).parents[3]
Connect = Callable[..., AbstractAsyncContextManager[Client]]


@pytest.fixture(scope="session")
def sandbox_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningServer]:
    """The worker's own sandbox server."""
    running = start_server(tmp_path_factory.mktemp("run"))
    yield running
    stop_server(running)


@pytest.fixture(scope="session")
def sandloop(sandbox_server: RunningServer, tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningSandloop]:
    """The worker's own `serve`, with the default mounts."""
    running = start_sandloop(
        tmp_path_factory.mktemp("sandloop"), sandbox_server, SANDLOOP_LIMITS_REFUSED="100000/minute"
    )
    yield running
    stop_sandloop(running)


def stdio_parameters(server: RunningServer, folder: Path, **variables: str) -> StdioServerParameters:
    """How a client starts `sandloop mcp`."""
    env = {
        "E2B_API_URL": server.url,
        "E2B_SANDBOX_URL": server.url,
        "E2B_API_KEY": "test-key",
        "XDG_DATA_HOME": str(folder / "data"),
        "XDG_CONFIG_HOME": str(folder / "config"),
        "PYTHONPATH": os.environ.get("PYTHONPATH", str(ROOT)),
        **variables,
    }
    return StdioServerParameters(command=sys.executable, args=["-m", "sandloop", "mcp"], env=env, cwd=str(folder))


@pytest.fixture
def over_stdio(sandbox_server: RunningServer, tmp_path: Path) -> Connect:
    """Start a server process with its client."""

    def connect(**options: Any) -> Client:
        return Client(stdio_parameters(sandbox_server, tmp_path), read_timeout_seconds=90, **options)

    return connect


@pytest.fixture
def over_http(sandloop: RunningSandloop) -> Connect:
    """Connect to `/mcp` with a token."""

    @asynccontextmanager
    async def connect(subject: str = "alice", **options: Any) -> AsyncIterator[Client]:
        headers = {"Authorization": f"Bearer {token(subject)}"}
        async with httpx2.AsyncClient(headers=headers, timeout=90) as http:
            transport = streamable_http_client(f"{sandloop.url}/mcp", http_client=http)
            async with Client(transport, read_timeout_seconds=90, **options) as client:
                yield client

    return connect


@pytest_asyncio.fixture
async def client(connect: Connect) -> AsyncIterator[Client]:
    """A connected client. It lives in a task of its own: it must be left in the one that entered it."""
    connected: asyncio.Future[Client] = asyncio.get_running_loop().create_future()
    over = asyncio.Event()

    async def live() -> None:
        async with connect() as made:
            connected.set_result(made)
            await over.wait()

    living = asyncio.create_task(live())
    both: set[asyncio.Future[Any]] = {living, connected}
    await asyncio.wait(both, return_when=asyncio.FIRST_COMPLETED)
    if living.done():
        await living
    yield await connected
    over.set()
    await living


@pytest.fixture(params=["stdio", "http"])
def connect(request: pytest.FixtureRequest) -> Connect:
    """Connect over each transport."""
    made: Connect = request.getfixturevalue(f"over_{request.param}")
    return made
