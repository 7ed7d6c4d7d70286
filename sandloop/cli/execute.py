"""`sandloop execute`: run a program in a sandbox."""

from __future__ import annotations

import json
import re
import secrets
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from .exits import ExitCode, Problem
from .running import run

if TYPE_CHECKING:
    from agent_tools.context import CallContext, LiveOutput
    from agent_tools.executor import ToolExecutor
    from agent_tools.results import ExecutionResult

    from .sources import Source, Transfer

EXITS = (
    "Exit codes: the program's own, or 1 when it failed without one; 2 wrong usage, 69 no sandbox to be had, "
    "77 refused by the policy, 78 wrong settings, 124 out of time, 130 interrupted."
)
_OWN_EXIT = re.compile(
    r"SystemExit: (-?\d+)\Z|ExitCode: (\d+)|ProcessExit: process\.exit\((\d+)\)"
    r"|KernelDied: the kernel ended: exit code (\d+)"
)
"""How kernels tell that the program chose its exit code."""


def execute(
    program: Annotated[str | None, typer.Argument(help="A file, or - for standard input.", show_default=False)] = None,
    file: Annotated[str | None, typer.Option("--file", "-f", metavar="PATH", help="The program's file.")] = None,
    code: Annotated[str | None, typer.Option("--code", "-c", metavar="TEXT", help="The program itself.")] = None,
    language: Annotated[
        str | None,
        typer.Option("--language", "-l", help="By default as the file's ending or #! line says, else as configured."),
    ] = None,
    stream: Annotated[
        bool | None, typer.Option("--stream/--no-stream", help="Print output as it comes, or at the end.")
    ] = None,
    timeout: Annotated[
        str | None, typer.Option(metavar="TIME", help="Milliseconds, or 30s, or 2m; installs count into it.")
    ] = None,
    install: Annotated[
        list[str] | None, typer.Option(metavar="PKG", help="Install a package first; can be repeated.")
    ] = None,
    upload: Annotated[
        list[str] | None,
        typer.Option(metavar="PATH[:DEST]", help="Copy a file into the sandbox first; can be repeated."),
    ] = None,
    download: Annotated[
        list[str] | None,
        typer.Option(metavar="PATH[:DEST]", help="Copy a file out of the sandbox afterwards; can be repeated."),
    ] = None,
    keep: Annotated[bool, typer.Option("--keep", help="Keep the sandbox, and print its id.")] = False,
    sandbox: Annotated[str | None, typer.Option(metavar="ID", help="Go on in a sandbox that was kept.")] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON object at the end.")] = False,
) -> None:
    """Run a program in a sandbox: its output goes to stdout and stderr, its images into files here."""
    from . import sources

    source = sources.read(program if program is not None else file, code)
    if program is not None and file is not None:
        raise Problem("give the program's file once")
    if keep and sandbox:
        raise Problem("--sandbox goes on in a kept sandbox, which stays kept: leave --keep out")
    options = _Options(
        source=source,
        language=language,
        stream=stream,
        timeout_s=sources.seconds(timeout) if timeout is not None else None,
        packages=tuple(install or ()),
        uploads=tuple(map(sources.upload, upload or ())),
        downloads=tuple(map(sources.download, download or ())),
        keep=keep or sandbox is not None,
        sandbox=sandbox,
        as_json=as_json,
    )
    run(_execute(options))


@dataclass(frozen=True, slots=True, kw_only=True)
class _Options:
    source: Source
    language: str | None
    stream: bool | None
    timeout_s: float | None
    packages: tuple[str, ...]
    uploads: tuple[Transfer, ...]
    downloads: tuple[Transfer, ...]
    keep: bool
    sandbox: str | None
    as_json: bool


async def _execute(options: _Options) -> int:
    from agent_tools.context import CallContext
    from agent_tools.errors import NON_ZERO_EXIT

    from . import services, sources
    from .printing import Printer, relayed
    from .terminal import say

    settings = services.settings()
    language = sources.language_of(options.source, options.language, settings.e2b.default_language)
    timeout_s = options.timeout_s or settings.e2b.timeout / 1000
    stream = settings.e2b.stream if options.stream is None else options.stream
    # Whoever starts a command has approved of it; 10 s is the shortest life of a sandbox, and it outlives the call.
    life = {} if options.keep else {"timeout": 10}
    policy = settings.policy.model_copy(update={"max_output_bytes": 2**20, **life})
    kept = services.lasting if options.keep else services.throwaway
    async with services.executor(kept(settings)) as executor:
        context = CallContext(f"cli-{secrets.token_hex(6)}", policy=policy, asks_approved=True)
        if options.sandbox:
            context = await _kept(executor, context, options.sandbox)
        for file in options.uploads:
            await executor.write_file(file.there, file.here.read_bytes(), context)
        printer = Printer(live=stream and not options.as_json)

        async def work(on_output: Callable[[LiveOutput], None]) -> ExecutionResult:
            return await executor.execute_code(
                options.source.code,
                language,
                replace(context, on_output=on_output, raw_output=True),
                timeout_s=timeout_s,
                install_packages=options.packages,
            )

        result = await relayed(work, printer.write)
        code = _exit_code(result)
        limit = settings.sandbox_settings.output_limit_bytes
        if max(printer.bytes.values()) >= limit:
            say(f"sandloop: the output was cut at {limit // 2**20} MiB; sandboxes.output_limit_mib sets another limit")
            code = code or ExitCode.FAILED
        saved = await _save_images(executor, context, result, options.source.name)
        if options.as_json:
            print(json.dumps(await _as_json(executor, context, result, code, saved), ensure_ascii=False))  # noqa: T201
        else:
            printer.finish(
                result, explained=not (result.error or "").startswith(NON_ZERO_EXIT) and _own_exit(result) is None
            )
        if not await _download(executor, context, options.downloads):
            code = code or ExitCode.FAILED
        if options.keep and not options.sandbox and not options.as_json:
            say(f"kept: go on with --sandbox {result.sandbox_id}")
        return code


async def _kept(executor: ToolExecutor, context: CallContext, sandbox_id: str) -> CallContext:
    """Return a context that goes on in a sandbox of this user's."""
    from agent_tools.sandboxes import KEY, THREAD

    for info in await executor.sandboxes.owned(context.owner):
        if info.sandbox_id == sandbox_id:
            if thread := info.metadata.get(THREAD):
                return replace(context, thread_id=thread)
            if key := info.metadata.get(KEY):
                return replace(context, sandbox_key=key)
    raise Problem(f"you have no sandbox {sandbox_id!r}: it may have ended; --keep makes a new one")


def _exit_code(result: ExecutionResult) -> int:
    from agent_tools.errors import EXECUTION_TIMEOUT

    if (result.error or "").startswith(EXECUTION_TIMEOUT):
        return ExitCode.TIMEOUT
    if result.exit_code is not None:
        return result.exit_code
    own = _own_exit(result)
    return own if own is not None else ExitCode.SUCCESS if result.success else ExitCode.FAILED


def _own_exit(result: ExecutionResult) -> int | None:
    """Return the code that a program in a kernel ended itself with; None when it did not."""
    if result.error == "SystemExit":
        return 0
    match = _OWN_EXIT.match(result.error or "")
    return int(next(filter(None, match.groups()))) % 256 if match else None


async def _as_json(
    executor: ToolExecutor, context: CallContext, result: ExecutionResult, code: int, saved: dict[str, Path]
) -> dict[str, object]:
    content = result.content()
    if result.output_file is not None:
        content["output"] = (await executor.read_bytes(result.output_file, context)).decode(errors="replace")
        del content["output_file"]
    if result.artifacts:
        content["results"] = [
            artifact.model_dump(exclude={"data", "path"}, exclude_none=True)
            | ({"saved": str(saved[artifact.name])} if artifact.name in saved else {"data": artifact.data})
            for artifact in result.artifacts
        ]
    return {**content, "language": result.language, "exit_code": code}


async def _save_images(
    executor: ToolExecutor, context: CallContext, result: ExecutionResult, stem: str
) -> dict[str, Path]:
    """Save images in the current folder; returns artifact name → file."""
    from . import saving
    from .terminal import say

    saved = {}
    for artifact in saving.images(result.artifacts):
        data = await saving.image_bytes(executor, context, artifact)
        saved[artifact.name] = saving.save_image(data, artifact, Path(), stem)
    for path in saved.values():
        say(f"saved {path}")
    return saved


async def _download(executor: ToolExecutor, context: CallContext, wanted: tuple[Transfer, ...]) -> bool:
    """Copy files out; False when one is missing."""
    from agent_tools.errors import CallRefused

    from .terminal import say

    complete = True
    for file in wanted:
        try:
            file.here.write_bytes(await executor.read_bytes(file.there, context))
        except (CallRefused, OSError) as error:
            say(f"sandloop: not downloaded: {error}")
            complete = False
        else:
            say(f"downloaded {file.here}")
    return complete
