"""A real server process per test worker, real sandboxes, the real SDK."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import AsyncIterator, Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
import pytest
import pytest_asyncio
from e2b_code_interpreter import AsyncSandbox, Sandbox

API_KEY = "test-key"
START_SECONDS = 300


@dataclass(frozen=True)
class RunningServer:
    """A server process and how to reach it."""

    url: str
    process: subprocess.Popen[str]

    @property
    def options(self) -> dict[str, Any]:
        """The SDK's connection options."""
        return {"api_url": self.url, "sandbox_url": self.url, "api_key": API_KEY}

    def client(self) -> httpx.Client:
        """A plain HTTP client with the key."""
        return httpx.Client(base_url=self.url, headers={"X-API-Key": API_KEY}, timeout=60)


def start_server(folder: Path, *arguments: str) -> RunningServer:
    """Start `python -m sandbox_server serve` and wait for its one line."""
    environ = {**os.environ, "XDG_RUNTIME_DIR": str(folder)}
    command = [sys.executable, "-m", "sandbox_server", "serve", "--port", "0", "--api-key", API_KEY, *arguments]
    process = subprocess.Popen(command, env=environ, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True)
    assert process.stdout is not None
    line = process.stdout.readline()
    assert line.startswith("listening on http://"), line
    return RunningServer(line.split()[-1], process)


def stop_server(server: RunningServer) -> None:
    """End it as a person would, and insist that it ends well."""
    server.process.send_signal(signal.SIGTERM)
    assert server.process.wait(60) == 0
    assert server.process.stdout is not None
    server.process.stdout.close()


@pytest.fixture(scope="session")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningServer]:
    """The worker's own server, with the default template."""
    running = start_server(tmp_path_factory.mktemp("run"))
    yield running
    stop_server(running)


@pytest.fixture
def new_sandbox(server: RunningServer) -> Iterator[Callable[..., Sandbox]]:
    """Make sandboxes that end with the test."""
    made: list[Sandbox] = []

    def create(**options: Any) -> Sandbox:
        sandbox = Sandbox.create(**{"timeout": 600, **server.options, **options})
        made.append(sandbox)
        return sandbox

    yield create
    for sandbox in made:
        sandbox.kill()


@pytest.fixture
def sandbox(new_sandbox: Callable[..., Sandbox]) -> Sandbox:
    """One sandbox, with the sync SDK."""
    return new_sandbox()


@pytest_asyncio.fixture
async def async_sandbox(server: RunningServer) -> AsyncIterator[AsyncSandbox]:
    """One sandbox, with the async SDK."""
    sandbox = await AsyncSandbox.create(timeout=600, **server.options)
    yield sandbox
    await sandbox.kill()
