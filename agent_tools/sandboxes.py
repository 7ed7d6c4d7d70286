"""The lease manager: each thread has its sandbox, found again by E2B's metadata.

There is no database of ours. E2B's list is the one truth, so a sandbox outlives this process, and any process finds
it. Inside a process a lock per lease keeps two calls from creating twice. Across processes both may create, so whoever
created looks again: the oldest sandbox wins, and the losers kill their own.
"""

from __future__ import annotations

import asyncio
import time
import weakref
from collections import defaultdict
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from typing import TypedDict, TypeVar

from e2b import (
    AuthenticationException,
    SandboxInfo,
    SandboxLifecycle,
    SandboxMetrics,
    SandboxNetworkOpts,
    SandboxNetworkUpdate,
    SandboxQuery,
    SandboxState,
)
from e2b_code_interpreter import AsyncSandbox

from . import logs, metrics
from .context import CallContext
from .failures import SDK_ERRORS, is_gone, never_sent, translated, translating
from .looking import handle_on
from .loop import on_sandbox_loop
from .packages import install_defaults, registry_hosts
from .policy import SandboxPolicy
from .results import Result
from .service import Service
from .settings import SandboxSettings

Done = TypeVar("Done")
Answer = TypeVar("Answer", bound=Result)

OWNER = "sandloop.owner"
THREAD = "sandloop.thread"
KEY = "sandloop.key"
NETWORK = "sandloop.network"

_MARGIN_S = 30
"""A sandbox outlives the time limit of a call by this much, for what comes before and after the code."""

_EVERYWHERE = "0.0.0.0/0"

_log = logs.logger("sandboxes")


class _Network(TypedDict, total=False):
    allow_internet_access: bool
    network: SandboxNetworkOpts


@dataclass(frozen=True, slots=True)
class LeaseKey:
    """Whose sandbox: the owner, and the thread or the key that threads share."""

    owner: str
    name: str
    shared: bool = False

    @classmethod
    def of(cls, context: CallContext) -> LeaseKey:
        """Return the key of a caller."""
        if context.sandbox_key is not None:
            return cls(context.owner, context.sandbox_key, shared=True)
        return cls(context.owner, context.thread_id)

    @property
    def metadata(self) -> dict[str, str]:
        """What a sandbox of this key carries on E2B."""
        return {OWNER: self.owner, KEY if self.shared else THREAD: self.name}


@dataclass(slots=True, eq=False)
class Lease:
    """A thread's sandbox, and what this process knows of it.

    Attributes:
        fresh: True in the first call after this process created it.
        replaced: the id of a sandbox whose variables and files are lost, until a result has said so.
    """

    sandbox: AsyncSandbox
    ends_at: float
    fresh: bool = False
    replaced: str | None = None
    kernels: defaultdict[str, asyncio.Lock] = field(default_factory=lambda: defaultdict(asyncio.Lock))
    """A kernel runs one execution at a time. Waiting here, a call does not use up its time limit."""

    @property
    def id(self) -> str:
        """The sandbox's id."""
        return str(self.sandbox.sandbox_id)

    def loss(self) -> str | None:
        """Return the sentence about a lost sandbox that this one replaces; only the first time."""
        lost, self.replaced = self.replaced, None
        if lost is None:
            return None
        return (
            f"the earlier sandbox {lost} is gone and this is a new one: variables, files and installed packages of "
            "earlier calls are lost"
        )

    def telling_loss(self, answer: Answer) -> Answer:
        """Return the result of a call with that sentence among its notes."""
        loss = self.loss()
        return answer if loss is None else answer.model_copy(update={"notes": (*answer.notes, loss)})


class Sandboxes:
    """Gives each thread its sandbox. Use it as `async with`, or call `close()`; without that they end by their timeout.

    Args:
        settings: by default from the environment: E2B when E2B_API_KEY is set, else the embedded server.
    """

    def __init__(self, settings: SandboxSettings | None = None) -> None:
        self.settings = settings or SandboxSettings.from_environment()
        self._service = Service(self.settings)
        self._leases: dict[LeaseKey, Lease] = {}
        self._locks: weakref.WeakValueDictionary[LeaseKey, asyncio.Lock] = weakref.WeakValueDictionary()
        self._created: set[str] = set()
        metrics.count_alive(self)
        if self.settings.log_level:
            logs.to_stderr(self.settings.log_level)

    async def __aenter__(self) -> Sandboxes:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.close()

    @property
    def alive(self) -> int:
        """How many sandboxes this object holds a lease of whose time is not over."""
        now = time.monotonic()
        return sum(lease.ends_at > now for lease in list(self._leases.values()))

    # --- running something in a sandbox

    @on_sandbox_loop
    async def run(self, context: CallContext, work: Callable[[Lease], Awaitable[Done]], *, for_s: float = 60) -> Done:
        """Run `work` in the caller's sandbox, which is found, resumed or created.

        When the sandbox turns out to be gone before anything of the work was done, the work runs again in the resumed
        or new one. `work` itself raises `SandboxLost` for what ends later.

        Args:
            context: whose sandbox, and under which policy it is created.
            work: what to do in the lease.
            for_s: seconds the work may take; the sandbox outlives them.

        Raises:
            SandboxUnavailable: there is none to be had; see `errors`.
        """
        if self.settings.ephemeral:
            return await self._run_once(context, work, for_s)
        lease = await self._attached(context, for_s)
        try:
            return await self._work(lease, work)
        except _Gone:
            lease = await self._attached(context, for_s, gone=lease)
            try:
                return await self._work(lease, work)
            except _Gone as error:
                raise translated(error.cause, sandbox_id=lease.id) from error.cause

    async def _run_once(self, context: CallContext, work: Callable[[Lease], Awaitable[Done]], for_s: float) -> Done:
        sandbox = await self._create({OWNER: context.owner}, context, for_s)
        try:
            await install_defaults(sandbox, context)
            ends_at = time.monotonic() + _life(context.policy, for_s)
            return await self._work(Lease(sandbox, ends_at, fresh=True), work)
        except _Gone as error:
            raise translated(error.cause, sandbox_id=sandbox.sandbox_id) from error.cause
        finally:
            await asyncio.shield(self._end(sandbox.sandbox_id))

    async def _work(self, lease: Lease, work: Callable[[Lease], Awaitable[Done]]) -> Done:
        try:
            return await work(lease)
        except SDK_ERRORS as error:
            if await self._lost(error):
                raise _Gone(error) from error
            raise translated(error, sandbox_id=lease.id) from error

    async def _lost(self, error: BaseException) -> bool:
        """True when a sandbox is gone or paused, and nothing of the failed request was done in it."""
        if is_gone(error):
            return True
        # No connection, or another key: the embedded server may be another one now.
        return (never_sent(error) or isinstance(error, AuthenticationException)) and await self._service.moved()

    async def extended(self, lease: Lease, context: CallContext, for_s: float) -> None:
        """Let the lease outlive work of so many seconds that begins now, when it had to wait; for `work` itself."""
        if not await self._kept(lease, _life(context.policy, for_s), for_s):
            raise _Gone(LookupError(f"the sandbox {lease.id} is gone"))

    # --- finding and creating

    def _lock(self, key: LeaseKey) -> asyncio.Lock:
        # It lives for as long as somebody holds it or waits for it.
        return self._locks.setdefault(key, asyncio.Lock())

    async def _attached(self, context: CallContext, for_s: float, gone: Lease | None = None) -> Lease:
        key = LeaseKey.of(context)
        async with self._lock(key):
            life = _life(context.policy, for_s)
            lease = self._leases.get(key)
            if lease is not None and lease is not gone:
                if await self._kept(lease, life, for_s):
                    return lease
                gone = lease
            self._leases.pop(key, None)
            self._forget_ended()
            lost = gone.id if gone else None
            lease = await self._found(key, context, life, lost) or await self._new(key, context, for_s)
            if gone is not None and lease.id == gone.id:
                # Resumed: calls that wait for a kernel go on waiting.
                lease.kernels, lease.replaced = gone.kernels, gone.replaced
            elif lease.fresh and (lost := lost or context.known_sandbox_id):
                lease.replaced = lost
                metrics.SANDBOXES_REPLACED.inc()
                _log.warning("sandbox replaced", lost=lost, sandbox_id=lease.id, thread=context.thread_id)
            self._leases[key] = lease
            return lease

    def _forget_ended(self) -> None:
        """Let go of leases whose time is over, or a long-lived process would collect all there ever were."""
        now = time.monotonic()
        for key in [key for key, lease in self._leases.items() if lease.ends_at <= now]:
            del self._leases[key]

    async def _kept(self, lease: Lease, life: float, for_s: float) -> bool:
        """Extend the lease where needed; False when the sandbox is gone or paused."""
        left = lease.ends_at - time.monotonic()
        # Renewing costs a request: do it when half of the life is over, or less is left than the call may take.
        if left > max(life / 2, for_s + _MARGIN_S):
            return True
        try:
            await lease.sandbox.set_timeout(int(life))
        except SDK_ERRORS as error:
            if await self._lost(error):
                return False
            raise translated(error, sandbox_id=lease.id) from error
        lease.ends_at = time.monotonic() + life
        return True

    async def _found(self, key: LeaseKey, context: CallContext, life: float, gone: str | None) -> Lease | None:
        """Return the sandbox that carries the key, resumed when it was paused."""
        for info in await self._listed(key.metadata):
            try:
                with translating(info.sandbox_id):
                    sandbox = await self._connected(info.sandbox_id, life)
            except _Gone:
                continue
            if info.sandbox_id != gone:
                await install_defaults(sandbox, context)
            return Lease(sandbox, time.monotonic() + life)
        return None

    async def _connected(self, sandbox_id: str, life: float) -> AsyncSandbox:
        connection = await self._service.connection()
        try:
            return await AsyncSandbox.connect(sandbox_id, timeout=int(life), **connection)
        except SDK_ERRORS as error:
            if is_gone(error):
                raise _Gone(error) from error
            raise

    async def _new(self, key: LeaseKey, context: CallContext, for_s: float) -> Lease:
        sandbox = await self._create(key.metadata, context, for_s)
        try:
            oldest = (await self._listed(key.metadata))[:1]
            if oldest and oldest[0].sandbox_id != sandbox.sandbox_id:
                # Another process created one at the same time, and was first.
                await self._end(sandbox.sandbox_id)
                if found := await self._found(key, context, _life(context.policy, for_s), gone=None):
                    return found
                return await self._new(key, context, for_s)
            await install_defaults(sandbox, context)
        except BaseException:
            await asyncio.shield(self._end(sandbox.sandbox_id))
            raise
        return Lease(sandbox, time.monotonic() + _life(context.policy, for_s), fresh=True)

    async def _create(self, metadata: dict[str, str], context: CallContext, for_s: float) -> AsyncSandbox:
        connection = await self._service.connection()
        network = await self._network(context.policy)
        on_timeout = "kill" if self.settings.ephemeral else self.settings.on_timeout
        started = time.monotonic()
        try:
            sandbox = await AsyncSandbox.create(
                self.settings.template or None,
                timeout=int(_life(context.policy, for_s)),
                metadata={**metadata, NETWORK: context.policy.network},
                lifecycle=SandboxLifecycle(on_timeout=on_timeout),
                **network,
                **connection,
            )
        except SDK_ERRORS as error:
            self._service.forget()
            raise translated(error) from error
        self._created.add(sandbox.sandbox_id)
        metrics.SANDBOXES_CREATED.inc()
        if context.policy.network == "registries" and await self._service.registry_hosts() is None:
            await self._open_registries(sandbox)
        _log.info(
            "sandbox created",
            sandbox_id=sandbox.sandbox_id,
            thread=context.thread_id,
            owner=context.owner,
            seconds=round(time.monotonic() - started, 3),
        )
        return sandbox

    async def _open_registries(self, sandbox: AsyncSandbox) -> None:
        """Ask the tools in the sandbox for their registries, before anything else runs in it, and open those."""
        try:
            hosts = await registry_hosts(sandbox)
            self._service.learn_registry_hosts(hosts)
            if hosts:
                await sandbox.update_network(SandboxNetworkUpdate(allow_out=list(hosts), deny_out=[_EVERYWHERE]))
        except BaseException as error:
            await asyncio.shield(self._end(sandbox.sandbox_id))
            if isinstance(error, SDK_ERRORS):
                raise translated(error, sandbox_id=sandbox.sandbox_id) from error
            raise

    async def _network(self, policy: SandboxPolicy) -> _Network:
        if policy.network == "on":
            return {"allow_internet_access": True}
        if policy.network == "registries" and (hosts := await self._service.registry_hosts()):
            return {"network": SandboxNetworkOpts(allow_out=list(hosts), deny_out=[_EVERYWHERE])}
        return {"allow_internet_access": False}

    # --- looking, which never renews a lease

    @on_sandbox_loop
    async def owned(self, owner: str) -> list[SandboxInfo]:
        """Return the owner's sandboxes, oldest first, running and paused."""
        return await self._listed({OWNER: owner})

    @on_sandbox_loop
    async def find(self, context: CallContext) -> SandboxInfo | None:
        """Return the caller's sandbox, or None when there is none; does not create one."""
        return next(iter(await self._listed(LeaseKey.of(context).metadata)), None)

    async def _listed(self, metadata: dict[str, str]) -> list[SandboxInfo]:
        query = SandboxQuery(metadata=metadata, state=[SandboxState.RUNNING, SandboxState.PAUSED])
        for attempt in range(2):
            connection = await self._service.connection()
            try:
                pages = AsyncSandbox.list(query=query, limit=100, **connection)
                found: list[SandboxInfo] = []
                while pages.has_next:
                    found += await pages.next_items()
                # Whose a sandbox is, is not left to how a service reads a query.
                ours = [info for info in found if metadata.items() <= info.metadata.items()]
                return sorted(ours, key=lambda info: (info.started_at, info.sandbox_id))
            except SDK_ERRORS as error:
                # The embedded server ends when idle; the next `connection()` starts another.
                self._service.forget()
                failure = translated(error)
                if attempt or not self.settings.embedded:
                    raise failure from error
        raise AssertionError("not reached")

    @on_sandbox_loop
    async def looking_at(self, sandbox_id: str) -> AsyncSandbox:
        """Return a handle on a running sandbox for reading its numbers, without renewing or resuming it."""
        for lease in self._leases.values():
            if lease.id == sandbox_id:
                return lease.sandbox
        with translating(sandbox_id):
            return await handle_on(sandbox_id, await self._service.connection())

    @on_sandbox_loop
    async def metrics_of(self, sandbox_id: str) -> SandboxMetrics | None:
        """Return a running sandbox's newest numbers; None when there are none yet."""
        connection = await self._service.connection()
        with translating(sandbox_id):
            found = await AsyncSandbox.get_metrics(sandbox_id, **connection)
        return found[-1] if found else None

    @on_sandbox_loop
    async def extend(self, owner: str, sandbox_id: str, seconds: int) -> bool:
        """Let a running sandbox of the owner's end so many seconds from now; False when there is none of that id."""
        if all(info.sandbox_id != sandbox_id for info in await self._listed({OWNER: owner})):
            return False
        connection = await self._service.connection()
        try:
            await AsyncSandbox.set_timeout(sandbox_id, seconds, **connection)
        except SDK_ERRORS as error:
            if is_gone(error):
                return False
            raise translated(error, sandbox_id=sandbox_id) from error
        for lease in self._leases.values():
            if lease.id == sandbox_id:
                lease.ends_at = time.monotonic() + seconds
        return True

    # --- ending

    @on_sandbox_loop
    async def kill(self, owner: str, sandbox_id: str) -> bool:
        """End a sandbox of the owner's; False when the owner has none of that id."""
        if all(info.sandbox_id != sandbox_id for info in await self._listed({OWNER: owner})):
            return False
        for key, lease in list(self._leases.items()):
            if lease.id == sandbox_id:
                del self._leases[key]
        await self._end(sandbox_id)
        return True

    @on_sandbox_loop
    async def release(self, context: CallContext) -> None:
        """End the caller's sandbox, if there is one."""
        async with self._lock(LeaseKey.of(context)):
            self._leases.pop(LeaseKey.of(context), None)
            for info in await self._listed(LeaseKey.of(context).metadata):
                await self._end(info.sandbox_id)

    @on_sandbox_loop
    async def close(self) -> None:
        """Kill or pause (`settings.on_close`) the sandboxes that this object created; it can be used again."""
        self._leases.clear()
        created, self._created = self._created, set()
        if self.settings.on_close == "keep":
            return
        async with asyncio.TaskGroup() as ending:
            for sandbox_id in created:
                ending.create_task(self._end(sandbox_id, pause=self.settings.on_close == "pause"))

    async def _end(self, sandbox_id: str, *, pause: bool = False) -> None:
        self._created.discard(sandbox_id)
        connection = await self._service.connection()
        try:
            if pause:
                await AsyncSandbox.pause(sandbox_id, **connection)
            elif await AsyncSandbox.kill(sandbox_id, **connection):
                metrics.SANDBOXES_KILLED.inc()
        except SDK_ERRORS as error:
            # It ends by its timeout.
            if not is_gone(error):
                _log.warning("sandbox not ended", sandbox_id=sandbox_id, error=str(error))


class _Gone(Exception):
    """The service says that a sandbox is not running; nothing of the call was done."""

    def __init__(self, cause: BaseException) -> None:
        super().__init__(str(cause))
        self.cause = cause


def _life(policy: SandboxPolicy, for_s: float) -> float:
    return max(policy.timeout, for_s + 2 * _MARGIN_S)
