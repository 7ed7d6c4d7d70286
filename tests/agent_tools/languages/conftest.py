"""One server a test worker, and fresh sandboxes in it; with `--e2b`, E2B itself."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator
from typing import Any

import pytest
import pytest_asyncio
from e2b_code_interpreter import AsyncSandbox

from tests.sandbox_server.conftest import start_server, stop_server


@pytest.fixture(scope="session")
def on_e2b(request: pytest.FixtureRequest) -> bool:
    return bool(request.config.getoption("--e2b", default=False))


@pytest.fixture(scope="session")
def connection(on_e2b: bool, tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, Any]]:
    """The SDK's connection options."""
    if on_e2b:
        yield {}
        return
    server = start_server(tmp_path_factory.mktemp("run"))
    yield server.options
    stop_server(server)


@pytest_asyncio.fixture
async def sandbox(connection: dict[str, Any]) -> AsyncIterator[AsyncSandbox]:
    sandbox = await AsyncSandbox.create(timeout=120, **connection)
    yield sandbox
    await sandbox.kill()
