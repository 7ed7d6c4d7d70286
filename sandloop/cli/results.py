"""What a run leaves behind: the files that the agent made and the images that it showed."""

from __future__ import annotations

import base64
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Self

from . import saving
from .exits import Problem
from .terminal import visible_line

if TYPE_CHECKING:
    from agent_tools.context import CallContext
    from agent_tools.executor import ToolExecutor
    from agent_tools.results import FileEntry
    from graphs.requests import AgentResponse, InputFile

    from .view import View

HOME = "/home/user"
_DEPTH = 4
_LISTED = 20
_SKIPPED = frozenset({"node_modules", "__pycache__"})

_Seen = dict[str, tuple[int, str]]
"""Path → size and time of change."""


class Outputs:
    """Compares the sandbox's home before and after a run."""

    def __init__(self, executor: ToolExecutor, before: _Seen, inputs: dict[str, int]) -> None:
        self._executor = executor
        self._before = before
        self._inputs = inputs

    @classmethod
    async def before(cls, executor: ToolExecutor, thread_id: str | None, files: tuple[InputFile, ...]) -> Self:
        """Look before a run; makes no sandbox where there is none."""
        before: _Seen = {}
        if thread_id is not None and await executor.sandboxes.find(_context(thread_id)) is not None:
            before = {entry.path: (entry.size, entry.modified) for entry in await _files(executor, thread_id)}
        inputs = {f"{HOME}/{file.name}": len(base64.b64decode(file.content)) for file in files}
        return cls(executor, before, inputs)

    async def show(self, view: View, response: AgentResponse, save_dir: Path | None) -> None:
        """Name the new and changed files and the images, save them when there is a folder, show the images."""
        from agent_tools.errors import AgentToolsError

        if response.sandbox_id is None or not response.steps:
            return
        context = _context(response.thread_id)
        try:
            made = [entry for entry in await _files(self._executor, response.thread_id) if self._is_new(entry)]
            datas = await self._save_files(view, context, made, save_dir)
            await self._save_images(view, context, response, save_dir, datas)
        except (AgentToolsError, Problem) as error:
            # The answer is worth more than its files.
            view.line(f"the files cannot be had: {error}", "red")

    def _is_new(self, entry: FileEntry) -> bool:
        if self._inputs.get(entry.path) == entry.size:
            return False
        return self._before.get(entry.path) != (entry.size, entry.modified)

    async def _save_files(
        self, view: View, context: CallContext, made: list[FileEntry], save_dir: Path | None
    ) -> set[bytes]:
        datas: set[bytes] = set()
        for entry in made[:_LISTED]:
            where = f"{visible_line(entry.path)}  {_size(entry.size)}"
            if save_dir is not None and entry.size <= context.policy.max_file_bytes:
                data = await self._executor.read_bytes(entry.path, context)
                datas.add(data)
                where += f"  saved as {saving.save_file(data, save_dir, entry.path.removeprefix(f'{HOME}/'))}"
                view.line(f"file  {where}")
                view.image(data)
            else:
                view.line(f"file  {where}")
        if len(made) > _LISTED:
            view.line(f"file  … and {len(made) - _LISTED} more in {HOME}")
        if made and save_dir is None:
            view.line("      --save-dir DIR saves them here", "dim")
        return datas

    async def _save_images(
        self, view: View, context: CallContext, response: AgentResponse, save_dir: Path | None, known: set[bytes]
    ) -> None:
        for step in response.steps:
            for artifact in saving.images(step.artifacts):
                data = await saving.image_bytes(self._executor, context, artifact)
                if data in known:
                    continue
                known.add(data)
                where = f"{artifact.kind}, {_size(artifact.size)}"
                if save_dir is not None:
                    where += f"  saved as {saving.save_image(data, artifact, save_dir, 'image')}"
                view.line(f"image {where}")
                view.image(data)


def _context(thread_id: str) -> CallContext:
    from agent_tools.context import CallContext

    return CallContext(thread_id)


async def _files(executor: ToolExecutor, thread_id: str) -> list[FileEntry]:
    folder = await executor.list_files(HOME, _context(thread_id), depth=_DEPTH)
    return list(_visible_files(folder.entries))


def _visible_files(entries: tuple[FileEntry, ...]) -> Iterator[FileEntry]:
    for entry in entries:
        parts = entry.path.removeprefix(f"{HOME}/").split("/")
        if entry.type == "file" and not any(part.startswith(".") or part in _SKIPPED for part in parts):
            yield entry


def _size(size: int) -> str:
    return f"{size} bytes" if size < 1024 else f"{size / 1024:.0f} KiB" if size < 2**20 else f"{size / 2**20:.1f} MiB"
