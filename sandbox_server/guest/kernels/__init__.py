"""Kernels: one running interpreter of a language each, with state that lives between executions.

All have the same small interface (`Kernel`); `interpreter` puts contexts and E2B's protocol on top of it.
"""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any, Protocol

Event = dict[str, Any]
"""One line of E2B's /execute stream, without the end marker:

    {"type": "stdout" | "stderr", "text": str, "timestamp": int (Unix ns)}
    {"type": "result", "is_main_result": bool, "text": str, "html": str, "png": base64 str, ..., "extra": {...}}
    {"type": "error", "name": str, "value": str, "traceback": str}
    {"type": "number_of_executions", "execution_count": int}

Source: the output model of E2B's code-interpreter template, read by `e2b_code_interpreter.models.parse_output`.
"""


class KernelUnavailable(Exception):
    """The language cannot run here; the message says what to install."""


class Kernel(Protocol):
    """A running interpreter. One execution at a time: the caller serialises."""

    @property
    def alive(self) -> bool:
        """Whether the process is still there."""

    def execute(self, code: str, env_vars: dict[str, str]) -> AsyncIterator[Event]:
        """Run code and yield its events as they happen; ends when the execution ends.

        `env_vars` hold for this execution and are put back after it. When the process dies, an error event says so
        and the iterator ends. Closing the iterator early interrupts the code.
        """

    async def interrupt(self) -> None:
        """Stop the running code and keep the state; no effect when idle."""

    async def shutdown(self) -> None:
        """End the process and everything it started; returns when it is gone."""
