"""What is kept of a thread besides its checkpoints: whose it is, its title, and with what context it runs."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Self
from urllib.parse import quote

from langgraph.store.base import BaseStore, Item
from pydantic import BaseModel, ConfigDict

from .context import AgentContext
from .markers import owned
from .requests import ThreadSummary

_TITLE = 80
_LISTED = 1000


def now() -> str:
    """Return the time as ISO 8601 in UTC."""
    return datetime.now(UTC).isoformat(timespec="milliseconds")


def checkpoint_key(owner: str, thread_id: str) -> str:
    """Return the name of a thread in the checkpoints, where owners have no rooms of their own."""
    return f"{quote(owner, safe='')}/{quote(thread_id, safe='')}"


class Record(BaseModel):
    """A thread's record.

    Attributes:
        context: of its last run, with which a resume goes on.
    """

    model_config = ConfigDict(frozen=True)

    thread_id: str
    title: str
    created_at: str
    updated_at: str
    context: AgentContext
    provider_id: str = ""
    model_id: str = ""
    waiting: bool = False
    interrupted: bool = False

    @classmethod
    def begun(cls, thread_id: str, message: str, context: AgentContext) -> Self:
        """Return the record of a new thread."""
        lines = message.strip().splitlines()
        title = (lines[0] if lines else message)[:_TITLE]
        time = now()
        return cls(thread_id=thread_id, title=title, created_at=time, updated_at=time, context=context)

    def summary(self, *, running: bool) -> ThreadSummary:
        """Return what a list shows."""
        return ThreadSummary(
            id=self.thread_id,
            title=self.title,
            created_at=self.created_at,
            updated_at=self.updated_at,
            agent_type=self.context.agent_type,
            provider_id=self.provider_id,
            model_id=self.model_id,
            waiting=self.waiting and not running,
            running=running,
            interrupted=self.interrupted and not running,
        )


class Records:
    """The records of all threads, in the database's store."""

    def __init__(self, store: BaseStore) -> None:
        self._store = store

    async def find(self, owner: str, thread_id: str) -> Record | None:
        """Return a thread's record, or None."""
        item = await self._store.aget(owned("threads", owner), thread_id)
        return _record(item) if item is not None else None

    async def save(self, owner: str, record: Record) -> None:
        """Keep a record."""
        await self._store.aput(owned("threads", owner), record.thread_id, record.model_dump(mode="json"))

    async def delete(self, owner: str, thread_id: str) -> None:
        """Forget a record."""
        await self._store.adelete(owned("threads", owner), thread_id)

    async def all(self, owner: str) -> list[Record]:
        """Return the owner's records, the newest first."""
        namespace = owned("threads", owner)
        found: list[Record] = []
        while page := await self._store.asearch(namespace, limit=_LISTED, offset=len(found)):
            found += [_record(item) for item in page]
        return sorted(found, key=lambda record: record.updated_at, reverse=True)


def _record(item: Item) -> Record:
    return Record.model_validate(item.value)
