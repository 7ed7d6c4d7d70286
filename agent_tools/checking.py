"""The policy's checks around a call: what they refuse, and what they let pass, is in the audit log."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Sequence

from . import audit, metrics
from .context import CallContext
from .errors import CallRefused
from .rules.verdicts import Verdict


@contextlib.contextmanager
def checking(context: CallContext, tool: str, *, names: Sequence[str] = (), code: str | None = None) -> Iterator[None]:
    """Record a refusal that is raised inside, and pass it on."""
    try:
        yield
    except CallRefused as refusal:
        metrics.count_refusal(refusal.rule)
        audit.record_refusal(context, refusal, tool=tool, names=names, code=code)
        raise


def passed(
    context: CallContext, verdict: Verdict, tool: str, *, names: Sequence[str] = (), code: str | None = None
) -> tuple[str, ...]:
    """Refuse what needs an approval that was not given; record the rest, and return its warnings.

    Raises:
        PolicyRefusal: nobody approved.
    """
    verdict.require_approval(approved=context.asks_approved)
    audit.record_passed(context, verdict, tool=tool, names=names, code=code)
    return verdict.warnings
