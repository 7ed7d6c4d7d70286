"""What the tools answer: models with the keys of the tools' contract.

A result is data about a call that was carried out, also when the code failed. What the model reads is `content()`;
what is rich (images, charts, tables) travels beside it as artifacts.
"""

from __future__ import annotations

from typing import Any, ClassVar, Literal

from pydantic import BaseModel, ConfigDict, Field

RichKind = Literal[
    "png", "jpeg", "svg", "pdf", "html", "latex", "markdown", "json", "javascript", "chart", "dataframe", "text"
]

MIME_TYPES: dict[RichKind, str] = {
    "png": "image/png",
    "jpeg": "image/jpeg",
    "svg": "image/svg+xml",
    "pdf": "application/pdf",
    "html": "text/html",
    "latex": "text/latex",
    "markdown": "text/markdown",
    "json": "application/json",
    "javascript": "text/javascript",
    "chart": "application/vnd.e2b.chart+json",
    "dataframe": "application/vnd.e2b.dataframe+json",
    "text": "text/plain",
}
"""Charts and dataframes are E2B's own shapes: `Result.chart` and `Result.data`."""


class Artifact(BaseModel):
    """One representation of a rich result.

    Attributes:
        name: unique within the call: the result's number and the kind.
        data: base64 for png, jpeg and pdf; text for the other kinds, JSON text for json, chart and dataframe. None
            when it is large and `path` says where in the sandbox it is.
        size: bytes of the decoded data.
    """

    model_config = ConfigDict(frozen=True)

    kind: RichKind
    name: str
    mime_type: str
    size: int
    data: str | None = None
    path: str | None = None


class Result(BaseModel):
    """Base of all results. `content()` is what a model reads: empty optional fields are left out."""

    model_config = ConfigDict(frozen=True)

    always: ClassVar[frozenset[str]] = frozenset({"success"})
    """Fields that stay also when empty, since the contract names them."""

    success: bool
    error: str | None = None
    notes: tuple[str, ...] = ()
    """What the model should know besides: a capped time limit, a sandbox that was replaced, a warning."""

    def content(self, *, without: frozenset[str] = frozenset()) -> dict[str, Any]:
        """Return the JSON-like content, without the named fields."""
        values = self.model_dump(mode="json", exclude=set(without))
        return {name: value for name, value in values.items() if name in self.always or value not in (None, "", [], {})}


class ExecutionResult(Result):
    """One run of code.

    Attributes:
        output: stdout and the value of the last expression, as a notebook shows them.
        displayed: the part of output that was not printed, whole: live output does not have it.
        error: `Name: message`; the names of our own are in `errors`.
        execution_time: seconds, installs included.
        results: the rich results, by kind and name.
        output_file: where in the sandbox the whole output is, when `output` was cut.
    """

    always = frozenset({"success", "output", "sandbox_id", "execution_time", "packages_installed", "code"})
    always_failed: ClassVar[frozenset[str]] = frozenset({"success", "error", "code", "sandbox_id"})
    on_success: ClassVar[frozenset[str]] = frozenset({"execution_time"})
    """Fields that a failure does not have."""

    output: str = ""
    stderr: str = ""
    traceback: str = ""
    sandbox_id: str
    language: str = "python"
    exit_code: int | None = None
    execution_time: float = 0
    packages_installed: tuple[str, ...] = ()
    code: str = ""
    results: tuple[str, ...] = ()
    output_file: str | None = None
    displayed: str = Field(default="", exclude=True)
    artifacts: tuple[Artifact, ...] = Field(default=(), exclude=True)

    def content(self, *, without: frozenset[str] = frozenset()) -> dict[str, Any]:
        """Return the contract's keys for a success or a failure."""
        # Whoever reads this has named the language.
        left_out = without | {"language"} | (frozenset() if self.success else self.on_success)
        values = self.model_dump(mode="json", exclude=set(left_out))
        always = self.always if self.success else self.always_failed
        return {name: value for name, value in values.items() if name in always or value not in (None, "", [], 0)}


class CommandResult(Result):
    """One shell command. `success` says that the exit code is 0."""

    always = frozenset({"success", "exit_code", "stdout", "sandbox_id"})

    stdout: str = ""
    stderr: str = ""
    exit_code: int | None = None
    """None while it runs in the background."""
    pid: int | None = None
    execution_time: float = 0
    output_file: str | None = None
    sandbox_id: str


class InstallResult(Result):
    """An installation. `error` holds the installer's last lines."""

    always = frozenset({"success", "packages_installed", "sandbox_id"})

    language: str = "python"
    packages_installed: tuple[str, ...] = ()
    """As they are now: `name==version`."""
    execution_time: float = 0
    sandbox_id: str


class FileEntry(BaseModel):
    """One entry of a folder; `size` in bytes, `modified` in ISO 8601."""

    model_config = ConfigDict(frozen=True)

    name: str
    path: str
    type: Literal["file", "directory", "other"]
    size: int = 0
    modified: str = ""


class FileResult(Result):
    """A file that was read, written, edited or deleted.

    Attributes:
        text: what was read, between `start_line` and `end_line` (from 1, both included).
        image: base64, when an image was read.
    """

    path: str
    sandbox_id: str
    text: str | None = None
    start_line: int | None = None
    end_line: int | None = None
    total_lines: int | None = None
    size: int | None = None
    replacements: int | None = None
    mime_type: str | None = None
    image: str | None = Field(default=None, exclude=True)


class FolderResult(Result):
    """The entries of a folder, sorted by path."""

    always = frozenset({"success", "path", "entries"})

    path: str
    sandbox_id: str
    entries: tuple[FileEntry, ...] = ()
    truncated: bool = False


class Package(BaseModel):
    """An installed Python package."""

    model_config = ConfigDict(frozen=True)

    name: str
    version: str


class SandboxInfo(BaseModel):
    """What is known of a sandbox without waking it; times in ISO 8601 UTC, sizes in MiB, CPU in percent of one core.

    `packages`, `languages` and the numbers of now are there only while it runs. `network` is the level of the policy
    that it was made under: off, registries or on.
    """

    model_config = ConfigDict(frozen=True)

    sandbox_id: str
    state: Literal["running", "paused"]
    template: str
    started_at: str
    ends_at: str
    seconds_left: int
    cpu_count: int
    cpu_percent: float | None = None
    memory_mib: int | None = None
    memory_limit_mib: int
    disk_mib: int | None = None
    disk_limit_mib: int | None = None
    languages: tuple[str, ...] = ()
    python: str = ""
    platform: str = ""
    packages: tuple[Package, ...] = ()
    thread_id: str | None = None
    network: str | None = None
    metadata: dict[str, str] = {}


class SandboxInfoResult(Result):
    """The caller's sandbox; `sandbox` is None when the thread has none yet. `others` are the caller's other ones."""

    always = frozenset({"success", "sandbox"})

    sandbox: SandboxInfo | None = None
    others: tuple[SandboxInfo, ...] = ()
