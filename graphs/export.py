"""A thread as files to take away: a notebook, or a zip of the notebook, the artifacts and the sandbox's files."""

from __future__ import annotations

from collections.abc import Iterator

from agent_tools.context import CallContext
from agent_tools.executor import ToolExecutor
from agent_tools.export import Entry, notebook, zipped

from .requests import ThreadDetail


def as_notebook(thread: ThreadDetail) -> bytes:
    """Return the thread as a Jupyter notebook: words as text, code as cells with their outputs."""
    return notebook(_entries(thread), title=thread.title)


async def as_zip(thread: ThreadDetail, executor: ToolExecutor, context: CallContext) -> bytes:
    """Return a zip; the sandbox's files are in it when there still is a sandbox."""
    more = {"thread.json": thread.model_dump_json(indent=1).encode(errors="replace")}
    return await zipped(_entries(thread), executor, context, title=thread.title, more=more)


def _entries(thread: ThreadDetail) -> Iterator[Entry]:
    for message in thread.messages:
        if message.text:
            yield f"**User:** {message.text}" if message.role == "user" else message.text
        yield from message.steps
