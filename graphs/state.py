"""What a thread keeps besides its messages, and what of ours a message carries."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated, Any, NotRequired

from langchain.agents import AgentState
from langchain.agents.middleware.types import OmitFromInput, PrivateStateAttr
from langchain_core.messages import AnyMessage, BaseMessage, HumanMessage
from typing_extensions import TypedDict

from .scenarios import FOLLOW_UP

OURS = "sandloop"
"""The entry of a message's `additional_kwargs` that is ours: `stopped_because`, `seconds`, `unavailable`, ..."""


class Turn(TypedDict):
    """What the turn that began with the message `of` has used so far."""

    of: str
    model_calls: int
    tool_calls: int


class Summary(TypedDict):
    """What the model reads instead of the messages before `kept_from`."""

    text: str
    kept_from: str


def _keep_last(_: Any, new: Any) -> Any:
    return new


class CodingState(AgentState[Any]):
    """The state of a thread.

    Attributes:
        sandbox_id: the sandbox that its last call ran in.
    """

    sandbox_id: NotRequired[Annotated[str | None, OmitFromInput, _keep_last]]
    turn: NotRequired[Annotated[Turn, PrivateStateAttr]]
    summary: NotRequired[Annotated[Summary, PrivateStateAttr]]


def ours(message: BaseMessage) -> dict[str, Any]:
    """Return what of ours a message carries."""
    found = message.additional_kwargs.get(OURS)
    return found if isinstance(found, dict) else {}


def is_users(message: BaseMessage) -> bool:
    """Whether a person wrote it: not a follow-up with images, not a summary."""
    return isinstance(message, HumanMessage) and not {FOLLOW_UP, "lc_source"} & message.additional_kwargs.keys()


def of_turn(messages: Sequence[AnyMessage]) -> list[AnyMessage]:
    """Return the messages since the user's last one, which is the first of them."""
    for index in reversed(range(len(messages))):
        if is_users(messages[index]):
            return list(messages[index:])
    return list(messages)
