"""The scripted model: prepared replies for demos, tests and evaluations, where only the tools' results are real."""

from __future__ import annotations

import json
import re
import uuid
from collections.abc import AsyncIterator, Callable, Iterator, Sequence
from typing import Any, Self

from langchain_core.callbacks import AsyncCallbackManagerForLLMRun, CallbackManagerForLLMRun
from langchain_core.language_models import BaseChatModel, LanguageModelInput, ModelProfile
from langchain_core.messages import AIMessage, AIMessageChunk, BaseMessage
from langchain_core.messages.ai import UsageMetadata
from langchain_core.messages.tool import tool_call, tool_call_chunk
from langchain_core.outputs import ChatGeneration, ChatGenerationChunk, ChatResult
from langchain_core.runnables import Runnable
from langchain_core.tools import BaseTool
from langchain_core.utils.function_calling import convert_to_openai_tool

from .scenarios import ALL, Reply, Script, built_in, next_reply

_ARGUMENT_PIECE = 40


class ScriptedModel(BaseChatModel):
    """Plays a script: the same conversation always gets the same reply. Only the ids of tool calls are random.

    It has no memory: see `graphs.scenarios.next_reply`. Words count as tokens.
    """

    script: Script
    model_name: str = "scripted"

    @classmethod
    def named(cls, name: str = ALL) -> Self:
        """The model that plays a built-in script.

        Raises:
            ScriptInvalid: there is none of this name.
        """
        return cls(script=built_in(name), model_name=name)

    @property
    def _llm_type(self) -> str:
        return "scripted"

    def _resolve_model_profile(self) -> ModelProfile:
        return ModelProfile(tool_calling=True, image_inputs=False, max_input_tokens=200_000)

    def bind_tools(
        self,
        tools: Sequence[dict[str, Any] | type | Callable[..., Any] | BaseTool],
        *,
        tool_choice: str | None = None,
        **kwargs: Any,
    ) -> Runnable[LanguageModelInput, AIMessage]:
        """Say which tools there are. The script chooses, so `tool_choice` changes nothing."""
        return self.bind(tools=[convert_to_openai_tool(tool) for tool in tools], **kwargs)

    def _generate(
        self,
        messages: list[BaseMessage],
        stop: list[str] | None = None,
        run_manager: CallbackManagerForLLMRun | None = None,
        **kwargs: Any,
    ) -> ChatResult:
        reply = self._reply(messages, **kwargs)
        message = AIMessage(
            content=reply.text,
            tool_calls=[tool_call(name=name, args=args, id=_call_id()) for name, args in reply.calls],
            usage_metadata=_usage(messages, reply),
            response_metadata=self._about(reply),
        )
        return ChatResult(generations=[ChatGeneration(message=message)])

    async def _agenerate(
        self,
        messages: list[BaseMessage],
        stop: list[str] | None = None,
        run_manager: AsyncCallbackManagerForLLMRun | None = None,
        **kwargs: Any,
    ) -> ChatResult:
        return self._generate(messages, **kwargs)

    def _stream(
        self,
        messages: list[BaseMessage],
        stop: list[str] | None = None,
        run_manager: CallbackManagerForLLMRun | None = None,
        **kwargs: Any,
    ) -> Iterator[ChatGenerationChunk]:
        for chunk in self._chunks(messages, **kwargs):
            if run_manager:
                run_manager.on_llm_new_token(chunk.text, chunk=chunk)
            yield chunk

    async def _astream(
        self,
        messages: list[BaseMessage],
        stop: list[str] | None = None,
        run_manager: AsyncCallbackManagerForLLMRun | None = None,
        **kwargs: Any,
    ) -> AsyncIterator[ChatGenerationChunk]:
        for chunk in self._chunks(messages, **kwargs):
            if run_manager:
                await run_manager.on_llm_new_token(chunk.text, chunk=chunk)
            yield chunk

    def _chunks(self, messages: list[BaseMessage], **kwargs: Any) -> Iterator[ChatGenerationChunk]:
        reply = self._reply(messages, **kwargs)
        for word in re.findall(r"\s*\S+|\s+$", reply.text):
            yield ChatGenerationChunk(message=AIMessageChunk(content=word))
        for index, (name, args) in enumerate(reply.calls):
            text = json.dumps(args, ensure_ascii=False)
            yield _call_chunk(index, name=name, id=_call_id(), args="")
            for start in range(0, len(text), _ARGUMENT_PIECE):
                yield _call_chunk(index, args=text[start : start + _ARGUMENT_PIECE])
        yield ChatGenerationChunk(
            message=AIMessageChunk(
                content="",
                usage_metadata=_usage(messages, reply),
                response_metadata=self._about(reply),
                chunk_position="last",
            )
        )

    def _reply(self, messages: list[BaseMessage], **kwargs: Any) -> Reply:
        reply = next_reply(self.script, messages)
        if reply is None:
            return Reply(_introduction(self.script))
        there = {str(tool["function"]["name"]) for tool in kwargs.get("tools") or ()}
        if missing := sorted({name for name, _ in reply.calls} - there):
            return Reply(
                f"I am the scripted model. My next step needs {', '.join(missing)}, and this agent has no "
                'such tool. Use agent_type "coding", and a policy that allows it.'
            )
        return reply

    def _about(self, reply: Reply) -> dict[str, Any]:
        return {
            "model_provider": "scripted",
            "model_name": self.model_name,
            "finish_reason": "tool_calls" if reply.calls else "stop",
        }


def _introduction(script: Script) -> str:
    examples = "\n".join(f'- "{example}"' for example in script.examples)
    return (
        "I am the scripted model: my replies are prepared, and only what the tools return is real. I have nothing "
        f"prepared for this message. I can play:\n{examples}\n\n"
        "For a real model, set OPENAI_API_KEY, or OPENAI_BASE_URL for a server that speaks OpenAI's protocol (such as "
        "http://localhost:11434/v1 for Ollama), and ask with its provider_id and model_id."
    )


def _call_id() -> str:
    return f"call_{uuid.uuid4().hex}"


def _call_chunk(index: int, *, args: str, name: str | None = None, id: str | None = None) -> ChatGenerationChunk:
    part = tool_call_chunk(index=index, name=name, id=id, args=args)
    return ChatGenerationChunk(message=AIMessageChunk(content="", tool_call_chunks=[part]))


def _usage(messages: Sequence[BaseMessage], reply: Reply) -> UsageMetadata:
    read = sum(len(message.text.split()) for message in messages)
    written = len(reply.text.split()) + sum(len(json.dumps(args).split()) for _, args in reply.calls)
    return UsageMetadata(input_tokens=read, output_tokens=written, total_tokens=read + written)
