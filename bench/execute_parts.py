"""What `sandloop execute` does, step by step in a process of its own; prints seconds as JSON."""

from __future__ import annotations

import asyncio
import importlib
import json
import sys
import time


class Steps:
    """Seconds of each step since the one before."""

    def __init__(self, begin: float) -> None:
        self.seconds: dict[str, float] = {}
        self._last = begin

    def done(self, name: str) -> None:
        now = time.time()
        self.seconds[name] = now - self._last
        self._last = now


async def main(steps: Steps) -> None:
    steps.done("interpreter")
    importlib.import_module("sandloop.cli")
    steps.done("command line")
    services = importlib.import_module("sandloop.cli.services")
    settings = services.settings()
    steps.done("settings")
    importlib.import_module("e2b_code_interpreter")
    steps.done("E2B's SDK")
    executor = services.executor(services.throwaway(settings))
    context = importlib.import_module("agent_tools.context").CallContext("bench")
    steps.done("our packages")
    await executor.sandboxes.owned(context.owner)
    steps.done("finding the server")
    result = await executor.execute_code("print(1)", "python", context)
    steps.done("sandbox: create and run")
    if not result.success:
        raise RuntimeError(result.error)
    await executor.close()
    steps.done("sandbox: end")


if __name__ == "__main__":
    measured = Steps(float(sys.argv[1]))
    asyncio.run(main(measured))
    print(json.dumps(measured.seconds))
