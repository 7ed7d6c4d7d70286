"""A backend for deepagents: its file tools and its `execute` work in the thread's sandbox, and code runs in a kernel.

    agent = create_deep_agent(model, backend=SandloopBackend())

This module needs the extra: pip install "sandloop[deepagents]".
"""

from __future__ import annotations

import posixpath
import time
import uuid
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Final

from langchain_core.runnables import RunnableConfig
from langgraph.config import get_config

from . import audit, logs
from .context import CallContext, ignore
from .errors import EXECUTION_TIMEOUT, OUTPUT_LIMIT, CallRefused
from .executor import DEFAULT_TIMEOUT_S, ToolExecutor, check_command
from .languages.process import Command, Ended, run
from .loop import on_sandbox_loop, run_sync
from .output import KEPT_BYTES, live
from .policy import SandboxPolicy
from .results import ExecutionResult
from .rules.paths import HOME
from .sandboxes import Lease, LeaseKey, Sandboxes
from .tools.sandbox_tool import caller

try:
    from deepagents.backends.protocol import (
        ExecuteOffloadResult,
        ExecuteResponse,
        FileDownloadResponse,
        FileOperationError,
        FileUploadResponse,
    )
    from deepagents.backends.sandbox import BaseSandbox
except ImportError as error:
    raise ImportError(
        'agent_tools.deepagents needs deepagents 0.7 or newer: pip install "sandloop[deepagents]"', name=error.name
    ) from error

__all__ = ["SandloopBackend"]

REFUSED: Final = 126
"""The exit code of a command that the policy refuses, as the shell has it for one that cannot be executed."""
TIMED_OUT: Final = 124
"""That of one that ran out of time, as timeout(1) has it."""
_KILLED: Final = 137

_ERRORS: Final[dict[str, FileOperationError]] = {
    "file.missing": "file_not_found",
    "file.folder": "is_directory",
    "file.permission": "permission_denied",
    "file.invalid": "invalid_path",
    "files.off": "permission_denied",
    "path.outside": "permission_denied",
}
"""deepagents' words for why a file was refused, by our rule. For the rest, such as its size, it takes our text."""

_log = logs.logger("deepagents")


@dataclass(frozen=True, slots=True)
class _Ran:
    """A command that was carried out, or refused; the notes are for the model."""

    response: ExecuteResponse
    notes: tuple[str, ...] = ()


class SandloopBackend(BaseSandbox):
    """The sandbox of whichever thread calls: the running graph's `thread_id`, and its user where one is logged in.

    It shares that sandbox with `coding_tools(executor)` of the same executor. Calls without a thread share one sandbox,
    that of this backend. Synchronous and asynchronous methods do the same; waiting in the latter blocks no loop.

    What the policy refuses is told to the model: a command answers with exit code 126. `SandboxUnavailable` is raised:
    a person has to act.

    Args:
        sandboxes: where sandboxes come from; by default E2B when E2B_API_KEY is set, else the embedded server.
        policy: the rules, where no graph has set others.
        context: all calls are this caller's, whatever graph runs; it has the policy with it.

    Raises:
        ValueError: a policy beside a context, or sandboxes that end with each call, where no file would stay.
    """

    def __init__(
        self,
        sandboxes: Sandboxes | ToolExecutor | None = None,
        policy: SandboxPolicy | None = None,
        *,
        context: CallContext | None = None,
    ) -> None:
        if context is not None and policy is not None:
            raise ValueError("The context has a policy already: give one of the two.")
        self.executor = sandboxes if isinstance(sandboxes, ToolExecutor) else ToolExecutor(sandboxes)
        if self.executor.sandboxes.settings.ephemeral:
            raise ValueError("A backend keeps files between calls: set ephemeral to false in SandboxSettings.")
        self._policy = policy or SandboxPolicy()
        self._fixed = context
        self._session = f"deepagents-{uuid.uuid4().hex[:12]}"

    @property
    def id(self) -> str:
        """The name of the lease that a call would have now: the thread's id, or the key that threads share."""
        return LeaseKey.of(self._context()).name

    def close(self) -> None:
        """End the sandboxes that the executor created, as the settings say."""
        run_sync(self.executor.close())

    async def aclose(self) -> None:
        """End the sandboxes that the executor created, as the settings say."""
        await self.executor.close()

    # --- commands

    def execute(self, command: str, *, timeout: int | None = None) -> ExecuteResponse:
        """Run a command in bash, in the home folder; stdout and stderr come together, as they were written.

        The file tools are commands as well, so that nothing but the command's own output is in the answer.

        Args:
            command: what bash runs.
            timeout: seconds, up to the policy's `max_execution_time`; None or 0 is that. Exit code 124 says that the
                time was over.
        """
        return run_sync(self._ran(self._context(), command, timeout)).response

    async def aexecute(self, command: str, *, timeout: int | None = None) -> ExecuteResponse:  # noqa: ASYNC109
        """Run a command; see `execute`."""
        return (await self._ran(self._context(), command, timeout)).response

    def execute_with_offload(
        self,
        command: str,
        capture_path: str,
        *,
        max_inline_bytes: int,
        max_capture_bytes: int | None = None,
        timeout: int | None = None,
    ) -> ExecuteOffloadResult:
        """Run a command for the model, whose output is shown live, and add what the model should know besides.

        Nothing is kept at `capture_path`: deepagents itself puts a large output into a file of the sandbox.
        """
        work = self._ran(self._context(posixpath.basename(capture_path)), command, timeout, for_model=True)
        return _told(run_sync(work))

    async def aexecute_with_offload(
        self,
        command: str,
        capture_path: str,
        *,
        max_inline_bytes: int,
        max_capture_bytes: int | None = None,
        timeout: int | None = None,  # noqa: ASYNC109
    ) -> ExecuteOffloadResult:
        """Run a command for the model; see `execute_with_offload`."""
        context = self._context(posixpath.basename(capture_path))
        return _told(await self._ran(context, command, timeout, for_model=True))

    @on_sandbox_loop
    async def _ran(
        self,
        context: CallContext,
        command: str,
        timeout_s: int | None,
        *,
        for_model: bool = False,
    ) -> _Ran:
        try:
            seconds, notes = check_command(context, command, timeout_s or context.policy.max_execution_time)
        except CallRefused as refusal:
            return _Ran(ExecuteResponse(f"{type(refusal).__name__}: {refusal}", exit_code=REFUSED))
        # One pipe for both streams keeps their order.
        line = Command(
            f"exec 2>&1\n{command}",
            HOME,
            {},
            KEPT_BYTES,
            limit_bytes=self.executor.sandboxes.settings.output_limit_bytes,
        )
        on_output = live(context) if for_model else ignore

        async def work(lease: Lease) -> _Ran:
            started = time.monotonic()
            ended = await run(lease.sandbox, line, timeout_s=seconds, on_output=on_output)
            _log.info(
                "command",
                command=audit.excerpt(command),
                thread=context.thread_id,
                sandbox_id=lease.id,
                seconds=round(time.monotonic() - started, 3),
                exit_code=ended.exit_code,
            )
            # Only the model can make something of that; what a file tool runs leaves it for the next command.
            loss = lease.loss() if for_model else None
            return _Ran(_response(ended, seconds), (*notes, loss) if loss else notes)

        return await self.executor.sandboxes.run(context, work, for_s=seconds)

    # --- code

    def run_code(
        self,
        code: str,
        language: str = "python",
        *,
        timeout: int = DEFAULT_TIMEOUT_S,
        install_packages: Sequence[str] = (),
    ) -> ExecutionResult:
        """Run code in the language's kernel, which keeps its variables; see `ToolExecutor.execute_code`.

        Raises:
            CallRefused: the language, the packages or the code are not allowed, or malformed.
            SandboxUnavailable: there is no sandbox to run in.
        """
        context = self._context()
        return run_sync(
            self.executor.execute_code(code, language, context, timeout_s=timeout, install_packages=install_packages)
        )

    async def arun_code(
        self,
        code: str,
        language: str = "python",
        *,
        timeout: int = DEFAULT_TIMEOUT_S,  # noqa: ASYNC109
        install_packages: Sequence[str] = (),
    ) -> ExecutionResult:
        """Run code; see `run_code`."""
        return await self.executor.execute_code(
            code, language, self._context(), timeout_s=timeout, install_packages=install_packages
        )

    # --- files

    def upload_files(self, files: list[tuple[str, bytes]]) -> list[FileUploadResponse]:
        """Write files, making their folders; each has its own answer, in order."""
        return run_sync(self._uploaded(self._context(), files))

    async def aupload_files(self, files: list[tuple[str, bytes]]) -> list[FileUploadResponse]:
        """Write files; see `upload_files`."""
        return await self._uploaded(self._context(), files)

    def download_files(self, paths: list[str]) -> list[FileDownloadResponse]:
        """Read files; each has its own answer, in order."""
        return run_sync(self._downloaded(self._context(), paths))

    async def adownload_files(self, paths: list[str]) -> list[FileDownloadResponse]:
        """Read files; see `download_files`."""
        return await self._downloaded(self._context(), paths)

    @on_sandbox_loop
    async def _uploaded(self, context: CallContext, files: list[tuple[str, bytes]]) -> list[FileUploadResponse]:
        return [FileUploadResponse(path, error=await self._upload(context, path, content)) for path, content in files]

    async def _upload(self, context: CallContext, path: str, content: bytes) -> str | None:
        if not path.startswith("/"):
            return "invalid_path"

        async def work(lease: Lease) -> None:
            lost = lease.replaced
            await self.executor.write_file(path, content, context)
            # The answer to an upload has no room for it.
            lease.replaced = lost

        try:
            await self.executor.sandboxes.run(context, work)
        except CallRefused as refusal:
            return _error(refusal)
        return None

    @on_sandbox_loop
    async def _downloaded(self, context: CallContext, paths: list[str]) -> list[FileDownloadResponse]:
        return [await self._download(context, path) for path in paths]

    async def _download(self, context: CallContext, path: str) -> FileDownloadResponse:
        if not path.startswith("/"):
            return FileDownloadResponse(path, error="invalid_path")
        try:
            return FileDownloadResponse(path, content=await self.executor.read_bytes(path, context))
        except CallRefused as refusal:
            return FileDownloadResponse(path, error=_error(refusal))

    # --- whose sandbox

    def _context(self, call_id: str | None = None) -> CallContext:
        """Whose call it is. Read where the graph runs, before the work goes over to the sandbox loop."""
        if self._fixed is not None:
            return self._fixed
        try:
            config = get_config()
        except RuntimeError:
            config = RunnableConfig()
        return caller(config, self._policy, self._session, call_id)


def _response(ended: Ended, seconds: float) -> ExecuteResponse:
    output, truncated = ended.stdout.text(), bool(ended.stdout.left_out_bytes)
    if ended.flooded:
        return ExecuteResponse(_with(output, f"{OUTPUT_LIMIT}: killed; print less"), _KILLED, truncated=True)
    if ended.exit_code is None:
        told = f"{EXECUTION_TIMEOUT}: killed after {seconds:.3g} s; do less, or ask for more time"
        return ExecuteResponse(_with(output, told), TIMED_OUT, truncated)
    return ExecuteResponse(output, ended.exit_code, truncated)


def _told(ran: _Ran) -> ExecuteOffloadResult:
    response = ran.response
    for note in ran.notes:
        response = replace(response, output=_with(response.output, f"Note: {note}"))
    return ExecuteOffloadResult(offloaded=False, response=response)


def _with(output: str, line: str) -> str:
    return f"{output}\n[{line}]" if output and not output.endswith("\n") else f"{output}[{line}]"


def _error(refusal: CallRefused) -> str:
    if refusal.rule in _ERRORS:
        return _ERRORS[refusal.rule]
    return "invalid_path" if refusal.rule.startswith("path.") else str(refusal)
