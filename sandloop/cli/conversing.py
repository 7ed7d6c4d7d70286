"""One turn with an agent: the request, the live view, the person's approvals, and the files that come of it."""

from __future__ import annotations

import asyncio
import base64
import contextlib
import sys
from collections.abc import AsyncGenerator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from .approvals import decide
from .exits import ExitCode, Problem
from .results import Outputs
from .terminal import Stream
from .view import View

if TYPE_CHECKING:
    from agent_tools.policy import SandboxPolicy
    from graphs.requests import AgentEvent, AgentResponse, ApprovalRequest, InputFile, ThreadDetail
    from graphs.service import AgentService

    from ..settings import Settings

Approve = Literal["ask", "never", "always"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Wanted:
    """What all turns of a command have in common; see the options of `run`."""

    agent_type: str | None = None
    provider: str | None = None
    model: str | None = None
    system_prompt: str | None = None
    system_prompt_mode: Literal["extend", "replace"] = "extend"
    tools: tuple[str, ...] = ()
    approve: Approve = "ask"
    save_dir: Path | None = None
    as_json: bool = False
    policy: SandboxPolicy | None = field(default=None)


def configured_policy(settings: Settings) -> SandboxPolicy | None:
    """Return the settings' policy; None when they have none, so that the agent type's holds."""
    return settings.policy if settings.policy.model_fields_set else None


def input_files(paths: Sequence[Path]) -> tuple[InputFile, ...]:
    """Read the files that go into the sandbox's home."""
    from graphs.requests import InputFile

    found = []
    for path in paths:
        try:
            content = base64.b64encode(path.read_bytes()).decode()
        except OSError as error:
            raise Problem(f"{path} cannot be read: {error.strerror}") from error
        found.append(InputFile(name=path.name, content=content))
    return tuple(found)


class Conversation:
    """Turns with one agent, in one thread."""

    def __init__(self, service: AgentService, view: View, wanted: Wanted, thread_id: str | None) -> None:
        self._service = service
        self._view = view
        self._wanted = wanted
        self.thread_id = thread_id

    async def say(self, message: str, files: tuple[InputFile, ...] = ()) -> ExitCode:
        """Send a message and show what comes of it."""
        from graphs.requests import AgentRequest

        wanted = self._wanted
        request = AgentRequest(
            message=message,
            agent_type=await self._agent_type(),
            provider_id=wanted.provider,
            model_id=wanted.model,
            system_prompt=wanted.system_prompt,
            system_prompt_mode=wanted.system_prompt_mode,
            tools=wanted.tools,
            thread_id=self.thread_id,
            files=files,
            policy=wanted.policy,
        )
        outputs = await Outputs.before(self._service.executor, self.thread_id, files)
        return await self._turn(self._service.stream(request), outputs)

    async def go_on(self) -> ExitCode:
        """Go on with a run that waits for a person, or that was interrupted."""
        assert self.thread_id is not None
        outputs = await Outputs.before(self._service.executor, self.thread_id, ())
        waiting = (await self.detail()).approvals
        decisions = decide(self._view, waiting, self._wanted.approve) if waiting else ()
        if decisions is None:
            return self._left_waiting(waiting)
        return await self._turn(self._service.resume(self.thread_id, decisions), outputs)

    async def detail(self) -> ThreadDetail:
        """Return the thread as it is.

        Raises:
            ThreadNotFound: there is none of this id.
        """
        return await self._service.thread(self.thread_id or "")

    async def _agent_type(self) -> str:
        """Return the type that was asked for, else the thread's, else the default one."""
        from graphs.errors import ThreadNotFound

        if self._wanted.agent_type is None and self.thread_id is not None:
            try:
                return (await self.detail()).agent_type
            except ThreadNotFound:
                pass
        return self._wanted.agent_type or "coding"

    async def _turn(self, events: AsyncGenerator[AgentEvent], outputs: Outputs) -> ExitCode:
        response = await self._shown(events)
        while response.stopped_because == "approval":
            decisions = decide(self._view, response.approvals, self._wanted.approve)
            if decisions is None:
                return self._left_waiting(response.approvals)
            response = await self._shown(self._service.resume(response.thread_id, decisions))
        await outputs.show(self._view, response, self._wanted.save_dir)
        return self._ended(response)

    async def _shown(self, events: AsyncGenerator[AgentEvent]) -> AgentResponse:
        with self._view:
            async with contextlib.aclosing(events):
                try:
                    async for event in events:
                        self._view.show(event)
                        if event.type == "started":
                            self.thread_id = event.thread_id
                except asyncio.CancelledError:
                    self._view.pause()
                    self._view.line("stopped; what was running has been cancelled", "yellow")
                    raise
        assert self._view.response is not None
        return self._view.response

    def _left_waiting(self, waiting: Sequence[ApprovalRequest]) -> ExitCode:
        self._view.line(f"{len(waiting)} call(s) wait for your approval", "yellow")
        return ExitCode.WAITING

    def _ended(self, response: AgentResponse) -> ExitCode:
        if response.failure is not None:
            self._view.line(f"{response.failure.name}: {response.failure.message}", "bold red")
        used = response.usage.total_tokens
        steps = len(response.steps)
        self._view.line(
            f"{response.stopped_because.replace('_', ' ')} · {steps} step{'' if steps == 1 else 's'}"
            f"{f' · {used:,} tokens' if used else ''}",
            "dim",
        )
        if self._wanted.as_json:
            Stream(sys.stdout).line(response.model_dump_json())
        elif not (sys.stdout.isatty() and sys.stderr.isatty()):
            # On a terminal the view has shown it.
            Stream(sys.stdout).line(response.answer)
        return {
            "answered": ExitCode.SUCCESS,
            "model_calls": ExitCode.LIMIT,
            "tool_calls": ExitCode.LIMIT,
            "cancelled": ExitCode.INTERRUPTED,
            "approval": ExitCode.WAITING,
        }.get(response.stopped_because, ExitCode.FAILED)
