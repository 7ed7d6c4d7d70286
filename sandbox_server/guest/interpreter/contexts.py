"""Contexts: a kernel each, started when first used, and started again when it has died."""

from __future__ import annotations

import asyncio
import contextlib
import os
import uuid
from collections.abc import AsyncIterator
from dataclasses import dataclass, field

from ..config import HOME, SandboxConfig
from ..kernels import Event, Kernel
from ..processes import Processes
from . import languages


class ContextNotFound(LookupError):
    """No context has this id."""


class BadFolder(ValueError):
    """A context's working directory cannot be used; the message says why."""


@dataclass(slots=True, eq=False)
class Context:
    """A kernel and what it takes to start it again. Executions run one at a time, in the order they came."""

    id: str
    language: str
    cwd: str
    default: bool = False
    kernel: Kernel | None = None
    turn: asyncio.Lock = field(default_factory=asyncio.Lock)
    ended_on_purpose: bool = False
    """Whether somebody restarted or removed it, while an execution ran."""


class Contexts:
    """All contexts of a sandbox. Each language has a default one, for code that names none."""

    def __init__(self, processes: Processes, config: SandboxConfig, first: Kernel) -> None:
        """`first` is the kernel of the default Python context."""
        self._processes = processes
        self._config = config
        self._contexts: dict[str, Context] = {}
        self._pair = asyncio.Lock()
        self._add(Context(_new_id(), "python", HOME, default=True, kernel=first))
        self._add(Context(_new_id(), "javascript", HOME, default=True))

    def all(self) -> list[Context]:
        """Return them in the order they were made."""
        return list(self._contexts.values())

    def get(self, context_id: str) -> Context:
        """Return a context; "default" is the default Python one.

        Raises:
            ContextNotFound: there is none of this id.
        """
        if context_id == "default":
            return self.default("python")
        context = self._contexts.get(context_id)
        if context is None:
            raise ContextNotFound(f"Context {context_id} not found")
        return context

    def default(self, language: str) -> Context:
        """Return the default context of a language, which must be a canonical name."""
        for context in self._contexts.values():
            if context.default and context.language == language:
                return context
        return self._add(Context(_new_id(), language, HOME, default=True))

    async def create(self, language: str, cwd: str) -> Context:
        """Make a context with a running kernel.

        Raises:
            BadFolder: `cwd` is no folder one can enter.
            KernelUnavailable: the language cannot run here.
        """
        if not os.path.isdir(cwd):
            raise BadFolder(f"the working directory {cwd!r} does not exist in the sandbox")
        if not os.access(cwd, os.X_OK):
            raise BadFolder(f"the working directory {cwd!r} cannot be entered by the sandbox's user")
        context = Context(_new_id(), language, cwd)
        await self._kernel(context)
        return self._add(context)

    async def restart(self, context: Context) -> None:
        """Give the context a fresh kernel; an execution that runs ends with an error."""
        await self._end(context)
        async with context.turn:
            await self._kernel(context)

    async def remove(self, context: Context) -> None:
        """End the context and all that its kernel started."""
        self._contexts.pop(context.id, None)
        await self._end(context)

    async def execute(self, context: Context, code: str, env_vars: dict[str, str]) -> AsyncIterator[Event]:
        """Run code in its turn and yield its events.

        Raises:
            KernelUnavailable: the kernel had to be started, and could not be.
        """
        async with context.turn:
            kernel = await self._kernel(context)
            context.ended_on_purpose = False
            async with contextlib.aclosing(kernel.execute(code, env_vars)) as events:  # type: ignore[type-var]
                async for event in events:
                    if context.ended_on_purpose and event["type"] == "error":
                        event = {**event, "name": "ContextRestarting", "value": "Context was restarted"}
                    yield event

    def _add(self, context: Context) -> Context:
        self._contexts[context.id] = context
        return context

    async def _end(self, context: Context) -> None:
        kernel, context.kernel = context.kernel, None
        if kernel is not None:
            context.ended_on_purpose = True
            await kernel.shutdown()

    async def _kernel(self, context: Context) -> Kernel:
        """Return the context's kernel, started now when there is none that lives."""
        if context.kernel is not None and context.kernel.alive:
            return context.kernel
        if context.kernel is not None:
            await context.kernel.shutdown()  # It is dead; what it had open here is not closed yet.
        if context.default and context.language in languages.PAIR:
            async with self._pair:
                return await self._paired_kernel(context)
        context.kernel = await languages.start(context.language, self._processes, self._config, self._folder(context))
        return context.kernel

    async def _paired_kernel(self, context: Context) -> Kernel:
        if context.kernel is None or not context.kernel.alive:
            kernels = await languages.start_pair(self._processes, self._config, self._folder(context))
            for language, kernel in kernels.items():
                self.default(language).kernel = kernel
        assert context.kernel is not None
        return context.kernel

    def _folder(self, context: Context) -> str:
        """Return where to start: the context's folder, or home when user code has removed it meanwhile."""
        return context.cwd if os.path.isdir(context.cwd) else HOME


def _new_id() -> str:
    return str(uuid.uuid4())
