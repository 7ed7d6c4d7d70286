"""Which languages a sandbox has."""

from __future__ import annotations

import shlex
from weakref import WeakKeyDictionary

from e2b_code_interpreter import AsyncSandbox

from .language import Language, Recipe
from .registry import LANGUAGES

_PROGRAMS = tuple(sorted({name for language in LANGUAGES for recipe in language.recipes for name in recipe.needs}))
_LOOK = f'for name in {shlex.join(_PROGRAMS)}; do type -P "$name" >/dev/null && echo "$name"; done; true'

_seen: WeakKeyDictionary[AsyncSandbox, frozenset[str]] = WeakKeyDictionary()


async def recipe_for(sandbox: AsyncSandbox, language: Language) -> Recipe | None:
    """Return the way to run a language's programs in this sandbox; None where it is missing.

    What was found is remembered; what was missing is looked for again, since it may have been installed meanwhile.
    """
    return _choose(language, _seen.get(sandbox, frozenset())) or _choose(language, await _look(sandbox))


async def installed(sandbox: AsyncSandbox) -> tuple[Language, ...]:
    """Return the languages whose programs this sandbox can run now. Looking does not renew its lease."""
    programs = await _look(sandbox)
    return tuple(language for language in LANGUAGES if _choose(language, programs))


def _choose(language: Language, programs: frozenset[str]) -> Recipe | None:
    return next((recipe for recipe in language.recipes if programs.issuperset(recipe.needs)), None)


async def _look(sandbox: AsyncSandbox) -> frozenset[str]:
    found = frozenset((await sandbox.commands.run(_LOOK)).stdout.split())
    _seen[sandbox] = found
    return found
