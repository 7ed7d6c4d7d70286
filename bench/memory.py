"""What a group of processes adds to the memory of the host, seen in two ways.

PSS (/proc/PID/smaps_rollup) divides each shared page among those who share it, so its sum over a whole process tree is
what the tree takes; it leaves out what the kernel keeps for them. Reading it of sandboxes takes root. MemAvailable
has the kernel's part in it, and everything else that happens on the host.
"""

from __future__ import annotations

import contextlib
import os
from dataclasses import dataclass
from pathlib import Path

from .figures import MEMORY_AVAILABLE, MEMORY_PSS, Figure


@dataclass(frozen=True, slots=True)
class Usage:
    """At one moment. KiB, as the kernel counts them."""

    pss: int | None
    """None: some process may not be read."""
    available: int

    def added(self, later: Usage, count: int, target: str = "") -> list[Figure]:
        """Return what each of `count` sandboxes added between two moments."""
        found = [Figure(MEMORY_AVAILABLE, (self.available - later.available) / count / 1024, "MiB", target)]
        if self.pss is not None and later.pss is not None:
            found.insert(0, Figure(MEMORY_PSS, (later.pss - self.pss) / count / 1024, "MiB", target))
        return found


def usage(root: int) -> Usage:
    """Measure a process, all its descendants, and the host."""
    pss: int | None = 0
    for pid in (root, *_descendants(root)):
        try:
            pss = None if pss is None else pss + _field(Path(f"/proc/{pid}/smaps_rollup"), "Pss:")
        except PermissionError:
            pss = None
        except (FileNotFoundError, ProcessLookupError, KeyError):
            continue  # It has just ended.
    return Usage(pss, _field(Path("/proc/meminfo"), "MemAvailable:"))


def _descendants(root: int) -> set[int]:
    children: dict[int, list[int]] = {}
    for name in os.listdir("/proc"):
        if name.isdigit():
            with contextlib.suppress(FileNotFoundError, ProcessLookupError):
                stat = Path("/proc", name, "stat").read_text(errors="replace")
                children.setdefault(int(stat.rpartition(")")[2].split()[1]), []).append(int(name))
    found: set[int] = set()
    waiting = [root]
    while waiting:
        fresh = children.get(waiting.pop(), [])
        found.update(fresh)
        waiting += fresh
    return found


def _field(path: Path, name: str) -> int:
    """Return a number of KiB. Raises KeyError."""
    for line in path.read_text().splitlines():
        if line.startswith(name):
            return int(line.split()[1])
    raise KeyError(name)
