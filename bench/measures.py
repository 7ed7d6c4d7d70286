"""What is measured of the sandbox server, all of it through E2B's Python SDK over HTTP."""

from __future__ import annotations

import os
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from . import memory, throughput
from .figures import (
    CREATE_AND_RUN_P50,
    CREATE_AND_RUN_P99,
    IMPORTS,
    RUN_P50,
    RUN_P99,
    Figure,
    median,
    milliseconds,
    percentile,
)
from .server import RunningServer

CODE = "1+1"
IMPORT_CELL = Path(__file__).with_name("import_cell.py")
_MIB = 1024 * 1024
_FILE_BYTES = 10 * _MIB
_ENDING_CLIENTS = 4


@dataclass(frozen=True, slots=True)
class Rounds:
    """How often things are done."""

    fresh: int = 200
    """Sandboxes that are made one after the other."""
    warm: int = 1000
    commands: int = 200
    files: int = 10
    imports: int = 20
    idle: int = 20
    """Sandboxes alive when their memory is measured."""
    alive: int = 500
    clients: int = 4
    client_seconds: float = 10.0

    @classmethod
    def quick(cls) -> Rounds:
        return cls(fresh=40, warm=200, commands=50, files=4, imports=5, idle=10, alive=100, client_seconds=3.0)


Measure = Callable[[RunningServer, Rounds], list[Figure]]


def first(server: RunningServer, rounds: Rounds) -> list[Figure]:
    creates, both = [], []
    for _ in range(rounds.fresh):
        start = time.perf_counter()
        sandbox = server.create()
        creates.append(time.perf_counter() - start)
        _run(sandbox)
        both.append(time.perf_counter() - start)
        sandbox.kill()
    return [
        milliseconds("create(), p50", median(creates)),
        milliseconds(CREATE_AND_RUN_P50, median(both), "≤ 25"),
        milliseconds(CREATE_AND_RUN_P99, percentile(both, 99), "≤ 60"),
    ]


def warm(server: RunningServer, rounds: Rounds) -> list[Figure]:
    with server.sandbox() as sandbox:
        times = [timed(lambda: _run(sandbox)) for _ in range(rounds.warm)]
    return [
        milliseconds(RUN_P50, median(times), "≤ 2.5"),
        milliseconds(RUN_P99, percentile(times, 99), "≤ 8"),
    ]


def commands(server: RunningServer, rounds: Rounds) -> list[Figure]:
    with server.sandbox() as sandbox:
        times = [timed(lambda: sandbox.commands.run("true")) for _ in range(rounds.commands)]
    return [milliseconds('commands.run("true"), p50', median(times), "≤ 8")]


def files(server: RunningServer, rounds: Rounds) -> list[Figure]:
    data = os.urandom(_FILE_BYTES)
    writes, reads = [], []
    with server.sandbox() as sandbox:
        for _ in range(rounds.files):
            writes.append(timed(lambda: sandbox.files.write("data.bin", data)))
            start = time.perf_counter()
            back = sandbox.files.read("data.bin", format="bytes")
            reads.append(time.perf_counter() - start)
            if back != data:
                raise RuntimeError("a file came back changed")
    return [
        Figure(f"10 MB file, {what}, p50", _FILE_BYTES / 1e6 / median(times), "MB/s", "≥ 100")
        for what, times in (("write", writes), ("read", reads))
    ]


def imports(server: RunningServer, rounds: Rounds) -> list[Figure]:
    cell = IMPORT_CELL.read_text()
    times = []
    for _ in range(rounds.imports):
        sandbox = server.create()
        times.append(float(sandbox.run_code(cell).text))
        sandbox.kill()
    return [milliseconds(IMPORTS, median(times), "≤ 5")]


def idle(server: RunningServer, rounds: Rounds) -> list[Figure]:
    """Memory of sandboxes whose Python kernel has started and run nothing more than an addition."""
    with server.sandboxes() as create:
        before = memory.usage(server.pid)
        sandboxes = [create() for _ in range(rounds.idle)]
        for sandbox in sandboxes:
            _run(sandbox)
        after = memory.usage(server.pid)
        if not all(sandbox.is_running() for sandbox in sandboxes):
            raise RuntimeError("a sandbox ended before its memory was measured")
    return before.added(after, rounds.idle, "≤ 12")


def alive(server: RunningServer, rounds: Rounds) -> list[Figure]:
    """Is the last of many sandboxes made as fast as the first, and do they answer as fast?"""
    sandboxes: list[Any] = []
    creates = []
    try:
        for _ in range(rounds.alive):
            start = time.perf_counter()
            sandboxes.append(server.create())
            creates.append(time.perf_counter() - start)
        some = sandboxes[:: max(1, rounds.alive // 100)]
        for sandbox in some:
            _run(sandbox)
        times = [timed(lambda sandbox=sandbox: _run(sandbox)) for sandbox in some * 3]  # type: ignore[misc]
    finally:
        with ThreadPoolExecutor(_ENDING_CLIENTS) as clients:
            list(clients.map(lambda sandbox: sandbox.kill(), sandboxes))
    few = max(1, rounds.alive // 10)
    begin, end = median(creates[:few]), median(creates[-few:])
    return [
        milliseconds(f"{rounds.alive} alive: first {few} create(), p50", begin),
        milliseconds(f"{rounds.alive} alive: last {few} create(), p50", end, f"as the first: {begin * 1e3:.1f}"),
        milliseconds(f"{rounds.alive} alive: run_code, p50", median(times), "≤ 4"),
    ]


def rate(server: RunningServer, rounds: Rounds) -> list[Figure]:
    """Each client is a process of its own; on a small machine they take their processor time from the server."""
    per_second = throughput.measure(server, rounds.clients, rounds.client_seconds)
    return [Figure(f"create + run + kill, {rounds.clients} clients", per_second, "per s", "≥ 60")]


def timed(call: Callable[[], object]) -> float:
    start = time.perf_counter()
    call()
    return time.perf_counter() - start


def _run(sandbox: Any) -> None:
    execution = sandbox.run_code(CODE)
    if execution.text != "2":
        raise RuntimeError(f"1+1 gave {execution!r}")


MEASURES: dict[str, Measure] = {
    "first": first,
    "warm": warm,
    "commands": commands,
    "files": files,
    "imports": imports,
    "idle": idle,
    "alive": alive,
    "rate": rate,
}
"""In the order of the table."""
