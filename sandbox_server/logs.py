"""Where the server's log goes when the server is the program, and not a part of somebody else's."""

from __future__ import annotations

import sys

import structlog


def to_stderr() -> None:
    """Write the log to stderr: stdout is for answers. Without this it goes wherever structlog is set up to write."""
    structlog.configure(
        processors=[
            structlog.processors.add_log_level,
            structlog.processors.TimeStamper(fmt="iso"),
            structlog.dev.ConsoleRenderer(colors=sys.stderr.isatty()),
        ],
        # Each connection of a sandbox is a debug line: code in there could flood the log.
        wrapper_class=structlog.make_filtering_bound_logger("info"),
        logger_factory=structlog.PrintLoggerFactory(sys.stderr),
    )
