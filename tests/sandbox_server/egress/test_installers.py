"""Real installers through the proxy, to the registries this machine is configured for."""

import asyncio
import importlib.util
import os
import shutil
import socket
import sys
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from sandbox_server.egress import EgressPolicy, EgressProxy, Registries, SystemResolver, discover, sandbox_env

pytestmark = pytest.mark.skipif(importlib.util.find_spec("pip") is None, reason="this interpreter has no pip")


@pytest.fixture(scope="module")
def registries() -> Registries:
    npm = shutil.which("npm")
    found = discover([sys.executable], [npm] if npm else None, os.environ)
    try:
        for origin in found.origins:
            socket.create_connection((str(origin.host), origin.port), timeout=5).close()
    except OSError:
        pytest.skip("the registries of this machine do not answer")
    return found


class Guest:
    """Listens as the guest in a sandbox does, and gives each connection to the proxy."""

    def __init__(self, registries: Registries, policy: EgressPolicy) -> None:
        self._policy = policy
        self._resolver = SystemResolver()
        self._proxy = EgressProxy("sbx", self._resolver)
        self._listener = socket.create_server(("127.0.0.1", 0))
        self._listener.setblocking(False)
        bundle = os.environ.get("SSL_CERT_FILE", "/etc/ssl/certs/ca-certificates.crt")
        self.env = sandbox_env(registries, bundle if Path(bundle).exists() else None)
        url = f"http://127.0.0.1:{self._listener.getsockname()[1]}"
        self.env |= dict.fromkeys(("HTTP_PROXY", "HTTPS_PROXY", "http_proxy", "https_proxy"), url)
        self.env["PATH"] = os.environ["PATH"]
        self.env["PIP_CONFIG_FILE"] = os.devnull  # as in a sandbox, which does not see the host's configuration files

    async def accept(self) -> None:
        try:
            async with asyncio.TaskGroup() as connections:
                while True:
                    sock, _ = await asyncio.get_running_loop().sock_accept(self._listener)
                    connections.create_task(self._proxy.serve(sock, self._policy))
        finally:
            self._listener.close()
            self._resolver.close()

    async def run(self, folder: Path, *command: str) -> tuple[int, str]:
        """Exit code, and stdout with stderr."""
        process = await asyncio.create_subprocess_exec(
            *command,
            env=self.env | {"HOME": str(folder)},
            cwd=folder,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.STDOUT,
        )
        output, _ = await process.communicate()
        return process.returncode or 0, output.decode()


async def serving(registries: Registries, allow_out: list[str]) -> AsyncIterator[Guest]:
    guest = Guest(registries, EgressPolicy.from_e2b(False, allow_out, [], registries))
    accepting = asyncio.create_task(guest.accept())
    yield guest
    accepting.cancel()
    await asyncio.wait([accepting])


@pytest.fixture
async def guest(registries: Registries) -> AsyncIterator[Guest]:
    async for started in serving(registries, registries.hosts):
        yield started


@pytest.fixture
async def guest_elsewhere(registries: Registries) -> AsyncIterator[Guest]:
    async for started in serving(registries, ["example.com"]):
        yield started


PIP = (sys.executable, "-m", "pip", "download", "--no-deps", "--no-cache-dir", "six")


async def test_pip_downloads_a_package(guest: Guest, tmp_path: Path) -> None:
    for local in ("PIP_EXTRA_INDEX_URL", "PIP_FIND_LINKS"):  # it shall come through the proxy
        guest.env.pop(local, None)
    code, output = await guest.run(tmp_path, *PIP)
    assert code == 0, output
    assert "Downloading six-" in output
    assert "Successfully downloaded six" in output


async def test_pip_shows_why_it_was_refused(guest_elsewhere: Guest, tmp_path: Path) -> None:
    guest_elsewhere.env.pop("PIP_EXTRA_INDEX_URL", None)
    _, output = await guest_elsewhere.run(tmp_path, *PIP)
    assert "Sandbox network policy: host" in output


@pytest.mark.skipif(shutil.which("npm") is None, reason="npm is not installed")
async def test_npm_installs_a_package(guest: Guest, tmp_path: Path) -> None:
    code, output = await guest.run(tmp_path, "npm", "install", "is-number")
    assert code == 0, output
    assert "added 1 package" in output


@pytest.mark.skipif(shutil.which("curl") is None, reason="curl is not installed")
async def test_curl_shows_why_it_was_refused(guest: Guest, tmp_path: Path) -> None:
    code, output = await guest.run(tmp_path, "curl", "-sSv", "https://example.com/")
    assert code != 0
    assert "403 Sandbox network policy: host 'example.com' is not allowed (allowed: package registries)" in output
