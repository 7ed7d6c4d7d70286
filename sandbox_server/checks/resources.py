"""The template, the memory and the package registries that sandboxes would have."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path

from .. import templates
from ..egress import discover
from ..errors import TemplateError
from ..guest.config import MIB
from ..settings import DEFAULT_TEMPLATE, Settings, default_requirements
from .finding import Finding, Level


def template(progress: Callable[[str], None]) -> tuple[Path | None, Finding]:
    """Return the default template's folder, building it when needed."""
    said: list[str] = []

    def listen(line: str) -> None:
        said.append(line)
        progress(line)

    try:
        built = templates.ensure(default_requirements(), name=DEFAULT_TEMPLATE, progress=listen)
    except TemplateError as error:
        return None, Finding("template", Level.FAIL, "it cannot be built", str(error))
    size = sum(_size(Path(folder, file)) for folder, _, files in os.walk(built.path) for file in files)
    made = "built just now" if said else "built before"
    detail = f"{built.name}, Python {built.python_version}, {made}, {size // MIB} MiB at {built.path}"
    return built.path, Finding("template", Level.OK, detail)


def _size(file: Path) -> int:
    return file.lstat().st_blocks * 512


def memory(meminfo: Path, settings: Settings) -> Finding:
    """Compare what /proc/meminfo says is available with what the server and one sandbox want."""
    fields = dict(line.split(":", 1) for line in meminfo.read_text(encoding="ascii").splitlines())
    available = int(fields["MemAvailable"].split()[0]) * 1024
    floor, wanted = settings.memory_floor_bytes, settings.limits.total_memory_bytes
    detail = f"{available // MIB} MiB available"
    if available < floor:
        return Finding(
            "memory", Level.FAIL, f"{detail}, under the floor of {floor // MIB} MiB: no sandbox is created", "free some"
        )
    if available < wanted:
        return Finding(
            "memory",
            Level.WARN,
            f"{detail}; one sandbox may take {wanted // MIB} MiB",
            "lower --memory-mb or --home-mb",
        )
    return Finding("memory", Level.OK, detail)


def registries(npm: Path, environ: Mapping[str, str], python: str = sys.executable) -> Iterator[Finding]:
    """Ask the host's pip and npm which package registries sandboxes may use."""
    found = discover([python], [str(npm)] if npm.exists() else None, environ)
    hosts = ", ".join(found.hosts) or "none on the network"
    if found.index_url or found.npm_registry:
        yield Finding("registries", Level.OK, f"hosts: {hosts}")
    else:
        yield Finding(
            "registries",
            Level.WARN,
            "sandboxes cannot install packages",
            "configure pip (pip config set global.index-url)",
        )
    for warning in found.warnings:
        yield Finding("registries", Level.WARN, warning)
