"""Log lines of the command line: on stderr, and only what a person at a terminal wants to know."""

from __future__ import annotations

import logging
import os
import sys
from collections.abc import Mapping, MutableMapping
from typing import Any, Literal

_PROGRESS = "embedded server"
"""The event by which a first start says what it does: that takes a minute."""


def verbose() -> bool:
    """Whether whole tracebacks are wanted."""
    return os.environ.get("SANDLOOP_LOG_LEVEL", "").lower() == "debug"


def to_stderr(level: Literal["debug", "info", "warning", "error"]) -> None:
    """Write log events of this level and above. Without this structlog writes all of them to stdout."""
    import structlog

    least = logging.getLevelNamesMapping()[level.upper()]

    def is_shown(event: Mapping[str, Any], number: int) -> bool:
        return number >= least or event.get("event") == _PROGRESS

    def rendered(_: object, method: str, event: MutableMapping[str, Any]) -> str:
        if not is_shown(event, logging.getLevelNamesMapping().get(method.upper(), logging.ERROR)):
            raise structlog.DropEvent
        return _line(method, event)

    structlog.configure(
        processors=[structlog.processors.format_exc_info, rendered],
        logger_factory=structlog.PrintLoggerFactory(sys.stderr),
        wrapper_class=structlog.make_filtering_bound_logger(min(least, logging.INFO)),
    )
    handler = logging.StreamHandler(sys.stderr)
    handler.addFilter(lambda record: is_shown(_event(record), record.levelno))
    handler.setFormatter(_Formatter())
    logger = logging.getLogger("sandloop")
    logger.setLevel(min(least, logging.INFO))
    logger.handlers = [handler]
    logger.propagate = False


class _Formatter(logging.Formatter):
    def format(self, record: logging.LogRecord) -> str:
        event = _event(record)
        return (
            _line(record.levelname.lower(), event) if event else f"{record.levelname.lower()}: {super().format(record)}"
        )


def _event(record: logging.LogRecord) -> Mapping[str, Any]:
    event = getattr(record, "sandloop", None)
    return event if isinstance(event, Mapping) else {}


def _line(level: str, event: Mapping[str, Any]) -> str:
    if event.get("event") == _PROGRESS:
        return f"sandloop: {event.get('said')}"
    fields = " ".join(f"{name}={value!r}" for name, value in event.items() if name not in ("event", "exception"))
    trace = f"\n{event['exception']}" if "exception" in event else ""
    return f"{level}: {event.get('event')} {fields}".rstrip() + trace
