"""Sandboxed code as LangChain tools: `coding_tools()` gives a model a sandbox to write and run code in.

With E2B_API_KEY set the sandboxes are E2B's. Without it they are this machine's own (`sandbox_server`).
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from .context import CallContext, LiveOutput
    from .errors import AgentToolsError, CallRefused, InvalidCall, PolicyRefusal, SandboxUnavailable
    from .executor import ToolExecutor
    from .policy import SandboxPolicy
    from .sandboxes import Sandboxes
    from .settings import SandboxSettings
    from .tools import coding_tools

__all__ = [
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
    "ToolExecutor",
    "coding_tools",
]

_MODULES = {
    "CallContext": "context",
    "LiveOutput": "context",
    "SandboxPolicy": "policy",
    "SandboxSettings": "settings",
    "Sandboxes": "sandboxes",
    "ToolExecutor": "executor",
    "coding_tools": "tools",
}


def __getattr__(name: str) -> Any:
    # E2B's SDK takes most of a second to import; who wants a policy should not wait for it.
    if name not in __all__:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f".{_MODULES.get(name, 'errors')}", __name__), name)


def __dir__() -> list[str]:
    return __all__
