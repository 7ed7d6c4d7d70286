"""Sandloop over HTTP: `create_app` is the FastAPI application, `serve` runs it, `tokens.make` makes a token for it."""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from .app import create_app
    from .serving import serve

__all__ = ["create_app", "serve"]

_MODULES = {"create_app": "app", "serve": "serving"}


def __getattr__(name: str) -> Any:
    if name not in __all__:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f".{_MODULES[name]}", __name__), name)


def __dir__() -> list[str]:
    return __all__
