"""Load on `sandloop serve`: clients that stream executions, and what they leave behind.

Run it on a quiet machine: `python -m bench.api`. It exits with 1 when a request failed, or when a sandbox, a task or a
descriptor was left.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import json
import os
import secrets
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import httpx

from sandloop.http import tokens
from sandloop.settings import load

from .figures import percentile
from .server import RunningServer, running

_SETTLE_SECONDS = 20
_WARM_SECONDS = 5
_CODE = "import time\nfor i in range(3): print(i, flush=True)\nx = {number}\nx"
_SERVE = "from sandloop.http import serve; from sandloop.settings import load; serve(load())"


@dataclass(slots=True)
class Found:
    """What the clients saw. Seconds."""

    first_event: list[float] = field(default_factory=list)
    whole: list[float] = field(default_factory=list)
    failures: Counter[str] = field(default_factory=Counter)


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m bench.api", description=__doc__.splitlines()[0])
    parser.add_argument("--clients", type=int, default=50)
    parser.add_argument("--seconds", type=float, default=60)
    parser.add_argument("--sandboxes", type=int, default=10, help="threads that the clients share")
    options = parser.parse_args()
    with running() as sandbox_server, _serving(sandbox_server) as (url, pid, environ):
        token = tokens.make(load(environ=environ).auth, subject="bench", lifetime_s=3600, environ=environ)
        left = asyncio.run(_measure(url, token, pid, options.clients, options.seconds, options.sandboxes))
    sys.exit(1 if left else 0)


@contextlib.contextmanager
def _serving(server: RunningServer) -> Iterator[tuple[str, int, dict[str, str]]]:
    with tempfile.TemporaryDirectory() as folder:
        environ = {
            **os.environ,
            "E2B_API_URL": server.url,
            "E2B_SANDBOX_URL": server.url,
            "E2B_API_KEY": server.api_key,
            "XDG_DATA_HOME": folder,
            "SANDLOOP_SERVER_PORT": "0",
            "SANDLOOP_AUTH_SECRET": secrets.token_hex(32),
            "SANDLOOP_LIMITS_REQUESTS": "1000000/minute",
            "SANDLOOP_LIMITS_CONCURRENT": "1000",
            "SANDLOOP_LOG_LEVEL": "error",
        }
        process = subprocess.Popen([sys.executable, "-c", _SERVE], env=environ, stderr=subprocess.PIPE, text=True)
        assert process.stderr is not None
        line = process.stderr.readline()
        if not line.startswith("listening on "):
            raise RuntimeError(f"the server did not start: {line}{process.stderr.read()}")
        try:
            yield line.split()[-1], process.pid, environ
        finally:
            process.terminate()
            process.wait(60)
            process.stderr.close()


async def _measure(url: str, token: str, pid: int, clients: int, seconds: float, sandboxes: int) -> bool:
    headers = {"Authorization": f"Bearer {token}"}
    limits = httpx.Limits(max_connections=clients + 10)
    async with httpx.AsyncClient(base_url=url, headers=headers, timeout=120, limits=limits) as client:
        for number in range(sandboxes):
            answer = await client.post("/code/execute", json={"code": "1", "thread_id": f"bench-{number}"})
            answer.raise_for_status()
        # Connections to the sandboxes are kept for minutes: a first wave opens as many as there will be.
        await _wave(client, clients, sandboxes, _WARM_SECONDS)
        before = _descriptors(pid), _memory_mib(pid)
        found = await _wave(client, clients, sandboxes, seconds)
        for sandbox in (await client.get("/sandboxes")).json():
            await client.delete(f"/sandboxes/{sandbox['sandbox_id']}")
        leaked = len((await client.get("/sandboxes")).json())
    after = await asyncio.to_thread(_settled, pid, before[0])
    _print(found, clients, seconds, leaked, before, (after, _memory_mib(pid)))
    return bool(found.failures or leaked or after > before[0])


async def _wave(client: httpx.AsyncClient, clients: int, sandboxes: int, seconds: float) -> Found:
    found = Found()
    deadline = time.monotonic() + seconds
    async with asyncio.TaskGroup() as running_clients:
        for number in range(clients):
            running_clients.create_task(_client(client, number, sandboxes, deadline, found))
    return found


async def _client(client: httpx.AsyncClient, number: int, sandboxes: int, deadline: float, found: Found) -> None:
    while time.monotonic() < deadline:
        try:
            await _execution(client, number, sandboxes, found)
        except (httpx.HTTPError, ValueError, KeyError) as error:
            found.failures[type(error).__name__] += 1


async def _execution(client: httpx.AsyncClient, number: int, sandboxes: int, found: Found) -> None:
    body = {"code": _CODE.format(number=number), "thread_id": f"bench-{number % sandboxes}"}
    started = time.monotonic()
    name, data, first = "", "", 0.0
    async with client.stream("POST", "/code/execute", json=body, headers={"Accept": "text/event-stream"}) as answer:
        answer.raise_for_status()
        async for line in answer.aiter_lines():
            if line.startswith("event: "):
                name = line.removeprefix("event: ")
                first = first or time.monotonic() - started
            elif line.startswith("data: "):
                data = line.removeprefix("data: ")
    if name != "end" or not json.loads(data)["output"].endswith(str(number)):
        found.failures[f"wrong answer: {name}"] += 1
        return
    found.first_event.append(first)
    found.whole.append(time.monotonic() - started)


def _descriptors(pid: int) -> int:
    return len(list(Path(f"/proc/{pid}/fd").iterdir()))


def _memory_mib(pid: int) -> int:
    status = Path(f"/proc/{pid}/status").read_text().split("VmRSS:")[1]
    return int(status.split()[0]) // 1024


def _settled(pid: int, wanted: int) -> int:
    """Wait for connections to the sandboxes that are kept for a while, and return what is open then."""
    deadline = time.monotonic() + _SETTLE_SECONDS
    while (now := _descriptors(pid)) > wanted and time.monotonic() < deadline:
        time.sleep(0.5)
    return now


def _print(
    found: Found, clients: int, seconds: float, leaked: int, before: tuple[int, int], after: tuple[int, int]
) -> None:
    print(
        f"{clients} clients, {seconds:.0f} s: {len(found.whole)} executions, {len(found.whole) / seconds:.0f} a second"
    )
    for name, samples in (("first event", found.first_event), ("whole", found.whole)):
        if samples:
            p50, p99 = (percentile(samples, percent) * 1e3 for percent in (50, 99))
            print(f"  {name:12} p50 {p50:7.1f} ms   p99 {p99:7.1f} ms")
    print(f"  failures     {dict(found.failures) or 'none'}")
    print(f"  sandboxes left {leaked}, descriptors {before[0]} -> {after[0]}, memory {before[1]} -> {after[1]} MiB")


if __name__ == "__main__":
    main()
