"""What one run of the graph is told besides the messages: LangGraph's context, which Studio shows as a form."""

from __future__ import annotations

from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field

from agent_tools.policy import SandboxPolicy

from .requests import AgentRequest
from .settings import MAX_LIMIT

_MODEL_NODE: dict[str, Any] = {"langgraph_nodes": ["model"]}
_TOOLS_NODE: dict[str, Any] = {"langgraph_nodes": ["tools"]}


class AgentContext(BaseModel):
    """The part of a request that is no message. One graph serves them all."""

    model_config = ConfigDict(frozen=True, title="Agent")

    agent_type: str = Field(
        default="coding",
        description="Decides on the tools and the prompt: coding, data_science, chat, or a type of your own.",
        json_schema_extra=_MODEL_NODE,
    )
    provider_id: str | None = Field(
        default=None,
        description="Where the model is: openai, anthropic, ollama, ..., or scripted. Empty: the server's default.",
        json_schema_extra=_MODEL_NODE,
    )
    model_id: str | None = Field(
        default=None,
        description="The model's name at its provider. Empty: the server's default.",
        json_schema_extra=_MODEL_NODE,
    )
    system_prompt: str | None = Field(
        default=None,
        description="Your own instructions, after those of the agent type or instead of them.",
        json_schema_extra={**_MODEL_NODE, "langgraph_type": "prompt"},
    )
    system_prompt_mode: Literal["extend", "replace"] = Field(
        default="extend",
        description="Whether the system prompt comes after that of the agent type, or instead of it.",
        json_schema_extra=_MODEL_NODE,
    )
    tools: tuple[str, ...] = Field(
        default=(),
        description="Tools by name, as far as the agent type allows them. Empty: those of the type.",
        json_schema_extra=_TOOLS_NODE,
    )
    policy: SandboxPolicy | None = Field(
        default=None,
        description="The rules of the sandbox and of each call in it. Empty: those of the agent type.",
        json_schema_extra=_TOOLS_NODE,
    )
    model_call_limit: int | None = Field(
        default=None, ge=1, le=MAX_LIMIT, description="Model calls of one turn, after which it ends and says so."
    )
    tool_call_limit: int | None = Field(
        default=None, ge=1, le=MAX_LIMIT, description="Tool calls of one turn, after which it ends and says so."
    )

    @classmethod
    def of(cls, request: AgentRequest) -> AgentContext:
        """Return the context of a request."""
        return cls(**{name: getattr(request, name) for name in cls.model_fields if hasattr(request, name)})
