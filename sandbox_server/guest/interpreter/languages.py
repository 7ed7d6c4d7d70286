"""Which kernel runs which language."""

from __future__ import annotations

import importlib
from collections.abc import Awaitable, Callable
from typing import Any

from ..config import SandboxConfig
from ..kernels import Kernel, KernelUnavailable
from ..processes import Processes

_ALIASES = {
    "py": "python",
    "python3": "python",
    "js": "javascript",
    "node": "javascript",
    "ts": "typescript",
    "sh": "bash",
    "shell": "bash",
}
_MODULES = {
    "python": "python",
    "javascript": "node",
    "typescript": "node",
    "bash": "bash",
    "r": "jupyter",
    "java": "jupyter",
}
"""Language to the module of `kernels` with its factory."""
_OWN_LANGUAGE = frozenset({"javascript", "typescript", "r", "java"})
"""Languages whose module serves several, and has to be told which."""

PAIR = ("javascript", "typescript")
"""Their default contexts share one process."""


class UnknownLanguage(ValueError):
    """No kernel has this name; the message lists those that exist."""


def canonical(name: str | None) -> str:
    """Return a language's one name; None and "" are Python.

    Raises:
        UnknownLanguage: there is no such language.
    """
    language = (name or "python").strip().lower()
    language = _ALIASES.get(language, language)
    if language not in _MODULES:
        raise UnknownLanguage(f"language {name!r} is not supported; there are {', '.join(_MODULES)}")
    return language


async def start(language: str, processes: Processes, config: SandboxConfig, cwd: str) -> Kernel:
    """Start a kernel of a language.

    Raises:
        KernelUnavailable: it cannot run here; the message says what to install.
    """
    module = _module(language)
    factory: Callable[..., Awaitable[Kernel]] = module.start
    if language in _OWN_LANGUAGE:
        return await factory(processes, config, cwd, language=language)
    return await factory(processes, config, cwd)


async def start_pair(processes: Processes, config: SandboxConfig, cwd: str) -> dict[str, Kernel]:
    """Start the one process of the `PAIR`; see `start`."""
    return dict(zip(PAIR, await _module(PAIR[0]).start_pair(processes, config, cwd), strict=True))


def _module(language: str) -> Any:
    # Imported when first used: most sandboxes never run another language than Python.
    try:
        return importlib.import_module(f"..kernels.{_MODULES[language]}", __package__)
    except ModuleNotFoundError as error:
        raise KernelUnavailable(f"this server has no {language} kernel") from error
