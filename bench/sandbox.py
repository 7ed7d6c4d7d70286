"""Measure the sandbox server through E2B's SDK, beside a cold ipykernel for each sandbox.

Run it on a quiet machine: `python -m bench.sandbox` in the repository's root, or `make bench`.
"""

from __future__ import annotations

import argparse
import dataclasses
import json
import subprocess
import sys
from pathlib import Path

from sandbox_server import templates

from . import report
from .figures import Figure
from .measures import MEASURES, Rounds
from .server import running

COLD = "cold"
_ROOT = Path(__file__).parents[1]
_RESULTS = Path(__file__).parent / "results" / "sandbox.json"
_COLD_ROUNDS = 10
_COLD_ROUNDS_QUICK = 3
_COLD_SECONDS = 300


def main() -> None:
    options = _parser().parse_args()
    rounds = Rounds.quick() if options.quick else Rounds()
    if options.alive:
        rounds = dataclasses.replace(rounds, alive=options.alive)
    names = options.only or [*MEASURES, COLD]
    figures = _ours([name for name in MEASURES if name in names], rounds)
    cold = _cold(_COLD_ROUNDS_QUICK if options.quick else _COLD_ROUNDS) if COLD in names else []
    print(report.table(figures, cold))
    report.write(options.json, figures, cold)
    _tell(f"written to {options.json}")


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m bench.sandbox", description=__doc__.splitlines()[0])
    names = (*MEASURES, COLD)
    parser.add_argument("--quick", action="store_true", help="fewer rounds: half a minute, and rougher numbers")
    parser.add_argument(
        "--only", action="append", choices=names, metavar="NAME", help=f"one of {', '.join(names)}; repeatable"
    )
    parser.add_argument("--alive", type=int, metavar="N", help="how many sandboxes 'alive' keeps at once")
    parser.add_argument("--json", type=Path, default=_RESULTS, metavar="FILE", help="where the figures are written")
    return parser


def _ours(names: list[str], rounds: Rounds) -> list[Figure]:
    figures: list[Figure] = []
    if names:
        with running() as server:
            for name in names:
                _tell(f"measuring {name}")
                figures += MEASURES[name](server, rounds)
    return figures


def _cold(rounds: int) -> list[Figure]:
    _tell(f"measuring {COLD}")
    python = templates.ensure(templates.DEFAULT_REQUIREMENTS, progress=_tell).path / "bin" / "python"
    command = [str(python), "-m", "bench.cold_kernel", "--rounds", str(rounds)]
    output = subprocess.run(command, cwd=_ROOT, stdout=subprocess.PIPE, timeout=_COLD_SECONDS, check=True).stdout
    return [Figure(**figure) for figure in json.loads(output)]


def _tell(text: str) -> None:
    print(text, file=sys.stderr)


if __name__ == "__main__":
    main()
