"""The resident server: one for each user, in the background, started by whoever needs it first.

It ends by itself after ten minutes without a sandbox. All its sandboxes end with it.
"""

from __future__ import annotations

import contextlib
import http.client
import json
import os
import select
import signal
import subprocess
import sys
import time
import urllib.parse
import urllib.request
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO, Any

from .errors import SandboxServerError, ServerNotRunning, ServerStartFailed
from .settings import runtime_folder
from .state import RuntimeFolder, State, version

IDLE_EXIT_SECONDS = 600
_START_SECONDS = 900
"""A first start builds the template."""
_STOP_SECONDS = 30
"""Longer than the server itself waits for sandboxes that do not end."""
_ANSWER_SECONDS = 30
_POLL_SECONDS = 0.1
_LAST_LINES = 20

Progress = Callable[[str], None]


@dataclass(frozen=True, slots=True)
class Address:
    """How to reach a server."""

    url: str
    api_key: str = field(repr=False)
    pid: int
    version: str

    def env(self) -> dict[str, str]:
        """Return the variables by which E2B's SDKs find the server."""
        return {"E2B_API_URL": self.url, "E2B_SANDBOX_URL": self.url, "E2B_API_KEY": self.api_key}


@dataclass(frozen=True, slots=True)
class Listed:
    """A sandbox, as the server's list has it; times as E2B writes them (ISO 8601, UTC)."""

    id: str
    template: str
    state: str
    started: str
    ends: str


@dataclass(frozen=True, slots=True)
class Status:
    """A server that answers, and its sandboxes."""

    address: Address
    sandboxes: tuple[Listed, ...]


def _to_stderr(line: str) -> None:
    print(line, file=sys.stderr, flush=True)  # noqa: T201


def ensure(*, progress: Progress = _to_stderr) -> Address:
    """Return the address of this user's server, starting it when none runs. Blocks: on a loop, call it in a thread.

    The first start of all builds the sandbox template, which takes a minute or so. A server of another version is
    replaced when it has no sandboxes, else kept.

    Args:
        progress: called with a line of text for a person.

    Raises:
        ServerStartFailed: it did not come up, or does not answer; with its last words, which say what to do.
        SandboxServerError: the runtime folder is not this user's own.
    """
    with RuntimeFolder.open(runtime_folder()) as folder, folder.deciding(wait=True):
        address = _running(folder, progress)
        if address is None or not _keeps(folder, address, progress):
            address = _start(folder, progress)
        folder.touch()
        return address


def status() -> Status:
    """Return what runs.

    Raises:
        ServerNotRunning: nothing does, or it is not ready yet.
        SandboxServerError: it does not answer.
    """
    with RuntimeFolder.open(runtime_folder()) as folder:
        state = _state(folder)
    if state is None or not state.url:
        raise ServerNotRunning("no sandbox server runs; 'python -m sandbox_server env' starts one")
    return _ask(_address(state))


def stop() -> State:
    """End the server and all its sandboxes; returns when they are gone.

    Raises:
        ServerNotRunning: there is none.
    """
    with RuntimeFolder.open(runtime_folder()) as folder:
        state = _state(folder)
        if state is None:
            raise ServerNotRunning("no sandbox server runs")
        _end(state)
    return state


# --- a server that is there


def _state(folder: RuntimeFolder) -> State | None:
    state = folder.read()
    return state if state is not None and folder.served() and state.alive else None


def _address(state: State) -> Address:
    return Address(state.url, state.api_key, state.pid, state.version)


def _running(folder: RuntimeFolder, progress: Progress) -> Address | None:
    """Return the registered server; one that is starting or ending is waited for."""
    deadline = time.monotonic() + _START_SECONDS
    waiting = False
    while folder.served():
        state = _state(folder)
        if state is not None and state.url:
            return _address(state)
        if time.monotonic() > deadline:
            raise ServerStartFailed("another process starts a sandbox server and does not come to an end with it")
        if not waiting:
            progress("waiting for a sandbox server that another process starts or ends")
            waiting = True
        time.sleep(_POLL_SECONDS)
    return None


def _keeps(folder: RuntimeFolder, address: Address, progress: Progress) -> bool:
    """Check a running server; False when it was of another version, had nothing to do and was ended."""
    try:
        sandboxes = _ask(address).sandboxes
    except SandboxServerError as error:
        raise ServerStartFailed(f"{error}; end it by 'python -m sandbox_server stop'") from error
    if address.version == version():
        return True
    if sandboxes:
        progress(
            f"the running sandbox server is of version {address.version}, this is {version()}; "
            f"it is kept, since it has {len(sandboxes)} sandboxes ('python -m sandbox_server stop' ends them all)"
        )
        return True
    if (state := _state(folder)) is not None:
        _end(state)
    return False


def _end(state: State) -> None:
    try:
        pidfd = os.pidfd_open(state.pid)
    except ProcessLookupError:
        return
    try:
        # From here on the number cannot pass to another process unnoticed.
        if not state.alive:
            return
        for number in (signal.SIGTERM, signal.SIGKILL):
            signal.pidfd_send_signal(pidfd, number)
            if select.select([pidfd], [], [], _STOP_SECONDS)[0]:
                return
    except ProcessLookupError:
        return
    finally:
        os.close(pidfd)
    raise SandboxServerError(f"the sandbox server (pid {state.pid}) does not end, not even by SIGKILL")


def _ask(address: Address) -> Status:
    """List the sandboxes of a server, which proves that it answers and takes the key."""
    listed: list[Listed] = []
    token: str | None = ""
    while token is not None:
        page, token = _page(address, token)
        listed += [
            Listed(*(str(entry[name]) for name in ("sandboxID", "templateID", "state", "startedAt", "endAt")))
            for entry in page
        ]
    return Status(address, tuple(listed))


def _page(address: Address, token: str) -> tuple[list[dict[str, Any]], str | None]:
    query = urllib.parse.urlencode({"limit": 100, **({"nextToken": token} if token else {})})
    request = urllib.request.Request(f"{address.url}/v2/sandboxes?{query}", headers={"X-API-Key": address.api_key})
    # Without the proxies of the environment: it is on this machine.
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    try:
        with opener.open(request, timeout=_ANSWER_SECONDS) as answer:
            return json.load(answer), answer.headers.get("x-next-token")
    except (OSError, http.client.HTTPException, ValueError) as error:
        raise SandboxServerError(
            f"the sandbox server at {address.url} (pid {address.pid}) does not answer as it should: {error}"
        ) from error


# --- a new one


def _start(folder: RuntimeFolder, progress: Progress) -> Address:
    log = folder.new_log()
    try:
        process = _launch(log)
    finally:
        os.close(log)
    with contextlib.closing(process), open(folder.open_log(), encoding="utf-8", errors="replace") as said:
        last: list[str] = []
        for line in _until_ready(process, said):
            progress(line)
            last = [*last, line][-_LAST_LINES:]
    state = _state(folder)
    if state is None or not state.url:
        raise ServerStartFailed("the sandbox server did not start:\n" + "\n".join(f"  {line}" for line in last))
    return _address(state)


def _launch(log: int) -> IO[bytes]:
    """Start a server that outlives this process, and return the pipe that is its stdout.

    The shell between is gone at once: the server is nobody's child, so nobody has to wait for it, and in a session
    without a leader, so no terminal can reach it.
    """
    serve = [sys.executable, "-m", "sandbox_server", "serve", "--port", "0", "--idle-exit", str(IDLE_EXIT_SECONDS)]
    reader, writer = os.pipe()
    try:
        subprocess.run(
            ["/bin/sh", "-c", '"$@" &', "sh", *serve],
            # Where this package is found, also when it is not installed.
            cwd=Path(__file__).parents[1],
            # An E2B key in there is one of E2B's cloud; this server makes its own.
            env={name: value for name, value in os.environ.items() if not name.startswith("E2B_")},
            stdin=subprocess.DEVNULL,
            stdout=writer,
            stderr=log,
            start_new_session=True,
            check=True,
        )
    except (OSError, subprocess.CalledProcessError) as error:
        os.close(reader)
        raise ServerStartFailed(f"the sandbox server could not be started: {error}") from error
    finally:
        os.close(writer)
    return open(reader, "rb", buffering=0)


def _until_ready(stdout: IO[bytes], said: IO[str]) -> Iterator[str]:
    """Yield what the server says until it has printed its one line on stdout, or ended."""
    deadline = time.monotonic() + _START_SECONDS
    printed = None
    while time.monotonic() < deadline and not (printed == b"" or (printed or b"").endswith(b"\n")):
        if select.select([stdout], [], [], _POLL_SECONDS)[0]:
            printed = stdout.read(4096)
        while line := said.readline():
            yield line.rstrip("\n")
