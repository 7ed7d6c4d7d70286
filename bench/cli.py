"""Measure the command line as processes, with the resident server warm: `sandloop --help` and `sandloop execute`.

Run it on a quiet machine: `python -m bench.cli` in the repository's root.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from .figures import Figure, median, milliseconds

_ROOT = Path(__file__).parents[1]
_PROGRAM = (sys.executable, "-m", "sandloop")
_EXECUTE = ("execute", "--code", "print(1)", "--language", "python")


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m bench.cli", description=__doc__.splitlines()[0])
    parser.add_argument("--rounds", type=int, default=15, help="how often each is run (default: %(default)s)")
    rounds = parser.parse_args().rounds
    with tempfile.TemporaryDirectory() as runtime:
        environ = {name: value for name, value in os.environ.items() if not name.startswith(("E2B_", "SANDLOOP_"))}
        environ |= {"XDG_RUNTIME_DIR": runtime}
        try:
            _run((*_PROGRAM, *_EXECUTE), environ)  # starts the server, and reads all files once
            figures = _measured(environ, rounds)
        finally:
            _run((sys.executable, "-m", "sandbox_server", "stop"), environ)
    width = max(len(figure.name) for figure in figures)
    for figure in figures:
        print(f"{figure.name:<{width}}  {figure.value:7.0f} {figure.unit}  {figure.target}".rstrip())


def _measured(environ: dict[str, str], rounds: int) -> list[Figure]:
    helps = [_timed((*_PROGRAM, "--help"), environ) for _ in range(rounds)]
    wholes = [_timed((*_PROGRAM, *_EXECUTE), environ) for _ in range(rounds)]
    parts = [_parts(environ) for _ in range(rounds)]
    sandbox = [sum(value for name, value in each.items() if name.startswith("sandbox")) for each in parts]
    return [
        milliseconds("sandloop --help, p50", median(helps), "≤ 500"),
        milliseconds("sandloop execute, p50", median(wholes), "≤ 1500"),
        milliseconds("  of which the sandbox", median(sandbox), "≤ 100"),
        *(milliseconds(f"  {name}", median([each[name] for each in parts])) for name in parts[0]),
    ]


def _parts(environ: dict[str, str]) -> dict[str, float]:
    said = _run((sys.executable, "-m", "bench.execute_parts", str(time.time())), environ)
    return {str(name): float(seconds) for name, seconds in json.loads(said).items()}


def _timed(command: tuple[str, ...], environ: dict[str, str]) -> float:
    start = time.perf_counter()
    _run(command, environ)
    return time.perf_counter() - start


def _run(command: tuple[str, ...], environ: dict[str, str]) -> str:
    return subprocess.run(command, env=environ, cwd=_ROOT, stdout=subprocess.PIPE, text=True, check=True).stdout


if __name__ == "__main__":
    main()
