"""One run a thread at a time: two at once would lose messages.

A claim ends with the process that holds it, however it ends; there is nothing to expire or to clean up.
"""

from __future__ import annotations

import asyncio
import fcntl
import hashlib
import os
from pathlib import Path
from typing import Any, Protocol


class Claims(Protocol):
    """Claims on threads, among all processes that share a database."""

    async def take(self, key: str) -> bool:
        """Claim a thread; False when it is taken."""

    async def drop(self, key: str) -> None:
        """Give a claim back."""


class LocalClaims:
    """Among the runs of one process, for a database in memory."""

    def __init__(self) -> None:
        self._taken: set[str] = set()

    async def take(self, key: str) -> bool:
        """See `Claims`."""
        if key in self._taken:
            return False
        self._taken.add(key)
        return True

    async def drop(self, key: str) -> None:
        """See `Claims`."""
        self._taken.discard(key)


class FileClaims:
    """Among the processes of one machine: a locked file a running thread, in a folder beside the database."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._held: dict[str, int] = {}

    async def take(self, key: str) -> bool:
        """See `Claims`."""
        if key in self._held:
            return False
        taking = asyncio.ensure_future(asyncio.to_thread(self._take, key))
        try:
            return await asyncio.shield(taking)
        except asyncio.CancelledError:
            # The thread goes on, and nobody is there any more to give back what it takes.
            taking.add_done_callback(lambda done: self._drop(key) if not done.exception() and done.result() else None)
            raise

    async def drop(self, key: str) -> None:
        """See `Claims`."""
        self._drop(key)

    def _drop(self, key: str) -> None:
        if (descriptor := self._held.pop(key, None)) is not None:
            # While it is locked: who has opened it meanwhile sees in `_take` that it is no longer there.
            self._path(key).unlink(missing_ok=True)
            os.close(descriptor)

    def _take(self, key: str) -> bool:
        self._folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        while True:
            descriptor = os.open(self._path(key), os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
            try:
                fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                os.close(descriptor)
                return False
            if self._is_there(key, descriptor):
                self._held[key] = descriptor
                return True
            os.close(descriptor)

    def _is_there(self, key: str, descriptor: int) -> bool:
        try:
            return os.path.samestat(os.stat(self._path(key)), os.fstat(descriptor))
        except FileNotFoundError:
            return False

    def _path(self, key: str) -> Path:
        return self._folder / hashlib.sha256(key.encode()).hexdigest()[:32]


class PostgresClaims:
    """Among all that use one PostgreSQL database: advisory locks of one connection, which end with it."""

    def __init__(self, url: str) -> None:
        self._url = url
        self._connection: Any = None
        self._connecting = asyncio.Lock()
        self._held: set[str] = set()

    async def take(self, key: str) -> bool:
        """See `Claims`."""
        if key in self._held:  # the same session could take it twice
            return False
        self._held.add(key)
        taken = False
        try:
            taken = await self._ask("SELECT pg_try_advisory_lock(hashtextextended(%s, 0))", key)
        finally:
            if not taken:
                self._held.discard(key)
        return taken

    async def drop(self, key: str) -> None:
        """See `Claims`."""
        if key in self._held:
            self._held.discard(key)
            await self._ask("SELECT pg_advisory_unlock(hashtextextended(%s, 0))", key)

    async def close(self) -> None:
        """End the connection, and all claims."""
        if self._connection is not None:
            await self._connection.close()

    async def _ask(self, statement: str, key: str) -> bool:
        import psycopg

        async with self._connecting:
            if self._connection is None or self._connection.closed:
                self._connection = await psycopg.AsyncConnection.connect(self._url, autocommit=True)
            cursor = await self._connection.execute(statement, (key,))
            row = await cursor.fetchone()
        return bool(row and row[0])
