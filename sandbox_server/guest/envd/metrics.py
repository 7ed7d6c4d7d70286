"""What a sandbox uses: GET /metrics."""

from __future__ import annotations

import contextlib
import math
import os
import time
from dataclasses import dataclass
from typing import Any

from ..config import HOME, MIB, SandboxConfig
from . import turns

_TICKS_PER_S = os.sysconf("SC_CLK_TCK")


@dataclass(frozen=True, slots=True)
class _CpuSample:
    at_s: float
    used_s: float


class Metrics:
    """Measures the sandbox; CPU use is the mean since the measurement before, 0 in the first."""

    def __init__(self, config: SandboxConfig) -> None:
        self._config = config
        self._last: _CpuSample | None = None

    def measure(self) -> turns.Steps[dict[str, Any]]:
        """Return the fields of E2B's `Metrics` schema: bytes, percent of one sandbox's CPUs, Unix seconds."""
        cpus = max(1, min(len(os.sched_getaffinity(0)), math.ceil(self._config.limits.cpus)))
        pids = [name for name in os.listdir("/proc") if name.isdigit()]
        used = 0
        for pid in pids:
            used += _memory_bytes(pid)
            yield  # 0.3 ms a process
        total = self._config.memory_bytes
        disk = os.statvfs(HOME)
        return {
            "ts": int(time.time()),
            "cpu_count": cpus,
            "cpu_used_pct": self._cpu_percent(sum(_cpu_s(pid) for pid in pids), cpus),
            "mem_total": total,
            "mem_used": used,
            "mem_cache": 0,
            "mem_total_mib": total // MIB,
            "mem_used_mib": used // MIB,
            "disk_used": (disk.f_blocks - disk.f_bfree) * disk.f_frsize,
            "disk_total": disk.f_blocks * disk.f_frsize,
        }

    def _cpu_percent(self, used_s: float, cpus: int) -> float:
        last, self._last = self._last, _CpuSample(time.monotonic(), used_s)
        if last is None:
            return 0.0
        elapsed_s = max(self._last.at_s - last.at_s, 1 / _TICKS_PER_S)
        return round(min(max(used_s - last.used_s, 0.0) / elapsed_s / cpus, 1.0) * 100, 2)


def _cpu_s(pid: str) -> float:
    """CPU time of a process and of the children it has waited for; pid 1 waits for all orphans, so none is lost."""
    with contextlib.suppress(OSError), open(f"/proc/{pid}/stat", "rb") as file:
        # The name, field 2, is in parentheses and may contain anything. utime is field 14.
        fields = file.read().rpartition(b")")[2].split()
        return sum(map(int, fields[11:15])) / _TICKS_PER_S
    return 0.0


def _memory_bytes(pid: str) -> int:
    """A process's share of its memory: pages of the warm template are divided among all who have them.

    0 where it cannot be read: that is pid 1, untraceable, and almost all template.
    """
    with contextlib.suppress(OSError), open(f"/proc/{pid}/smaps_rollup", "rb") as file:
        for line in file:
            if line.startswith(b"Pss:"):
                return int(line.split()[1]) * 1024
    return 0
