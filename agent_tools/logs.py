"""Log lines by way of the standard library's logging, below the logger `sandloop`: where they go is the program's.

Nothing below WARNING is shown unless somebody asks for it: by the logging of the program that imports this, or by
SANDLOOP_LOG_LEVEL, which `to_stderr` serves. A line's fields are also in its record, as the dict `record.sandloop`.
"""

from __future__ import annotations

import logging
import sys
from collections.abc import Mapping
from typing import Any, cast

import structlog
from structlog.typing import EventDict, WrappedLogger

ROOT = "sandloop"
LEVELS = ("DEBUG", "INFO", "WARNING", "ERROR", "CRITICAL")

_FORMAT = "%(asctime)s %(levelname)-7s %(name)s %(message)s"
_fields = structlog.processors.KeyValueRenderer(sort_keys=False, repr_native_str=True)
_HANDLER = "sandloop-stderr"


def logger(name: str) -> structlog.stdlib.BoundLogger:
    """Return the logger `sandloop.<name>`, which takes an event and its fields."""
    bound = structlog.wrap_logger(
        logging.getLogger(f"{ROOT}.{name}"),
        processors=[structlog.stdlib.filter_by_level, structlog.processors.format_exc_info, _as_record],
        wrapper_class=structlog.stdlib.BoundLogger,
        context_class=dict,
    )
    return cast(structlog.stdlib.BoundLogger, bound)


def to_stderr(level: str) -> None:
    """Write lines of a level and above to stderr; called again, it changes the level.

    Raises:
        ValueError: there is no such level.
    """
    wanted = level.strip().upper()
    if wanted not in LEVELS:
        raise ValueError(f"SANDLOOP_LOG_LEVEL is {level[:40]!r}; use one of {', '.join(LEVELS)}")
    root = logging.getLogger(ROOT)
    root.setLevel(wanted)
    if all(handler.get_name() != _HANDLER for handler in root.handlers):
        handler = _Stderr()
        handler.set_name(_HANDLER)
        handler.setFormatter(logging.Formatter(_FORMAT))
        root.addHandler(handler)
        # Else a program that logs too would show each line twice.
        root.propagate = False


class _Stderr(logging.StreamHandler[Any]):
    """Writes to what `sys.stderr` is at the time of the line."""

    def __init__(self) -> None:
        logging.Handler.__init__(self)

    @property
    def stream(self) -> Any:
        return sys.stderr

    @stream.setter
    def stream(self, _: Any) -> None:
        """Ignore it: the base class sets one."""


def _as_record(_: WrappedLogger, __: str, event: EventDict) -> tuple[tuple[str], Mapping[str, Any]]:
    """Return the arguments of the standard logger's method: a line of text, and the fields beside it."""
    fields = dict(event)
    name = fields.pop("event")
    exception = fields.pop("exception", None)
    shown = {key: value for key, value in fields.items() if value not in (None, [], "")}
    text = f"{name} {_fields(None, '', dict(shown))}" if shown else str(name)
    if exception:
        text = f"{text}\n{exception}"
    # A per cent sign in the text is no placeholder: the standard logger leaves a message without arguments alone.
    return (text,), {"extra": {"sandloop": dict(event)}}
