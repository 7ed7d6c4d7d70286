"""Conversations that fit into the model's window: what is old is read as a summary, and stays in the thread."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from langchain.agents.middleware import SummarizationMiddleware
from langchain_core.language_models import BaseChatModel
from langchain_core.messages import AnyMessage, HumanMessage, RemoveMessage
from langgraph.runtime import Runtime

from .models import Choice
from .state import CodingState, Summary

_FULL: Final = 0.75
"""The part of the window beyond which older messages are summarised: counting tokens is a guess."""
_KEPT: Final = 0.3
_MODELS: Final = 32


@dataclass(frozen=True, slots=True)
class Reading:
    """What the model reads; `summary` is new when it was made just now."""

    messages: list[AnyMessage]
    summary: Summary | None = None


class Summaries:
    """Decides when a conversation is too long, and has the same model summarise it.

    Args:
        context_tokens: the window of a model that is not known to have another.
    """

    def __init__(self, context_tokens: int) -> None:
        self._default = context_tokens
        self._made: OrderedDict[Choice | None, tuple[BaseChatModel, SummarizationMiddleware[Any, Any]]] = OrderedDict()

    def read(self, state: CodingState, choice: Choice | None, model: BaseChatModel, runtime: Runtime[Any]) -> Reading:
        """Return what the model reads of a thread."""
        messages = _effective(state)
        update = self._of(choice, model).before_model({"messages": messages}, runtime)
        return _reading(state, messages, update)

    async def aread(
        self, state: CodingState, choice: Choice | None, model: BaseChatModel, runtime: Runtime[Any]
    ) -> Reading:
        """Return what the model reads of a thread."""
        messages = _effective(state)
        update = await self._of(choice, model).abefore_model({"messages": messages}, runtime)
        return _reading(state, messages, update)

    def _of(self, choice: Choice | None, model: BaseChatModel) -> SummarizationMiddleware[Any, Any]:
        known = self._made.get(choice)
        if known is None or known[0] is not model:
            window = int((model.profile or {}).get("max_input_tokens") or self._default)
            made = SummarizationMiddleware[Any, Any](
                model, trigger=("tokens", int(window * _FULL)), keep=("tokens", int(window * _KEPT))
            )
            known = self._made[choice] = (model, made)
            if len(self._made) > _MODELS:
                self._made.popitem(last=False)
        return known[1]


def _effective(state: CodingState) -> list[AnyMessage]:
    messages = list(state["messages"])
    summary = state.get("summary")
    if summary is None:
        return messages
    for index, message in enumerate(messages):
        if message.id == summary["kept_from"]:
            return [_as_message(summary["text"]), *messages[index:]]
    return messages


def _reading(state: CodingState, messages: list[AnyMessage], update: Mapping[str, Any] | None) -> Reading:
    if not update:
        return Reading(messages)
    cut: Sequence[AnyMessage] = [message for message in update["messages"] if not isinstance(message, RemoveMessage)]
    in_thread = {message.id for message in state["messages"]}
    kept = [message for message in cut if message.id in in_thread]
    text = "\n".join(message.text for message in cut if message.id not in in_thread)
    if not kept or kept[0].id is None:
        return Reading(list(cut))
    return Reading([_as_message(text), *kept], Summary(text=text, kept_from=kept[0].id))


def _as_message(text: str) -> HumanMessage:
    return HumanMessage(text, additional_kwargs={"lc_source": "summarization"})
