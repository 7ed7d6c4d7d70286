"""One process in a sandbox: bounded output, and an end that takes its children along."""

from __future__ import annotations

import asyncio
import contextlib
import secrets
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Literal

from e2b import AsyncCommandHandle, CommandExitException
from e2b_code_interpreter import AsyncSandbox

from ..context import LiveOutput
from ..failures import SDK_ERRORS, translated
from .bounded import BoundedText

_TAG = "SANDLOOP_RUN"
"""A variable that all processes of one run have: so those are found that left the process group."""
_SERVER_GRACE_S = 10.0
"""How much later than we the server ends the process, in case we are gone by then."""
_KILL_S = 5.0
"""How long ending a process may take before it is left to the server's timeout."""
_ROOM = "ulimit -u $(($(ulimit -u) - 32)) 2>/dev/null"
"""So that, whatever the program forks, the sandbox can still start what kills it."""
_BREATH_S = 0.001
"""A pause for each piece of output that nobody will see: a flood waits in its pipe instead of on our loop."""


@dataclass(frozen=True, slots=True)
class Ended:
    """A process that is gone.

    Attributes:
        exit_code: as the shell says it, 128 + n for signal n; None when it ran out of time, or printed too much, and
            was killed.
        flooded: it printed more than the command's `limit_bytes`.
    """

    stdout: BoundedText
    stderr: BoundedText
    exit_code: int | None
    flooded: bool = False


@dataclass(frozen=True, slots=True)
class Command:
    """What to run, and how.

    Attributes:
        line: for bash.
        cwd: an absolute path in the sandbox.
        env: variables beside the sandbox's own.
        max_output_bytes: kept of each stream, and shown live of each.
        user: None is the sandbox's default one.
        limit_bytes: of one stream, beyond which it is killed; None: it is only slowed down.
    """

    line: str
    cwd: str
    env: Mapping[str, str]
    max_output_bytes: int
    user: str | None = None
    limit_bytes: int | None = None


class _Flooded(Exception):
    """One stream was more than the command may print."""


async def run(
    sandbox: AsyncSandbox, command: Command, *, timeout_s: float, on_output: Callable[[LiveOutput], None]
) -> Ended:
    """Run a process to its end, or to the end of its time; then, and when this is cancelled, all of it is killed.

    Raises:
        SandboxUnavailable: the sandbox ended while it ran.
        SandboxException: it was not there in the first place or refuses the call, so that nothing has run.
    """
    run_id = secrets.token_hex(8)
    stdout = _Stream("stdout", command, on_output)
    stderr = _Stream("stderr", command, on_output)
    handle: AsyncCommandHandle[None] | None = None
    exit_code: int | None = None
    ended = False
    try:
        async with asyncio.timeout(timeout_s) as deadline:
            handle = await sandbox.commands.run(
                # A shell with something left to do stays, and says by its exit code which signal ended the program.
                f"{_ROOM}\n{command.line}\nexit $?",
                background=True,
                envs={**command.env, _TAG: run_id},
                cwd=command.cwd,
                user=command.user,
                timeout=timeout_s + _SERVER_GRACE_S,
                on_stdout=stdout.take,
                on_stderr=stderr.take,
                retain_output=False,
            )
            exit_code = await _exit_code(sandbox, handle)
        ended = True
    except _Flooded:
        return Ended(stdout.kept, stderr.kept, None, flooded=True)
    except TimeoutError:
        if not deadline.expired():
            raise
    finally:
        if not ended:
            await _kill(sandbox, handle, run_id)
    return Ended(stdout.kept, stderr.kept, exit_code)


async def _exit_code(sandbox: AsyncSandbox, handle: AsyncCommandHandle[None]) -> int:
    try:
        return (await handle.wait()).exit_code
    except CommandExitException as error:
        return error.exit_code
    except SDK_ERRORS as error:
        # It has begun, so it must not be taken for one that can be run again elsewhere.
        raise translated(error, sandbox_id=sandbox.sandbox_id) from error


async def _kill(sandbox: AsyncSandbox, handle: AsyncCommandHandle[None] | None, run_id: str) -> None:
    """Kill the process group, then what has left it. Without an answer the server's own timeout does it."""
    tagged = f"$(grep -lsz '^{_TAG}={run_id}$' /proc/[0-9]*/environ | tr -dc '0-9\\n')"
    with contextlib.suppress(TimeoutError, *SDK_ERRORS):
        async with asyncio.timeout(_KILL_S):
            if handle is not None:
                await handle.kill()
                await handle.disconnect()
            await sandbox.commands.run(f"kill -KILL {tagged} 2>/dev/null; true")


class _Stream:
    """Takes the pieces of one stream: keeps its ends, shows the beginning live, drops the rest."""

    def __init__(
        self, name: Literal["stdout", "stderr"], command: Command, on_output: Callable[[LiveOutput], None]
    ) -> None:
        self.kept = BoundedText(command.max_output_bytes)
        self._name = name
        self._max_bytes = command.max_output_bytes
        self._limit_bytes = command.limit_bytes
        self._on_output = on_output

    async def take(self, piece: str) -> None:
        """Handle a piece; as slowly as fits a flood, once there is one."""
        if self.kept.total_bytes < self._max_bytes:
            self._on_output(LiveOutput(self._name, piece))
        self.kept.add(piece)
        if self._limit_bytes is not None and self.kept.total_bytes > self._limit_bytes:
            raise _Flooded
        if self.kept.total_bytes >= self._max_bytes:
            await asyncio.sleep(_BREATH_S)
