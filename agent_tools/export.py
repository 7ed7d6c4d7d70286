"""What a thread has done, to take away: its executions as a Jupyter notebook, and a zip with the sandbox's files.

There is no second record of executions: they come from the conversation (`calls_of` its messages), or from the results
that the caller has kept.

    notebook(calls_of(state["messages"]))
    notebook([await executor.execute_code("1 + 1", "python", context)])
"""

from __future__ import annotations

import asyncio
import base64
import io
import zipfile
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Final

from langchain_core.messages import AIMessage, AnyMessage, HumanMessage, ToolMessage
from pydantic import ValidationError

from .context import CallContext
from .errors import AgentToolsError
from .executor import ToolExecutor
from .home_files import HomeFiles, home_files, zip_names
from .ipynb import Call, Entry, notebook, parsed
from .results import Artifact

__all__ = ["AnsweredCall", "Call", "Entry", "artifact_bytes", "calls_of", "notebook", "zipped"]

ENDINGS: Final = {
    "chart": "json",
    "dataframe": "json",
    "latex": "tex",
    "markdown": "md",
    "javascript": "js",
    "text": "txt",
}
"""Of artifacts whose kind is not the ending of their files."""

_BINARY: Final = frozenset({"png", "jpeg", "pdf"})


@dataclass(frozen=True, slots=True)
class AnsweredCall:
    """A `Call` that was read from messages."""

    name: str
    args: Mapping[str, Any]
    content: Any
    artifacts: tuple[Artifact, ...] = ()


def calls_of(messages: Iterable[AnyMessage]) -> list[Entry]:
    """Return a conversation's words and its answered tool calls, with the charts that came with the answers."""
    messages = list(messages)
    answers = {message.tool_call_id: message for message in messages if isinstance(message, ToolMessage)}
    entries: list[Entry] = []
    for message in messages:
        if isinstance(message, HumanMessage) and message.text:
            entries.append(f"**User:** {message.text}")
        if not isinstance(message, AIMessage):
            continue
        if message.text:
            entries.append(message.text)
        for call in message.tool_calls:
            if (answer := answers.get(call["id"] or "")) is not None:
                content = parsed(answer.text)
                entries.append(AnsweredCall(call["name"], call["args"], content, _artifacts_of(answer)))
    return entries


async def zipped(
    entries: Iterable[Entry],
    executor: ToolExecutor,
    context: CallContext,
    *,
    title: str = "",
    more: Mapping[str, bytes] | None = None,
) -> bytes:
    """Return a zip of the notebook, the artifacts and the files in the sandbox's home.

    It has `notebook.ipynb`, `artifacts/step-N-NAME` and `files/PATH`; `left-out.txt` says which files are not in it,
    and why. No sandbox is created for this; a paused one is resumed.

    Args:
        entries: of the notebook.
        executor: has the sandbox.
        context: whose sandbox.
        title: of the notebook.
        more: further members by name, which is trusted.
    """
    entries = list(entries)
    try:
        found = await home_files(executor.sandboxes, context)
    except AgentToolsError as error:
        found = HomeFiles(left_out=(f"all files of the sandbox: {error}",))

    def build() -> bytes:
        members = {"notebook.ipynb": notebook(entries, title=title), **(more or {})}
        members |= {f"artifacts/{name}": data for name, data in _artifact_files(entries)}
        names = zip_names(file.path for file in found.files)
        members |= {f"files/{name}": file.data for name, file in zip(names, found.files, strict=True)}
        if found.left_out:
            members["left-out.txt"] = "\n".join([*found.left_out, ""]).encode(errors="replace")
        buffer = io.BytesIO()
        with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as archive:
            for name, data in members.items():
                archive.writestr(name, data)
        return buffer.getvalue()

    return await asyncio.to_thread(build)


def artifact_bytes(artifact: Artifact) -> bytes | None:
    """Return an artifact's bytes, or None when they are only in the sandbox, or are none."""
    if artifact.data is None:
        return None
    if artifact.kind not in _BINARY:
        return artifact.data.encode(errors="replace")
    try:
        return base64.b64decode(artifact.data)
    except ValueError:
        return None


def _artifacts_of(message: ToolMessage) -> tuple[Artifact, ...]:
    results = message.artifact.get("results") if isinstance(message.artifact, dict) else None
    try:
        return tuple(Artifact.model_validate(result) for result in results or ())
    except (ValidationError, TypeError):
        # Another tool's, which means something else by it.
        return ()


def _artifact_files(entries: Iterable[Entry]) -> Iterator[tuple[str, bytes]]:
    steps = (entry for entry in entries if not isinstance(entry, str))
    for number, entry in enumerate(steps, start=1):
        for artifact in entry.artifacts:
            if (data := artifact_bytes(artifact)) is not None:
                (name,) = zip_names([f"{artifact.name}.{ENDINGS.get(artifact.kind, artifact.kind)}"])
                yield f"step-{number}-{name.replace('/', '_')}", data
