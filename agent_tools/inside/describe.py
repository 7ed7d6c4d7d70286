"""Describe the Python environment; runs in a sandbox. Prints one JSON object on stdout."""

from __future__ import annotations

import importlib.metadata
import json
import platform
import sys


def packages() -> list[tuple[str, str]]:
    """Return name and version of all importable distributions; of two versions the one that is imported."""
    found: dict[str, tuple[str, str]] = {}
    for distribution in importlib.metadata.distributions():
        name = distribution.metadata["Name"]
        if name:
            found.setdefault(name.lower(), (name, distribution.version))
    return sorted(found.values(), key=lambda package: package[0].lower())


if __name__ == "__main__":
    print(  # noqa: T201
        json.dumps(
            {
                "python": platform.python_version(),
                "executable": sys.executable,
                "platform": platform.platform(),
                "packages": packages(),
            }
        )
    )
