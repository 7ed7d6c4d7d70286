"""Sandloop: coding agents that run their code in E2B sandboxes, on E2B or on this machine.

`coding_tools()` are the tools for a graph of your own, `create_coding_agent()` is the whole loop, and `ToolExecutor`
runs code without any model.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from agent_tools import (
        AgentToolsError,
        CallContext,
        CallRefused,
        InvalidCall,
        LiveOutput,
        PolicyRefusal,
        Sandboxes,
        SandboxPolicy,
        SandboxSettings,
        SandboxUnavailable,
        ToolExecutor,
        coding_tools,
    )
    from graphs import AgentRequest, AgentResponse, AgentService, create_coding_agent

    from .settings import Settings, SettingsError

__all__ = [
    "AgentRequest",
    "AgentResponse",
    "AgentService",
    "AgentToolsError",
    "CallContext",
    "CallRefused",
    "InvalidCall",
    "LiveOutput",
    "PolicyRefusal",
    "SandboxPolicy",
    "SandboxSettings",
    "SandboxUnavailable",
    "Sandboxes",
    "Settings",
    "SettingsError",
    "ToolExecutor",
    "coding_tools",
    "create_coding_agent",
]

_MODULES = {
    "AgentRequest": "graphs",
    "AgentResponse": "graphs",
    "AgentService": "graphs",
    "create_coding_agent": "graphs",
    "Settings": "sandloop.settings",
    "SettingsError": "sandloop.settings",
}


def __getattr__(name: str) -> Any:
    # LangChain and E2B's SDK take seconds to import; `sandloop --help` should not wait for them.
    if name not in __all__:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(_MODULES.get(name, "agent_tools")), name)


def __dir__() -> list[str]:
    return __all__
