"""The caller's conversations with agents."""

from __future__ import annotations

from typing import Annotated, Literal

from fastapi import APIRouter, Path, Query, Response
from pydantic import BaseModel, ConfigDict, Field

from graphs.requests import ThreadDetail, ThreadSummary

from . import callers
from .bodies import StrictRoute
from .callers import Current
from .code_models import ThreadId
from .files_router import attachment
from .problems import described
from .services import Used
from .texts import as_json

router = APIRouter(
    prefix="/agents/threads",
    tags=["threads"],
    route_class=StrictRoute,
    dependencies=[callers.described],
    responses=described(400, 401, 403, 404, 422, 429, 503),
)
Thread = Annotated[ThreadId, Path()]
_TYPES = {"ipynb": "application/x-ipynb+json", "zip": "application/zip"}


class Title(BaseModel):
    """A thread's new title."""

    model_config = ConfigDict(extra="forbid", json_schema_extra={"examples": [{"title": "Sales of 2025"}]})

    title: str = Field(min_length=1, max_length=200, pattern=r"\S")


@router.get("")
async def threads(caller: Current, services: Used) -> list[ThreadSummary]:
    """List them, the one last used first."""
    return await services.agents.threads(owner=caller.subject)


@router.get("/{thread_id}", response_model=ThreadDetail)
async def thread(thread_id: Thread, caller: Current, services: Used) -> Response:
    """Return one with all that was said, and the calls that wait for a decision."""
    detail = await services.agents.thread(thread_id, owner=caller.subject)
    return Response(as_json(detail), media_type="application/json")


@router.patch("/{thread_id}", status_code=204)
async def rename(thread_id: Thread, title: Title, caller: Current, services: Used) -> Response:
    """Give one another title."""
    await services.agents.rename_thread(thread_id, title.title, owner=caller.subject)
    return Response(status_code=204)


@router.delete("/{thread_id}", status_code=204, responses=described(409))
async def delete(thread_id: Thread, caller: Current, services: Used) -> Response:
    """Delete one with all that it holds, and end its sandbox."""
    await services.agents.delete_thread(thread_id, owner=caller.subject)
    return Response(status_code=204)


@router.get(
    "/{thread_id}/export",
    response_class=Response,
    responses={200: {"content": {kind: {} for kind in _TYPES.values()}}},
)
async def export(
    thread_id: Thread,
    caller: Current,
    services: Used,
    format: Annotated[Literal["ipynb", "zip"], Query()] = "ipynb",
) -> Response:
    """Return one as a notebook, or as a zip of the notebook, the artifacts and the sandbox's files."""
    data = await services.agents.export_thread(thread_id, owner=caller.subject, format=format)
    return attachment(data, f"{thread_id}.{format}", _TYPES[format])
