"""Code, commands and packages in a thread's sandbox."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Callable, Coroutine
from typing import Annotated, Any

from fastapi import APIRouter, Query, Request, Response

from agent_tools.context import CallContext
from agent_tools.languages import LANGUAGES
from agent_tools.results import Artifact, CommandResult, InstallResult, Result

from . import callers
from .bodies import StrictRoute
from .callers import Current
from .code_models import (
    DEFAULT_THREAD,
    Call,
    CommandCall,
    ExecuteCall,
    Execution,
    InstallCall,
    LanguageEntry,
    Languages,
    ThreadId,
)
from .problems import described
from .services import Services, Used
from .streams import EVENT_STREAM, Event, EventStream, LivePieces, Piece, wants_events, while_connected
from .texts import as_json

router = APIRouter(
    prefix="/code",
    tags=["code"],
    route_class=StrictRoute,
    dependencies=[callers.described],
    responses=described(400, 401, 403, 422, 429, 503),
)

_EVENTS = {
    "content": {
        EVENT_STREAM: {
            "schema": {"$ref": "#/components/schemas/CodeEvents"},
            "example": 'event: stdout\ndata: {"text": "42\\n"}\n\nevent: end\ndata: {"success": true}\n\n',
        }
    },
    "description": "The result; with `Accept: text/event-stream` events: `stdout`, `stderr` and `status` "
    "({text}) as they come, one `artifact` for each rich result, and `end` with the result without artifacts. "
    "What goes wrong after the first event is a `problem`.",
}

Run = Callable[[CallContext], Coroutine[Any, Any, Result]]


@router.post("/execute", response_model=Execution, responses={200: _EVENTS})
async def execute(call: ExecuteCall, request: Request, caller: Current, services: Used) -> Response:
    """Run code. That it failed is a result with `success` false; a client that goes away stops it."""

    async def run(context: CallContext) -> Execution:
        result = await services.executor.execute_code(
            call.code,
            call.language or services.settings.e2b.default_language,
            context,
            timeout_s=call.timeout or context.policy.max_execution_time,
            install_packages=call.install_packages,
        )
        return Execution.of(result, call.thread_id)

    return await _answered(request, caller, services, call, run)


@router.post("/run-command", response_model=CommandResult, responses={200: _EVENTS})
async def run_command(call: CommandCall, request: Request, caller: Current, services: Used) -> Response:
    """Run a shell command in the sandbox's home."""

    async def run(context: CallContext) -> CommandResult:
        seconds = call.timeout or context.policy.max_execution_time
        return await services.executor.run_command(call.command, context, timeout_s=seconds, background=call.background)

    return await _answered(request, caller, services, call, run)


@router.post("/install-packages", response_model=InstallResult, responses={200: _EVENTS})
async def install_packages(call: InstallCall, request: Request, caller: Current, services: Used) -> Response:
    """Install packages of Python, or of npm for JavaScript and TypeScript."""

    async def run(context: CallContext) -> InstallResult:
        seconds = call.timeout or context.policy.max_execution_time
        return await services.executor.install_packages(call.packages, call.language, context, timeout_s=seconds)

    return await _answered(request, caller, services, call, run)


@router.get("/languages")
async def languages(
    caller: Current, services: Used, thread_id: Annotated[ThreadId, Query()] = DEFAULT_THREAD
) -> Languages:
    """List the languages, and which of them the thread's sandbox can run; makes the sandbox when there is none."""
    there = await services.executor.languages(services.context(caller, thread_id))
    entries = [
        LanguageEntry(
            name=language.name,
            title=language.title,
            aliases=language.aliases,
            ending=language.ending,
            stateful=language.kernel is not None,
            available=language.name in there,
            how_to_install=language.how_to_install,
        )
        for language in LANGUAGES
    ]
    return Languages(default=services.settings.e2b.default_language, languages=entries)


async def _answered(request: Request, caller: callers.Caller, services: Services, call: Call, run: Run) -> Response:
    """Run, and answer as the client asks for it: with events, or with one JSON value."""
    seconds = services.settings.limits.call_seconds
    if wants_events(request):
        pieces = LivePieces()
        context = services.context(
            caller,
            call.thread_id,
            call.policy,
            approved=call.approved,
            on_output=pieces.put,
            on_artifact=pieces.put,
        )
        return EventStream(_events(pieces, run, context), seconds)
    context = services.context(caller, call.thread_id, call.policy, approved=call.approved)
    result = await while_connected(request, run(context), seconds)
    return Response(as_json(result), media_type="application/json")


async def _events(pieces: LivePieces, run: Run, context: CallContext) -> AsyncIterator[Event]:
    """Yield live output while the work runs, and what came of it. Closing stops the work."""
    task = asyncio.ensure_future(run(context))
    task.add_done_callback(lambda _: pieces.end())
    sent: set[str] = set()
    try:
        async for piece in pieces:
            if isinstance(piece, Artifact):
                sent.add(piece.name)
            yield _event(piece)
        result = await task
        if isinstance(result, Execution):
            for artifact in result.artifacts:
                if artifact.name not in sent:
                    yield _event(artifact)
            result = result.model_copy(update={"artifacts": ()})
        yield Event("end", as_json(result))
    finally:
        task.cancel()


def _event(piece: Piece) -> Event:
    if isinstance(piece, Artifact):
        return Event("artifact", as_json(piece))
    # What a sandbox prints may hold lone surrogates: they travel escaped.
    return Event(piece.stream, json.dumps({"text": piece.text}))
