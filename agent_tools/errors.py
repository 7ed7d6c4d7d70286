"""What can go wrong around a sandbox, by who has to act.

    AgentToolsError
    ├── CallRefused                 the call was wrong: the model is told, and can correct itself
    │   ├── InvalidCall             bad package name, unknown language, path outside the sandbox, unknown sandbox
    │   └── PolicyRefusal           well-formed, and the policy forbids it; names the rule
    └── SandboxUnavailable          no sandbox to run in: a person has to act, and the message says how
        ├── ApiKeyRejected          E2B does not take the key
        ├── EmbeddedServerFailed    the embedded server did not start on this machine
        ├── ServiceUnreachable      E2B, or the embedded server, does not answer
        ├── SandboxLimitReached     no room for one more sandbox
        └── SandboxLost             the sandbox ended during the call

That the *code* failed is none of these: it is a result with `success` false. The names such a result's `error` starts
with, besides the language's own (`SyntaxError`, ...), are the constants below. docs/errors.md has the whole table.
"""

from __future__ import annotations

from typing import Final

EXECUTION_TIMEOUT: Final = "ExecutionTimeout"
"""The code ran into its time limit and was interrupted; the sandbox and its variables live on."""
OUT_OF_MEMORY: Final = "OutOfMemory"
"""The code needed more memory than the sandbox has; variables are lost, files are kept."""
KERNEL_DIED: Final = "KernelDied"
"""The process that ran the code ended (a crash, or an exit); variables are lost, files are kept."""
OUTPUT_LIMIT: Final = "OutputLimit"
"""The code printed more than one call may, and was stopped; the sandbox and its variables live on."""
INSTALL_FAILED: Final = "InstallFailed"
"""The package installer failed; holds its last lines."""
MISSING_LANGUAGE: Final = "MissingLanguage"
"""The sandbox has no compiler or interpreter for the language."""
COMPILE_ERROR: Final = "CompileError"
"""The compiler refused the program."""
NON_ZERO_EXIT: Final = "NonZeroExit"
"""The program ran and ended with an exit code other than 0."""


class AgentToolsError(Exception):
    """Base of all errors of this package."""


class CallRefused(AgentToolsError):
    """The call was not carried out, and nothing was changed; the message is meant for the model.

    Attributes:
        rule: the name of the check that refused, such as `package.name` or `path.outside`.
    """

    def __init__(self, message: str, *, rule: str) -> None:
        super().__init__(message)
        self.rule = rule


class InvalidCall(CallRefused):
    """An argument is malformed or names what does not exist."""


class PolicyRefusal(CallRefused):
    """The policy forbids a well-formed call."""


class SandboxUnavailable(AgentToolsError):
    """There is no sandbox to run in. The message says what a person can do about it."""


class ApiKeyRejected(SandboxUnavailable):
    """E2B refuses the API key. Nothing falls back to the embedded server: that is another place."""


class EmbeddedServerFailed(SandboxUnavailable):
    """The embedded server could not be started; the message holds what it said."""


class ServiceUnreachable(SandboxUnavailable):
    """The sandbox service does not answer."""


class SandboxLimitReached(SandboxUnavailable):
    """The service has no room for one more sandbox (its own limit, or the account's)."""


class SandboxLost(SandboxUnavailable):
    """The sandbox ended while a call was running in it; the next call gets a new one."""
