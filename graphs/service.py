"""The service behind every face of the agent: runs, threads and saved configurations of their owners."""

from __future__ import annotations

import contextlib
import uuid
from collections.abc import AsyncGenerator, AsyncIterator, Callable, Mapping, Sequence
from dataclasses import dataclass, field
from types import TracebackType
from typing import Any, Literal, Self

from langchain_core.messages import HumanMessage
from langchain_core.runnables import RunnableConfig
from langgraph.types import Command, StateSnapshot

from agent_tools.context import LOCAL_OWNER, CallContext
from agent_tools.executor import ToolExecutor
from agent_tools.policy import SandboxPolicy

from .agent_types import AgentType, AgentTypes
from .coding import CodingGraph, compiled
from .configs import Configs
from .context import AgentContext
from .conversation import conversation
from .database import Database, open_database
from .decisions import resume_values
from .errors import NothingToResume, ThreadBusy, ThreadNotFound
from .export import as_notebook, as_zip
from .input_files import put_files, readable_files
from .markers import Markers
from .mcp_tools import McpServers
from .middleware.tool_calls import THREAD
from .models import Choice, Models
from .providers import require_tool_calling
from .records import Record, Records, checkpoint_key, now
from .requests import (
    AgentEvent,
    AgentRequest,
    AgentResponse,
    ApprovalDecision,
    ApprovalNeeded,
    CodingAgentConfig,
    Ended,
    Failure,
    Started,
    StoppedBecause,
    ThreadDetail,
    ThreadSummary,
)
from .runs import Emit, Run
from .settings import AgentSettings
from .state import OURS
from .toolset import Plan, Toolset
from .transcript import Transcript, pending_approvals


@dataclass(frozen=True, slots=True)
class _Job:
    """What a run is to do. `message` is None when it goes on with what was begun."""

    owner: str
    record: Record
    plan: Plan
    choice: Choice
    message: str | None = None
    files: Mapping[str, bytes] = field(default_factory=dict)
    command: Command[Any] | None = None

    @property
    def key(self) -> str:
        return checkpoint_key(self.owner, self.record.thread_id)

    @property
    def call_context(self) -> CallContext:
        return CallContext(thread_id=self.record.thread_id, owner=self.owner, policy=self.plan.policy)


class AgentService:
    """Runs agents. Use it as `async with`, on one event loop.

    Args:
        settings: by default from the environment.
        executor: carries tool calls out; by default a new one, which is closed with the service.
        models: makes chat models; by default from the environment's keys.
    """

    def __init__(
        self,
        settings: AgentSettings | None = None,
        executor: ToolExecutor | None = None,
        *,
        models: Models | None = None,
    ) -> None:
        self.settings = settings or AgentSettings.from_environment()
        self.executor = executor or ToolExecutor()
        self._closes_executor = executor is None
        self._types = AgentTypes(self.settings.agent_types)
        self._servers = McpServers()
        self._toolset = Toolset(self.executor, self._types, self._servers, self.settings)
        self._models = models or Models(self.settings)
        self._runs: dict[str, Run] = {}
        self._open = contextlib.AsyncExitStack()
        self._opened: tuple[Database, CodingGraph, Records] | None = None

    async def __aenter__(self) -> Self:
        """Open the database.

        Raises:
            DatabaseUnavailable: says what to do.
        """
        database = await self._open.enter_async_context(open_database(self.settings))
        graph = compiled(
            self._toolset,
            self._models,
            self.settings,
            checkpointer=database.checkpointer,
            store=database.store,
        )
        self._opened = database, graph, Records(database.store)
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Cancel what still runs, which stays resumable, and close the database."""
        for run in list(self._runs.values()):
            await run.stop()
        await self._servers.close()
        if self._closes_executor:
            await self.executor.close()
        self._opened = None
        await self._open.aclose()

    # --- runs

    async def run(self, request: AgentRequest, *, owner: str = LOCAL_OWNER) -> AgentResponse:
        """Send a message to an agent and wait for what comes of it.

        What goes wrong during the run is in the response (`stopped_because` and `failure`), and no exception.

        Raises:
            RequestRefused: nothing was run; says what to change.
        """
        async with contextlib.aclosing(self.stream(request, owner=owner)) as events:
            return await _last(events)

    async def stream(self, request: AgentRequest, *, owner: str = LOCAL_OWNER) -> AsyncGenerator[AgentEvent]:
        """Send a message and yield the events, from `Started` to `Ended`.

        Closing the iterator cancels the run and stops its code; the thread can be resumed.

        Raises:
            RequestRefused: by the first step, before `Started`: nothing was run.
        """
        thread_id = request.thread_id or str(uuid.uuid4())
        context = AgentContext.of(request)
        plan, choice = await self._prepared(context)
        files = readable_files(request.files, plan)
        async with self._begun(owner, thread_id) as begin:
            known = await self._records.find(owner, thread_id)
            record = known or Record.begun(thread_id, request.message, context)
            record = record.model_copy(update={"context": context})
            run = begin(_Job(owner, record, plan, choice, message=request.message, files=files))
            async for event in run.events():
                yield event

    async def resume(
        self, thread_id: str, decisions: Sequence[ApprovalDecision] = (), *, owner: str = LOCAL_OWNER
    ) -> AsyncGenerator[AgentEvent]:
        """Go on with a run that waits for a person, or that was cancelled, failed or crashed; see `stream`.

        Args:
            thread_id: the thread.
            decisions: one for each call that waits; none when the run does not wait.
            owner: whose thread.

        Raises:
            ThreadNotFound, ThreadBusy, NothingToResume, DecisionInvalid: by the first step; nothing was run.
        """
        async with self._begun(owner, thread_id) as begin:
            record = await self._found(owner, thread_id)
            plan, choice = await self._prepared(record.context)
            state = await self._state(owner, thread_id)
            if not state.next:
                raise NothingToResume(f'The last run of the thread "{thread_id}" has ended: send it a message.')
            values = resume_values(pending_approvals(state), decisions, plan.tools)
            run = begin(_Job(owner, record, plan, choice, command=Command(resume=values) if values else None))
            async for event in run.events():
                yield event

    async def cancel(self, thread_id: str, *, owner: str = LOCAL_OWNER) -> bool:
        """Cancel the thread's run, if one goes on in this process, and wait for its end."""
        run = self._runs.get(checkpoint_key(owner, thread_id))
        if run is None:
            return False
        await run.stop()
        return True

    # --- threads

    async def threads(self, *, owner: str = LOCAL_OWNER) -> list[ThreadSummary]:
        """Return the owner's threads, the one last used first."""
        return [
            record.summary(running=checkpoint_key(owner, record.thread_id) in self._runs)
            for record in await self._records.all(owner)
        ]

    async def thread(self, thread_id: str, *, owner: str = LOCAL_OWNER) -> ThreadDetail:
        """Return a thread with all that was said.

        Raises:
            ThreadNotFound: the owner has none of this id.
        """
        record = await self._found(owner, thread_id)
        state = await self._state(owner, thread_id)
        summary = record.summary(running=checkpoint_key(owner, thread_id) in self._runs)
        return ThreadDetail(
            **summary.model_dump(),
            sandbox_id=state.values.get("sandbox_id"),
            messages=conversation(state.values.get("messages") or ()),
            approvals=tuple(request for _, request in pending_approvals(state).values()),
        )

    async def rename_thread(self, thread_id: str, title: str, *, owner: str = LOCAL_OWNER) -> None:
        """Give a thread another title.

        Raises:
            ThreadNotFound: the owner has none of this id.
        """
        record = await self._found(owner, thread_id)
        await self._records.save(owner, record.model_copy(update={"title": title.strip()[:200] or record.title}))

    async def delete_thread(self, thread_id: str, *, owner: str = LOCAL_OWNER) -> None:
        """Delete a thread with all that it holds, and end its sandbox.

        Raises:
            ThreadNotFound: the owner has none of this id.
            ThreadBusy: a run of it is going on.
        """
        async with self._claimed(owner, thread_id):
            record = await self._found(owner, thread_id)
            # An earlier run may have been of another type, and have made one.
            has_sandbox = (await self._state(owner, thread_id)).values.get("sandbox_id") is not None
            await self._database.checkpointer.adelete_thread(checkpoint_key(owner, thread_id))
            await Markers.of(self._database.store, thread_id, owner).aclear()
            await self._records.delete(owner, thread_id)
            if has_sandbox or self._types.find(record.context.agent_type).has_tools:
                await self.executor.sandboxes.release(CallContext(thread_id=thread_id, owner=owner))

    async def export_thread(
        self, thread_id: str, *, owner: str = LOCAL_OWNER, format: Literal["ipynb", "zip"] = "ipynb"
    ) -> bytes:
        """Return a thread as a notebook, or as a zip of the notebook, the artifacts and the sandbox's files.

        Raises:
            ThreadNotFound: the owner has none of this id.
        """
        detail = await self.thread(thread_id, owner=owner)
        if format == "ipynb":
            return as_notebook(detail)
        return await as_zip(detail, self.executor, CallContext(thread_id=thread_id, owner=owner))

    # --- agents

    def agent_types(self) -> list[AgentType]:
        """Return the known agent types."""
        return list(self._types)

    async def configs(self, *, owner: str = LOCAL_OWNER) -> list[CodingAgentConfig]:
        """Return the owner's saved configurations; see `Configs`."""
        return await self._configs.all(owner)

    async def get_config(self, config_id: str, *, owner: str = LOCAL_OWNER) -> CodingAgentConfig:
        """Return one; see `Configs.find`."""
        return await self._configs.find(owner, config_id)

    async def create_config(
        self, policy: SandboxPolicy, agent_type: str = "coding", *, owner: str = LOCAL_OWNER
    ) -> CodingAgentConfig:
        """Save a new one; see `Configs.create`."""
        return await self._configs.create(owner, policy, agent_type)

    async def update_config(
        self, config_id: str, policy: SandboxPolicy, agent_type: str | None = None, *, owner: str = LOCAL_OWNER
    ) -> CodingAgentConfig:
        """Replace one; see `Configs.update`."""
        return await self._configs.update(owner, config_id, policy, agent_type)

    async def delete_config(self, config_id: str, *, owner: str = LOCAL_OWNER) -> None:
        """Delete one; see `Configs.delete`."""
        await self._configs.delete(owner, config_id)

    # --- inside

    async def _prepared(self, context: AgentContext) -> tuple[Plan, Choice]:
        """Check all that can be checked before a run."""
        plan = await self._toolset.aplan(context)
        choice = self._models.choice(context)
        model = await self._models.afind(choice)
        if plan.tools:
            require_tool_calling(model, choice.model_id)
        return plan, choice

    async def _found(self, owner: str, thread_id: str) -> Record:
        record = await self._records.find(owner, thread_id)
        if record is None:
            raise ThreadNotFound(f'There is no thread "{thread_id[:100]}".')
        return record

    async def _state(self, owner: str, thread_id: str) -> StateSnapshot:
        return await self._graph.aget_state(_config(owner, thread_id))

    @contextlib.asynccontextmanager
    async def _claimed(self, owner: str, thread_id: str) -> AsyncIterator[str]:
        """Keep all others from the thread.

        Raises:
            ThreadBusy: a run of it is going on.
        """
        key, claims = checkpoint_key(owner, thread_id), self._database.claims
        if not await claims.take(key):
            raise ThreadBusy(f'A run of the thread "{thread_id[:100]}" is going on: wait for its end, or cancel it.')
        try:
            yield key
        finally:
            await claims.drop(key)

    @contextlib.asynccontextmanager
    async def _begun(self, owner: str, thread_id: str) -> AsyncIterator[Callable[[_Job], Run]]:
        """Claim the thread and hand out what begins its run, which gives the claim back when it ends."""
        claim = contextlib.AsyncExitStack()
        key = await claim.enter_async_context(self._claimed(owner, thread_id))
        async with contextlib.AsyncExitStack() as leaving:
            leaving.push_async_exit(claim)

            def begin(job: _Job) -> Run:
                run = self._runs[key] = self._run_of(job, leaving.pop_all())
                leaving.push_async_callback(run.stop)
                run.start()
                return run

            yield begin

    def _run_of(self, job: _Job, claim: contextlib.AsyncExitStack) -> Run:
        transcript = Transcript()
        run_id = str(uuid.uuid4())

        async def work(emit: Emit) -> None:
            emit(
                Started(
                    thread_id=job.record.thread_id,
                    run_id=run_id,
                    agent_type=job.plan.agent_type.name,
                    provider_id=job.choice.provider_id,
                    model_id=job.choice.model_id,
                    scripted=job.choice.is_scripted,
                )
            )
            await self._records.save(job.owner, _record(job, waiting=False, interrupted=True))
            config = _config(job.owner, job.record.thread_id)
            state = await self._graph.aget_state(config)
            transcript.begin(state.values.get("messages") or (), state.values.get("sandbox_id"))
            async for part in self._graph.astream(
                await self._input(job),
                config,
                context=job.record.context,
                stream_mode=["updates", "messages", "custom"],
                version="v2",
            ):
                for event in transcript.take(part):
                    emit(event)
            transcript.approvals = tuple(
                request for _, request in pending_approvals(await self._graph.aget_state(config)).values()
            )
            if transcript.approvals:
                emit(ApprovalNeeded(requests=transcript.approvals))

        async def ended(failure: Failure | None, cancelled: bool) -> AgentResponse:
            try:
                response = _response(job, transcript, failure, cancelled)
                waiting = response.stopped_because == "approval"
                is_over = failure is None and not cancelled and not waiting
                if is_over:
                    await Markers.of(self._database.store, job.record.thread_id, job.owner).aclear()
                await self._records.save(
                    job.owner, _record(job, waiting=waiting, interrupted=not is_over and not waiting)
                )
                return response
            finally:
                del self._runs[job.key]
                await claim.aclose()

        return Run(work, ended)

    async def _input(self, job: _Job) -> dict[str, Any] | Command[Any] | None:
        """Return what the graph is given: a message, a decision, or nothing, to go on where it stopped."""
        if job.message is None:
            return job.command
        told = await put_files(job.files, self.executor, job.call_context)
        marks = {OURS: {"text": job.message}} if told else {}
        return {"messages": [HumanMessage(job.message + told, id=str(uuid.uuid4()), additional_kwargs=marks)]}

    @property
    def _configs(self) -> Configs:
        return Configs(self._database.store, self._types)

    @property
    def _database(self) -> Database:
        return self._parts[0]

    @property
    def _graph(self) -> CodingGraph:
        return self._parts[1]

    @property
    def _records(self) -> Records:
        return self._parts[2]

    @property
    def _parts(self) -> tuple[Database, CodingGraph, Records]:
        if self._opened is None:
            raise RuntimeError("AgentService is not open: use it as `async with AgentService() as service`")
        return self._opened


def _config(owner: str, thread_id: str) -> RunnableConfig:
    return {
        "configurable": {
            "thread_id": checkpoint_key(owner, thread_id),
            THREAD: thread_id,
            "langgraph_auth_user_id": owner,
        }
    }


def _record(job: _Job, *, waiting: bool, interrupted: bool) -> Record:
    return job.record.model_copy(
        update={
            "updated_at": now(),
            "provider_id": job.choice.provider_id,
            "model_id": job.choice.model_id,
            "waiting": waiting,
            "interrupted": interrupted,
        }
    )


def _response(job: _Job, transcript: Transcript, failure: Failure | None, cancelled: bool) -> AgentResponse:
    if failure is not None:
        because: StoppedBecause = "failed"
    elif cancelled:
        because = "cancelled"
    else:
        because = "approval" if transcript.approvals else transcript.stopped_because
    if because == "failed" and failure is None:
        failure = Failure(name="ReplyUnreadable", message=transcript.answer)
    return AgentResponse(
        answer=transcript.answer,
        thread_id=job.record.thread_id,
        sandbox_id=transcript.sandbox_id,
        steps=tuple(transcript.steps),
        artifacts=transcript.artifacts,
        usage=transcript.usage,
        stopped_because=because,
        approvals=transcript.approvals,
        failure=failure,
        scripted=job.choice.is_scripted,
    )


async def _last(events: AsyncIterator[AgentEvent]) -> AgentResponse:
    response: AgentResponse | None = None
    async for event in events:
        if isinstance(event, Ended):
            response = event.response
    if response is None:
        raise RuntimeError("the run could not be recorded; see the log")
    return response
