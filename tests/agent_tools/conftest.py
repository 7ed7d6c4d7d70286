"""A server a test worker, and sandboxes that end with their test; with `--e2b`, E2B itself."""

from __future__ import annotations

import dataclasses
import os
import uuid
from collections.abc import AsyncIterator, Callable, Iterator
from typing import Any

import pytest
import pytest_asyncio

from agent_tools import CallContext, Sandboxes, SandboxPolicy, SandboxSettings, ToolExecutor
from tests.sandbox_server import package_index
from tests.sandbox_server.conftest import API_KEY, RunningServer, start_server, stop_server

Contexts = Callable[..., CallContext]
Leases = Callable[..., Sandboxes]


@pytest.fixture(scope="session")
def server(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningServer]:
    """The worker's own server; for tests that have to have hold of it."""
    if request.config.getoption("--e2b"):
        pytest.skip("about the embedded server, and this run is against E2B")
    running = start_server(tmp_path_factory.mktemp("run"), "--memory-mb", "600")
    yield running
    stop_server(running)


@pytest.fixture(scope="session")
def settings(request: pytest.FixtureRequest) -> SandboxSettings:
    """Where the sandboxes of these tests come from."""
    if request.config.getoption("--e2b"):
        if not os.environ.get("E2B_API_KEY"):
            pytest.skip("--e2b needs E2B_API_KEY, which is not set")
        return SandboxSettings.from_environment()
    server: RunningServer = request.getfixturevalue("server")
    return SandboxSettings(api_key=API_KEY, api_url=server.url, sandbox_url=server.url)


@pytest_asyncio.fixture
async def new_sandboxes(settings: SandboxSettings) -> AsyncIterator[Leases]:
    """Make lease managers, each as another process would have it, whose sandboxes end with the test."""
    made: list[Sandboxes] = []

    def make(**changes: Any) -> Sandboxes:
        made.append(Sandboxes(dataclasses.replace(settings, **changes)))
        return made[-1]

    yield make
    for sandboxes in made:
        sandboxes.settings = dataclasses.replace(sandboxes.settings, on_close="kill")
        await sandboxes.close()


@pytest.fixture
def sandboxes(new_sandboxes: Leases) -> Sandboxes:
    return new_sandboxes()


@pytest.fixture
def executor(sandboxes: Sandboxes) -> ToolExecutor:
    return ToolExecutor(sandboxes)


@pytest.fixture
def new_context() -> Contexts:
    """Make contexts of one owner, whom no other test has; options are those of `CallContext` and of the policy."""
    owner = f"owner-{uuid.uuid4().hex[:8]}"
    of_policy = SandboxPolicy.model_fields.keys()

    def make(thread_id: str = "thread", **options: Any) -> CallContext:
        rules = {name: options.pop(name) for name in list(options) if name in of_policy}
        return CallContext(**{"thread_id": thread_id, "owner": owner, "policy": SandboxPolicy(**rules), **options})

    return make


@pytest.fixture
def context(new_context: Contexts) -> CallContext:
    return new_context()


@pytest.fixture(scope="session")
def registries(request: pytest.FixtureRequest) -> None:
    """For tests that install: skips where this machine's package registries do not answer."""
    if not request.config.getoption("--e2b"):
        package_index.registry_hosts(request.getfixturevalue("server"))
