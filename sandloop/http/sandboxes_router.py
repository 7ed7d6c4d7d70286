"""The caller's sandboxes. Looking never makes, wakes or renews one."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Path, Query, Response
from pydantic import BaseModel, ConfigDict, Field

from agent_tools.results import SandboxInfo

from . import callers
from .bodies import StrictRoute
from .callers import Current
from .problems import described, not_found
from .services import Used

router = APIRouter(
    prefix="/sandboxes",
    tags=["sandboxes"],
    route_class=StrictRoute,
    dependencies=[callers.described],
    responses=described(400, 401, 403, 422, 429, 503),
)

SandboxId = Annotated[str, Path(pattern=r"^[A-Za-z0-9-]{1,100}$")]


class Extension(BaseModel):
    """How long a sandbox is to live from now on."""

    model_config = ConfigDict(extra="forbid", json_schema_extra={"examples": [{"seconds": 1800}]})

    seconds: int = Field(default=1800, ge=1, le=86_400)


@router.get("")
async def sandboxes(caller: Current, services: Used) -> list[SandboxInfo]:
    """List them, oldest first, running and paused, with CPU and memory of the running ones."""
    return list(await services.executor.sandboxes_of(caller.subject))


@router.get("/{sandbox_id}", responses=described(404))
async def sandbox(
    sandbox_id: SandboxId,
    caller: Current,
    services: Used,
    details: Annotated[bool, Query(description="Also packages and languages, which takes longer.")] = False,
) -> SandboxInfo:
    """Describe one, with CPU and memory of now."""
    if details:
        # A thread of no name has no sandbox of its own: only the id counts.
        found = await services.executor.sandbox_info(services.context(caller, "-"), sandbox_id)
        info = found.sandbox
    else:
        info = await services.executor.sandbox_numbers(caller.subject, sandbox_id)
    if info is None:
        raise not_found("sandbox")
    return info


@router.post("/{sandbox_id}/extend", responses=described(404))
async def extend(sandbox_id: SandboxId, extension: Extension, caller: Current, services: Used) -> SandboxInfo:
    """Let one live so many seconds from now."""
    if not await services.executor.sandboxes.extend(caller.subject, sandbox_id, extension.seconds):
        raise not_found("sandbox")
    info = await services.executor.sandbox_numbers(caller.subject, sandbox_id)
    if info is None:
        raise not_found("sandbox")
    return info


@router.delete("/{sandbox_id}", status_code=204, responses=described(404))
async def kill(sandbox_id: SandboxId, caller: Current, services: Used) -> Response:
    """End one, with all that is in it."""
    if not await services.executor.sandboxes.kill(caller.subject, sandbox_id):
        raise not_found("sandbox")
    return Response(status_code=204)
