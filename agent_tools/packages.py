"""Installing packages in a sandbox."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Literal

from e2b_code_interpreter import AsyncSandbox

from . import audit, inside, logs, metrics
from .context import CallContext, LiveOutput, ignore
from .errors import InvalidCall
from .languages.process import Command, Ended, run
from .rules.requirements import Ecosystem

HOME = "/home/user"
MARKER = f"{HOME}/.sandloop/default-packages.json"
"""Says in the sandbox that its default packages are installed, to whichever process finds it."""

_ECOSYSTEMS: tuple[tuple[str, Ecosystem], ...] = (("python", "python"), ("javascript", "npm"))
_ASK_S = 30
_LAST_LINES = 20
_OUTPUT_BYTES = 256 * 1024

_log = logs.logger("packages")


@dataclass(frozen=True, slots=True)
class Installed:
    """What came of an installation.

    Attributes:
        packages: `name==version` of what was asked for, as it is now.
        error: None, or the installer's last lines.
        seconds: how long it took.
    """

    packages: tuple[str, ...] = ()
    error: str | None = None
    seconds: float = 0


async def install(
    sandbox: AsyncSandbox, requirements: Sequence[str], context: CallContext, *, language: str, timeout_s: float
) -> Installed:
    """Install packages that the policy's checks have passed, saying so live and in the audit log.

    A failed or too slow installation is a result; what the SDK raises passes through.
    """
    if not requirements:
        return Installed()
    started = time.monotonic()
    context.on_output(LiveOutput("status", f"installing {', '.join(requirements)}\n"))
    if language == "python":
        end = await _install_python(sandbox, requirements, context, timeout_s)
    elif language in ("javascript", "typescript"):
        end = await _install_npm(sandbox, requirements, context, timeout_s)
    else:
        raise InvalidCall(
            f"packages can be installed for python and javascript, not for {language}", rule="install.language"
        )
    seconds = time.monotonic() - started
    metrics.INSTALL_SECONDS.labels(language).observe(seconds)
    stdout, stderr = end.stdout.text(), end.stderr.text()
    if end.exit_code is None:
        failed = Installed(error=f"not finished after {timeout_s:.0f} s; give it a longer timeout", seconds=seconds)
    elif end.exit_code:
        said = (stderr or stdout).strip().splitlines()[-_LAST_LINES:]
        failed = Installed(error="\n".join(said) or f"exit code {end.exit_code}", seconds=seconds)
    else:
        names = tuple(_installed(stdout))
        _record(context, sandbox, requirements, language, "installed", seconds)
        _log.debug("installed", packages=names, seconds=round(seconds, 3), said=stderr)
        return Installed(names, seconds=seconds)
    _record(context, sandbox, requirements, language, "timeout" if end.exit_code is None else "failed", seconds)
    _log.debug("install failed", packages=requirements, said=failed.error)
    return failed


def _record(
    context: CallContext,
    sandbox: AsyncSandbox,
    requirements: Sequence[str],
    language: str,
    outcome: Literal["installed", "failed", "timeout"],
    seconds: float,
) -> None:
    audit.record_install(
        context,
        requirements,
        sandbox_id=str(sandbox.sandbox_id),
        language=language,
        outcome=outcome,
        duration_s=seconds,
    )


async def install_defaults(sandbox: AsyncSandbox, context: CallContext) -> None:
    """Install the policy's default packages, unless some process has done so in this sandbox."""
    policy = context.policy
    if not policy.default_packages or await sandbox.files.exists(MARKER):
        return
    installed: list[str] = []
    for language, ecosystem in _ECOSYSTEMS:
        wanted = policy.default_requirements(ecosystem)
        done = await install(sandbox, wanted, context, language=language, timeout_s=policy.max_execution_time)
        if done.error is not None:
            # The sandbox is usable without them, and the code that needs one says which.
            context.on_output(LiveOutput("status", f"the default packages could not be installed: {done.error}\n"))
            _log.warning("default packages not installed", packages=wanted, said=done.error)
            return
        installed += done.packages
    await sandbox.files.write(MARKER, json.dumps(installed))


async def registry_hosts(sandbox: AsyncSandbox) -> tuple[str, ...]:
    """Ask pip and npm in a sandbox which hosts they load packages from; nothing of it is installed or contacted."""
    path = "/tmp/.sandloop-registries.py"
    await sandbox.files.write(path, inside.source("registries"))
    end = await run(sandbox, Command(f"python3 {path}", HOME, {}, _OUTPUT_BYTES), timeout_s=_ASK_S, on_output=ignore)
    try:
        hosts = json.loads(end.stdout.text())
    except ValueError:
        return ()
    return tuple(str(host) for host in hosts) if isinstance(hosts, list) else ()


async def _install_python(
    sandbox: AsyncSandbox, requirements: Sequence[str], context: CallContext, timeout_s: float
) -> Ended:
    program = "/tmp/.sandloop-install.py"
    await sandbox.files.write(program, inside.source("install"))
    environment = {"SANDLOOP_REQUIREMENTS": json.dumps(list(requirements))}
    command = Command(f"python3 {program}", HOME, environment, _OUTPUT_BYTES)
    return await run(sandbox, command, timeout_s=timeout_s, on_output=_progress(context))


async def _install_npm(
    sandbox: AsyncSandbox, requirements: Sequence[str], context: CallContext, timeout_s: float
) -> Ended:
    names = " ".join(f"'{requirement}'" for requirement in requirements)
    line = f"npm install --no-audit --no-fund --no-update-notifier -- {names} >&2 && npm ls --json --depth=0"
    return await run(sandbox, Command(line, HOME, {}, _OUTPUT_BYTES), timeout_s=timeout_s, on_output=_progress(context))


def _progress(context: CallContext) -> Callable[[LiveOutput], None]:
    def tell(piece: LiveOutput) -> None:
        if piece.stream == "stderr":
            context.on_output(LiveOutput("status", piece.text))

    return tell


def _installed(stdout: str) -> list[str]:
    """Read the JSON that ends an installer's output; it comes from a sandbox, so anything may be in it."""
    try:
        told = json.loads(stdout[stdout.index("{") :])
    except ValueError:
        return []
    if not isinstance(told, dict):
        return []
    if isinstance(told.get("installed"), list):
        return [str(name)[:200] for name in told["installed"]]
    dependencies = told.get("dependencies")
    if not isinstance(dependencies, dict):
        return []
    return [
        f"{name}@{entry.get('version', '?')}"[:200] for name, entry in dependencies.items() if isinstance(entry, dict)
    ]
