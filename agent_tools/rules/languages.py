"""The names of languages, and the other spellings that models and people use for them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from ..errors import InvalidCall, PolicyRefusal
from ..languages import registry

if TYPE_CHECKING:
    from ..policy import SandboxPolicy

LANGUAGES: Final = tuple(language.name for language in registry.LANGUAGES)
"""Every language that a call or a policy may name. What a sandbox really has is another question."""

ALIASES: Final = {alias: language.name for language in registry.LANGUAGES for alias in language.aliases}


def canonical_language(name: str) -> str | None:
    """The one spelling of a language (`C++` is `cpp`), or None when there is no such language here."""
    folded = name.strip().lower()
    folded = ALIASES.get(folded, folded)
    return folded if folded in LANGUAGES else None


def check_language(policy: SandboxPolicy, language: str) -> str:
    """The canonical name of a language that the policy allows.

    Raises:
        InvalidCall: there is no such language (`language.unknown`).
        PolicyRefusal: it is not among the policy's (`language.denied`).
    """
    canonical = canonical_language(language)
    if canonical is None:
        known = ", ".join(policy.allowed_languages or LANGUAGES)
        raise InvalidCall(f"There is no language {language[:40]!r} here. Use one of: {known}.", rule="language.unknown")
    if policy.allowed_languages and canonical not in policy.allowed_languages:
        allowed = ", ".join(policy.allowed_languages)
        raise PolicyRefusal(
            f"The policy {policy.name!r} does not allow {canonical}. Use one of: {allowed}.", rule="language.denied"
        )
    return canonical


def allows(policy: SandboxPolicy, name: str) -> bool:
    """Whether the policy allows a language, by its canonical name."""
    return not policy.allowed_languages or name in policy.allowed_languages
