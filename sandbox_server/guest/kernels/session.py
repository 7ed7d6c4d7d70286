"""The processes of a kernel: everything in the session that it leads.

Pid 1 starts each kernel as the leader of its own session. An interactive shell gives every job a process group of its
own, so one group is not enough to reach what a kernel started; only what called setsid(2) itself is out of reach.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
from pathlib import Path

from ..config import MIB
from ..processes import Child
from . import Event


def members(session: int) -> list[int]:
    """Return the pids of the living processes of a session."""
    found = []
    for entry in os.listdir("/proc"):
        if not entry.isdecimal():
            continue
        with contextlib.suppress(OSError):  # It ended meanwhile.
            # pid (name) state ppid pgrp session ...; the name may hold spaces and parentheses.
            fields = Path("/proc", entry, "stat").read_text(errors="replace").rpartition(")")[2].split()
            if int(fields[3]) == session and fields[0] not in "ZX":
                found.append(int(entry))
    return found


def signal_others(leader: Child, number: signal.Signals) -> None:
    """Signal every process of the leader's session but the leader itself."""
    for pid in members(leader.pid):
        if pid != leader.pid:
            with contextlib.suppress(ProcessLookupError, PermissionError):
                os.kill(pid, number)


def kill_orphans(session: int) -> None:
    """Kill what is left of a session right after its leader has ended: the number stays taken as long as any is."""
    for pid in members(session):
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.kill(pid, signal.SIGKILL)


async def end(leader: Child) -> None:
    """Kill the leader and its session; return when the leader is gone. Nothing happens when it is gone already."""
    if not leader.running:
        return
    # Stopped before it is killed, the leader starts nothing new; the rest is looked for until none is left.
    leader.signal(signal.SIGSTOP)
    while any(pid != leader.pid for pid in members(leader.pid)):
        signal_others(leader, signal.SIGKILL)
        await asyncio.sleep(0.002)
    leader.signal(signal.SIGKILL)
    await leader.wait()


def death(code: int, memory_bytes: int) -> Event:
    """Return the error event of an execution whose kernel ended; see `how_it_ended`."""
    value = f"the kernel ended: {how_it_ended(code, memory_bytes)}. Its variables are lost"
    return {"type": "error", "name": "KernelDied", "value": value, "traceback": ""}


def how_it_ended(code: int, memory_bytes: int) -> str:
    """Say in words what an exit code means. `memory_bytes` is the sandbox's limit."""
    if code >= 0:
        return f"exit code {code}"
    if -code == signal.SIGKILL:
        # Who sent it cannot be seen from here. The kernel's OOM killer does, and hardly anybody else.
        limit = f"the sandbox's limit of {memory_bytes // MIB} MiB"
        return f"killed (SIGKILL), most likely because it used more memory than {limit}"
    name = signal.Signals(-code).name if -code in set(signal.Signals) else f"signal {-code}"
    return f"killed by {name}"
