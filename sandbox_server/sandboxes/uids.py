"""The host's user ids that sandboxes run as. As root each sandbox has its own: another user to the kernel."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

_FIRST, _LAST = 1_900_000_000, 4_000_000_000
_PER_SERVER = 5_000
_FEW = range(60_601, 61_100)
"""For a user namespace that maps 65,536 ids: between the ranges that systemd uses (60001–60513 and 61184–65519)."""


class NoFreeUid(Exception):
    """Every id is in use."""


@dataclass(slots=True)
class Loan:
    """An id taken from the pool; given back at the end of the block unless kept."""

    pool: UidPool
    number: int | None
    """None: the server's own user."""
    kept: bool = False

    def keep(self) -> None:
        """Hold it until `release`."""
        self.kept = True

    def release(self) -> None:
        """Give it back. Whatever ran under it must be gone."""
        self.pool.give_back(self.number)


class UidPool:
    """The ids of one server."""

    def __init__(self, numbers: range | None) -> None:
        """`numbers`: None where the server is no root, and all its sandboxes have its own id."""
        self._free = None if numbers is None else list(reversed(numbers))

    @classmethod
    def for_this_process(cls) -> UidPool:
        """Return the pool that fits the user and the ids that its user namespace maps."""
        if os.getuid() != 0:
            return cls(None)
        if not _is_mapped(_LAST):
            return cls(_FEW)
        # Two servers on one host must not share ids: a range by process id, which repeats after 420,000.
        first = _FIRST + os.getpid() * _PER_SERVER % (_LAST - _FIRST)
        return cls(range(first, first + _PER_SERVER))

    @contextmanager
    def borrowed(self) -> Iterator[Loan]:
        """Lend an id. Raises NoFreeUid."""
        if self._free is not None and not self._free:
            raise NoFreeUid("no free user id for another sandbox; kill some")
        loan = Loan(self, None if self._free is None else self._free.pop())
        try:
            yield loan
        finally:
            if not loan.kept:
                loan.release()

    def give_back(self, number: int | None) -> None:
        """Take an id back."""
        if self._free is not None and number is not None:
            self._free.append(number)


def _is_mapped(uid: int) -> bool:
    lines = Path("/proc/self/uid_map").read_text(encoding="ascii").splitlines()
    return any(first <= uid < first + count for first, _, count in (map(int, line.split()) for line in lines))
