"""Which tool calls have begun, so that a call which a crash has interrupted is not repeated behind everybody's back.

LangGraph runs what had not ended again. A marker in the store says that it had begun.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Self
from urllib.parse import quote

from langgraph.store.base import BaseStore, PutOp

Namespace = tuple[str, ...]

_READ = 1000


def owned(kind: str, owner: str, *names: str) -> Namespace:
    """Return the store's namespace of an owner's things.

    Labels may not hold a dot. Stores search by how the joined labels begin, so that without the last one the owner
    `bob` would be shown the things of `bobby`.
    """
    return ("sandloop", kind, *(quote(name, safe="").replace(".", "%2E") for name in (owner, *names)), "_")


@dataclass(frozen=True, slots=True)
class Markers:
    """The markers of a thread. Without a store there are none, and a repeated call runs again."""

    store: BaseStore | None
    namespace: Namespace

    @classmethod
    def of(cls, store: BaseStore | None, thread_id: str, owner: str) -> Self:
        """Return the markers of a thread."""
        return cls(store, owned("calls", owner, thread_id))

    def begin(self, call_id: str) -> bool:
        """Mark a call; False when it had begun before."""
        if self.store is None:
            return True
        if self.store.get(self.namespace, call_id) is not None:
            return False
        self.store.put(self.namespace, call_id, {"begun": True})
        return True

    async def abegin(self, call_id: str) -> bool:
        """Mark a call; False when it had begun before."""
        if self.store is None:
            return True
        if await self.store.aget(self.namespace, call_id) is not None:
            return False
        await self.store.aput(self.namespace, call_id, {"begun": True})
        return True

    async def aclear(self) -> None:
        """Forget the calls, when the run has ended: they have answers, or will be told to be interrupted."""
        if self.store is None:
            return
        while found := await self.store.asearch(self.namespace, limit=_READ):
            await self.store.abatch([PutOp(item.namespace, item.key, None) for item in found])
