"""Regular expressions of other people, searched for within a time limit, which the standard library has not."""

from __future__ import annotations

import re
from functools import lru_cache
from typing import Final, NamedTuple, Protocol, cast

import regex  # type: ignore[import-untyped]

MAX_PARTS: Final = 10_000
"""Of an expression whose counted groups are written out, as they are in memory when it is compiled."""

_COUNTS = re.compile(r"\{\s*(?P<least>\d*)\s*(?:,\s*(?P<most>\d*)\s*)?\}")


class Hit(NamedTuple):
    """Where an expression matches first."""

    start: int
    text: str


class _Match(Protocol):
    def start(self) -> int: ...
    def group(self) -> str: ...


class _Pattern(Protocol):
    def search(self, string: str, *, timeout: float) -> _Match | None: ...


def check_expression(expression: str) -> None:
    """Raise a `ValueError` that says what is wrong with a regular expression."""
    if _parts(expression) > MAX_PARTS:
        raise ValueError(
            f"{expression!r} repeats too often: written out, its counts in braces make more than {MAX_PARTS} parts."
        )
    try:
        _compiled(expression)
    except (regex.error, OverflowError, RecursionError) as error:
        raise ValueError(f"{expression!r} is not a regular expression: {error}") from error


def search(expression: str, text: str, *, timeout_s: float) -> Hit | None:
    """The first match, or None.

    Raises:
        TimeoutError: the search takes longer than `timeout_s` seconds.
    """
    if timeout_s <= 0:
        raise TimeoutError
    match = _compiled(expression).search(text, timeout=timeout_s)
    return None if match is None else Hit(match.start(), match.group())


def _parts(expression: str) -> int:
    """At most how many parts there are when all counts are written out.

    A count of one character or set adds; one of a group may be around others, and multiplies.
    """
    factor, others = 1, 0
    for count in _COUNTS.finditer(expression):
        most = max(int((number or "0")[:6]) for number in count.group("least", "most"))
        # After a blank it may be anything's, since the expression may say that blanks count for nothing.
        before = expression[: count.start()][-1:]
        if before.isspace() or before in ")}?+*":
            factor *= max(most, 1)
        else:
            others += most
    return factor * (len(expression) + others)


@lru_cache(maxsize=256)
def _compiled(expression: str) -> _Pattern:
    return cast(_Pattern, regex.compile(expression))
