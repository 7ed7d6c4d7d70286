"""Images in a conversation, as the model at hand takes them: in tool messages, in a message behind them, or not at all.

A tool's image is an image block of its message (a file that was read), or a chart among its artifacts.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final, Literal

from langchain_core.language_models import BaseChatModel
from langchain_core.messages import AnyMessage, HumanMessage, ToolMessage

from .scenarios import FOLLOW_UP

MAX_IMAGES: Final = 6
"""The newest ones; a conversation does not grow by every chart of the past."""

_MAX_BASE64: Final = 4 * 1024 * 1024
_SHOWN: Final = ("png", "jpeg")

Place = Literal["tool", "user", "nowhere"]
Block = dict[str, Any]


def place_for(model: BaseChatModel) -> Place:
    """Return where a model takes the images of tools. One of unknown abilities gets none."""
    profile = model.profile or {}
    if not profile.get("image_inputs"):
        return "nowhere"
    # Chat Completions refuses them in tool messages, whatever the profile of the model says.
    takes_there = getattr(model, "use_responses_api", False) is True or model._llm_type.startswith("anthropic")
    return "tool" if takes_there and profile.get("image_tool_message") else "user"


def placed(messages: Sequence[AnyMessage], place: Place) -> list[AnyMessage]:
    """Return the messages with the tools' images where the model takes them."""
    split = {index: _split(message) for index, message in enumerate(messages) if isinstance(message, ToolMessage)}
    room = MAX_IMAGES if place != "nowhere" else 0
    for found in reversed(split.values()):
        found.keep(room)
        room -= len(found.images)
    result: list[AnyMessage] = []
    waiting: list[Block] = []
    for index, message in enumerate(messages):
        if waiting and not isinstance(message, ToolMessage):
            result.append(_follow_up(waiting))
            waiting = []
        if index not in split:
            result.append(message)
            continue
        found = split[index]
        result.append(found.message(with_images=place == "tool"))
        if place == "user" and found.images:
            waiting += [
                {"type": "text", "text": f"Images of the tool call {found.origin.tool_call_id}:"},
                *found.images,
            ]
    if waiting:
        result.append(_follow_up(waiting))
    return result


@dataclass(slots=True)
class _Split:
    origin: ToolMessage
    text: str
    images: list[Block]
    had_blocks: bool
    left_out: int = 0

    def keep(self, room: int) -> None:
        kept = self.images[: max(room, 0)]
        self.left_out = len(self.images) - len(kept)
        self.images = kept

    def message(self, *, with_images: bool) -> ToolMessage:
        if not self.had_blocks and not (with_images and self.images):
            return self.origin
        text = self.text
        if self.had_blocks and self.left_out:
            text += "\n(The image is not shown to you.)"
        blocks = [{"type": "text", "text": text}, *self.images] if with_images and self.images else text
        return self.origin.model_copy(update={"content": blocks})


def _split(message: ToolMessage) -> _Split:
    blocks = message.content if isinstance(message.content, list) else []
    images = [block for block in blocks if isinstance(block, dict) and block.get("type") == "image"]
    had_blocks = bool(images)
    artifact = message.artifact if isinstance(message.artifact, dict) else {}
    for shown in artifact.get("results") or ():
        if shown.get("kind") in _SHOWN and shown.get("data"):
            images.append({"type": "image", "base64": shown["data"], "mime_type": shown["mime_type"]})
    return _Split(message, message.text, [i for i in images if len(i.get("base64") or "") <= _MAX_BASE64], had_blocks)


def _follow_up(blocks: list[Block]) -> HumanMessage:
    return HumanMessage(content=list(blocks), additional_kwargs={FOLLOW_UP: True})
