"""What a run of an agent is asked and what it answers; the same models for code, CLI, HTTP and the page."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field

from agent_tools.policy import SandboxPolicy
from agent_tools.results import Artifact

StoppedBecause = Literal["answered", "approval", "model_calls", "tool_calls", "cancelled", "failed"]
"""`approval`: a person has to decide, and the run goes on by a resume. `model_calls` and `tool_calls` are limits."""

Decision = Literal["approve", "edit", "reject"]


class InputFile(BaseModel):
    """A file that is put into the sandbox's home before the run.

    Attributes:
        name: a plain file name.
        content: base64.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    name: str = Field(min_length=1, max_length=255)
    content: str


class AgentRequest(BaseModel):
    """One message to an agent.

    Attributes:
        agent_type: decides which tools are attached, and the prompt.
        tools: empty for those of the type; else these by name, as far as the type allows them.
        system_prompt: extends or replaces the type's own.
        thread_id: the conversation to go on with; a new one when None.
        files: put into the sandbox first.
        policy: the sandbox's rules; the type's own when None.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    message: str = Field(min_length=1)
    agent_type: str = "coding"
    system_prompt: str | None = None
    system_prompt_mode: Literal["extend", "replace"] = "extend"
    provider_id: str | None = None
    model_id: str | None = None
    tools: tuple[str, ...] = ()
    thread_id: str | None = Field(default=None, min_length=1, max_length=200)
    files: tuple[InputFile, ...] = ()
    policy: SandboxPolicy | None = None
    stream: bool = False


class Usage(BaseModel):
    """Tokens of all model calls of a run."""

    model_config = ConfigDict(frozen=True)

    input_tokens: int = 0
    output_tokens: int = 0
    total_tokens: int = 0


class ToolStep(BaseModel):
    """One tool call and its result.

    Attributes:
        content: what the model was told; JSON.
        failed: the call failed, or its `success` is false.
    """

    model_config = ConfigDict(frozen=True)

    tool_call_id: str
    name: str
    args: dict[str, Any]
    content: Any = None
    artifacts: tuple[Artifact, ...] = ()
    failed: bool = False
    seconds: float = 0


class ApprovalRequest(BaseModel):
    """A tool call that waits for a person."""

    model_config = ConfigDict(frozen=True)

    tool_call_id: str
    name: str
    args: dict[str, Any]
    reason: str
    allowed_decisions: tuple[Decision, ...] = ("approve", "edit", "reject")


class ApprovalDecision(BaseModel):
    """What the person decided about one call.

    Attributes:
        args: the call's new arguments, for `edit`.
        reason: told to the model, for `reject`.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    tool_call_id: str
    decision: Decision
    args: dict[str, Any] | None = None
    reason: str = ""


class Failure(BaseModel):
    """Why a run failed: the error's name, and what to do."""

    model_config = ConfigDict(frozen=True)

    name: str
    message: str


class AgentResponse(BaseModel):
    """What came of a run."""

    model_config = ConfigDict(frozen=True)

    answer: str
    thread_id: str
    sandbox_id: str | None = None
    steps: tuple[ToolStep, ...] = ()
    artifacts: tuple[Artifact, ...] = ()
    usage: Usage = Usage()
    stopped_because: StoppedBecause
    approvals: tuple[ApprovalRequest, ...] = ()
    failure: Failure | None = None
    scripted: bool = False
    """The answer's model was the scripted one; say so wherever a person sees it."""


class Started(BaseModel):
    """The first event of a run."""

    type: Literal["started"] = "started"
    thread_id: str
    run_id: str
    agent_type: str
    provider_id: str
    model_id: str
    scripted: bool = False


class Token(BaseModel):
    """A piece of the model's words."""

    type: Literal["token"] = "token"
    text: str


class ToolCalled(BaseModel):
    """The model calls a tool; its code runs now."""

    type: Literal["tool_call"] = "tool_call"
    tool_call_id: str
    name: str
    args: dict[str, Any]


class ToolOutput(BaseModel):
    """Output of a tool call, as it comes."""

    type: Literal["tool_output"] = "tool_output"
    tool_call_id: str | None
    stream: Literal["stdout", "stderr", "status"]
    text: str


class ToolReturned(BaseModel):
    """A tool call has ended."""

    type: Literal["tool_result"] = "tool_result"
    step: ToolStep


class ApprovalNeeded(BaseModel):
    """The run waits for decisions on all of these; `ended` follows."""

    type: Literal["approval"] = "approval"
    requests: tuple[ApprovalRequest, ...]


class Ended(BaseModel):
    """The last event of every run, also of one that failed or was cancelled."""

    type: Literal["ended"] = "ended"
    response: AgentResponse


AgentEvent = Annotated[
    Started | Token | ToolCalled | ToolOutput | ToolReturned | ApprovalNeeded | Ended, Field(discriminator="type")
]
"""What `AgentService.stream` yields, in order."""


class ThreadSummary(BaseModel):
    """A conversation; times in ISO 8601 UTC.

    Attributes:
        waiting: a person has to decide about a call.
        running: a run is going on, in this process.
        interrupted: the last run was cancelled, failed or crashed, and can be resumed.
    """

    model_config = ConfigDict(frozen=True)

    id: str
    title: str
    created_at: str
    updated_at: str
    agent_type: str
    provider_id: str = ""
    model_id: str = ""
    waiting: bool = False
    running: bool = False
    interrupted: bool = False


class ThreadMessage(BaseModel):
    """What one side said; the assistant's holds the tool calls that it made with it."""

    model_config = ConfigDict(frozen=True)

    role: Literal["user", "assistant"]
    text: str
    steps: tuple[ToolStep, ...] = ()


class ThreadDetail(ThreadSummary):
    """A conversation with all that was said, and what it waits for."""

    sandbox_id: str | None = None
    messages: tuple[ThreadMessage, ...] = ()
    approvals: tuple[ApprovalRequest, ...] = ()


class CodingAgentConfig(BaseModel):
    """A saved configuration of an agent: the policy is the form, with name, description and system prompt.

    Attributes:
        id: given by the service.
    """

    model_config = ConfigDict(frozen=True)

    id: str
    created_at: str
    updated_at: str
    agent_type: str = "coding"
    policy: SandboxPolicy
