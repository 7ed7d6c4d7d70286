"""What the routes under /code are sent, and what they answer besides the results of `agent_tools`."""

from __future__ import annotations

from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field, StringConstraints

from agent_tools.policy import SandboxPolicy
from agent_tools.results import Artifact, ExecutionResult, FileResult

ThreadId = Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9][A-Za-z0-9._:@-]{0,127}$")]
"""The name of a conversation. Each has a sandbox of its own, whose variables and files live from call to call."""

Seconds = Annotated[int, Field(ge=1, le=86_400)]
Path = Annotated[str, Field(min_length=1, max_length=4096, description="Absolute, or relative to /home/user.")]
DEFAULT_THREAD = "default"


class Call(BaseModel):
    """What all calls have."""

    model_config = ConfigDict(extra="forbid")

    thread_id: ThreadId = DEFAULT_THREAD
    policy: SandboxPolicy | None = Field(default=None, description="The rules of this call; by default the server's.")
    approved: bool = Field(default=False, description="A person has approved what the policy marks `ask`.")


class ExecuteCall(Call):
    """Code to run."""

    model_config = ConfigDict(
        json_schema_extra={
            "examples": [
                {"code": "import math\nprint(math.factorial(10))", "language": "python"},
                {"code": "console.log([1, 2, 3].map(x => x * x))", "language": "javascript", "thread_id": "demo"},
            ]
        }
    )

    code: str
    language: str | None = Field(default=None, max_length=40, description="By default that of the server's settings.")
    timeout: Seconds | None = Field(default=None, description="Seconds; by default the policy's limit.")
    install_packages: list[str] = Field(default=[], max_length=50, description="Packages to install first.")


class CommandCall(Call):
    """A shell command."""

    model_config = ConfigDict(json_schema_extra={"examples": [{"command": "ls -la && python3 --version"}]})

    command: str = Field(min_length=1)
    timeout: Seconds | None = None
    background: bool = Field(default=False, description="Leave it running; the answer names the file of its output.")


class InstallCall(Call):
    """Packages to install."""

    model_config = ConfigDict(json_schema_extra={"examples": [{"packages": ["polars", "httpx>=0.27"]}]})

    packages: list[str] = Field(min_length=1, max_length=50)
    language: str = Field(default="python", max_length=40)
    timeout: Seconds | None = None


class WriteCall(Call):
    """A text file to write."""

    model_config = ConfigDict(json_schema_extra={"examples": [{"path": "notes/a.txt", "content": "hello\n"}]})

    path: Path
    content: str


class ReadCall(Call):
    """A file to read: text, whole or some of its lines, or an image."""

    model_config = ConfigDict(json_schema_extra={"examples": [{"path": "notes/a.txt", "start_line": 1}]})

    path: Path
    start_line: int | None = Field(default=None, ge=1)
    end_line: int | None = Field(default=None, ge=1)


class ListCall(Call):
    """A folder to list."""

    path: Path = "."
    depth: int = Field(default=1, ge=1, le=10)


class DeleteCall(Call):
    """A file, or a folder with all in it, to delete."""

    model_config = ConfigDict(json_schema_extra={"examples": [{"path": "notes/a.txt"}]})

    path: Path


class RenameCall(Call):
    """A file or folder to move."""

    model_config = ConfigDict(json_schema_extra={"examples": [{"path": "notes/a.txt", "new_path": "notes/b.txt"}]})

    path: Path
    new_path: Path


class Execution(ExecutionResult):
    """What came of running code. `artifacts` are its images, charts and tables: not to be trusted."""

    thread_id: str
    artifacts: tuple[Artifact, ...] = ()

    @classmethod
    def of(cls, result: ExecutionResult, thread_id: str) -> Execution:
        """Return the answer for a result."""
        return cls(**dict(result), thread_id=thread_id)


class ReadFile(FileResult):
    """What a file holds: `text`, or base64 in `image`."""

    image: str | None = None

    @classmethod
    def of(cls, result: FileResult) -> ReadFile:
        """Return the answer for a result."""
        return cls(**dict(result))


class LanguageEntry(BaseModel):
    """A language.

    Attributes:
        ending: of its source files.
        stateful: variables live on between calls.
        available: the thread's sandbox can run it.
        how_to_install: what brings it to the machine.
    """

    name: str
    title: str
    aliases: tuple[str, ...]
    ending: str
    stateful: bool
    available: bool
    how_to_install: str


class Languages(BaseModel):
    """The languages, and the one of code that does not say its own."""

    default: str
    languages: list[LanguageEntry]
