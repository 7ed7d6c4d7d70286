"""What is known of a sandbox. Looking never creates, resumes or renews one."""

from __future__ import annotations

import asyncio
import json
from datetime import UTC, datetime
from typing import Any

import e2b
from e2b import SandboxState
from e2b_code_interpreter import AsyncSandbox

from . import inside
from .context import CallContext, ignore
from .errors import SandboxUnavailable
from .failures import SDK_ERRORS, translating
from .languages import installed
from .languages.process import Command, run
from .results import Package, SandboxInfo, SandboxInfoResult
from .sandboxes import NETWORK, THREAD, Sandboxes

_MIB = 1024 * 1024
_DESCRIBE_S = 20


async def describe(sandboxes: Sandboxes, context: CallContext, sandbox_id: str | None = None) -> SandboxInfoResult:
    """Describe a sandbox of the caller's owner; without an id the thread's own, and name the owner's others.

    An unknown id, and another owner's, is a result that says so.
    """
    mine = await sandboxes.find(context)
    every = await sandboxes.owned(context.owner)
    if sandbox_id is not None:
        wanted = next((found for found in every if found.sandbox_id == sandbox_id), None)
        if wanted is None:
            return SandboxInfoResult(
                success=False, error=f"NotFound: you have no sandbox {sandbox_id!r}; it may have ended"
            )
        return SandboxInfoResult(success=True, sandbox=await _whole(sandboxes, wanted))
    others = tuple(_brief(found) for found in every if mine is None or found.sandbox_id != mine.sandbox_id)
    if mine is None:
        note = "this thread has no sandbox yet; the first run of code makes one"
        return SandboxInfoResult(success=True, others=others, notes=(note,))
    return SandboxInfoResult(success=True, sandbox=await _whole(sandboxes, mine), others=others)


async def listed(sandboxes: Sandboxes, owner: str, sandbox_id: str | None = None) -> tuple[SandboxInfo, ...]:
    """Return the owner's sandboxes, or the one of an id, with the numbers of the running ones; oldest first."""
    every = [found for found in await sandboxes.owned(owner) if sandbox_id in (None, found.sandbox_id)]
    async with asyncio.TaskGroup() as asking:
        tasks = [asking.create_task(_measured(sandboxes, found)) for found in every]
    return tuple(task.result() for task in tasks)


async def _measured(sandboxes: Sandboxes, found: e2b.SandboxInfo) -> SandboxInfo:
    brief = _brief(found)
    if brief.state == "paused":
        return brief
    try:
        return brief.model_copy(update=await _numbers(sandboxes, found.sandbox_id))
    except SandboxUnavailable:
        return brief  # It ended meanwhile.


def _brief(found: e2b.SandboxInfo) -> SandboxInfo:
    left = int((found.end_at - datetime.now(UTC)).total_seconds())
    return SandboxInfo(
        sandbox_id=found.sandbox_id,
        state="paused" if found.state is SandboxState.PAUSED else "running",
        template=found.name or found.template_id,
        started_at=found.started_at.isoformat(timespec="seconds"),
        ends_at=found.end_at.isoformat(timespec="seconds"),
        seconds_left=max(0, left),
        cpu_count=found.cpu_count,
        memory_limit_mib=found.memory_mb,
        thread_id=found.metadata.get(THREAD),
        network=found.metadata.get(NETWORK),
        metadata={name: value for name, value in found.metadata.items() if not name.startswith("sandloop.")},
    )


async def _whole(sandboxes: Sandboxes, found: e2b.SandboxInfo) -> SandboxInfo:
    brief = _brief(found)
    if brief.state == "paused":
        return brief
    with translating(found.sandbox_id):
        sandbox = await sandboxes.looking_at(found.sandbox_id)
        inner = await _inside(sandbox)
    return brief.model_copy(update={**inner, **await _numbers(sandboxes, found.sandbox_id)})


async def _numbers(sandboxes: Sandboxes, sandbox_id: str) -> dict[str, float]:
    now = await sandboxes.metrics_of(sandbox_id)
    if now is None:
        return {}
    return {
        "cpu_percent": now.cpu_used_pct,
        "memory_mib": now.mem_used // _MIB,
        "memory_limit_mib": now.mem_total // _MIB,
        "disk_mib": now.disk_used // _MIB,
        "disk_limit_mib": now.disk_total // _MIB,
    }


async def _inside(sandbox: AsyncSandbox) -> dict[str, Any]:
    """Ask the sandbox for packages and languages. What it answers is its own claim, so it is checked for shape."""
    path = "/tmp/.sandloop-describe.py"
    try:
        await sandbox.files.write(path, inside.source("describe"))
        command = Command(f"python3 {path}", "/home/user", {}, 4 * _MIB)
        told = json.loads((await run(sandbox, command, timeout_s=_DESCRIBE_S, on_output=ignore)).stdout.text())
        packages = tuple(Package(name=str(name), version=str(version)) for name, version in told["packages"])
        languages = tuple(language.name for language in await installed(sandbox))
    except (*SDK_ERRORS, SandboxUnavailable, ValueError, KeyError, TypeError):
        return {}
    about = {name: str(told.get(name, ""))[:100] for name in ("python", "platform")}
    return {"packages": packages, "languages": languages, **about}
