"""The model's side of the loop: which model, what it reads, what it may call, and when a turn has to end."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Generator
from dataclasses import dataclass
from typing import Any, Final, cast

import structlog
from langchain.agents.middleware import AgentMiddleware, ExtendedModelResponse, ModelRequest, ModelResponse
from langchain_core.language_models import BaseChatModel
from langchain_core.messages import AIMessage, AnyMessage, SystemMessage
from langgraph.types import Command

from ..context import AgentContext
from ..errors import ReplyEmpty
from ..failures import provider_failure, reply_failure
from ..history import call_ids, refusal, repaired, with_own_ids
from ..images import place_for, placed
from ..models import Choice, Models
from ..providers import require_tool_calling
from ..state import OURS, CodingState, Turn, of_turn
from ..summaries import Reading, Summaries
from ..system_prompt import system_prompt
from ..toolset import Plan, Toolset

_TRIES: Final = 3
"""Model calls of one step: after an empty reply, and after one whose tool calls nobody can read."""

_log = structlog.get_logger(__name__)

Request = ModelRequest[AgentContext]
Asking = Generator[Request, ModelResponse[Any], list[AnyMessage]]


@dataclass(frozen=True, slots=True)
class Step:
    """One step of the model, before it is asked."""

    plan: Plan
    model: BaseChatModel
    choice: Choice | None
    turn: Turn

    @property
    def model_id(self) -> str:
        """The model's name, for messages."""
        return self.choice.model_id if self.choice else ""


class ModelCalls(AgentMiddleware[CodingState, AgentContext, Any]):
    """Serves every request with the model, the prompt and the tools that its context names.

    Args:
        toolset: makes the plan of a run.
        models: makes models by name.
        summaries: keeps what the model reads within its window.
        defaults: the context of a run that has none.
        model: used instead of a named one.
    """

    state_schema = CodingState

    def __init__(
        self,
        toolset: Toolset,
        models: Models,
        summaries: Summaries,
        defaults: AgentContext,
        model: BaseChatModel | None = None,
    ) -> None:
        super().__init__()
        self._toolset = toolset
        self._models = models
        self._summaries = summaries
        self._defaults = defaults
        self._model = model

    def wrap_model_call(
        self, request: Request, handler: Callable[[Request], ModelResponse[Any]]
    ) -> ExtendedModelResponse[Any]:
        """See `awrap_model_call`."""
        context = request.runtime.context or self._defaults
        state = cast(CodingState, request.state)
        choice, model = None, self._model
        if model is None:
            choice = self._models.choice(context)
            model = self._models.find(choice)
        step = Step(self._toolset.plan(context), model, choice, _turn(state))
        if stop := _limit_reached(step):
            return _response(step, [stop], None)
        try:
            reading = self._summaries.read(state, choice, model, request.runtime)
        except Exception as error:  # of any provider's SDK
            raise self._failure(error, step) from None
        asking = _asking(self._prepared(request, context, step, reading))
        prepared = next(asking)
        while True:
            try:
                response = handler(prepared)
            except Exception as error:  # of any provider's SDK
                raise self._failure(error, step) from None
            try:
                prepared = asking.send(response)
            except StopIteration as done:
                return _response(step, done.value, reading)

    async def awrap_model_call(
        self, request: Request, handler: Callable[[Request], Awaitable[ModelResponse[Any]]]
    ) -> ExtendedModelResponse[Any]:
        """Ask the request's model.

        Raises:
            RequestRefused: the request's names cannot be served.
            ModelFailure: the model gave no usable reply.
        """
        context = request.runtime.context or self._defaults
        state = cast(CodingState, request.state)
        choice, model = None, self._model
        if model is None:
            choice = self._models.choice(context)
            model = await self._models.afind(choice)
        step = Step(await self._toolset.aplan(context), model, choice, _turn(state))
        if stop := _limit_reached(step):
            return _response(step, [stop], None)
        try:
            reading = await self._summaries.aread(state, choice, model, request.runtime)
        except Exception as error:  # of any provider's SDK
            raise self._failure(error, step) from None
        asking = _asking(self._prepared(request, context, step, reading))
        prepared = next(asking)
        while True:
            try:
                response = await handler(prepared)
            except Exception as error:  # of any provider's SDK
                raise self._failure(error, step) from None
            try:
                prepared = asking.send(response)
            except StopIteration as done:
                return _response(step, done.value, reading)

    def _prepared(self, request: Request, context: AgentContext, step: Step, reading: Reading) -> Request:
        plan = step.plan
        if plan.tools:
            require_tool_calling(step.model, step.model_id)
        prompt = system_prompt(plan.agent_type, context, plan.policy, tuple(plan.tools))
        return request.override(
            model=step.model,
            system_message=SystemMessage(prompt),
            messages=placed(repaired(reading.messages), place_for(step.model)),
            tools=list(plan.tools.values()),
        )

    def _failure(self, error: Exception, step: Step) -> Exception:
        failure = provider_failure(error, model_id=step.model_id)
        detail = getattr(failure, "detail", "")
        _log.warning(
            "model failed", model=step.model_id, error=type(error).__name__, failure=str(failure), detail=detail
        )
        return failure


def _asking(request: Request) -> Asking:
    """Yield requests, take their replies, and return the messages of the step.

    Raises:
        ModelFailure: no reply was usable.
    """
    result: list[AnyMessage] = []
    used = call_ids(request.state["messages"])
    for attempt in range(1, _TRIES + 1):
        response = yield request
        reply = _reply(response)
        failure = reply_failure(reply)
        if isinstance(failure, ReplyEmpty) and attempt < _TRIES:
            continue
        if failure is not None:
            raise failure
        reply = with_own_ids(reply, used)
        used |= call_ids([reply])
        unreadable = [
            refusal(
                call["id"] or "", call["name"] or "unknown", "The arguments are not a JSON object. Send them again."
            )
            for call in reply.invalid_tool_calls
        ]
        result += [reply, *unreadable]
        if not unreadable or reply.tool_calls:
            return result
        # LangGraph would end the turn here, since there is nothing to call.
        request = request.override(messages=[*request.messages, reply, *unreadable])
    stopped = AIMessage(
        "I stopped: the model kept sending tool calls that cannot be read.",
        additional_kwargs={OURS: {"stopped_because": "failed"}},
    )
    return [*result, stopped]


def _reply(response: ModelResponse[Any]) -> AIMessage:
    for message in response.result:
        if isinstance(message, AIMessage):
            return message
    return AIMessage("")


def _turn(state: CodingState) -> Turn:
    """Return what the turn has used; a new user's message begins a new one."""
    messages = of_turn(state["messages"])
    of = (messages[0].id or "") if messages else ""
    known = state.get("turn")
    return known if known is not None and known["of"] == of else Turn(of=of, model_calls=0, tool_calls=0)


def _limit_reached(step: Step) -> AIMessage | None:
    if step.turn["model_calls"] >= step.plan.model_call_limit:
        return _stopped("model_calls", f"{step.plan.model_call_limit} model calls")
    return None


def _stopped(because: str, limit: str) -> AIMessage:
    return AIMessage(
        f"I stopped because the limit of {limit} for one message is reached; the work so far is kept. "
        "Send another message to go on.",
        additional_kwargs={OURS: {"stopped_because": because}},
    )


def _response(step: Step, messages: list[AnyMessage], reading: Reading | None) -> ExtendedModelResponse[Any]:
    calls = [call for message in messages if isinstance(message, AIMessage) for call in message.tool_calls]
    turn = Turn(
        of=step.turn["of"],
        model_calls=step.turn["model_calls"] + sum(isinstance(message, AIMessage) for message in messages),
        tool_calls=step.turn["tool_calls"] + len(calls),
    )
    limit = step.plan.tool_call_limit
    if turn["tool_calls"] > limit:
        answers = [
            refusal(call["id"] or "", call["name"], "Not run: the limit of tool calls is reached.") for call in calls
        ]
        messages = [*messages, *answers, _stopped("tool_calls", f"{limit} tool calls")]
    update: dict[str, Any] = {"turn": turn}
    if reading is not None and reading.summary is not None:
        update["summary"] = reading.summary
    return ExtendedModelResponse(ModelResponse(result=list(messages)), Command(update=update))
