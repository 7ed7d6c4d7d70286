"""All sandboxes of this server: create, find, pause, resume, end. The only owner of their lifetimes."""

from __future__ import annotations

import asyncio
import os
import secrets
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass, field, replace
from datetime import timedelta

import structlog

from ..egress import EgressPolicy
from ..errors import SandboxStartFailed
from ..guest.config import Limits, SandboxConfig
from ..isolation.cgroups import Group, Hierarchy
from ..isolation.template_process import Born, TemplateProcess
from ..settings import ALIASES, DEFAULT_TEMPLATE, Settings
from .channel import GuestChannel
from .egress import Egress
from .sandbox import Access, Lease, Sandbox, State, now, remove_group
from .templates import Templates
from .uids import UidPool

_ID_ALPHABET = "0123456789abcdefghijklmnopqrstuv"
_CLOSE_SECONDS = 15
_ID_LENGTH = 25
"""125 bits: code interpreter routes are reached by the id alone, as on E2B. Fits a DNS label with a port before it."""

log = structlog.get_logger()


class NoSuchSandbox(LookupError):
    """No sandbox has this id (any more)."""


class NoSuchTemplate(LookupError):
    """No template has this name."""


class WrongState(Exception):
    """The sandbox is paused already, or is running already."""


class TooManySandboxes(Exception):
    """The server's own limit, or the host's memory, allows no more; the message says which."""


@dataclass(frozen=True, slots=True)
class CreateOptions:
    """What a create call asks for."""

    template: str = DEFAULT_TEMPLATE
    timeout_s: int = 300
    metadata: dict[str, str] = field(default_factory=dict)
    envs: dict[str, str] = field(default_factory=dict)
    auto_pause: bool = False
    auto_resume: bool = False
    policy: EgressPolicy | None = None
    """None: everything public is allowed, as on E2B."""
    allow_internet_access: bool | None = None
    network: dict[str, object] | None = None
    public_traffic: bool = True


class Sandboxes:
    """The registry. Lives on the loop's thread; nothing in it blocks."""

    def __init__(self, settings: Settings, templates: Templates, hierarchy: Hierarchy | None, egress: Egress) -> None:
        self._settings = settings
        self._templates = templates
        self._hierarchy = hierarchy
        self._egress = egress
        self._sandboxes: dict[str, Sandbox] = {}
        self._ending: set[asyncio.Event] = set()
        self._timers: dict[str, asyncio.TimerHandle] = {}
        self._uids = UidPool.for_this_process()
        self._creating = asyncio.Semaphore(settings.concurrent_creates)
        self._starting = 0
        self._cleaning: set[asyncio.Task[None]] = set()

    # --- find

    def __len__(self) -> int:
        return len(self._sandboxes)

    def __iter__(self) -> Iterator[Sandbox]:
        return iter(list(self._sandboxes.values()))

    def get(self, sandbox_id: str) -> Sandbox:
        """Return a sandbox. Raises NoSuchSandbox."""
        try:
            return self._sandboxes[sandbox_id]
        except KeyError:
            raise NoSuchSandbox(sandbox_id) from None

    # --- create and end

    async def create(self, options: CreateOptions) -> Sandbox:
        """Make a sandbox; its guest serves when this returns.

        Raises:
            NoSuchTemplate: no template of that name.
            TooManySandboxes, NoFreeUid: the server's limits, or too little memory left on the host.
            SandboxStartFailed, IsolationUnavailable, TemplateError: see there.
        """
        name = ALIASES.get(options.template, options.template)
        if name not in self._templates:
            raise NoSuchTemplate(options.template)
        # Before the semaphore: a template that takes minutes to build must not hold up the others.
        template = await self._templates.get(name)
        async with self._creating:
            self._check_room()
            self._starting += 1
            try:
                return await self._start(template, name, options)
            finally:
                self._starting -= 1

    async def _start(self, template: TemplateProcess, name: str, options: CreateOptions) -> Sandbox:
        sandbox_id = _new_id()
        with self._uids.borrowed() as uid:
            config = self._config(sandbox_id, name, options, uid.number)
            group = self._group(sandbox_id, config.limits)
            try:
                born = await _fork(template, config, group)
            except BaseException:
                if group:
                    self._clean(remove_group(group))
                raise
            uid.keep()
        gate = self._egress.gate(sandbox_id, options.policy or self._egress.policy(None, [], []))
        sandbox = Sandbox(
            id=sandbox_id,
            template_id=name,
            alias=options.template,
            metadata=options.metadata,
            config=config,
            lease=Lease(now(), options.auto_pause, options.auto_resume),
            access=Access(secrets.token_urlsafe(32), None if options.public_traffic else secrets.token_urlsafe(32)),
            born=born,
            channel=GuestChannel(born.control, gate.accept),
            gate=gate,
            group=group,
            allow_internet_access=options.allow_internet_access,
            network=options.network,
            on_end=[uid.release, gate.close],
        )
        self._sandboxes[sandbox_id] = sandbox
        asyncio.get_running_loop().add_reader(born.pidfd, self._on_death, sandbox)
        sandbox.log("sandbox started")
        self.set_timeout(sandbox, options.timeout_s)
        return sandbox

    def _check_room(self) -> None:
        if len(self._sandboxes) + self._starting >= self._settings.max_sandboxes:
            raise TooManySandboxes(f"this server runs at most {self._settings.max_sandboxes} sandboxes; kill some")
        available = _available_memory()
        if available < self._settings.memory_floor_bytes:
            raise TooManySandboxes(
                f"the host has {available >> 20} MiB of memory left, under the floor of "
                f"{self._settings.memory_floor_bytes >> 20} MiB; kill sandboxes or free memory"
            )

    def _group(self, sandbox_id: str, limits: Limits) -> Group | None:
        if self._hierarchy is None:
            return None
        try:
            return self._hierarchy.create(sandbox_id, limits)
        except OSError as error:
            raise SandboxStartFailed(f"its control group could not be made: {error}") from error

    def _config(self, sandbox_id: str, template: str, options: CreateOptions, uid: int | None) -> SandboxConfig:
        return SandboxConfig(
            sandbox_id=sandbox_id,
            template_id=template,
            envs=options.envs,
            network_env=self._egress.env,
            path=self._templates.path,
            tool_env=self._templates.tool_env,
            limits=self._settings.limits,
            watchdog=self._hierarchy is None,
            uid=uid,
        )

    def kill(self, sandbox_id: str) -> None:
        """End a sandbox. It is unknown at once; its processes are gone moments later. Raises NoSuchSandbox."""
        sandbox = self.get(sandbox_id)
        self._forget(sandbox)
        self._ending.add(sandbox.gone)
        sandbox.kill()

    def _forget(self, sandbox: Sandbox) -> None:
        del self._sandboxes[sandbox.id]
        self._disarm(sandbox)

    def _on_death(self, sandbox: Sandbox) -> None:
        """The pidfd became readable: pid 1 is gone, and the kernel has ended all others before it."""
        asyncio.get_running_loop().remove_reader(sandbox.born.pidfd)
        if self._sandboxes.get(sandbox.id) is sandbox:
            log.warning("sandbox ended by itself", sandbox=sandbox.id)
            self._forget(sandbox)
        group = sandbox.group
        sandbox.release()
        self._ending.discard(sandbox.gone)
        if group is not None:
            self._clean(remove_group(group))

    def _clean(self, work: object) -> None:
        task = asyncio.ensure_future(work)  # type: ignore[call-overload]
        self._cleaning.add(task)
        task.add_done_callback(self._cleaning.discard)

    async def close(self) -> None:
        """End all sandboxes and wait until nothing is left of them."""
        for sandbox in self:
            self.kill(sandbox.id)
        await self._templates.close()
        try:
            async with asyncio.timeout(_CLOSE_SECONDS):
                for gone in list(self._ending):
                    await gone.wait()
                if self._cleaning:
                    await asyncio.wait(self._cleaning)
        except TimeoutError:
            log.warning("some sandboxes do not end: a process of theirs hangs in the kernel")
        if self._hierarchy is not None:
            self._hierarchy.remove()

    # --- time

    def set_timeout(self, sandbox: Sandbox, seconds: int, *, only_longer: bool = False) -> None:
        """Let it live for so many seconds from now, at most the server's limit; 0 ends it (or pauses it) at once."""
        ends_at = now() + timedelta(seconds=min(seconds, self._settings.max_lifetime_s))
        if only_longer and ends_at <= sandbox.lease.ends_at:
            return
        sandbox.lease = replace(sandbox.lease, ends_at=ends_at)
        if sandbox.state is State.RUNNING:
            self._arm(sandbox, (ends_at - now()).total_seconds())

    def _disarm(self, sandbox: Sandbox) -> None:
        if timer := self._timers.pop(sandbox.id, None):
            timer.cancel()

    def _arm(self, sandbox: Sandbox, seconds: float) -> None:
        self._disarm(sandbox)
        self._timers[sandbox.id] = asyncio.get_running_loop().call_later(max(seconds, 0), self._on_timeout, sandbox)

    def _on_timeout(self, sandbox: Sandbox) -> None:
        if sandbox.state is State.RUNNING and sandbox.lease.auto_pause:
            self._clean(self._auto_pause(sandbox))
        else:
            sandbox.log("timeout reached")
            with suppress(NoSuchSandbox):
                self.kill(sandbox.id)

    async def _auto_pause(self, sandbox: Sandbox) -> None:
        try:
            await self.pause(sandbox.id)
        except (NoSuchSandbox, WrongState):
            return
        except OSError:
            log.warning("sandbox could not be paused at its timeout; ending it", sandbox=sandbox.id)
            with suppress(NoSuchSandbox):
                self.kill(sandbox.id)

    # --- pause and resume

    async def pause(self, sandbox_id: str) -> None:
        """Freeze it, memory kept.

        Raises:
            NoSuchSandbox, WrongState (paused already), OSError (GuestGone, TimeoutError: it would not stop).
        """
        sandbox = self.get(sandbox_id)
        async with sandbox.changing:
            self._check_is(sandbox)
            if sandbox.state is State.PAUSED:
                raise WrongState(f"sandbox {sandbox_id} is paused already")
            sandbox.state = State.PAUSED
            # The lease is over while it is paused, and also while it stops: its timer would end it.
            self._disarm(sandbox)
            try:
                await sandbox.freeze()
                self._check_is(sandbox)
            except (OSError, NoSuchSandbox):
                # Also one that was killed meanwhile: a frozen process of a version 1 group does not even die.
                with suppress(OSError):
                    await sandbox.thaw()
                self._check_is(sandbox)
                sandbox.state = State.RUNNING
                self._arm(sandbox, (sandbox.lease.ends_at - now()).total_seconds())
                raise
            sandbox.log("sandbox paused")
            self._arm(sandbox, self._settings.paused_lifetime_s)

    async def resume(self, sandbox_id: str, timeout_s: int, *, auto_pause: bool | None = None) -> Sandbox:
        """Let a paused one run again for `timeout_s`.

        Raises:
            NoSuchSandbox, WrongState (it runs), OSError (GuestGone, TimeoutError: it does not answer).
        """
        sandbox = self.get(sandbox_id)
        async with sandbox.changing:
            self._check_is(sandbox)
            if sandbox.state is State.RUNNING:
                raise WrongState(f"sandbox {sandbox_id} is running already")
            await sandbox.thaw()
            self._check_is(sandbox)
            sandbox.state = State.RUNNING
            if auto_pause is not None:
                sandbox.lease = replace(sandbox.lease, auto_pause=auto_pause)
            sandbox.log("sandbox resumed")
            self.set_timeout(sandbox, timeout_s)
            return sandbox

    def _check_is(self, sandbox: Sandbox) -> None:
        """Raise NoSuchSandbox when it ended while somebody waited."""
        if self._sandboxes.get(sandbox.id) is not sandbox:
            raise NoSuchSandbox(sandbox.id)


async def _fork(template: TemplateProcess, config: SandboxConfig, group: Group | None) -> Born:
    procs = group.open_procs() if group else []
    try:
        return await template.fork(config, procs)
    finally:
        for fd in procs:
            os.close(fd)


def _new_id() -> str:
    number = secrets.randbits(5 * _ID_LENGTH)
    return "".join(_ID_ALPHABET[number >> 5 * place & 31] for place in range(_ID_LENGTH))


def _available_memory() -> int:
    with open("/proc/meminfo", encoding="ascii") as file:
        for line in file:
            if line.startswith("MemAvailable:"):
                return int(line.split()[1]) * 1024
    raise SandboxStartFailed("the kernel does not say how much memory is available")
