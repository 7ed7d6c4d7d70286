"""The table that people read, and the JSON for programs."""

from __future__ import annotations

import json
import os
import platform
import time
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path

from .figures import Figure

_HEAD = ("", "measured", "target (2 cores)", "cold ipykernel", "cold / ours")
_NOTES = (
    "The clients run on the same machine: they and the server share its processors.",
    "Memory is what each sandbox, its Python kernel started, adds. PSS: the sum of /proc/*/smaps_rollup over the",
    "server's process tree, read as root only. MemAvailable: the host's, kernel memory and other programs included.",
)


def table(figures: Sequence[Figure], cold: Sequence[Figure]) -> str:
    """Return aligned columns, one line a figure, the cold kernel's beside those that it has too."""
    colds = {figure.name: figure for figure in cold}
    rows = [_HEAD, *(_row(figure, colds.pop(figure.name, None)) for figure in figures)]
    rows += [(figure.name, "", "", _amount(figure), "") for figure in colds.values()]
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    lines = []
    for name, *cells in rows:
        right = (cell.rjust(width) for cell, width in zip(cells, widths[1:], strict=True))
        lines.append("  ".join((name.ljust(widths[0]), *right)).rstrip())
    return "\n".join((*lines, "", *_NOTES))


def _row(figure: Figure, cold: Figure | None) -> tuple[str, ...]:
    if cold is None:
        return figure.name, _amount(figure), figure.target, "", ""
    ratio = f"{cold.value / figure.value:.0f}" if figure.value > 0 else ""
    return figure.name, _amount(figure), figure.target, _amount(cold), ratio


def _amount(figure: Figure) -> str:
    digits = 0 if abs(figure.value) >= 100 else 1 if abs(figure.value) >= 10 else 2
    return f"{figure.value:.{digits}f} {figure.unit}"


def write(path: Path, figures: Sequence[Figure], cold: Sequence[Figure]) -> None:
    """Write everything that the table shows, and on what it was measured."""
    path.parent.mkdir(parents=True, exist_ok=True)
    found = {
        "time": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime()),
        "processors": os.cpu_count(),
        "kernel": platform.release(),
        "python": platform.python_version(),
        "sandbox_server": [asdict(figure) for figure in figures],
        "cold_ipykernel": [asdict(figure) for figure in cold],
    }
    path.write_text(json.dumps(found, indent=2, ensure_ascii=False) + "\n")
