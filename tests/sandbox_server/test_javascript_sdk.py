"""E2B's JavaScript SDK, unmodified, against the server."""

from __future__ import annotations

import os
import shutil
import subprocess
from pathlib import Path

import pytest

from .conftest import API_KEY, RunningServer

PROGRAM = Path(__file__).parent / "javascript"
OLDEST_NODE = 20
INSTALL_SECONDS = 100


def node_version() -> int:
    if not (shutil.which("node") and shutil.which("npm")):
        return 0
    return int(subprocess.run(["node", "--version"], capture_output=True, text=True).stdout.strip("v\n").split(".")[0])


@pytest.fixture(scope="module")
def program(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The program in a folder with the SDK, of the versions in its lock file."""
    if node_version() < OLDEST_NODE:
        pytest.skip(f"node {OLDEST_NODE} or newer, with npm, is not on the PATH")
    folder = tmp_path_factory.mktemp("javascript") / "smoke"
    shutil.copytree(PROGRAM, folder, ignore=shutil.ignore_patterns("node_modules"))
    command = ["npm", "ci", "--no-audit", "--no-fund", "--ignore-scripts", "--prefer-offline"]
    installed = subprocess.run(command, cwd=folder, capture_output=True, text=True, timeout=INSTALL_SECONDS)
    assert installed.returncode == 0, installed.stderr
    return folder / "smoke.mjs"


def test_the_javascript_sdk_drives_a_sandbox_from_create_to_kill(server: RunningServer, program: Path) -> None:
    address = {"E2B_API_URL": server.url, "E2B_SANDBOX_URL": server.url, "E2B_API_KEY": API_KEY}
    run = subprocess.run(["node", program], env={**os.environ, **address}, capture_output=True, text=True, timeout=100)
    assert run.returncode == 0, run.stderr
