"""Package registries for tests: the ones this machine is configured for, and a mirror of the tests' own."""

from __future__ import annotations

import contextlib
import threading
import zipfile
from collections.abc import Iterator
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import httpx
import pytest
from e2b_code_interpreter import Sandbox

from .conftest import RunningServer

MIRROR_HOST = "127.0.0.2"
"""A loopback address of the host that is not also the sandbox's own: programs inside do not bypass the proxy for it."""


def registry_hosts(server: RunningServer) -> list[str]:
    """The hosts of this machine's registries; skips the test when they do not answer."""
    sandbox = Sandbox.create(timeout=300, **server.options)
    urls = sandbox.commands.run("echo $PIP_INDEX_URL $npm_config_registry").stdout.split()
    sandbox.kill()
    if len(urls) < 2:
        pytest.skip("this machine has no registry that a sandbox may use; see 'python -m sandbox_server doctor'")
    for url in urls:
        try:
            httpx.get(url, timeout=60)
        except httpx.HTTPError as error:
            pytest.skip(f"a package registry of this machine does not answer: {error!r}")
    with server.client() as client:
        return list(client.get("/registries").json()["hosts"])


def write_wheel(folder: Path, name: str, version: str = "1.0") -> Path:
    """Write a wheel of one module with a `VERSION` and a command that prints it."""
    info = f"{name}-{version}.dist-info"
    files = {
        f"{name}.py": f"VERSION = {version!r}\n\n\ndef main():\n    print({name!r}, VERSION)\n",
        f"{info}/METADATA": f"Metadata-Version: 2.1\nName: {name}\nVersion: {version}\n",
        f"{info}/WHEEL": "Wheel-Version: 1.0\nGenerator: tests\nRoot-Is-Purelib: true\nTag: py3-none-any\n",
        f"{info}/entry_points.txt": f"[console_scripts]\n{name}-command = {name}:main\n",
    }
    record = "".join(f"{path},,\n" for path in (*files, f"{info}/RECORD"))
    path = folder / f"{name}-{version}-py3-none-any.whl"
    with zipfile.ZipFile(path, "w") as wheel:
        for member, text in {**files, f"{info}/RECORD": record}.items():
            wheel.writestr(member, text)
    return path


def write_index(folder: Path, *names: str) -> Path:
    """Write a package index of one wheel a name."""
    for name in names:
        package = folder / name
        package.mkdir(parents=True)
        wheel = write_wheel(package, name)
        (package / "index.html").write_text(f'<a href="{wheel.name}">{wheel.name}</a>')
    return folder


class Mirror(ThreadingHTTPServer):
    """Serves a folder, and knows who is connected."""

    daemon_threads = True

    def __init__(self, folder: Path) -> None:
        self.connected = 0
        """How many connections are open now."""
        self._folder = folder
        self._counting = threading.Lock()
        super().__init__((MIRROR_HOST, 0), _Files)

    @property
    def authority(self) -> str:
        """Host and port."""
        return f"{MIRROR_HOST}:{self.server_port}"

    def finish_request(self, request: Any, client_address: Any) -> None:
        with self._counting:
            self.connected += 1
        try:
            _Files(request, client_address, self, directory=str(self._folder))
        finally:
            with self._counting:
                self.connected -= 1


class _Files(SimpleHTTPRequestHandler):
    def log_message(self, format: str, *args: object) -> None:
        """Stay silent."""


@contextlib.contextmanager
def mirror(folder: Path) -> Iterator[Mirror]:
    """Serve a folder on loopback while the block runs."""
    with Mirror(folder) as serving:
        thread = threading.Thread(target=serving.serve_forever, kwargs={"poll_interval": 0.05})
        thread.start()
        yield serving
        serving.shutdown()
        thread.join()
