"""The sandbox tools as an MCP server: `serve_stdio` for one process, `MOUNT` for `/mcp` of `serve`."""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from .over_http import MOUNT
    from .server import PythonExecutor
    from .stdio import serve_stdio

__all__ = ["MOUNT", "PythonExecutor", "serve_stdio"]

_MODULES = {"MOUNT": "over_http", "PythonExecutor": "server", "serve_stdio": "stdio"}


def __getattr__(name: str) -> Any:
    if name not in __all__:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f".{_MODULES[name]}", __name__), name)


def __dir__() -> list[str]:
    return __all__
