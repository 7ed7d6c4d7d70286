"""Errors of the egress proxy.

EgressError
├── RuleError        an entry of allow_out / deny_out that cannot be understood
└── RequestRefused   a request the proxy answers with an HTTP error instead of a connection
    └── PolicyRefused    … because the sandbox's network policy says no (403)
"""


class EgressError(Exception):
    """Base of everything this package raises on purpose."""


class RuleError(EgressError, ValueError):
    """An `allow_out` or `deny_out` entry is malformed; the text says which one and what is accepted."""


class RequestRefused(EgressError):
    """The proxy answers `status` with `reason` in the reason phrase, since curl, urllib and pip show only that."""

    def __init__(self, status: int, reason: str) -> None:
        super().__init__(reason)
        self.status = status
        self.reason = reason


class PolicyRefused(RequestRefused):
    """The policy does not let the sandbox go there."""

    def __init__(self, reason: str) -> None:
        super().__init__(403, f"Sandbox network policy: {reason}")
