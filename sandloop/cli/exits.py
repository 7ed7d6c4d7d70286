"""Exit codes, and which error ends in which."""

from __future__ import annotations

from enum import IntEnum


class ExitCode(IntEnum):
    """What a command ends with. `execute` ends with the program's own code where that has one."""

    SUCCESS = 0
    FAILED = 1
    USAGE = 2
    WAITING = 3
    """A run waits for a person's approval."""
    LIMIT = 4
    """A run ended at a limit of model or tool calls."""
    UNAVAILABLE = 69
    """There is no sandbox, no database or no server to be had."""
    REFUSED = 77
    """The policy forbids it."""
    CONFIGURATION = 78
    TIMEOUT = 124
    """As timeout(1) has it."""
    INTERRUPTED = 130
    BROKEN_PIPE = 141
    """As a program ends by SIGPIPE: nobody reads the output any more."""


HELP = (
    "Exit codes: 0 success, 1 failed, 2 wrong usage, 69 no sandbox or server to be had, 77 refused by the policy, "
    "78 wrong settings, 130 interrupted."
)
"""The end of each command's help that has no more to say."""


class Problem(Exception):
    """Ends a command with one line for the person.

    Attributes:
        code: the exit code.
    """

    def __init__(self, message: str, code: ExitCode = ExitCode.USAGE) -> None:
        super().__init__(message)
        self.code = code


def code_of(error: BaseException) -> ExitCode | None:
    """Return the exit code of an error that says by its message what to do; None for one that nobody expected."""
    # Only now: what has failed has imported them already.
    from agent_tools.errors import CallRefused, PolicyRefusal, SandboxUnavailable
    from graphs.errors import DatabaseUnavailable, ModelFailure, RequestRefused
    from sandbox_server import SandboxServerError

    from ..settings import SettingsError

    if isinstance(error, Problem):
        return error.code
    known: tuple[tuple[type[BaseException], ExitCode], ...] = (
        (SettingsError, ExitCode.CONFIGURATION),
        (DatabaseUnavailable, ExitCode.UNAVAILABLE),
        (SandboxUnavailable, ExitCode.UNAVAILABLE),
        (SandboxServerError, ExitCode.UNAVAILABLE),
        (PolicyRefusal, ExitCode.REFUSED),
        (CallRefused, ExitCode.USAGE),
        (RequestRefused, ExitCode.USAGE),
        (ModelFailure, ExitCode.FAILED),
    )
    return next((code for kind, code in known if isinstance(error, kind)), None)
