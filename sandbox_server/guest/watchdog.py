"""The memory limit where the host has no control groups: pid 1 looks, and kills.

Weaker than a memory group, and `doctor` says so: it looks twice a second, so a process can be over the limit for that
long, and memory that nobody has mapped (a memfd) is not seen. Nobody in the sandbox can stop or signal pid 1.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal

_INTERVAL_S = 0.5
_PAGE_BYTES = os.sysconf("SC_PAGE_SIZE")


async def watch(limit_bytes: int) -> None:
    """Kill the largest process whenever all together use more than the limit."""
    while True:
        await asyncio.sleep(_INTERVAL_S)
        _enforce(limit_bytes)


def _enforce(limit_bytes: int) -> None:
    usage = {int(name): _proportional_set_size(name) for name in os.listdir("/proc") if name.isdigit()}
    if sum(usage.values()) > limit_bytes:
        with contextlib.suppress(ProcessLookupError):
            os.kill(max(usage, key=lambda pid: usage[pid]), signal.SIGKILL)


def _proportional_set_size(pid: str) -> int:
    """Return a process's memory in bytes, shared pages divided among their users.

    A process can close itself to others' eyes as pid 1 does: then all its shared pages count as its own. 0 for pid 1
    itself, and for what has just ended.
    """
    if pid == "1":
        return 0
    with contextlib.suppress(OSError), open(f"/proc/{pid}/smaps_rollup", encoding="ascii") as file:
        for line in file:
            if line.startswith("Pss:"):
                return int(line.split()[1]) * 1024
    with contextlib.suppress(OSError), open(f"/proc/{pid}/statm", encoding="ascii") as file:
        return int(file.read().split()[1]) * _PAGE_BYTES
    return 0
