"""An execution as E2B's own MCP server answers it: `{results, logs}`, in the spelling of E2B's SDK."""

from __future__ import annotations

import base64
import json
from collections import defaultdict
from typing import Any, Final

from agent_tools.context import CallContext
from agent_tools.errors import AgentToolsError
from agent_tools.executor import ToolExecutor
from agent_tools.results import Artifact, ExecutionResult, Result

MAX_IMAGE_BYTES: Final = 4 * 1024 * 1024
"""Of the images of one answer together: what is more stays in the sandbox, where its file is named."""

_SPELLED: Final = {"dataframe": "data"}
_PARSED: Final = frozenset({"json", "chart", "dataframe"})
PICTURES: Final = frozenset({"png", "jpeg"})
_CHARTS: Final = frozenset({"png", "svg", "chart"})


class CodeRun(Result):
    """What `run_code` answers.

    Attributes:
        results: each by the kinds it has: `text`, `png`, `html`, `chart`, `data`, ...
        logs: `stdout` and `stderr`, lists of text.
        failure: E2B's `error`: `name`, `value`, `traceback`; E2B's own server leaves it out.
    """

    results: tuple[dict[str, Any], ...] = ()
    logs: dict[str, list[str]] = {}
    failure: dict[str, str] | None = None

    def content(self, *, without: frozenset[str] = frozenset()) -> dict[str, Any]:
        """Return E2B's keys, and an error only where there is one."""
        told: dict[str, Any] = {"results": list(self.results), "logs": self.logs}
        if self.failure is not None:
            told["error"] = self.failure
        return told | ({"notes": list(self.notes)} if self.notes else {})


async def as_code_run(result: ExecutionResult, executor: ToolExecutor, context: CallContext) -> CodeRun:
    """Return the same run in E2B's shape."""
    grouped: defaultdict[str, dict[str, Any]] = defaultdict(dict)
    for artifact in await with_pictures(result.artifacts, executor, context):
        of_result = grouped[artifact.name.rpartition("-")[2]]
        if artifact.data is None:
            of_result.setdefault("extra", {})[artifact.kind] = artifact.path
            continue
        data = json.loads(artifact.data) if artifact.kind in _PARSED else artifact.data
        of_result[_SPELLED.get(artifact.kind, artifact.kind)] = data
    results = list(grouped.values())
    if result.displayed:
        # The texts of all that was shown are one here; mostly there is one. That of a chart is not among them.
        if results and not _CHARTS & results[-1].keys():
            results[-1] = {"text": result.displayed, **results[-1]}
        else:
            results.append({"text": result.displayed})
    stdout = result.output.removesuffix(result.displayed) if result.displayed else result.output
    failure = None
    if result.error is not None:
        name, _, value = result.error.partition(": ")
        failure = {"name": name, "value": value, "traceback": result.traceback}
    return CodeRun(
        success=result.success,
        error=result.error,
        notes=result.notes,
        results=tuple(results),
        logs={"stdout": [stdout] if stdout else [], "stderr": [result.stderr] if result.stderr else []},
        failure=failure,
    )


async def with_pictures(
    artifacts: tuple[Artifact, ...], executor: ToolExecutor, context: CallContext
) -> list[Artifact]:
    """Return the artifacts with the data of pictures, also of those that are files in the sandbox, up to a bound."""
    left = MAX_IMAGE_BYTES
    found = []
    for artifact in artifacts:
        if artifact.kind in PICTURES:
            if artifact.size > left:
                artifact = artifact.model_copy(update={"data": None})
            elif artifact.data is None and artifact.path is not None:
                artifact = artifact.model_copy(update={"data": await _fetched(artifact.path, executor, context)})
            left -= artifact.size if artifact.data is not None else 0
        found.append(artifact)
    return found


async def _fetched(path: str, executor: ToolExecutor, context: CallContext) -> str | None:
    try:
        data = await executor.read_bytes(path, context)
    except AgentToolsError:
        return None  # It is named in the answer; the run itself went well.
    return base64.b64encode(data).decode() if len(data) <= MAX_IMAGE_BYTES else None
