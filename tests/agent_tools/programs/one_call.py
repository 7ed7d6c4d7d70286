"""A process of its own that runs one piece of code in a thread's sandbox, when told to by a line on its stdin.

Arguments: the owner and the code. Prints "ready", then the answer as JSON, and then waits for the end of its stdin.
"""

from __future__ import annotations

import json
import sys

from agent_tools import CallContext, Sandboxes, SandboxSettings, ToolExecutor
from agent_tools.loop import run_sync


def main() -> None:
    owner, code = sys.argv[1:]
    executor = ToolExecutor(Sandboxes(SandboxSettings.from_environment()))
    print("ready", flush=True)
    sys.stdin.readline()
    result = run_sync(executor.execute_code(code, "python", CallContext("thread", owner=owner)))
    print(json.dumps({"sandbox_id": result.sandbox_id, "output": result.output}), flush=True)
    sys.stdin.read()


if __name__ == "__main__":
    main()
