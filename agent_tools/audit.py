"""The audit log: every refusal, every install, and every approval and warning that let a call pass.

One line each, by the logger `sandloop.audit` (see `logs`): `event`, `rule`, `tool`, `owner`, `thread`, `sandbox_id`,
`policy`, `names`, and of code the first 100 characters. What looks like a secret is masked.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from typing import Final, Literal

from . import logs
from .context import CallContext
from .errors import CallRefused
from .rules.verdicts import Verdict

CODE_CHARACTERS: Final = 100
_READ: Final = 2000
"""Characters that are searched for secrets: a secret must not be cut before it is seen."""
_MAX_NAMES: Final = 50

_SECRETS = re.compile(
    r"(?P<scheme>://)[^\s/@:]*:[^\s/@]+@"
    r"|\b(?:sk|pk|rk|e2b|ghp|gho|ghs|ghu|github_pat|glpat|xox[abprs]|hf|lsv2|npm|pypi|AKIA|ASIA|AIza)[-_]?[A-Za-z0-9_\-]{12,}"
    r"|\beyJ[A-Za-z0-9_-]{8,}(?:\.[A-Za-z0-9_-]*){0,2}"
    r"|-----BEGIN [A-Z ]*PRIVATE KEY-----[\s\S]*"
    r"|(?P<header>(?i:bearer|basic)\s+)[A-Za-z0-9._~+/=-]{8,}"
    r"|(?P<key>(?<![\w-])(?i:[\w-]*(?:password|passwd|secret|token|api[_-]?key|access[_-]?key|credential)[\w-]*)"
    r"[\"']?\]?\s*[:=]\s*)(?:\"[^\"\n]*\"?|'[^'\n]*'?|[^\s,;)\"']+)"
)
_MASK: Final = "***"


_log = logs.logger("audit")


def excerpt(text: str, limit: int = CODE_CHARACTERS) -> str:
    """The beginning of a text as a log may hold it: one line, printable, without what looks like a secret."""
    masked = _SECRETS.sub(_masked, text[:_READ])[:limit]
    return "".join(ch if ch.isprintable() else ch.encode("unicode_escape").decode() for ch in masked)


def record_refusal(
    context: CallContext,
    refusal: CallRefused,
    *,
    tool: str,
    sandbox_id: str | None = None,
    names: Iterable[str] = (),
    code: str | None = None,
) -> None:
    """Note that a call was refused.

    Args:
        context: whose call.
        refusal: why; of it the rule is noted, and not the message, which quotes the call.
        tool: what was called.
        sandbox_id: where it would have run, if there is a sandbox already.
        names: packages or paths that it named.
        code: the code or command that it would have run.
    """
    _log.warning(
        "call_refused",
        rule=refusal.rule,
        kind=type(refusal).__name__,
        tool=tool,
        **_caller(context, sandbox_id),
        **_what(names, code),
    )


def record_install(
    context: CallContext,
    requirements: Sequence[str],
    *,
    sandbox_id: str,
    language: str,
    outcome: Literal["installed", "failed", "timeout", "cancelled"],
    duration_s: float,
) -> None:
    """Note that packages were installed, or that this was tried."""
    _log.info(
        "packages_installed",
        language=language,
        outcome=outcome,
        duration_s=round(duration_s, 3),
        **_caller(context, sandbox_id),
        **_what(requirements, None),
    )


def record_passed(
    context: CallContext,
    verdict: Verdict,
    *,
    tool: str,
    sandbox_id: str | None = None,
    names: Iterable[str] = (),
    code: str | None = None,
) -> None:
    """Note what a rule saw in a call that goes on: one event for each approved question, and one for all warnings."""
    for ask in verdict.asks:
        _log.info(
            "call_approved",
            rule=ask.rule,
            subject=excerpt(ask.subject),
            tool=tool,
            **_caller(context, sandbox_id),
            **_what(names, code),
        )
    if verdict.warnings:
        _log.info(
            "call_warned",
            warnings=[excerpt(warning, 300) for warning in verdict.warnings],
            tool=tool,
            **_caller(context, sandbox_id),
            **_what(names, code),
        )


def _caller(context: CallContext, sandbox_id: str | None) -> dict[str, str | None]:
    return {
        "owner": context.owner,
        "thread": context.thread_id,
        "sandbox_id": sandbox_id,
        "policy": context.policy.name,
        "tool_call_id": context.tool_call_id,
    }


def _what(names: Iterable[str], code: str | None) -> dict[str, object]:
    shown = [excerpt(name) for name in list(names)[:_MAX_NAMES]]
    return {"names": shown} if code is None else {"names": shown, "code": excerpt(code)}


def _masked(match: re.Match[str]) -> str:
    kept = match["scheme"] or match["header"] or match["key"] or ""
    return f"{kept}{_MASK}@" if match["scheme"] else f"{kept}{_MASK}"
