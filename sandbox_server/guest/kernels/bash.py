"""bash: one interactive session, whose stdin is the channel.

A cell is `eval 'CODE' </dev/null`: what runs in it finds its stdin at an end and not the next command, and a syntax
error (an `if` without its `fi`) ends with the cell. State is that of the session: folder, variables, functions, jobs.
An exit code other than 0 is an error event, as in E2B.
"""

from __future__ import annotations

import asyncio
import contextlib
import re
import shlex
import signal
from pathlib import Path

from ..config import SandboxConfig
from ..processes import Processes
from . import Kernel, session
from .program import Program, ProgramKernel

_SETUP = Path(__file__).with_name("bash") / "setup.sh"
_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]*", re.ASCII)
_INTERRUPTS = 20
_INTERRUPT_SECONDS = 0.1


async def start(processes: Processes, config: SandboxConfig, cwd: str) -> Kernel:
    """Start a session in `cwd`.

    Raises:
        KernelUnavailable: bash does not start there.
    """
    # Interactive, because only then bash survives the SIGINT that ends its command. It has no terminal, and says so.
    argv = ["bash", "--noprofile", "--norc", "--noediting", "-i"]
    env = {**config.base_env(), "PS1": ""}
    return ProgramKernel(await _Session.start(processes, config, argv, env=env, cwd=cwd))


class _Session(Program):
    channel_is_stdin = True

    async def _greet(self) -> None:
        await self._send(f". {shlex.quote(str(_SETUP))}\n")

    async def _request(self, number: int, code: str, env_vars: dict[str, str], options: dict[str, str]) -> None:
        # A name that is none to bash can be no variable of it. NUL ends no command line and no variable.
        variables = {name: value for name, value in env_vars.items() if _NAME.fullmatch(name)}
        lines = [f"__sandloop_set {name} {shlex.quote(value)}" for name, value in variables.items()]
        # Each line is a command of its own: SIGINT drops the rest of the one that it ends.
        lines += [f"eval {shlex.quote(code)} </dev/null", f"__sandloop_report {number}"]
        if variables:
            lines.append(f"__sandloop_restore {' '.join(variables)}")
        await self._send("".join(line.replace("\0", "") + "\n" for line in lines))

    async def _interrupt(self) -> None:
        # A program that handles the signal lets bash go on with the cell's next command, which needs one of its own.
        # Background jobs ignore SIGINT: a shell without job control starts them so.
        for _ in range(_INTERRUPTS):
            session.signal_others(self._child, signal.SIGINT)
            self._child.signal(signal.SIGINT)
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(_INTERRUPT_SECONDS):
                    return await self._wait_idle()
        session.signal_others(self._child, signal.SIGKILL)
