"""Uses a sandbox, forks, and tries it from both: what a preloading web server and multiprocessing may do."""

from __future__ import annotations

import os
import sys

from agent_tools import CallContext, Sandboxes, SandboxSettings, ToolExecutor
from agent_tools.loop import run_sync


def run(code: str) -> str:
    executor = ToolExecutor(Sandboxes(SandboxSettings.from_environment()))
    return run_sync(executor.execute_code(code, "python", CallContext("thread", owner=sys.argv[1]))).output


def main() -> None:
    run("x = 1")
    child = os.fork()
    if child == 0:
        try:
            run("x")
        except RuntimeError as error:
            print("child", error, flush=True)
        os._exit(0)
    os.waitpid(child, 0)
    print("parent", run("x"), flush=True)


if __name__ == "__main__":
    main()
