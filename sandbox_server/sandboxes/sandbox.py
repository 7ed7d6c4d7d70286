"""One sandbox on this host."""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
import time
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime
from enum import StrEnum
from typing import Any

import structlog

from ..guest.config import Limits, SandboxConfig
from ..isolation.cgroups import Group
from ..isolation.template_process import Born
from .channel import GuestChannel
from .egress import EgressGate

log = structlog.get_logger()
_REMOVE_ATTEMPTS = 500
_REMOVE_INTERVAL_S = 0.02


class State(StrEnum):
    """E2B's two states of a sandbox that exists."""

    RUNNING = "running"
    PAUSED = "paused"


@dataclass(slots=True)
class Lease:
    """How long a sandbox lives and what happens then."""

    ends_at: datetime
    auto_pause: bool = False
    auto_resume: bool = False


@dataclass(frozen=True, slots=True)
class Access:
    """The secrets of one sandbox."""

    envd_token: str
    traffic_token: str | None = None
    """Asked of every request when public traffic is off."""


@dataclass(frozen=True, slots=True)
class LogLine:
    """One line of a sandbox's own log."""

    at: datetime
    text: str
    level: str = "info"


@dataclass(slots=True)
class Sandbox:
    """What the server knows of a sandbox. `Sandboxes` makes, finds and ends them."""

    id: str
    template_id: str
    alias: str
    metadata: dict[str, str]
    config: SandboxConfig
    lease: Lease
    access: Access
    born: Born
    channel: GuestChannel
    gate: EgressGate
    group: Group | None
    allow_internet_access: bool | None = None
    network: dict[str, object] | None = None
    started_at: datetime = field(default_factory=lambda: datetime.now(UTC))
    state: State = State.RUNNING
    changing: asyncio.Lock = field(default_factory=asyncio.Lock)
    """Held while it is paused or resumed: freezing takes time, and a thaw in the middle of it would be lost."""
    logs: deque[LogLine] = field(default_factory=lambda: deque(maxlen=1000))
    samples: deque[dict[str, Any]] = field(default_factory=lambda: deque(maxlen=1000))
    """Metrics in E2B's form, oldest first; one is taken whenever somebody asks."""
    gone: asyncio.Event = field(default_factory=asyncio.Event)
    """Set when its processes are dead and the host holds nothing for it."""
    on_end: list[Callable[[], None]] = field(default_factory=list)
    """Called once when the sandbox is gone: pooled connections and timers go with it."""

    @property
    def limits(self) -> Limits:
        """Its bounds."""
        return self.config.limits

    def log(self, text: str, level: str = "info") -> None:
        """Add a line to the sandbox's log."""
        self.logs.append(LogLine(datetime.now(UTC), text, level))

    def kill(self) -> None:
        """End every process of it. The kernel does the rest; `Sandboxes` notices and cleans up."""
        if self.group is not None and self.state is State.PAUSED:
            # A frozen process of a version 1 group does not even die.
            self.group.thaw()
        with contextlib.suppress(ProcessLookupError):
            signal.pidfd_send_signal(self.born.pidfd, signal.SIGKILL)

    async def freeze(self) -> None:
        """Stop every process, memory kept. Raises TimeoutError."""
        if self.group is not None:
            await asyncio.to_thread(self.group.freeze)
        else:
            await self.channel.freeze(True)

    async def thaw(self) -> None:
        """Let them run again. Raises TimeoutError."""
        if self.group is not None:
            self.group.thaw()
        else:
            await self.channel.freeze(False)

    def release(self) -> None:
        """Let go of everything the host held for it; the processes must be dead."""
        for callback in self.on_end:
            callback()
        self.channel.close()
        os.close(self.born.pidfd)
        self.gone.set()


async def remove_group(group: Group) -> None:
    """Remove the control group of dead processes; the kernel needs a moment to take them out of it."""
    for _ in range(_REMOVE_ATTEMPTS):
        if group.remove():
            return
        await asyncio.sleep(_REMOVE_INTERVAL_S)
    log.warning("a control group is still in use, and left behind")


def now() -> datetime:
    """The current time, as all of E2B's fields have it."""
    return datetime.fromtimestamp(time.time(), UTC)
