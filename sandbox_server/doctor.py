"""What this machine can do for sandboxes, and what to change: the report behind `doctor`."""

from __future__ import annotations

import dataclasses
import json
import os
import sys
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

from .checks import Finding, Level, isolation, languages, resources, running
from .isolation import toolchains
from .settings import Settings

_CONTAINER_MARKS = (Path("/.dockerenv"), Path("/run/.containerenv"))
_INDENT = " " * 6


def _to_stderr(line: str) -> None:
    print(line, file=sys.stderr, flush=True)  # noqa: T201


def examine(
    environ: Mapping[str, str] = os.environ, progress: Callable[[str], None] = _to_stderr
) -> tuple[Finding, ...]:
    """Check everything; the last finding is that of the self-test. Builds the default template when needed."""
    root = os.getuid() == 0
    in_container = isolation.container(_CONTAINER_MARKS, Path("/proc/self/status"), root=root)
    folder, template = resources.template(progress)
    findings = [
        isolation.bubblewrap(environ.get("PATH", os.defpath), root=root),
        *isolation.user_namespaces(),
        *([in_container] if in_container else []),
        isolation.system_call_filter(),
        isolation.control_groups(os.getpid()),
        resources.memory(Path("/proc/meminfo"), Settings()),
        template,
    ]
    if folder is not None:
        findings += languages.languages(folder, toolchains.search_path(toolchains.find(environ)))
        findings += resources.registries(folder / "bin" / "npm", environ)
    return (*findings, running.self_test(progress))


def usable(findings: Sequence[Finding]) -> bool:
    """Whether sandboxes run here: the self-test says so, whatever else looks wrong."""
    return findings[-1].level is not Level.FAIL


def as_text(findings: Sequence[Finding]) -> str:
    """Return the report for a person, a line for each finding and one for what to do about it."""
    width = max(len(finding.name) for finding in findings)
    lines = []
    for finding in findings:
        lines.append(f"{finding.level:<5} {finding.name:<{width}}  {finding.detail}")
        if finding.advice:
            lines += [f"{_INDENT}{line}" for line in f"-> {finding.advice}".splitlines()]
    verdict = "Sandboxes can run here." if usable(findings) else "Sandboxes cannot run here: see the lines with 'fail'."
    return "\n".join([*lines, verdict])


def as_json(findings: Sequence[Finding]) -> str:
    """Return the report for a program."""
    return json.dumps(
        {"usable": usable(findings), "findings": [dataclasses.asdict(finding) for finding in findings]}, indent=2
    )
