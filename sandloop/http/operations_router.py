"""For those who run the server: is it up, does it work, what does it do."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable
from importlib.metadata import PackageNotFoundError, version
from typing import Literal

import structlog
from fastapi import APIRouter, Response
from prometheus_client import CONTENT_TYPE_LATEST, generate_latest
from pydantic import BaseModel

from agent_tools import audit

from . import callers
from .callers import Current
from .problems import described
from .services import Used

router = APIRouter(tags=["operations"])

_log = structlog.get_logger(__name__)
_NOBODY = "-"
_READY_SECONDS = 10
_KEPT_SECONDS = 5


class Health(BaseModel):
    """The process answers."""

    status: Literal["ok"] = "ok"
    version: str


class Readiness(BaseModel):
    """Whether calls can be served now: each part is `ok` or `failed`."""

    status: Literal["ready", "not ready"]
    sandboxes: Literal["ok", "failed"]
    database: Literal["ok", "failed"]


@router.get("/health")
async def health() -> Health:
    """Say that the process answers."""
    return Health(version=_version())


@router.get("/ready", responses={503: {"model": Readiness}})
async def ready(services: Used, response: Response) -> Readiness:
    """Say whether the sandbox service answers. Everybody may ask, so an answer is kept for some seconds."""
    state = await _readiness(services)
    response.status_code = 200 if state.status == "ready" else 503
    return state


@router.get(
    "/metrics",
    response_class=Response,
    dependencies=[callers.described],
    responses={**described(401, 429), 200: {"content": {"text/plain": {}}}},
)
async def metrics(_: Current) -> Response:
    """Return the counts of this process for Prometheus."""
    return Response(generate_latest(), headers={"content-type": CONTENT_TYPE_LATEST})


_kept: tuple[float, Readiness] | None = None
_asking = asyncio.Lock()


async def _readiness(services: Used) -> Readiness:
    global _kept
    async with _asking:
        if _kept is None or time.monotonic() - _kept[0] > _KEPT_SECONDS:
            sandboxes = await _works("sandboxes", services.executor.sandboxes.owned(_NOBODY))
            database = await _works("database", services.agents.threads(owner=_NOBODY))
            status: Literal["ready", "not ready"] = "ready" if sandboxes == database == "ok" else "not ready"
            _kept = (time.monotonic(), Readiness(status=status, sandboxes=sandboxes, database=database))
        return _kept[1]


async def _works(part: str, question: Awaitable[object]) -> Literal["ok", "failed"]:
    try:
        async with asyncio.timeout(_READY_SECONDS):
            await question
    except Exception as error:  # Whatever it is that fails: this is the place that says so.
        _log.warning("not ready", part=part, error=type(error).__name__, said=audit.excerpt(str(error), 300))
        return "failed"
    return "ok"


def _version() -> str:
    try:
        return version("sandloop")
    except PackageNotFoundError:
        return "unknown"
