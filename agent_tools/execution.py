"""Running code in a kernel, and what came of it as a result."""

from __future__ import annotations

import asyncio
import base64
import binascii
import json
from collections.abc import Callable
from dataclasses import dataclass

from e2b_code_interpreter import AsyncSandbox, Execution, OutputMessage
from e2b_code_interpreter import Result as E2BResult

from . import logs, metrics
from .context import CallContext, LiveOutput
from .errors import EXECUTION_TIMEOUT, KERNEL_DIED, OUT_OF_MEMORY, OUTPUT_LIMIT, SandboxUnavailable
from .failures import SDK_ERRORS, is_gone, never_sent, translated
from .output import Captured, Flooded, readable, shortened
from .results import MIME_TYPES, Artifact, RichKind

OUTPUT_FOLDER = "/home/user/.sandloop/outputs"
"""Where, in the sandbox, what is too large for a message goes."""

INLINE_BYTES = 256 * 1024
"""An artifact that is larger stays in the sandbox as a file, since artifacts are part of every checkpoint."""

_GRACE_S = 10
"""How much later than we the SDK ends a run. Its own limit counts sending and receiving apart, so up to twice."""

_MAX_ARTIFACTS = 50
_log = logs.logger("execution")
_BINARY: frozenset[RichKind] = frozenset({"png", "jpeg", "pdf"})


@dataclass(frozen=True, slots=True)
class Outcome:
    """What one run of code in a kernel came to.

    Attributes:
        output: stdout and the value of the last expression.
        displayed: the part of output that is not stdout.
        error_name: None when it succeeded.
        rich: the rich results, in order.
    """

    output: str = ""
    displayed: str = ""
    stderr: str = ""
    error_name: str | None = None
    error_value: str = ""
    traceback: str = ""
    rich: tuple[Artifact, ...] = ()


async def run_in_kernel(
    sandbox: AsyncSandbox, code: str, context: CallContext, *, language: str, timeout_s: float, output_limit_bytes: int
) -> Outcome:
    """Run code in the language's kernel. Cancelling, and running out of time, interrupt it; the kernel lives on.

    Raises:
        SandboxUnavailable: the sandbox ended meanwhile.
        e2b's errors: it was not there in the first place.
    """
    captured = Captured(context, output_limit_bytes)
    results: list[E2BResult] = []
    execution: Execution | None = None
    name, value, traceback = None, "", ""

    def take_result(result: E2BResult) -> None:
        captured.add_rich(sum(len(data) for _, data in _representations(result) if isinstance(data, str)))
        results.append(result)
        for artifact in _artifacts_of(result, len(results)):
            context.on_artifact(artifact)

    try:
        async with asyncio.timeout(timeout_s) as deadline:
            # To leave it closes the connection, and that interrupts the code.
            execution = await sandbox.run_code(
                code,
                language=language,
                timeout=timeout_s + _GRACE_S,
                on_stdout=_stream(captured),
                on_stderr=_stream(captured),
                on_result=take_result,
            )
    except Flooded:
        name, value = OUTPUT_LIMIT, f"stopped after printing more than {output_limit_bytes / 2**20:.3g} MiB; print less"
    except SDK_ERRORS as error:
        if isinstance(error, TimeoutError) and deadline.expired():
            name = EXECUTION_TIMEOUT
            value = f"interrupted after {timeout_s:.3g} s; variables set so far are kept. Do less, or ask for more time"
        elif (is_gone(error) or never_sent(error)) and captured.is_empty and not results:
            raise
        else:
            raise translated(error, sandbox_id=sandbox.sandbox_id) from error
    except (ValueError, KeyError, TypeError) as error:
        # The SDK reads what the sandbox says without looking twice.
        raise SandboxUnavailable(f"the sandbox {sandbox.sandbox_id} gave an answer that is none: {error!r}") from error
    if execution is not None and execution.error is not None:
        name, value = str(execution.error.name), str(execution.error.value)
        traceback = readable(str(execution.error.traceback))
        if name == KERNEL_DIED and "SIGKILL" in value:
            name = OUT_OF_MEMORY
    displayed = _displayed(results)
    return Outcome(
        output="\n".join(part for part in (readable(captured.stdout.text()).rstrip("\n"), displayed) if part),
        displayed=displayed,
        stderr=readable(captured.stderr.text()),
        error_name=name,
        error_value=value,
        traceback=traceback,
        rich=tuple(artifacts(results)),
    )


def _stream(captured: Captured) -> Callable[[OutputMessage], None]:
    def take(message: OutputMessage) -> None:
        captured.add(LiveOutput("stderr" if message.error else "stdout", message.line))

    return take


def _displayed(results: list[E2BResult]) -> str:
    """Return the value of the last expression and the text of what was displayed, as a notebook shows them."""
    parts = []
    for result in results:
        text = result.text
        # Of a chart the text says only <Figure ...>; the chart is among the rich results.
        if text and not ((result.png or result.svg or result.chart) and text.startswith("<")):
            parts.append(readable(text))
        elif not text and result.markdown:
            parts.append(readable(result.markdown))
    return "\n".join(part for part in parts if part)


def artifacts(results: list[E2BResult]) -> list[Artifact]:
    """Return the rich representations of results. They come from a sandbox: what is not well-formed is left out."""
    found = [made for number, result in enumerate(results, start=1) for made in _artifacts_of(result, number)]
    return found[:_MAX_ARTIFACTS]


def _artifacts_of(result: E2BResult, number: int) -> list[Artifact]:
    every = (_artifact(kind, f"{kind}-{number}", data) for kind, data in _representations(result))
    return [made for made in every if made is not None]


def _representations(result: E2BResult) -> list[tuple[RichKind, object]]:
    chart = result.chart.to_dict() if result.chart is not None else None
    kinds: list[tuple[RichKind, object]] = [
        ("png", result.png),
        ("jpeg", result.jpeg),
        ("svg", result.svg),
        ("pdf", result.pdf),
        ("html", result.html),
        ("latex", result.latex),
        ("markdown", result.markdown),
        ("json", result.json),
        ("javascript", result.javascript),
        ("chart", chart),
        ("dataframe", result.data),
    ]
    return [(kind, data) for kind, data in kinds if data]


def _artifact(kind: RichKind, name: str, data: object) -> Artifact | None:
    text = data if isinstance(data, str) else json.dumps(data)
    size = len(text.encode(errors="replace"))
    if kind in _BINARY:
        try:
            decoded = base64.b64decode("".join(text.split()), validate=True)
        except (binascii.Error, ValueError):
            return None
        text, size = base64.b64encode(decoded).decode(), len(decoded)
    return Artifact(kind=kind, name=name, mime_type=MIME_TYPES[kind], size=size, data=text)


async def stored(sandbox: AsyncSandbox, found: tuple[Artifact, ...], call: str) -> tuple[Artifact, ...]:
    """Move large artifacts into files of the sandbox, and return all of them.

    One that the sandbox cannot keep, as its disk is full or it has ended, has neither data nor path then.
    """
    kept: list[Artifact] = []
    for artifact in found:
        if artifact.data is None or len(artifact.data) <= INLINE_BYTES:
            kept.append(artifact)
            continue
        binary = artifact.kind in _BINARY
        path = f"{OUTPUT_FOLDER}/{call}-{artifact.name}.{_ending(artifact.kind)}"
        data = base64.b64decode(artifact.data) if binary else artifact.data
        kept.append(artifact.model_copy(update={"data": None, "path": await _stored(sandbox, path, data)}))
    return tuple(kept)


async def _stored(sandbox: AsyncSandbox, path: str, data: str | bytes) -> str | None:
    """Write a file; None when that fails, since the code has run and its result is worth more than this."""
    try:
        await sandbox.files.write(path, data)
    except SDK_ERRORS as error:
        _log.warning("output not stored", path=path, sandbox_id=sandbox.sandbox_id, error=str(error))
        return None
    return path


def _ending(kind: RichKind) -> str:
    return {"chart": "json", "dataframe": "json", "latex": "tex", "markdown": "md", "javascript": "js"}.get(kind, kind)


async def capped(sandbox: AsyncSandbox, text: str, max_bytes: int, call: str) -> tuple[str, str | None]:
    """Return text short enough for a model, and where in the sandbox the whole is when it was cut."""
    shown, cut = shortened(text, max_bytes)
    if not cut:
        return shown, None
    metrics.OUTPUT_TRUNCATED.inc()
    return shown, await _stored(sandbox, f"{OUTPUT_FOLDER}/{call}.txt", text)
