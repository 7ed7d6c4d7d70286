"""The agents: a LangGraph loop of model and tools, agent types, model providers, the shapes of request and answer."""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from .agent_types import AgentType, AgentTypes
    from .coding import create_coding_agent
    from .context import AgentContext
    from .errors import GraphsError, ModelFailure, RequestRefused
    from .requests import AgentEvent, AgentRequest, AgentResponse, ApprovalDecision
    from .service import AgentService
    from .settings import AgentSettings

__all__ = [
    "AgentContext",
    "AgentEvent",
    "AgentRequest",
    "AgentResponse",
    "AgentService",
    "AgentSettings",
    "AgentType",
    "AgentTypes",
    "ApprovalDecision",
    "GraphsError",
    "ModelFailure",
    "RequestRefused",
    "create_coding_agent",
]

_MODULES = {
    "AgentContext": "context",
    "AgentEvent": "requests",
    "AgentRequest": "requests",
    "AgentResponse": "requests",
    "AgentService": "service",
    "AgentSettings": "settings",
    "AgentType": "agent_types",
    "AgentTypes": "agent_types",
    "ApprovalDecision": "requests",
    "create_coding_agent": "coding",
}


def __getattr__(name: str) -> Any:
    # LangGraph and LangChain take seconds to import; who wants a request's shape should not wait for them.
    if name not in __all__:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f".{_MODULES.get(name, 'errors')}", __name__), name)


def __dir__() -> list[str]:
    return __all__
