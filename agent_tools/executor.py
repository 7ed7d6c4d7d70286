"""The service behind every tool, route and command: code, commands, files and packages in a caller's sandbox.

All methods are coroutines that can be awaited on any loop. Each takes a `CallContext`, which says whose sandbox is
used and under which policy. What the code did is a result; `CallRefused` is a wrong call; `SandboxUnavailable` is
neither's fault. See `errors`.
"""

from __future__ import annotations

import asyncio
import time
import uuid
from collections.abc import Sequence
from dataclasses import dataclass, replace
from types import TracebackType

from . import audit, files, info, logs, metrics
from .checking import checking, passed
from .context import CallContext
from .errors import (
    EXECUTION_TIMEOUT,
    INSTALL_FAILED,
    NON_ZERO_EXIT,
    OUT_OF_MEMORY,
    OUTPUT_LIMIT,
    InvalidCall,
)
from .execution import Outcome, capped, run_in_kernel, stored
from .languages import Language, ProgramResult, find, installed, kernel_for, run_program
from .languages.process import Command, Ended, run
from .loop import on_sandbox_loop
from .output import KEPT_BYTES, live, readable, shortened
from .packages import HOME, Installed, install
from .results import (
    CommandResult,
    ExecutionResult,
    FileResult,
    FolderResult,
    InstallResult,
    SandboxInfo,
    SandboxInfoResult,
)
from .rules.bounds import check_timeout
from .rules.code import check_code
from .rules.languages import check_language
from .rules.network import check_network
from .rules.packages import check_packages
from .sandboxes import Lease, Sandboxes

DEFAULT_TIMEOUT_S = 300
_KILLED = 137

_log = logs.logger("executor")


class ToolExecutor:
    """Runs what a model asks for. Use it as `async with`, or `close()` it.

    Args:
        sandboxes: the leases; by default new ones, which `close()` ends too.
    """

    def __init__(self, sandboxes: Sandboxes | None = None) -> None:
        self.sandboxes = sandboxes or Sandboxes()

    async def __aenter__(self) -> ToolExecutor:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.close()

    async def close(self) -> None:
        """End the sandboxes that were created here, as the settings say."""
        await self.sandboxes.close()

    # --- code

    @on_sandbox_loop
    async def execute_code(
        self,
        code: str,
        language: str,
        context: CallContext,
        *,
        timeout_s: float = DEFAULT_TIMEOUT_S,
        install_packages: Sequence[str] = (),
    ) -> ExecutionResult:
        """Run code; installs come first and count into the time.

        Languages with a kernel keep variables from call to call; the others are compiled and run as a program.

        Raises:
            CallRefused: the language, the packages or the code are not allowed, or malformed.
            SandboxUnavailable: there is no sandbox to run in.
        """
        with checking(context, "execute_code", names=install_packages, code=code):
            chosen = find(check_language(context.policy, language))
            seconds, is_capped = check_timeout(context.policy, timeout_s)
            notes = [*passed(context, check_network(context.policy), "execute_code")]
            notes += passed(context, check_code(context.policy, code, chosen.name), "execute_code", code=code)
            packages = check_packages(context.policy, install_packages, chosen.name)
            notes += passed(context, packages, "execute_code", names=install_packages)
        if is_capped:
            notes.append(_capped_note(seconds))
        context = replace(context, on_output=live(context))
        run = _Run(self.sandboxes, chosen, code, packages.requirements, seconds, context, tuple(notes))
        return await self.sandboxes.run(context, run, for_s=seconds)

    # --- commands

    @on_sandbox_loop
    async def run_command(
        self, command: str, context: CallContext, *, timeout_s: float = DEFAULT_TIMEOUT_S, background: bool = False
    ) -> CommandResult:
        """Run a shell command in bash, in the home folder.

        A background command is left running, and its output goes to a file that the result names.

        Raises:
            CallRefused: the policy's checks of bash code refuse it.
            SandboxUnavailable: there is no sandbox to run in.
        """
        seconds, notes = check_command(context, command, timeout_s)
        line = Command(command, HOME, {}, KEPT_BYTES, limit_bytes=self.sandboxes.settings.output_limit_bytes)

        async def work(lease: Lease) -> CommandResult:
            if background:
                return lease.telling_loss(await self._in_background(lease, command, notes))
            started = time.monotonic()
            end = await run(lease.sandbox, line, timeout_s=seconds, on_output=live(context))
            result = await self._command_result(lease, end, context, seconds, notes)
            taken = round(time.monotonic() - started, 3)
            return lease.telling_loss(result.model_copy(update={"execution_time": taken}))

        result = await self.sandboxes.run(context, work, for_s=seconds)
        _log.info(
            "command",
            command=audit.excerpt(command),
            thread=context.thread_id,
            sandbox_id=result.sandbox_id,
            seconds=round(result.execution_time, 3),
            exit_code=result.exit_code,
        )
        return result

    async def _command_result(
        self, lease: Lease, end: Ended, context: CallContext, seconds: float, notes: tuple[str, ...]
    ) -> CommandResult:
        call = _call_name()
        stdout, output_file = await capped(
            lease.sandbox, readable(end.stdout.text()), context.policy.max_output_bytes, call
        )
        stderr, _ = shortened(readable(end.stderr.text()), context.policy.max_output_bytes)
        error = None
        if end.flooded:
            most = self.sandboxes.settings.output_limit_bytes / 2**20
            error = f"{OUTPUT_LIMIT}: killed after printing more than {most:.3g} MiB; print less, or into a file"
        elif end.exit_code is None:
            error = f"{EXECUTION_TIMEOUT}: killed after {seconds:.3g} s; do less, or ask for more time"
        elif end.exit_code == _KILLED:
            error = f"{OUT_OF_MEMORY}: exit code 137: killed, most likely as it needed more memory than the sandbox has"
        elif end.exit_code:
            error = f"{NON_ZERO_EXIT}: exit code {end.exit_code}"
        return CommandResult(
            success=error is None,
            error=error,
            stdout=stdout,
            stderr=stderr,
            exit_code=end.exit_code,
            output_file=output_file,
            sandbox_id=lease.id,
            notes=notes,
        )

    async def _in_background(self, lease: Lease, command: str, notes: tuple[str, ...]) -> CommandResult:
        log = f"/tmp/command-{_call_name()}.log"
        handle = await lease.sandbox.commands.run(
            f"exec >{log} 2>&1 </dev/null; {command}", background=True, timeout=0, retain_output=False
        )
        # Leaving the stream does not end the command.
        await handle.disconnect()
        return CommandResult(
            success=True, pid=int(handle.pid), output_file=log, sandbox_id=lease.id, notes=notes, exit_code=None
        )

    # --- packages

    @on_sandbox_loop
    async def install_packages(
        self, packages: Sequence[str], language: str, context: CallContext, *, timeout_s: float = DEFAULT_TIMEOUT_S
    ) -> InstallResult:
        """Install packages of Python, or of npm for JavaScript and TypeScript.

        Raises:
            CallRefused: a name is malformed or not allowed, or the language has no packages here.
            SandboxUnavailable: there is no sandbox to run in.
        """
        if not packages:
            raise InvalidCall("name at least one package", rule="package.none")
        with checking(context, "install_packages", names=packages):
            chosen = check_language(context.policy, language)
            seconds, is_capped = check_timeout(context.policy, timeout_s)
            checked = check_packages(context.policy, packages, chosen)
            notes = passed(context, checked, "install_packages", names=packages)
        if is_capped:
            notes += (_capped_note(seconds),)
        context = replace(context, on_output=live(context))

        async def work(lease: Lease) -> InstallResult:
            done = await install(lease.sandbox, checked.requirements, context, language=chosen, timeout_s=seconds)
            result = InstallResult(
                success=done.error is None,
                error=None if done.error is None else f"{INSTALL_FAILED}: {done.error}",
                language=chosen,
                packages_installed=done.packages,
                execution_time=round(done.seconds, 3),
                sandbox_id=lease.id,
                notes=notes,
            )
            return lease.telling_loss(result)

        return await self.sandboxes.run(context, work, for_s=seconds)

    # --- files

    @on_sandbox_loop
    async def read_file(
        self, file_path: str, context: CallContext, *, start_line: int | None = None, end_line: int | None = None
    ) -> FileResult:
        """Read a text file, or an image; see `files.read`."""
        return await files.read(self.sandboxes, context, file_path, start_line, end_line)

    @on_sandbox_loop
    async def write_file(self, file_path: str, content: str | bytes, context: CallContext) -> FileResult:
        """Write a file, making its folders; see `files.write`."""
        return await files.write(self.sandboxes, context, file_path, content)

    @on_sandbox_loop
    async def edit_file(
        self, file_path: str, old: str, new: str, context: CallContext, *, replace_all: bool = False
    ) -> FileResult:
        """Replace an exact string in a text file; see `files.edit`."""
        return await files.edit(self.sandboxes, context, file_path, old, new, replace_all=replace_all)

    @on_sandbox_loop
    async def list_files(self, folder: str, context: CallContext, *, depth: int = 1) -> FolderResult:
        """List a folder; see `files.entries`."""
        return await files.entries(self.sandboxes, context, folder, depth)

    @on_sandbox_loop
    async def delete_file(self, file_path: str, context: CallContext) -> FileResult:
        """Delete a file or a folder with all in it; see `files.delete`."""
        return await files.delete(self.sandboxes, context, file_path)

    @on_sandbox_loop
    async def rename_file(self, file_path: str, new_path: str, context: CallContext) -> FileResult:
        """Move a file or a folder; see `files.rename`."""
        return await files.rename(self.sandboxes, context, file_path, new_path)

    @on_sandbox_loop
    async def read_bytes(self, file_path: str, context: CallContext) -> bytes:
        """Return a file's bytes; see `files.read_bytes`."""
        return await files.read_bytes(self.sandboxes, context, file_path)

    @on_sandbox_loop
    async def upload_file(self, host_path: str, file_path: str, context: CallContext) -> FileResult:
        """Copy a file of the host's allowed folders into the sandbox; see `files.upload`."""
        return await files.upload(self.sandboxes, context, host_path, file_path)

    @on_sandbox_loop
    async def download_file(self, file_path: str, host_path: str, context: CallContext) -> FileResult:
        """Copy a file of the sandbox into the host's allowed folders; see `files.download`."""
        return await files.download(self.sandboxes, context, file_path, host_path)

    # --- looking

    @on_sandbox_loop
    async def sandbox_info(self, context: CallContext, sandbox_id: str | None = None) -> SandboxInfoResult:
        """Describe a sandbox of the caller's; see `info.describe`."""
        return await info.describe(self.sandboxes, context, sandbox_id)

    @on_sandbox_loop
    async def sandboxes_of(self, owner: str) -> tuple[SandboxInfo, ...]:
        """List an owner's sandboxes with their numbers of now; see `info.listed`."""
        return await info.listed(self.sandboxes, owner)

    @on_sandbox_loop
    async def sandbox_numbers(self, owner: str, sandbox_id: str) -> SandboxInfo | None:
        """Describe an owner's sandbox by its numbers; None when there is none of that id."""
        found = await info.listed(self.sandboxes, owner, sandbox_id)
        return found[0] if found else None

    @on_sandbox_loop
    async def languages(self, context: CallContext) -> frozenset[str]:
        """Return the names of the languages that the caller's sandbox can run.

        Raises:
            SandboxUnavailable: there is no sandbox to ask.
        """

        async def work(lease: Lease) -> frozenset[str]:
            return frozenset(language.name for language in await installed(lease.sandbox))

        return await self.sandboxes.run(context, work)


@dataclass(frozen=True, slots=True)
class _Run:
    """One call of `execute_code`, in a lease."""

    sandboxes: Sandboxes
    language: Language
    code: str
    requirements: Sequence[str]
    seconds: float
    context: CallContext
    notes: tuple[str, ...]

    async def __call__(self, lease: Lease) -> ExecutionResult:
        kernel = kernel_for(self.language, self.code)
        # Waiting for another call's code to end does not count into the time of this one.
        async with lease.kernels[kernel or "program"]:
            await self.sandboxes.extended(lease, self.context, self.seconds)
            started = time.monotonic()
            try:
                result = await self._installed_and_run(lease, kernel, started)
            except asyncio.CancelledError:
                self._log(lease.id, "cancelled", time.monotonic() - started)
                raise
            seconds = time.monotonic() - started
        self._log(lease.id, result.error, seconds)
        return lease.telling_loss(result.model_copy(update={"execution_time": round(seconds, 3)}))

    async def _installed_and_run(self, lease: Lease, kernel: str | None, started: float) -> ExecutionResult:
        installed = await install(
            lease.sandbox, self.requirements, self.context, language=self.language.name, timeout_s=self.seconds
        )
        left = self.seconds - (time.monotonic() - started)
        if installed.error is not None:
            return self._not_run(lease, installed, f"{INSTALL_FAILED}: {installed.error}")
        if left <= 0:
            late = f"installing took all of the {self.seconds:.3g} s, and the code was not run; call it again"
            return self._not_run(lease, installed, f"{EXECUTION_TIMEOUT}: {late}")
        if kernel:
            return await self._in_kernel(lease, kernel, left, installed)
        return await self._as_program(lease, left, installed)

    def _not_run(self, lease: Lease, installed: Installed, error: str) -> ExecutionResult:
        return ExecutionResult(
            success=False,
            error=error,
            language=self.language.name,
            sandbox_id=lease.id,
            packages_installed=installed.packages,
            code=self.code,
            notes=self.notes,
        )

    async def _in_kernel(self, lease: Lease, kernel: str, left: float, installed: Installed) -> ExecutionResult:
        outcome: Outcome = await run_in_kernel(
            lease.sandbox,
            self.code,
            self.context,
            language=kernel,
            timeout_s=left,
            output_limit_bytes=self.sandboxes.settings.output_limit_bytes,
        )
        call = _call_name()
        most = self.context.policy.max_output_bytes
        output, output_file = await capped(lease.sandbox, outcome.output, most, call)
        error = None
        if outcome.error_name is not None:
            error, _ = shortened(f"{outcome.error_name}: {readable(outcome.error_value)}".rstrip(": "), most // 4)
        rich = await stored(lease.sandbox, outcome.rich, call)
        return ExecutionResult(
            success=error is None,
            error=error,
            traceback=shortened(outcome.traceback, most // 2)[0],
            output=output,
            displayed=outcome.displayed,
            stderr=shortened(outcome.stderr, most // 2)[0],
            output_file=output_file,
            language=self.language.name,
            sandbox_id=lease.id,
            packages_installed=installed.packages,
            code=self.code,
            notes=self.notes,
            results=tuple(
                f"{artifact.kind}: {artifact.name}"
                + (f" in {artifact.path}" if artifact.path else "" if artifact.data is not None else " (not stored)")
                for artifact in rich
            ),
            artifacts=rich,
        )

    async def _as_program(self, lease: Lease, left: float, installed: Installed) -> ExecutionResult:
        settings = self.sandboxes.settings
        ran: ProgramResult = await run_program(
            lease.sandbox,
            self.language,
            self.code,
            timeout_s=left,
            on_output=self.context.on_output,
            max_output_bytes=settings.output_limit_bytes if self.context.raw_output else KEPT_BYTES,
            # Its package index is none of the registries that stay open without a network.
            install_missing=not settings.embedded and self.context.policy.network == "on",
        )
        most = self.context.policy.max_output_bytes
        stdout, output_file = await capped(lease.sandbox, readable(ran.stdout), most, _call_name())
        stderr, _ = shortened(readable(ran.stderr), most // 2)
        error = None
        if ran.error_name is not None:
            error = f"{ran.error_name}: {ran.message}"
        return ExecutionResult(
            success=error is None,
            error=error,
            output=stdout,
            stderr=stderr,
            exit_code=ran.exit_code,
            output_file=output_file,
            language=self.language.name,
            sandbox_id=lease.id,
            packages_installed=installed.packages,
            code=self.code,
            notes=self.notes,
        )

    def _log(self, sandbox_id: str, error: str | None, seconds: float) -> None:
        metrics.count_execution(self.language.name, error, seconds)
        _log.info(
            "execution",
            language=self.language.name,
            code=audit.excerpt(self.code),
            thread=self.context.thread_id,
            sandbox_id=sandbox_id,
            seconds=round(seconds, 3),
            outcome="success" if error is None else audit.excerpt(error),
        )


def check_command(context: CallContext, command: str, timeout_s: float) -> tuple[float, tuple[str, ...]]:
    """Check a shell command by the policy, and return the seconds it may take and what to tell about that.

    Raises:
        CallRefused: the policy forbids it, or forbids commands.
    """
    with checking(context, "run_command", code=command):
        check_language(context.policy, "bash")
        seconds, is_capped = check_timeout(context.policy, timeout_s)
        notes = [*passed(context, check_network(context.policy), "run_command")]
        notes += passed(context, check_code(context.policy, command, "bash"), "run_command", code=command)
    if is_capped:
        notes.append(_capped_note(seconds))
    return seconds, tuple(notes)


def _call_name() -> str:
    return uuid.uuid4().hex[:12]


def _capped_note(seconds: float) -> str:
    return f"the timeout was cut to {seconds:g} s, the policy's limit"
