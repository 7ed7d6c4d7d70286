"""How many sandboxes a second several clients get through. A client is a process: the SDK would share one core else."""

from __future__ import annotations

import multiprocessing
import time
from multiprocessing.synchronize import Barrier

from .server import RunningServer

_START_SECONDS = 60


def measure(server: RunningServer, clients: int, seconds: float) -> float:
    """Return create + run + kill per second, of all clients together."""
    # A fork would share the SDK's open connections.
    context = multiprocessing.get_context("spawn")
    barrier = context.Barrier(clients)
    rates: multiprocessing.Queue[float] = context.Queue()
    processes = [
        context.Process(target=_client, args=(server, seconds, barrier, rates), daemon=True) for _ in range(clients)
    ]
    for process in processes:
        process.start()
    try:
        return sum(rates.get(timeout=_START_SECONDS + 2 * seconds) for _ in processes)
    finally:
        for process in processes:
            process.terminate()
            process.join()


def _client(server: RunningServer, seconds: float, barrier: Barrier, rates: multiprocessing.Queue[float]) -> None:
    _cycle(server)
    barrier.wait(_START_SECONDS)
    start = time.perf_counter()
    count = 0
    while (took := time.perf_counter() - start) < seconds:
        _cycle(server)
        count += 1
    rates.put(count / took)


def _cycle(server: RunningServer) -> None:
    sandbox = server.create()
    sandbox.run_code("1+1")
    sandbox.kill()
