"""The example of a deep agent runs as its first lines say."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

from agent_tools import SandboxSettings

ROOT = Path(__file__).parents[2]


def test_the_example_runs_without_a_models_key(settings: SandboxSettings):
    keep = {name: value for name, value in os.environ.items() if not name.startswith(("OPENAI_", "SANDLOOP_"))}
    sandboxes = {"E2B_API_KEY": settings.api_key}
    sandboxes |= {"E2B_API_URL": settings.api_url, "E2B_SANDBOX_URL": settings.sandbox_url}
    done = subprocess.run(
        [sys.executable, "-m", "examples.deep_agent"],
        cwd=ROOT,
        env={**keep, **sandboxes},
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=110,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    answer, names = done.stdout.splitlines()
    assert answer == "The busiest day had 2812 bicycles on 2025-07-07."
    assert names == "notebook.ipynb, files/bicycle_counts.csv, files/report.md"
