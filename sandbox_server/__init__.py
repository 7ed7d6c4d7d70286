"""An embedded E2B: a sandbox server that the unmodified E2B SDKs run on, with no key, no Docker and no KVM.

`ensure()` gives the address of this user's server, starting it when needed; `Server` is one inside this process.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from .errors import (
        IsolationUnavailable,
        SandboxServerError,
        SandboxStartFailed,
        ServerNotRunning,
        ServerStartFailed,
        TemplateBuildFailed,
        TemplateError,
    )
    from .guest.config import Limits
    from .resident import Address, ensure
    from .server import Server
    from .settings import Settings

__all__ = [
    "Address",
    "IsolationUnavailable",
    "Limits",
    "SandboxServerError",
    "SandboxStartFailed",
    "Server",
    "ServerNotRunning",
    "ServerStartFailed",
    "Settings",
    "TemplateBuildFailed",
    "TemplateError",
    "ensure",
]

_MODULES = {
    "Address": "resident",
    "Limits": "guest.config",
    "Server": "server",
    "Settings": "settings",
    "ensure": "resident",
}


def __getattr__(name: str) -> Any:
    # Whoever only wants an address should not wait for the import of a web server.
    if name not in __all__:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f".{_MODULES.get(name, 'errors')}", __name__), name)


def __dir__() -> list[str]:
    return __all__
