"""Prometheus metrics of executions, installations and sandboxes, in the default registry."""

from __future__ import annotations

import weakref
from typing import Protocol

from prometheus_client import Counter, Gauge, Histogram

from .errors import (
    COMPILE_ERROR,
    EXECUTION_TIMEOUT,
    INSTALL_FAILED,
    KERNEL_DIED,
    MISSING_LANGUAGE,
    NON_ZERO_EXIT,
    OUT_OF_MEMORY,
    OUTPUT_LIMIT,
)
from .rules.patterns import DEFAULT_PATTERNS, INSTALL_COMMAND

_SECONDS = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 300)

EXECUTIONS = Counter(
    "sandloop_executions_total",
    "Runs of code, by language and by outcome: success, cancelled, an error of ours by name, or error.",
    ["language", "outcome"],
)
EXECUTION_SECONDS = Histogram(
    "sandloop_execution_seconds", "Seconds of one run of code, installs included.", ["language"], buckets=_SECONDS
)
INSTALL_SECONDS = Histogram(
    "sandloop_install_seconds", "Seconds of one installation of packages.", ["language"], buckets=_SECONDS
)
SANDBOXES_ALIVE = Gauge("sandloop_sandboxes_alive", "Sandboxes that this process holds a lease of.")
SANDBOXES_CREATED = Counter("sandloop_sandboxes_created_total", "Sandboxes created.")
SANDBOXES_REPLACED = Counter("sandloop_sandboxes_replaced_total", "Sandboxes created in the place of a lost one.")
SANDBOXES_KILLED = Counter("sandloop_sandboxes_killed_total", "Sandboxes ended on request.")
OUTPUT_TRUNCATED = Counter("sandloop_output_truncated_total", "Results whose output was cut for the model.")
REFUSALS = Counter("sandloop_refusals_total", "Calls that were refused, by rule.", ["rule"])

_CODE_RULES = frozenset({"size", "characters", INSTALL_COMMAND.name, *(pattern.name for pattern in DEFAULT_PATTERNS)})
_OURS = frozenset(
    {
        COMPILE_ERROR,
        EXECUTION_TIMEOUT,
        INSTALL_FAILED,
        KERNEL_DIED,
        MISSING_LANGUAGE,
        NON_ZERO_EXIT,
        OUT_OF_MEMORY,
        OUTPUT_LIMIT,
    }
)


def count_execution(language: str, error: str | None, seconds: float) -> None:
    """Count one run of code.

    Args:
        language: its canonical name.
        error: as the result has it, None for success, "cancelled". The names of a program's own errors are its own
            choice, and there can be any number of them, so they are all one outcome.
        seconds: how long it took, installs included.
    """
    name = (error or "success").partition(":")[0]
    outcome = name if error in (None, "cancelled") or name in _OURS else "error"
    EXECUTIONS.labels(language, outcome).inc()
    EXECUTION_SECONDS.labels(language).observe(seconds)


def count_refusal(rule: str) -> None:
    """Count one refusal. A policy names patterns of its own, any number of them, so they are all `code.other`."""
    kind, _, name = rule.partition(".")
    REFUSALS.labels(rule if kind != "code" or name in _CODE_RULES else "code.other").inc()


class _Holder(Protocol):
    @property
    def alive(self) -> int: ...


_holders: weakref.WeakSet[_Holder] = weakref.WeakSet()
SANDBOXES_ALIVE.set_function(lambda: sum(holder.alive for holder in list(_holders)))


def count_alive(holder: _Holder) -> None:
    """Let the gauge ask an object how many sandboxes it holds, for as long as that lives."""
    _holders.add(holder)
