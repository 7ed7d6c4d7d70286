"""What can go wrong around an agent's run, by who has to act.

    GraphsError
    ├── RequestRefused                  the request cannot be served as it is; nothing was run
    │   ├── UnknownAgentType            no such agent type; lists the known ones
    │   ├── AgentTypeInvalid            the file of an agent type is malformed; names the file and the field
    │   ├── McpServerUnavailable        an MCP server of the agent type does not start or answer
    │   ├── UnknownTool                 a tool that does not exist, or that the agent type does not have; lists them
    │   ├── FileInvalid                 a file of the request cannot be put into the sandbox
    │   ├── ThreadBusy                  a run of this thread is going on
    │   ├── ThreadNotFound              the owner has no such thread
    │   ├── NothingToResume             the thread waits for nothing
    │   ├── DecisionInvalid             a decision is missing, or for no call that waits
    │   ├── ConfigNotFound              the owner has no such saved configuration
    │   ├── DatabaseUnavailable         the database of threads cannot be opened; says why
    │   ├── UnknownProvider             no such provider; lists the known ones
    │   ├── ProviderNotInstalled        its package is missing; says what to install
    │   ├── ModelKeyMissing             it needs a key and there is none; names the variable
    │   ├── InvalidModelSettings        an address, a time limit or a model name that cannot be used
    │   ├── ToolCallingUnsupported      the agent type has tools and the model cannot call any
    │   └── ScriptInvalid               the file of a scripted model is unknown or malformed; says where
    └── ModelFailure                    the model was asked and gave no usable reply
        ├── ModelKeyRejected            the provider does not take the key (401)
        ├── ModelAccessDenied           the key is good, this is not allowed to it (403)
        ├── ModelNotFound               no such model, or nothing at this address (404)
        ├── ModelRequestRejected        the provider refuses the request as malformed (other 4xx)
        ├── ContextTooLong              the conversation does not fit into the model's window
        ├── ModelQuotaExhausted         the account has no credit left (402, and 429 with that reason)
        ├── ModelRateLimited            too many requests (429); knows when to come back
        ├── ModelUnavailable            the provider fails (5xx), or nothing answers at its address
        ├── ModelTimeout                no answer in time
        ├── ReplyUnreadable             what came back is not what this protocol sends
        └── ReplyUnusable               a well-formed reply that an agent cannot go on with
            ├── ReplyTruncated          it ends in the middle
            ├── ReplyEmpty              neither text nor a tool call
            └── ReplyFiltered           the provider held it back, or the model refused to answer

No message holds a key, nor does one hold a password of an address: see `graphs.failures`.
"""

from __future__ import annotations

from typing import ClassVar


class GraphsError(Exception):
    """Base of all errors of this package."""


class RequestRefused(GraphsError):
    """The request cannot be served as it is. The message says what to change; nothing was run."""


class UnknownAgentType(RequestRefused):
    """There is no agent type of this name."""


class AgentTypeInvalid(RequestRefused):
    """The file of an agent type cannot be read, or says something that it cannot say."""


class McpServerUnavailable(RequestRefused):
    """An MCP server of the agent type does not start, or does not answer."""


class UnknownTool(RequestRefused):
    """There is no tool of this name, or the agent type does not have it."""


class FileInvalid(RequestRefused):
    """A file of the request cannot be put into the sandbox."""


class ThreadBusy(RequestRefused):
    """A run of this thread is going on: wait for its end, or cancel it."""


class ThreadNotFound(RequestRefused):
    """The owner has no thread of this id."""


class NothingToResume(RequestRefused):
    """The thread's last run has ended: send it a message."""


class DecisionInvalid(RequestRefused):
    """The decisions do not fit the calls that wait for one."""


class ConfigNotFound(RequestRefused):
    """The owner has no saved configuration of this id."""


class DatabaseUnavailable(RequestRefused):
    """The database of threads cannot be opened."""


class UnknownProvider(RequestRefused):
    """There is no provider of this name."""


class ProviderNotInstalled(RequestRefused):
    """The provider's package is not installed."""


class ModelKeyMissing(RequestRefused):
    """The provider needs an API key, and none was given."""


class InvalidModelSettings(RequestRefused):
    """A model's name, address or limit cannot be used."""


class ToolCallingUnsupported(RequestRefused):
    """The model cannot call tools, and the agent type has some."""


class ScriptInvalid(RequestRefused):
    """The file of a scripted model is unknown or malformed."""


class ModelFailure(GraphsError):
    """The model was asked and gave no usable reply.

    Attributes:
        detail: what the provider said, without keys and shortened; "" when it said nothing. For a log.
    """

    retryable: ClassVar[bool] = False
    """Whether the same request may succeed later. The SDK has already tried again `max_retries` times."""

    def __init__(self, message: str, *, detail: str = "") -> None:
        super().__init__(message)
        self.detail = detail


class ModelKeyRejected(ModelFailure):
    """The provider does not take the API key."""


class ModelAccessDenied(ModelFailure):
    """The key is known, and may not do this."""


class ModelNotFound(ModelFailure):
    """The provider has no such model, or there is no such API at the address."""


class ModelRequestRejected(ModelFailure):
    """The provider refuses the request as malformed: usually a setting that this model does not take."""


class ContextTooLong(ModelFailure):
    """The conversation is longer than the model's window."""


class ModelQuotaExhausted(ModelFailure):
    """The account has no credit left: waiting does not help."""


class ModelRateLimited(ModelFailure):
    """Too many requests in a time.

    Attributes:
        retry_after_s: the seconds that the provider asks to wait, where it says so.
    """

    retryable = True

    def __init__(self, message: str, *, detail: str = "", retry_after_s: float | None = None) -> None:
        super().__init__(message, detail=detail)
        self.retry_after_s = retry_after_s


class ModelUnavailable(ModelFailure):
    """The provider fails, or nothing answers at its address."""

    retryable = True


class ModelTimeout(ModelFailure):
    """The model did not answer in time."""

    retryable = True


class ReplyUnreadable(ModelFailure):
    """What came back is not what this protocol sends: another kind of server, or a proxy in between."""


class ReplyUnusable(ModelFailure):
    """The reply is well-formed, and an agent cannot go on with it."""


class ReplyTruncated(ReplyUnusable):
    """The reply ends in the middle: the limit of output tokens, or a stream that broke off."""


class ReplyEmpty(ReplyUnusable):
    """The reply has neither text nor a tool call."""

    retryable = True


class ReplyFiltered(ReplyUnusable):
    """The provider held the reply back, or the model refused to give one."""
