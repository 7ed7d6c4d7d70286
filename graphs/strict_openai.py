"""ChatOpenAI that does not guess: streamed tool arguments which are no JSON object stay invalid.

LangChain completes half a JSON text while it streams, and keeps what it made of it at the end: a call that broke off in
the middle of its code would run with the first half. Not streamed, the same arguments are an invalid tool call, which
the model is told about.
"""

from __future__ import annotations

import itertools
import json
from collections.abc import AsyncIterator, Iterator
from typing import Any

from langchain_core.callbacks import AsyncCallbackManagerForLLMRun, CallbackManagerForLLMRun
from langchain_core.messages import AIMessageChunk, BaseMessage
from langchain_core.messages.tool import tool_call_chunk
from langchain_core.outputs import ChatGenerationChunk
from langchain_core.utils.json import parse_partial_json
from langchain_openai import ChatOpenAI


class StrictChatOpenAI(ChatOpenAI):
    """ChatOpenAI, streamed and not, with the same view of malformed tool arguments."""

    def _stream(
        self,
        messages: list[BaseMessage],
        stop: list[str] | None = None,
        run_manager: CallbackManagerForLLMRun | None = None,
        **kwargs: Any,
    ) -> Iterator[ChatGenerationChunk]:
        arguments = _Arguments()
        for chunk in super()._stream(messages, stop, run_manager, **kwargs):
            arguments.add(chunk)
            yield chunk
        if last := arguments.spoiled():
            yield last

    async def _astream(
        self,
        messages: list[BaseMessage],
        stop: list[str] | None = None,
        run_manager: AsyncCallbackManagerForLLMRun | None = None,
        **kwargs: Any,
    ) -> AsyncIterator[ChatGenerationChunk]:
        arguments = _Arguments()
        async for chunk in super()._astream(messages, stop, run_manager, **kwargs):
            arguments.add(chunk)
            yield chunk
        if last := arguments.spoiled():
            yield last


class _Arguments:
    """The argument texts of one reply, by the index of their call."""

    def __init__(self) -> None:
        self._texts: dict[int, str] = {}

    def add(self, chunk: ChatGenerationChunk) -> None:
        if isinstance(chunk.message, AIMessageChunk):
            for part in chunk.message.tool_call_chunks:
                if (index := part["index"]) is not None:
                    self._texts[index] = self._texts.get(index, "") + (part["args"] or "")

    def spoiled(self) -> ChatGenerationChunk | None:
        """A last chunk after which LangChain cannot complete what is malformed, or None when all is well."""
        tails = {index: _spoiler(text) for index, text in self._texts.items() if _is_malformed(text)}
        if not tails:
            return None
        parts = [tool_call_chunk(args=tail, index=index) for index, tail in tails.items()]
        return ChatGenerationChunk(message=AIMessageChunk(content="", tool_call_chunks=parts))


def _is_malformed(text: str) -> bool:
    if not text:  # a call without arguments
        return False
    try:
        json.loads(text, strict=False)  # as LangChain: a bare newline in a string is common, and meant
    except json.JSONDecodeError:
        return True
    return False


def _spoiler(text: str) -> str:
    # A closing bracket that does not fit is the one thing that is not completed. Which one does not fit, and whether a
    # string has to be closed before it (twice, behind a backslash), depends on where the text broke off.
    tails = ("".join(pair) for pair in itertools.product(("", '"', '""'), ("]", "}")))
    return next(tail for tail in tails if parse_partial_json(text + tail) is None)
