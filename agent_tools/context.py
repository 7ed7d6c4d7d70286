"""Whose sandbox a call is for, under which policy, and where its live output goes."""

from __future__ import annotations

from collections.abc import Callable
from contextvars import ContextVar
from dataclasses import dataclass, field
from typing import Literal

from .policy import SandboxPolicy
from .results import Artifact

LOCAL_OWNER = "local"
"""The owner of everything where nobody logs in."""


@dataclass(frozen=True, slots=True)
class LiveOutput:
    """A piece of output, as it comes."""

    stream: Literal["stdout", "stderr", "status"]
    """`status` is a line from us about progress, such as an install."""
    text: str


def ignore(_: LiveOutput) -> None:
    """Take live output and do nothing."""


def ignore_artifact(_: Artifact) -> None:
    """Take a rich result and do nothing."""


@dataclass(frozen=True, slots=True)
class CallContext:
    """What the tools need to know about their caller.

    Attributes:
        thread_id: the conversation; each has a sandbox of its own.
        owner: the user. Nobody reaches another owner's sandbox, whatever the ids.
        policy: the rules of this call.
        sandbox_key: threads of one owner that name the same key share one sandbox, on purpose.
        asks_approved: True when a person has been asked about what the policy marks `ask`, so that it passes here.
            Without it, `ask` is a refusal.
        known_sandbox_id: the sandbox that an earlier turn of the thread ran in, where that is known. When a new one
            has to be made, the result says that its state is lost.
        tool_call_id: the model's id of the call; live output carries it.
        on_output: called with live output, from the thread of the sandbox loop: it must not block.
        on_artifact: called in the same way with each rich result of code, as it comes and whole; the call's result
            has them once more.
        raw_output: pass live output on as it was written, and all of it: for a pipe, not for somebody's eyes. Else it
            comes without control characters, and ends after `output.LIVE_CHARACTERS`.
    """

    thread_id: str
    owner: str = LOCAL_OWNER
    policy: SandboxPolicy = field(default_factory=SandboxPolicy)
    sandbox_key: str | None = None
    asks_approved: bool = False
    known_sandbox_id: str | None = None
    tool_call_id: str | None = None
    on_output: Callable[[LiveOutput], None] = ignore
    on_artifact: Callable[[Artifact], None] = ignore_artifact
    raw_output: bool = False


current_call: ContextVar[CallContext | None] = ContextVar("sandloop_call", default=None)
"""The context that a graph sets around a tool call. Tools outside such a graph make one from their configuration."""
