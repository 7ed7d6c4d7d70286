"""Does this code do what the policy's patterns look for?

A hint to the model and a signal in the audit log, not a wall: names can be built from text, code can be fetched and
run, and files can be written and started. What stops code is the sandbox.
"""

from __future__ import annotations

import time
from typing import Final

from ..errors import InvalidCall, PolicyRefusal
from ..policy import SandboxPolicy
from .languages import canonical_language
from .patterns import INSTALL_COMMAND, CodePattern
from .python_names import PythonNames, read_names
from .search import search
from .verdicts import Action, Findings, Verdict

CodeVerdict = Verdict

_SEARCH_S: Final = 0.5
"""For all regular expressions of one call together; a policy's author may have written a slow one."""


def check_code(policy: SandboxPolicy, code: str, language: str) -> CodeVerdict:
    """Search code, or a shell command (`bash`), for the policy's dangerous patterns.

    Python that does not parse is searched as text only: it will fail by itself.

    Args:
        policy: the rules.
        code: the whole of it.
        language: any spelling of the language it is in.

    Raises:
        InvalidCall: the code holds what no program can (`code.characters`).
        PolicyRefusal: it is too long (`code.size`), or a pattern that blocks was found (`code.` and its name).
    """
    _check_text(policy, code)
    findings = Findings()
    if policy.code_checks == "off":
        return findings.verdict()
    language = canonical_language(language) or language
    patterns = [*policy.dangerous_code_patterns, *([INSTALL_COMMAND] if policy.restricts_packages else [])]
    names = read_names(code) if language == "python" else PythonNames()
    deadline = time.monotonic() + _SEARCH_S
    for pattern in patterns:
        action = _action(policy, pattern)
        if action == "off":
            continue
        message = pattern.message or "The policy does not want this code."
        try:
            found = _found_in_names(pattern, names) or _found_in_text(pattern, code, language, deadline)
            reason = f"{message} Found: {found}."
        except TimeoutError:  # code must not get past a pattern by making the search slow
            found = reason = f"The search for {pattern.name!r} takes too long in this code. Shorten it."
        if found:
            findings.note(action, rule=f"code.{pattern.name}", subject=pattern.name, reason=reason)
    return findings.verdict()


def _check_text(policy: SandboxPolicy, code: str) -> None:
    try:
        size = len(code.encode())
    except UnicodeEncodeError as error:
        raise InvalidCall(
            "The code holds a lone surrogate, which is no character. Remove it.", rule="code.characters"
        ) from error
    if "\0" in code:
        raise InvalidCall("The code holds a NUL character. Write it as an escape.", rule="code.characters")
    if size > policy.max_code_bytes:
        raise PolicyRefusal(
            f"The code has {size} bytes; one call takes at most {policy.max_code_bytes}. Write data to files, and run "
            "the work in parts.",
            rule="code.size",
        )


def _action(policy: SandboxPolicy, pattern: CodePattern) -> Action:
    """What a match does, where `code_checks` bounds it."""
    if policy.code_checks == "warn" and pattern.action in ("block", "ask"):
        return "warn"
    return pattern.action


def _found_in_names(pattern: CodePattern, names: PythonNames) -> str | None:
    for wanted in pattern.imports:
        prefix = wanted.removesuffix(".*")
        for module, line in names.imports.items():
            if module == prefix or module.startswith(f"{prefix}."):
                return f"import of {module[:80]} in line {line}"
    for wanted in pattern.calls:
        for name, line in names.used.items():
            if name == wanted or (wanted.endswith(".*") and name.startswith(wanted[:-1])):
                return f"{name[:80]} in line {line}"
    return None


def _found_in_text(pattern: CodePattern, code: str, language: str, deadline: float) -> str | None:
    if not pattern.regex or (pattern.languages and language not in pattern.languages):
        return None
    hit = search(pattern.regex, code, timeout_s=deadline - time.monotonic())
    if hit is None:
        return None
    line = code.count("\n", 0, hit.start) + 1
    return f"{ascii(hit.text[:60])} in line {line}"
