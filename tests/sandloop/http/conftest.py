"""A real `serve` process on a socket, a real sandbox server behind it, and a real client."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
import uuid
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
import jwt
import pytest

from tests.sandbox_server.conftest import RunningServer, start_server, stop_server

SECRET = "a secret of the tests, of more than 32 bytes"
START_SECONDS = 90
PROGRAM = """
import json, sys
from sandloop.http import serve
from sandloop.settings import load
from pathlib import Path
options = json.loads(sys.argv[1])
page = Path(options["page"]) if options["page"] else None
serve(load(), auth=options["auth"], page=page)
"""


@dataclass(frozen=True)
class RunningSandloop:
    """A server process, how to reach it, and where its log is."""

    url: str
    process: subprocess.Popen[str]
    log: Path
    said: list[str]

    def client(self, subject: str | None = None, **options: Any) -> httpx.Client:
        """A client with a token for the subject; None: without one."""
        headers = {"Authorization": f"Bearer {token(subject)}"} if subject else {}
        return httpx.Client(base_url=self.url, **{"timeout": 60, "headers": headers, **options})


def token(subject: str = "alice", **claims: Any) -> str:
    """Make a token; a claim of None is left out."""
    now = int(time.time())
    whole = {"sub": subject, "aud": "sandloop", "iat": now, "exp": now + 600, **claims}
    return jwt.encode({name: value for name, value in whole.items() if value is not None}, SECRET, algorithm="HS256")


def start_sandloop(
    folder: Path, server: RunningServer, *, auth: bool = True, page: str | None = "no-page", **variables: str
) -> RunningSandloop:
    """Start `serve` and wait until it answers."""
    environ = {name: value for name, value in os.environ.items() if not name.startswith(("SANDLOOP_", "OPENAI_"))}
    environ |= {
        "E2B_API_URL": server.url,
        "E2B_SANDBOX_URL": server.url,
        "E2B_API_KEY": "test-key",
        "XDG_DATA_HOME": str(folder / "data"),
        "XDG_CONFIG_HOME": str(folder / "config"),
        "SANDLOOP_SERVER_PORT": "0",
        "SANDLOOP_AUTH_SECRET": SECRET,
        "PYTHONPATH": str(Path(__file__).parents[3]),
        **variables,
    }
    log = folder / "serve.log"
    command = [sys.executable, "-c", PROGRAM, json.dumps({"auth": auth, "page": page})]
    with open(log, "w") as opened:
        process = subprocess.Popen(command, cwd=folder, env=environ, stderr=opened, text=True)
    deadline = time.monotonic() + START_SECONDS
    while time.monotonic() < deadline:
        assert process.poll() is None, log.read_text()
        lines = log.read_text().splitlines()
        if lines and lines[0].startswith("listening on "):
            url = lines[0].split()[-1]
            try:
                if httpx.get(f"{url}/health", timeout=10).status_code == 200:
                    return RunningSandloop(url, process, log, lines)
            except httpx.TransportError:
                pass
        time.sleep(0.05)
    process.kill()
    process.wait()
    raise AssertionError(f"not up within {START_SECONDS} s: {log.read_text()}")


def stop_sandloop(running: RunningSandloop) -> None:
    """End it as a service manager would, and insist that it ends well."""
    running.process.send_signal(signal.SIGTERM)
    assert running.process.wait(60) == 0, running.log.read_text()


@pytest.fixture(scope="session")
def sandbox_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningServer]:
    """The worker's own sandbox server."""
    running = start_server(tmp_path_factory.mktemp("run"))
    yield running
    stop_server(running)


@pytest.fixture(scope="session")
def sandloop(sandbox_server: RunningServer, tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningSandloop]:
    """The worker's own API server, with room for many requests."""
    running = start_sandloop(
        tmp_path_factory.mktemp("sandloop"),
        sandbox_server,
        SANDLOOP_LIMITS_REQUESTS="100000/minute",
        SANDLOOP_LIMITS_REFUSED="100000/minute",
    )
    yield running
    stop_sandloop(running)


@pytest.fixture
def started(sandbox_server: RunningServer, tmp_path: Path) -> Iterator[Callable[..., RunningSandloop]]:
    """Start servers with settings of their own, which end with the test."""
    made: list[RunningSandloop] = []

    def start(files: Mapping[str, bytes] | None = None, **options: Any) -> RunningSandloop:
        place = tmp_path / uuid.uuid4().hex
        place.mkdir()
        for name, content in (files or {}).items():
            (place / name).parent.mkdir(parents=True, exist_ok=True)
            (place / name).write_bytes(content)
        made.append(start_sandloop(place, sandbox_server, **options))
        return made[-1]

    yield start
    for running in made:
        if running.process.poll() is None:
            stop_sandloop(running)


@pytest.fixture
def alice(sandloop: RunningSandloop) -> Iterator[httpx.Client]:
    """A client of one user's."""
    with sandloop.client("alice") as client:
        yield client


@pytest.fixture
def bob(sandloop: RunningSandloop) -> Iterator[httpx.Client]:
    """A client of another user's."""
    with sandloop.client("bob") as client:
        yield client


@pytest.fixture
def thread(alice: httpx.Client) -> Iterator[str]:
    """A thread of alice's, whose sandbox ends with the test."""
    name = f"test-{uuid.uuid4().hex[:12]}"
    yield name
    for sandbox in alice.get("/sandboxes").json():
        if sandbox["thread_id"] == name:
            alice.delete(f"/sandboxes/{sandbox['sandbox_id']}")
