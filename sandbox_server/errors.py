"""What can go wrong with the server itself, each with what to do about it in its message.

    SandboxServerError
    ├── IsolationUnavailable
    ├── TemplateError
    │   └── TemplateBuildFailed
    ├── SandboxStartFailed
    ├── ServerNotRunning
    └── ServerStartFailed

A failure of the code in a sandbox is never one of these: it is a result. A wrong request is an answer on the wire.
"""


class SandboxServerError(Exception):
    """The server cannot do its work; base of all errors of this package."""


class IsolationUnavailable(SandboxServerError):
    """This machine cannot isolate sandboxes (bubblewrap, user namespaces or seccomp): says what to install or set."""


class TemplateError(SandboxServerError):
    """A sandbox template cannot be used."""


class TemplateBuildFailed(TemplateError):
    """Installing a template's packages failed: holds the last lines of the installer's output."""


class SandboxStartFailed(SandboxServerError):
    """One sandbox could not be started; others are not affected."""


class ServerNotRunning(SandboxServerError):
    """No resident server runs for this user."""


class ServerStartFailed(SandboxServerError):
    """A resident server was started and did not come up."""
