"""Running a program: written into a folder of its own in the sandbox, compiled, run, removed."""

from __future__ import annotations

import asyncio
import contextlib
import re
import secrets
import shlex
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from e2b import InvalidArgumentException
from e2b.sandbox.filesystem.filesystem import WriteEntry
from e2b_code_interpreter import AsyncSandbox

from .. import errors
from ..context import LiveOutput, ignore
from ..failures import SDK_ERRORS
from . import java, process
from .availability import recipe_for
from .bounded import BoundedText
from .language import Language, Recipe

HOME = "/home/user"
MAX_OUTPUT_BYTES = 1024 * 1024
_OUT_OF_MEMORY_EXIT = 137
_REMOVE_S = 5.0
_LAST_LINES = 5


@dataclass(frozen=True, slots=True)
class ProgramResult:
    """How a program ended.

    Attributes:
        stdout: what it printed; of much, the beginning and the end.
        stderr: likewise; the compiler's text when that refused the program. Paths of the program's own folder are
            shortened to file names.
        exit_code: 128 + n when signal n ended it; None when it did not get to an end of its own.
        error_name: None for success, else COMPILE_ERROR, NON_ZERO_EXIT, EXECUTION_TIMEOUT, MISSING_LANGUAGE or
            OUT_OF_MEMORY of `agent_tools.errors`.
        message: one sentence about the error; "" for success.
        compile_seconds: 0 where nothing is compiled.
        run_seconds: 0 when it was not run.
        left_out_bytes: how much of both streams is not in stdout and stderr.
    """

    stdout: str
    stderr: str
    exit_code: int | None
    error_name: str | None = None
    message: str = ""
    compile_seconds: float = 0.0
    run_seconds: float = 0.0
    left_out_bytes: int = 0


def kernel_for(language: Language, code: str) -> str | None:
    """Return the kernel that keeps this code's state; None where it is a program, for `run_program`.

    Java is both: with a class that has a `main` it is a program, else a snippet for the kernel.
    """
    if language.name == "java" and java.program(code):
        return None
    return language.kernel


async def run_program(
    sandbox: AsyncSandbox,
    language: Language,
    code: str,
    *,
    timeout_s: float,
    on_output: Callable[[LiveOutput], None] = ignore,
    stdin: str | None = None,
    cwd: str = HOME,
    max_output_bytes: int = MAX_OUTPUT_BYTES,
    install_missing: bool = False,
) -> ProgramResult:
    """Compile and run a program. That it failed is a result; see `ProgramResult.error_name`.

    When its time is over, and when the call is cancelled, all its processes are killed, and the sandbox stays usable.

    Args:
        sandbox: where to run it.
        language: from the registry.
        code: the whole program, one file.
        timeout_s: seconds for compiling and running together.
        on_output: gets the program's output as it comes, up to `max_output_bytes` of each stream.
        stdin: what it reads from its standard input; None: nothing.
        cwd: the folder it runs in, an absolute path in the sandbox.
        max_output_bytes: kept of each stream.
        install_missing: install a missing language first (E2B, where the sandbox has root and a network).

    Raises:
        InvalidCall: there is no folder `cwd`.
        SandboxException: the sandbox is gone or refuses the call.
    """
    limits = _Limits(cwd, max_output_bytes, timeout_s, time.monotonic() + timeout_s)
    recipe = await recipe_for(sandbox, language)
    last_words = ""
    if recipe is None and install_missing and language.install_command:
        last_words = await _install(sandbox, language, limits.left_s, on_output)
        recipe = await recipe_for(sandbox, language)
    if recipe is None:
        return _missing(language, last_words)
    layout = _layout(language, code)
    if layout is None:
        message = "no class has a main method: add public static void main(String[] args)"
        return ProgramResult("", message, None, errors.COMPILE_ERROR, message)
    return await _Run(sandbox, recipe, layout, limits).go(code, stdin, on_output)


@dataclass(frozen=True, slots=True)
class _Layout:
    """The file a program is written to, and the class to start (Java)."""

    file_name: str
    main: str = ""


def _layout(language: Language, code: str) -> _Layout | None:
    if language.name != "java":
        return _Layout(f"main{language.ending}")
    found = java.program(code)
    return _Layout(found.file_name, found.main_class) if found else None


def _missing(language: Language, last_words: str) -> ProgramResult:
    needs = " or ".join(" and ".join(recipe.needs) for recipe in language.recipes)
    message = f"this sandbox has no {language.title}: {needs} is not on its PATH; to have it: {language.how_to_install}"
    return ProgramResult("", last_words, None, errors.MISSING_LANGUAGE, message)


async def _install(
    sandbox: AsyncSandbox, language: Language, timeout_s: float, on_output: Callable[[LiveOutput], None]
) -> str:
    """Install a language as root and return the last lines of a failure."""
    on_output(LiveOutput("status", f"installing {language.title}\n"))
    command = process.Command(f"({language.install_command})", "/", {}, MAX_OUTPUT_BYTES, user="root")
    try:
        ended = await process.run(sandbox, command, timeout_s=timeout_s, on_output=ignore)
    except SDK_ERRORS as error:
        # Where nobody is root, the sandbox says so.
        return str(error)
    if ended.exit_code == 0:
        return ""
    return "\n".join((ended.stdout.text() + ended.stderr.text()).splitlines()[-_LAST_LINES:])


@dataclass(frozen=True, slots=True)
class _Limits:
    cwd: str
    max_output_bytes: int
    timeout_s: float
    deadline: float
    """On the monotonic clock."""

    @property
    def left_s(self) -> float:
        """Seconds until the deadline. One that has passed still means "at once", not "never"."""
        return max(self.deadline - time.monotonic(), 0.001)


class _Run:
    """One program in its folder."""

    def __init__(self, sandbox: AsyncSandbox, recipe: Recipe, layout: _Layout, limits: _Limits) -> None:
        self._sandbox = sandbox
        self._recipe = recipe
        self._limits = limits
        self._folder = f"/tmp/sandloop-run-{secrets.token_hex(6)}"
        self._source = f"{self._folder}/{layout.file_name}"
        self._main = layout.main

    async def go(self, code: str, stdin: str | None, on_output: Callable[[LiveOutput], None]) -> ProgramResult:
        """Write, compile, run, and remove it again."""
        try:
            await self._write(code, stdin)
            compile_seconds = 0.0
            if self._recipe.compile:
                # What a compiler remarks on a program that it takes would only be noise between the program's lines.
                compiled, compile_seconds = await self._step(self._recipe.compile, None, ignore)
                if compiled.exit_code != 0:
                    return self._refused(compiled, compile_seconds)
            ended, run_seconds = await self._step(self._recipe.run, stdin, on_output)
            return self._ended(ended, compile_seconds, run_seconds)
        finally:
            await self._remove()

    async def _write(self, code: str, stdin: str | None) -> None:
        files = {self._source: code, **{f"{self._folder}/{name}": text for name, text in self._recipe.files}}
        if stdin is not None:
            files[self._stdin] = stdin
        await self._sandbox.files.write_files([WriteEntry(path=path, data=text) for path, text in files.items()])

    async def _remove(self) -> None:
        with contextlib.suppress(TimeoutError, *SDK_ERRORS):
            async with asyncio.timeout(_REMOVE_S):
                await self._sandbox.files.remove(self._folder)

    @property
    def _stdin(self) -> str:
        return f"{self._folder}/stdin"

    async def _step(
        self, argv: Sequence[str], stdin: str | None, on_output: Callable[[LiveOutput], None]
    ) -> tuple[process.Ended, float]:
        line = f"{shlex.join(map(self._fill, argv))} <{'/dev/null' if stdin is None else self._stdin}"
        command = process.Command(line, self._limits.cwd, dict(self._recipe.env), self._limits.max_output_bytes)
        started = time.monotonic()
        try:
            ended = await process.run(self._sandbox, command, timeout_s=self._limits.left_s, on_output=on_output)
        except InvalidArgumentException as error:
            raise errors.InvalidCall(str(error), rule="path.cwd") from error
        return ended, time.monotonic() - started

    def _fill(self, template: str) -> str:
        output = f"{self._folder}/program"
        return template.format(folder=self._folder, source=self._source, output=output, main=self._main)

    def _refused(self, compiled: process.Ended, seconds: float) -> ProgramResult:
        # Compilers differ in where they complain.
        text = self._shorten(compiled.stdout) + self._shorten(compiled.stderr)
        error_name, message = self._failure(compiled.exit_code, "compiling")
        if error_name == errors.NON_ZERO_EXIT:
            error_name, message = errors.COMPILE_ERROR, f"{self._recipe.needs[0]} refused the program"
        left_out = compiled.stdout.left_out_bytes + compiled.stderr.left_out_bytes
        return ProgramResult("", text, compiled.exit_code, error_name, message, seconds, 0.0, left_out)

    def _ended(self, ended: process.Ended, compile_seconds: float, run_seconds: float) -> ProgramResult:
        error_name, message = self._failure(ended.exit_code, "running")
        return ProgramResult(
            ended.stdout.text(),
            self._shorten(ended.stderr),
            ended.exit_code,
            error_name,
            message,
            compile_seconds,
            run_seconds,
            ended.stdout.left_out_bytes + ended.stderr.left_out_bytes,
        )

    def _failure(self, exit_code: int | None, doing: str) -> tuple[str | None, str]:
        if exit_code == 0:
            return None, ""
        if exit_code is None:
            return (
                errors.EXECUTION_TIMEOUT,
                f"the limit of {self._limits.timeout_s:g} s ended while {doing}; it was killed",
            )
        if exit_code == _OUT_OF_MEMORY_EXIT:
            return (
                errors.OUT_OF_MEMORY,
                f"killed while {doing}, most likely for needing more memory than the sandbox has",
            )
        return errors.NON_ZERO_EXIT, f"the program ended with exit code {exit_code}"

    def _shorten(self, text: BoundedText) -> str:
        """Leave the program's folder out; some compilers write it relative to where they run."""
        return re.sub(rf"(?:\.\./)*/?{re.escape(self._folder[1:])}/", "", text.text())
