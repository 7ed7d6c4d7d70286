"""Where threads live: an SQLite file, or PostgreSQL. Checkpoints, what is stored beside them, and claims on threads."""

from __future__ import annotations

import asyncio
import contextlib
import sqlite3
from collections.abc import AsyncIterator, Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import aiosqlite
from aiosqlite.context import Result
from langgraph.checkpoint.base import BaseCheckpointSaver
from langgraph.checkpoint.sqlite.aio import AsyncSqliteSaver
from langgraph.store.base import BaseStore
from langgraph.store.sqlite.aio import AsyncSqliteStore

from .claims import Claims, FileClaims, LocalClaims, PostgresClaims
from .errors import DatabaseUnavailable
from .settings import AgentSettings, default_database

_BUSY_S = 30
_POOL = 10
_CONNECT_S = 15


@dataclass(frozen=True, slots=True)
class Database:
    """An open database."""

    checkpointer: BaseCheckpointSaver[Any]
    store: BaseStore
    claims: Claims


@contextlib.asynccontextmanager
async def open_database(settings: AgentSettings) -> AsyncIterator[Database]:
    """Open the settings' database, making it when needed.

    Raises:
        DatabaseUnavailable: says what to do.
    """
    opened = _postgres(settings.database) if settings.is_postgres else _sqlite(settings.database)
    async with opened as database:
        yield database


@contextlib.asynccontextmanager
async def _sqlite(place: str) -> AsyncIterator[Database]:
    place = place or str(default_database())
    async with contextlib.AsyncExitStack() as stack:
        if place == ":memory:":
            # Two connections to memory are two databases, which is well: the tables of one do not need the other's.
            path = place
            claims: Claims = LocalClaims()
        else:
            path = str(Path(place).expanduser())
            claims = FileClaims(Path(f"{path}.running"))
        try:
            if path != ":memory:":
                Path(path).parent.mkdir(mode=0o700, parents=True, exist_ok=True)
                await asyncio.to_thread(_probe, path)
            checkpointer = AsyncSqliteSaver(await stack.enter_async_context(_connected(path)))
            store = AsyncSqliteStore(await stack.enter_async_context(_connected(path, isolation_level=None)))
            # SQLite has one writer, and who waits for it in SQLite waits without a queue.
            store.lock = checkpointer.lock
            await checkpointer.setup()
            await store.setup()
        except (OSError, sqlite3.Error) as error:
            raise DatabaseUnavailable(
                f'The database of threads "{path}" cannot be opened: {error}. Correct SANDLOOP_DATABASE, or the '
                "file's permissions."
            ) from error
        yield Database(checkpointer, store, claims)


class _Connection(aiosqlite.Connection):
    """A connection whose explicit transactions may write from their beginning.

    The store begins them for reading. When it writes later, and another process has written meanwhile, SQLite fails at
    once, without waiting.
    """

    def execute(
        self, sql: str, parameters: Iterable[Any] | None = None
    ) -> Result[aiosqlite.Cursor]:  # as the base class: to be awaited, or used with `async with`
        return super().execute("BEGIN IMMEDIATE" if sql == "BEGIN" else sql, parameters)


def _probe(path: str) -> None:
    # A failure in aiosqlite's own thread is told to the caller, and then breaks the thread.
    with contextlib.closing(sqlite3.connect(path, timeout=_BUSY_S)) as connection:
        connection.execute("PRAGMA journal_mode=WAL")


@contextlib.asynccontextmanager
async def _connected(path: str, **options: Any) -> AsyncIterator[aiosqlite.Connection]:
    async with _Connection(lambda: sqlite3.connect(path, timeout=_BUSY_S, **options), 64) as connection:
        # With a write-ahead log nothing that was committed is lost when the process ends.
        await connection.execute("PRAGMA synchronous=NORMAL")
        yield connection


@contextlib.asynccontextmanager
async def _postgres(url: str) -> AsyncIterator[Database]:
    try:
        import psycopg
        from langgraph.checkpoint.postgres.aio import AsyncPostgresSaver
        from langgraph.store.postgres.aio import AsyncPostgresStore
        from psycopg.rows import dict_row
        from psycopg_pool import AsyncConnectionPool
    except ImportError as error:
        raise DatabaseUnavailable('PostgreSQL needs more packages: pip install "sandloop[postgres]"') from error
    options = {"autocommit": True, "prepare_threshold": 0, "row_factory": dict_row}
    pool: AsyncConnectionPool[Any] = AsyncConnectionPool(url, max_size=_POOL, kwargs=options, open=False)
    claims = PostgresClaims(url)
    try:
        await pool.open(wait=True, timeout=_CONNECT_S)
        checkpointer, store = AsyncPostgresSaver(pool), AsyncPostgresStore(pool)
        await checkpointer.setup()
        await store.setup()
    except (psycopg.Error, OSError, TimeoutError) as error:
        await pool.close()
        raise DatabaseUnavailable(
            f"The PostgreSQL database of threads does not answer ({type(error).__name__}): check SANDLOOP_DATABASE and "
            "that the server runs."
        ) from None
    try:
        async with store:
            yield Database(checkpointer, store, claims)
    finally:
        await claims.close()
        await pool.close()
