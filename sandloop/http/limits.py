"""How often and how much one caller may ask for."""

from __future__ import annotations

import math
import time
from collections import Counter

from limits import RateLimitItem, parse
from limits.aio.strategies import SlidingWindowCounterRateLimiter
from limits.storage import storage_from_string
from starlette.types import ASGIApp, Receive, Scope, Send

from ..sections import LimitsSection
from .callers import caller_of
from .problems import Problem


class Limits:
    """The counts of this process, or of all that share a Redis."""

    def __init__(self, settings: LimitsSection) -> None:
        self.settings = settings
        self._rates = SlidingWindowCounterRateLimiter(storage_from_string(settings.storage))
        self._requests = parse(settings.requests)
        self._refused = parse(settings.refused)
        self._running: Counter[str] = Counter()

    async def request(self, subject: str) -> int:
        """Count a request; return 0, or the seconds to wait."""
        return await self._hit(self._requests, "subject", subject)

    async def refused(self, address: str) -> int:
        """Count a request without a good token; return 0, or the seconds to wait."""
        return await self._hit(self._refused, "address", address)

    async def _hit(self, rate: RateLimitItem, *key: str) -> int:
        if await self._rates.hit(rate, *key):
            return 0
        window = await self._rates.get_window_stats(rate, *key)
        return max(1, math.ceil(window.reset_time - time.time()))

    def enter(self, subject: str) -> bool:
        """Count a request that begins; False when too many run."""
        if self._running[subject] >= self.settings.concurrent:
            return False
        self._running[subject] += 1
        return True

    def leave(self, subject: str) -> None:
        """Count a request that ends."""
        self._running[subject] -= 1
        if not self._running[subject]:
            del self._running[subject]


class Allowance:
    """Refuses what is too often or too much at once. The key is the token's subject: no header changes it."""

    def __init__(self, app: ASGIApp, *, limits: Limits) -> None:
        self._app = app
        self._limits = limits

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer 429, or pass the request on."""
        caller = caller_of(scope)
        if caller is None:
            return await self._app(scope, receive, send)
        if wait := await self._limits.request(caller.subject):
            return await too_many(wait).send(send)
        if not self._limits.enter(caller.subject):
            return await too_many(1).send(send)
        try:
            await self._app(scope, receive, send)
        finally:
            self._limits.leave(caller.subject)


def too_many(wait_s: int) -> Problem:
    """Return the answer to one who asks too often."""
    detail = f"Too many requests. Try again in {wait_s} s."
    return Problem(429, "rate_limited", detail, headers={"Retry-After": str(wait_s)})
