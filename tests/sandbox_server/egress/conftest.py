import asyncio
import contextlib
from collections.abc import AsyncIterator, Awaitable, Callable

import pytest

from tests.sandbox_server.egress.inside import Handler, Sandbox


@pytest.fixture
async def sandbox() -> AsyncIterator[Sandbox]:
    async with asyncio.TaskGroup() as tasks:
        yield Sandbox(tasks)


@pytest.fixture
async def serve() -> AsyncIterator[Callable[[Handler], Awaitable[int]]]:
    """Start a server on loopback, give its port."""
    async with contextlib.AsyncExitStack() as stack:

        async def start(handler: Handler) -> int:
            async def closing(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
                with contextlib.suppress(ConnectionError):
                    await handler(reader, writer)
                writer.close()

            server = await stack.enter_async_context(await asyncio.start_server(closing, "127.0.0.1", 0))
            port: int = server.sockets[0].getsockname()[1]
            return port

        yield start
