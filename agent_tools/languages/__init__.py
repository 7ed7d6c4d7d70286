"""Languages beside the kernels': a registry, and a runner of whole programs."""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from .availability import installed, recipe_for
    from .language import Language, Recipe
    from .program import ProgramResult, kernel_for, run_program
    from .registry import LANGUAGES, by_file_name, by_shebang, find

__all__ = [
    "LANGUAGES",
    "Language",
    "ProgramResult",
    "Recipe",
    "by_file_name",
    "by_shebang",
    "find",
    "installed",
    "kernel_for",
    "recipe_for",
    "run_program",
]

_MODULES = {
    "Language": "language",
    "ProgramResult": "program",
    "Recipe": "language",
    "installed": "availability",
    "kernel_for": "program",
    "recipe_for": "availability",
    "run_program": "program",
}


def __getattr__(name: str) -> Any:
    # A policy needs the registry's names, and not E2B's SDK.
    if name not in __all__:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f".{_MODULES.get(name, 'registry')}", __name__), name)


def __dir__() -> list[str]:
    return __all__
