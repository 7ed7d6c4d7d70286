"""The server's log: one line an event on stderr, as text or JSON, and no stack of any library in it."""

from __future__ import annotations

import logging
import sys

import structlog

from agent_tools import audit

from ..sections import LogSection

_LEVELS = {"debug": 10, "info": 20, "warning": 30, "error": 40}
_log = structlog.get_logger(__name__)


def write_log(settings: LogSection) -> None:
    """Send all log events of this process to stderr, the standard library's too."""
    structlog.configure(
        processors=[
            structlog.contextvars.merge_contextvars,
            _without_stack,
            structlog.processors.add_log_level,
            structlog.processors.TimeStamper(fmt="iso"),
            structlog.processors.JSONRenderer()
            if settings.format == "json"
            else structlog.dev.ConsoleRenderer(colors=sys.stderr.isatty()),
        ],
        wrapper_class=structlog.make_filtering_bound_logger(_LEVELS[settings.level]),
        logger_factory=structlog.PrintLoggerFactory(sys.stderr),
    )
    logging.basicConfig(handlers=[_Forwarded(logging.WARNING)], level=logging.WARNING, force=True)


def _without_stack(_: object, __: str, event: structlog.typing.EventDict) -> structlog.typing.EventDict:
    """Leave of an exception its kind: its text and its frames may hold what a caller sent, or a key."""
    error = event.pop("exc_info", None)
    if error is True:
        error = sys.exc_info()[1]
    if isinstance(error, tuple):
        error = error[1]
    if isinstance(error, BaseException):
        event.setdefault("error", type(error).__name__)
        event.setdefault("said", audit.excerpt(str(error), 300))
    event.pop("stack_info", None)
    return event


class _Forwarded(logging.Handler):
    """Sends records of the standard library to the same place."""

    def emit(self, record: logging.LogRecord) -> None:
        # What fails at the start comes as the text of a traceback; its last line says what it is.
        lines = record.getMessage().strip().splitlines() or [""]
        said = lines[-1] if lines[0].startswith("Traceback") else lines[0]
        _log.log(record.levelno, "server", logger=record.name, said=audit.excerpt(said, 500), exc_info=record.exc_info)
