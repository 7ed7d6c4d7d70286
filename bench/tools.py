"""Measure what the tools add to a bare `run_code` of E2B's SDK.

Run it on a quiet machine: `python -m bench.tools` in the repository's root. What is compared is measured in turns, so
that a busy machine slows both sides.
"""

from __future__ import annotations

import argparse
import asyncio
import os
import time
from collections.abc import Awaitable, Callable

from agent_tools import CallContext, Sandboxes, SandboxSettings, ToolExecutor, coding_tools
from agent_tools.sandboxes import Lease

from .figures import Figure, median, milliseconds, percentile
from .server import RunningServer, running

_CODE = "1+1"
_THREADS = 10
_SPIN = "import time\nend = time.process_time() + .5\nwhile time.process_time() < end: pass"
_WAIT = "import time\ntime.sleep(.5)"
_WARM_UP = 20


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m bench.tools", description=__doc__.splitlines()[0])
    parser.add_argument("--rounds", type=int, default=500, metavar="N", help="calls of each kind")
    rounds = parser.parse_args().rounds
    with running() as server:
        figures = asyncio.run(_measured(server, rounds))
    width = max(len(figure.name) for figure in figures)
    for figure in figures:
        print(f"{figure.name:<{width}}  {figure.value:8.2f} {figure.unit:<3} {figure.target}".rstrip())


async def _measured(server: RunningServer, rounds: int) -> list[Figure]:
    settings = SandboxSettings(api_key=server.api_key, api_url=server.url, sandbox_url=server.url)
    async with ToolExecutor(Sandboxes(settings)) as executor:
        return [*await _overhead(executor, rounds), *await _known_thread(executor, rounds), *await _parallel(executor)]


async def _overhead(executor: ToolExecutor, rounds: int) -> list[Figure]:
    context = CallContext("overhead")
    (tool,) = coding_tools(executor, names=["execute_python_code"])

    async def bare(lease: Lease) -> float:
        # On the loop where the tools run it, too, so that only the work beside it differs.
        return await _timed(lambda: lease.sandbox.run_code(_CODE))

    kinds: dict[str, Callable[[], Awaitable[float]]] = {
        "run_code": lambda: executor.sandboxes.run(context, bare),
        "execute_code": lambda: _timed(lambda: executor.execute_code(_CODE, "python", context)),
        "tool": lambda: _timed(lambda: tool.ainvoke({"code": _CODE}, {"configurable": {"thread_id": "overhead"}})),
        "sync tool": lambda: asyncio.to_thread(
            _timed_sync, lambda: tool.invoke({"code": _CODE}, {"configurable": {"thread_id": "overhead"}})
        ),
    }
    for kind in kinds.values():
        for _ in range(_WARM_UP):
            await kind()
    times: dict[str, list[float]] = {name: [] for name in kinds}
    for _ in range(rounds):
        for name, kind in kinds.items():
            times[name].append(await kind())
    base = median(times["run_code"])
    return [
        milliseconds("bare run_code of the SDK, p50", base),
        milliseconds("ToolExecutor.execute_code, added, p50", median(times["execute_code"]) - base),
        milliseconds("execute_python_code.ainvoke, added, p50", median(times["tool"]) - base, "≤ 2"),
        milliseconds("execute_python_code.invoke, added, p50", median(times["sync tool"]) - base, "≤ 2"),
    ]


async def _known_thread(executor: ToolExecutor, rounds: int) -> list[Figure]:
    context = CallContext("overhead")

    async def nothing(_: Lease) -> None:
        return

    times = [await _timed(lambda: executor.sandboxes.run(context, nothing)) for _ in range(rounds)]
    found = []
    for _ in range(20):
        other = Sandboxes(executor.sandboxes.settings)
        found.append(await _timed(lambda other=other: other.run(context, nothing)))  # type: ignore[misc]
    return [
        milliseconds("find the sandbox of a known thread, p50", median(times), "≤ 1"),
        milliseconds("find the sandbox of a known thread, p99", percentile(times, 99)),
        milliseconds("find it in a new process: list and connect, p50", median(found)),
    ]


async def _parallel(executor: ToolExecutor) -> list[Figure]:
    """Ten threads, one after the other and all at once: those that keep a processor busy, and those that wait."""
    contexts = [CallContext(f"parallel-{number}") for number in range(_THREADS)]
    for context in contexts:
        await executor.execute_code(_CODE, "python", context)
    cores = min(_THREADS, len(os.sched_getaffinity(0)))
    busy, waiting = await _gain(executor, contexts, _SPIN), await _gain(executor, contexts, _WAIT)
    return [
        Figure(f"{_THREADS} busy threads at once, times faster than in turn", busy, "", f"≈ {cores}, the processors"),
        Figure(f"{_THREADS} waiting threads at once, times faster than in turn", waiting, "", f"≈ {_THREADS}"),
    ]


async def _gain(executor: ToolExecutor, contexts: list[CallContext], code: str) -> float:
    started = time.perf_counter()
    for context in contexts:
        await executor.execute_code(code, "python", context)
    alone = time.perf_counter() - started
    started = time.perf_counter()
    async with asyncio.TaskGroup() as group:
        for context in contexts:
            group.create_task(executor.execute_code(code, "python", context))
    return alone / (time.perf_counter() - started)


async def _timed(call: Callable[[], Awaitable[object]]) -> float:
    started = time.perf_counter()
    await call()
    return time.perf_counter() - started


def _timed_sync(call: Callable[[], object]) -> float:
    started = time.perf_counter()
    call()
    return time.perf_counter() - started


if __name__ == "__main__":
    main()
