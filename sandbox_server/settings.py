"""The server's settings: one frozen value, read once at the edge and passed in."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from .guest.config import MIB, Limits

DEFAULT_TEMPLATE = "code-interpreter-v1"
ALIASES = {"base": DEFAULT_TEMPLATE}
"""Names under which E2B's own templates are asked for."""


@dataclass(frozen=True, slots=True)
class Settings:
    """How one server runs. Seconds and bytes."""

    host: str = "127.0.0.1"
    port: int = 0
    api_key: str = ""
    templates: Mapping[str, Path] = field(default_factory=dict)
    """More templates: name → requirements file."""
    toolchains: tuple[Path, ...] = ()
    """More folders that sandboxes see read-only, each with a bin/ that comes onto their PATH."""
    limits: Limits = field(default_factory=Limits)
    max_sandboxes: int = 1000
    max_lifetime_s: int = 24 * 3600
    paused_lifetime_s: int = 24 * 3600
    memory_floor_bytes: int = 512 * MIB
    """When the host has less than this available, no sandbox is created (429)."""
    concurrent_creates: int = 16


def default_requirements() -> Path:
    """Return the default template's package list, exact versions with hashes."""
    return Path(__file__).parent / "templates" / "code-interpreter-v1.lock"


def runtime_folder(environ: Mapping[str, str] = os.environ) -> Path:
    """Return this user's folder for the state file and sockets: $XDG_RUNTIME_DIR/sandloop, else one under ~/.cache."""
    if folder := environ.get("XDG_RUNTIME_DIR"):
        return Path(folder, "sandloop")
    cache = environ.get("XDG_CACHE_HOME") or str(Path.home() / ".cache")
    return Path(cache, "sandloop", "run")
