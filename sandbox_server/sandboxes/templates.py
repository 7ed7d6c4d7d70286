"""The templates of a server: built on first use, one warm process each."""

from __future__ import annotations

import asyncio
import tempfile
from collections.abc import Callable, Mapping
from pathlib import Path

from .. import templates
from ..isolation import etc, toolchains
from ..isolation.outer import Toolchain, View
from ..isolation.template_process import TemplateProcess


class Templates:
    """Names, and the processes behind them."""

    def __init__(
        self,
        requirements: Mapping[str, Path],
        tools: tuple[Toolchain, ...],
        progress: Callable[[str], None],
    ) -> None:
        self._requirements = requirements
        self._tools = tools
        self._progress = progress
        self._processes: dict[str, TemplateProcess] = {}
        self._locks = {name: asyncio.Lock() for name in requirements}
        self._folder = tempfile.TemporaryDirectory(prefix="sandloop-")
        # Bound into sandboxes, which run as other users.
        Path(self._folder.name).chmod(0o755)
        self._etc = etc.write(Path(self._folder.name, "etc"))
        self.extra: tuple[Path, ...] = ()
        """More read-only folders for sandboxes to see (package mirrors on disk)."""
        self.path = toolchains.search_path(tools)
        self.tool_env = toolchains.environment(tools)

    def __contains__(self, name: str) -> bool:
        return name in self._requirements

    async def build(self, name: str) -> templates.Template:
        """Return a template's folder, building it first when needed. Raises TemplateError."""
        return await asyncio.to_thread(templates.ensure, self._requirements[name], name=name, progress=self._progress)

    async def get(self, name: str) -> TemplateProcess:
        """Return the running process of a template, starting it when needed.

        Raises:
            TemplateError: it could not be built.
            IsolationUnavailable: it could not be walled in.
        """
        process = self._processes.get(name)
        if process is not None and process.alive:
            return process
        async with self._locks[name]:
            process = self._processes.get(name)
            if process is None or not process.alive:
                if process is not None:
                    await process.stop()
                built = await self.build(name)
                view = View(built.path, self._etc, self._tools, self.extra)
                process = await TemplateProcess.start(view, Path(self._folder.name, f"{name}.log"))
                self._processes[name] = process
            return process

    async def close(self) -> None:
        """End all template processes, and with them whatever runs in their sandboxes."""
        while self._processes:
            await self._processes.popitem()[1].stop()
        self._folder.cleanup()
