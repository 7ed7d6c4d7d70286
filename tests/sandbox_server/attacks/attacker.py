"""What the attacks share: probe programs that run inside a sandbox, raw requests, and looks at the host."""

from __future__ import annotations

import contextlib
import json
import socket
from collections.abc import Mapping
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from e2b import CommandExitException
from e2b_code_interpreter import Sandbox

from ..conftest import RunningServer

PROBES = Path(__file__).parent / "probes"
MIB = 1024 * 1024
ENVD, INTERPRETER = 49983, 49999


def upload(sandbox: Sandbox, name: str) -> str:
    """Put a probe program into the sandbox; returns its path there."""
    path = f"/home/user/{name}.py"
    sandbox.files.write(path, (PROBES / f"{name}.py").read_text())
    return path


def probe(sandbox: Sandbox, name: str, *arguments: object, timeout: float = 100) -> Any:
    """Run a probe program inside and return the JSON it prints."""
    words = " ".join(str(argument) for argument in arguments)
    return json.loads(sandbox.commands.run(f"python {upload(sandbox, name)} {words}", timeout=timeout).stdout)


def exit_code(sandbox: Sandbox, command: str, timeout: float = 100) -> int:
    """Run a command and return its exit code."""
    try:
        return int(sandbox.commands.run(command, timeout=timeout).exit_code)
    except CommandExitException as ended:
        return int(ended.exit_code)


def raw(server: RunningServer, *pieces: bytes, seconds: float = 60) -> bytes:
    """Send bytes as they are and return all that comes back until the server closes."""
    address = urlsplit(server.url)
    with socket.create_connection((address.hostname, address.port or 0), timeout=seconds) as connection:
        with contextlib.suppress(ConnectionError):
            for piece in pieces:
                connection.sendall(piece)
        return read_to_end(connection)


def read_to_end(connection: socket.socket) -> bytes:
    """Read until the other side closes. Raises TimeoutError when it does not."""
    received = b""
    with contextlib.suppress(ConnectionResetError):
        while data := connection.recv(65536):
            received += data
    return received


def status(answer: bytes) -> int:
    """Return an answer's status code; 0 when the connection was just closed."""
    return int(answer.split(b" ", 2)[1]) if answer.startswith(b"HTTP/1.1 ") else 0


def head(request: str, *headers: str) -> bytes:
    """Return a request head."""
    return "\r\n".join([f"{request} HTTP/1.1", *headers, "", ""]).encode("latin-1")


def to_sandbox(sandbox: Sandbox, port: int = ENVD, *, token: bool = True) -> dict[str, str]:
    """Return the headers that take a request to a port of a sandbox."""
    headers = {"E2b-Sandbox-Id": sandbox.sandbox_id, "E2b-Sandbox-Port": str(port)}
    return {**headers, "X-Access-Token": token_of(sandbox)} if token else headers


def token_of(sandbox: Sandbox) -> str:
    """Return a sandbox's access token."""
    token = sandbox.connection_config.sandbox_headers.get("X-Access-Token")
    assert token
    return str(token)


def encoded(headers: Mapping[str, str | bytes]) -> list[tuple[bytes, bytes]]:
    """Return headers as bytes, for values that httpx would not encode."""
    return [
        (name.encode(), value if isinstance(value, bytes) else value.encode("latin-1"))
        for name, value in headers.items()
    ]


def rss_bytes(pid: int) -> int:
    """Return the memory of a process of the host."""
    return int(Path(f"/proc/{pid}/statm").read_text().split()[1]) * 4096


def open_files(pid: int) -> int:
    """Return how many descriptors a process of the host has open."""
    return len(list(Path(f"/proc/{pid}/fd").iterdir()))


def processes_with(marker: str) -> list[int]:
    """Return the host's processes that have this text in their command line."""
    found = []
    for path in Path("/proc").glob("[0-9]*/cmdline"):
        with contextlib.suppress(OSError):
            if marker.encode() in path.read_bytes():
                found.append(int(path.parent.name))
    return found
