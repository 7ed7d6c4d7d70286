"""Runs of agents: a message in, and the answer or the events of the way to it out."""

from __future__ import annotations

from collections.abc import AsyncGenerator, AsyncIterator
from contextlib import aclosing
from typing import Annotated

from fastapi import APIRouter, Path, Request, Response
from pydantic import BaseModel, ConfigDict, Field

from agent_tools import errors as tool_errors
from agent_tools.errors import SandboxUnavailable
from agent_tools.policy import SandboxPolicy
from graphs.errors import NothingToResume
from graphs.providers import PROVIDERS
from graphs.requests import AgentEvent, AgentRequest, AgentResponse, ApprovalDecision, Ended

from . import callers, problems
from .bodies import StrictRoute
from .callers import Current
from .code_models import ThreadId
from .problems import described
from .services import Used
from .streams import EVENT_STREAM, Event, EventStream, wants_events, while_connected
from .texts import as_json

router = APIRouter(
    prefix="/agents",
    tags=["agents"],
    route_class=StrictRoute,
    dependencies=[callers.described],
    responses=described(400, 401, 403, 422, 429, 503),
)

_EVENTS = {
    "content": {EVENT_STREAM: {"schema": {"$ref": "#/components/schemas/AgentEvents"}}},
    "description": "The answer; with `Accept: text/event-stream` (always for /agents/stream) events with these data, "
    "named as their `type`: `started`, `token`, `tool_call`, `tool_output`, `tool_result`, `approval`, `ended`. "
    "What goes wrong after the first event is a `problem`.",
}
Thread = Annotated[ThreadId, Path()]


class RunCall(AgentRequest):
    """A message to an agent. `policy` narrows or widens what its sandbox may do; `thread_id` goes on with a thread."""

    model_config = ConfigDict(
        json_schema_extra={
            "examples": [
                {"message": "Calculate the factorial of 10", "agent_type": "coding"},
                {
                    "message": "Calculate the factorial of 10",
                    "agent_type": "coding",
                    "system_prompt": "You are a Python coding assistant.",
                    "provider_id": "openai",
                    "model_id": "gpt-4",
                    "tools": [],
                },
            ]
        }
    )

    thread_id: ThreadId | None = None


class ResumeCall(BaseModel):
    """What a person has decided about the calls that wait; nothing for a run that was cancelled or broke off."""

    model_config = ConfigDict(
        extra="forbid",
        json_schema_extra={"examples": [{"decisions": [{"tool_call_id": "call_1", "decision": "approve"}]}]},
    )

    decisions: list[ApprovalDecision] = Field(default=[], max_length=100)


class Cancelled(BaseModel):
    """Whether there was a run to cancel."""

    cancelled: bool


class AgentTypeEntry(BaseModel):
    """A kind of agent; `prompt` is the name of a built-in prompt or a text."""

    name: str
    description: str
    prompt: str
    tools: tuple[str, ...]
    allowed_tools: tuple[str, ...]
    mcp_servers: tuple[str, ...]
    policy: SandboxPolicy


class ProviderEntry(BaseModel):
    """Where models come from. The default one has the default model."""

    id: str
    title: str
    installed: bool
    default_model: str | None = None


@router.get("/types")
async def types(_: Current, services: Used) -> list[AgentTypeEntry]:
    """List the kinds of agents."""
    return [
        AgentTypeEntry(
            name=known.name,
            description=known.description,
            prompt=known.prompt,
            tools=known.tools,
            allowed_tools=known.allowed_tools,
            # Their programs and variables are the server's own business.
            mcp_servers=tuple(server.name for server in known.mcp_servers),
            policy=known.policy,
        )
        for known in services.agents.agent_types()
    ]


@router.get("/providers")
async def providers(_: Current, services: Used) -> list[ProviderEntry]:
    """List where models come from; the one with a default model is used when a request names none."""
    settings = services.agents.settings
    return [
        ProviderEntry(
            id=known.id,
            title=known.title,
            installed=known.is_installed,
            default_model=settings.model_id if known.id == settings.provider_id else None,
        )
        for known in PROVIDERS.values()
    ]


@router.post("/run", response_model=AgentResponse, responses={200: _EVENTS, **described(409)})
async def run(call: RunCall, request: Request, caller: Current, services: Used) -> Response:
    """Send a message to an agent and wait for its answer. A client that goes away stops the run."""
    events = services.agents.stream(_permitted(call, services), owner=caller.subject)
    return await _answered(events, request, services, as_events=call.stream or wants_events(request))


@router.post("/stream", response_class=Response, responses={200: _EVENTS, **described(409)})
async def stream(call: RunCall, request: Request, caller: Current, services: Used) -> Response:
    """Send a message to an agent and see what it does."""
    events = services.agents.stream(_permitted(call, services), owner=caller.subject)
    return await _answered(events, request, services, as_events=True)


@router.post("/{thread_id}/resume", response_model=AgentResponse, responses={200: _EVENTS, **described(404, 409)})
async def resume(thread_id: Thread, call: ResumeCall, request: Request, caller: Current, services: Used) -> Response:
    """Go on with a run that waits for decisions, or that was cancelled or broke off."""
    events = services.agents.resume(thread_id, call.decisions, owner=caller.subject)
    return await _answered(events, request, services, as_events=wants_events(request))


@router.post("/{thread_id}/cancel")
async def cancel(thread_id: Thread, caller: Current, services: Used) -> Cancelled:
    """Cancel the thread's run and stop its code; the thread can be resumed."""
    return Cancelled(cancelled=await services.agents.cancel(thread_id, owner=caller.subject))


def _permitted(call: RunCall, services: Used) -> AgentRequest:
    policy = services.policy(call.policy)
    if call.policy is not None or not policy.model_fields_set:
        return call  # Where the server's settings have no rules, those of the agent type hold.
    return call.model_copy(update={"policy": policy})


async def _answered(
    events: AsyncGenerator[AgentEvent], request: Request, services: Used, *, as_events: bool
) -> Response:
    seconds = services.settings.limits.call_seconds
    if as_events:
        return EventStream(_as_events(events), seconds)
    response = await while_connected(request, _last(events), seconds)
    return Response(as_json(_told(response)), media_type="application/json")


async def _as_events(events: AsyncGenerator[AgentEvent]) -> AsyncIterator[Event]:
    async with aclosing(events) as closing:
        async for event in closing:
            if isinstance(event, Ended):
                event = Ended(response=_told(event.response))
            yield Event(event.type, as_json(event))


async def _last(events: AsyncGenerator[AgentEvent]) -> AgentResponse:
    async with aclosing(events) as closing:
        async for event in closing:
            if isinstance(event, Ended):
                return event.response
    raise NothingToResume("The run has ended without an answer.")


_UNAVAILABLE = frozenset(
    name for name, kind in vars(tool_errors).items() if isinstance(kind, type) and issubclass(kind, SandboxUnavailable)
)


def _told(response: AgentResponse) -> AgentResponse:
    """The answer as a client may read it: why there is no sandbox is for the server's log."""
    failure = response.failure
    if failure is None or failure.name not in _UNAVAILABLE:
        return response
    problem = problems.of(getattr(tool_errors, failure.name)(failure.message))
    assert problem is not None
    return response.model_copy(update={"failure": failure.model_copy(update={"message": problem.detail})})
