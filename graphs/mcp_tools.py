"""Tools of MCP servers as LangChain tools, by the official client.

A server that an agent type names is started, or connected to, when a run first needs it, and stays. All connections
live on the sandbox loop, so that callers of any loop, and synchronous ones, share them.
"""

from __future__ import annotations

import asyncio
import contextlib
import re
from collections.abc import AsyncIterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any, Final, Literal
from urllib.parse import urlsplit

import httpx2
import structlog
from langchain_core.tools import BaseTool
from mcp import Client, StdioServerParameters
from mcp.client import Transport
from mcp.client.streamable_http import streamable_http_client
from mcp.types import CallToolResult, EmbeddedResource, ImageContent, TextContent, TextResourceContents, Tool
from pydantic import ConfigDict, Field

from agent_tools.context import current_call
from agent_tools.loop import on_sandbox_loop, run_sync
from agent_tools.output import readable, shortened
from agent_tools.policy import SandboxPolicy

from .agent_types import McpServer
from .errors import McpServerUnavailable

if TYPE_CHECKING:
    from mcp.client._transport import TransportStreams

_START_S: Final = 30
_MAX_TOOLS: Final = 100
_MAX_DESCRIPTION: Final = 4000
_UNNAMEABLE = re.compile(r"[^A-Za-z0-9_-]")

_log = structlog.get_logger(__name__)

Answer = tuple[str | list[dict[str, Any]], dict[str, Any]]


class McpToolFailed(Exception):
    """A server did not carry a call out; the message is for the model."""


def served_by(servers: Sequence[McpServer], tool: str) -> bool:
    """Return whether the name is one that a tool of these servers has."""
    return any(tool.startswith(f"{server.name}_") for server in servers)


class McpServers:
    """Keeps a connection to each server that was needed; `close()` ends them and the programs that they started."""

    def __init__(self) -> None:
        self._connections: dict[str, _Connection] = {}

    def tools(self, servers: Sequence[McpServer]) -> dict[str, BaseTool]:
        """Return the servers' tools by name; see `atools`."""
        return run_sync(self._tools(servers)) if servers else {}

    async def atools(self, servers: Sequence[McpServer]) -> dict[str, BaseTool]:
        """Return the servers' tools by name.

        Raises:
            McpServerUnavailable: one does not start or answer; names it.
        """
        return await self._on_loop(servers) if servers else {}

    @on_sandbox_loop
    async def _on_loop(self, servers: Sequence[McpServer]) -> dict[str, BaseTool]:
        return await self._tools(servers)

    async def _tools(self, servers: Sequence[McpServer]) -> dict[str, BaseTool]:
        found: dict[str, BaseTool] = {}
        for server in servers:
            connection = await self._connected(server)
            for tool in connection.tools:
                if not server.tools or tool.name in server.tools:
                    made = _as_tool(self, server, tool)
                    found[made.name] = made
        return found

    async def _connected(self, server: McpServer) -> _Connection:
        key = server.model_dump_json()
        connection = self._connections.get(key)
        if connection is None or connection.is_over:
            connection = self._connections[key] = _Connection(server)
        await connection.wait()
        return connection

    @on_sandbox_loop
    async def call(self, server: McpServer, tool: str, arguments: Mapping[str, Any]) -> CallToolResult:
        """Call a tool.

        Raises:
            McpToolFailed: the server is gone, or did not answer in time.
        """
        try:
            connection = await self._connected(server)
        except McpServerUnavailable as error:
            raise McpToolFailed(str(error)) from None
        try:
            async with asyncio.timeout(server.timeout_s):
                return await connection.client.call_tool(tool, dict(arguments))
        except TimeoutError:
            raise McpToolFailed(
                f'The MCP server "{server.name}" did not answer within {server.timeout_s:g} seconds.'
            ) from None
        except Exception as error:  # any transport's: what a server does wrong must not end the run
            _log.warning("mcp call failed", server=server.name, tool=tool, error=repr(error))
            if self._connections.get(key := server.model_dump_json()) is connection:
                del self._connections[key]
            await connection.close()
            raise McpToolFailed(f'The MCP server "{server.name}" could not carry the call out.') from None

    @on_sandbox_loop
    async def close(self) -> None:
        """End all connections; the object can be used again."""
        connections, self._connections = list(self._connections.values()), {}
        for connection in connections:
            await connection.close()


class _Connection:
    """One client, which lives in one task, as its cancel scopes demand."""

    def __init__(self, server: McpServer) -> None:
        self._server = server
        self._closing = asyncio.Event()
        self._ready: asyncio.Future[Client] = asyncio.get_running_loop().create_future()
        self._task = asyncio.create_task(self._live(), name=f"mcp-{server.name}")
        self.tools: list[Tool] = []

    @property
    def is_over(self) -> bool:
        return self._task.done()

    @property
    def client(self) -> Client:
        return self._ready.result()

    async def wait(self) -> None:
        """Wait until it is there.

        Raises:
            McpServerUnavailable: it does not come.
        """
        try:
            async with asyncio.timeout(_START_S):
                await asyncio.shield(self._ready)
        except TimeoutError:
            await self.close()
            raise self._unavailable(f"no answer within {_START_S} seconds") from None

    async def close(self) -> None:
        self._closing.set()
        if not self._ready.done():
            self._task.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await asyncio.wait({self._task}, timeout=10)

    async def _live(self) -> None:
        try:
            async with Client(_target(self._server), read_timeout_seconds=self._server.timeout_s) as client:
                self.tools = await _listed(client)
                self._ready.set_result(client)
                await self._closing.wait()
        except Exception as error:  # the top of this task
            _log.warning("mcp server lost", server=self._server.name, error=repr(error))
            if not self._ready.done():
                self._ready.set_exception(self._unavailable(type(error).__name__))
        finally:
            if not self._ready.done():
                # Not `cancel()`: whoever else waits for it has not been cancelled.
                self._ready.set_exception(self._unavailable("it was given up"))
                self._ready.exception()

    def _unavailable(self, reason: str) -> McpServerUnavailable:
        # Of an address only the host: the rest may hold a key, and a model and its user read this.
        where = urlsplit(self._server.url).hostname if self._server.url else self._server.command
        return McpServerUnavailable(
            f'The MCP server "{self._server.name}" ({where}) does not start or answer: {reason}. '
            "Check the agent type's mcp_servers, and that the server runs."
        )


def _target(server: McpServer) -> StdioServerParameters | Transport:
    if server.url is not None:
        return _over_http(server.url, server)
    return StdioServerParameters(command=server.command or "", args=list(server.args), env=dict(server.env))


@contextlib.asynccontextmanager
async def _over_http(url: str, server: McpServer) -> AsyncIterator[TransportStreams]:
    timeout = httpx2.Timeout(_START_S, read=server.timeout_s)
    async with (
        httpx2.AsyncClient(headers=dict(server.headers), timeout=timeout) as http,
        streamable_http_client(url, http_client=http) as streams,
    ):
        yield streams


async def _listed(client: Client) -> list[Tool]:
    tools: list[Tool] = []
    cursor: str | None = None
    while len(tools) < _MAX_TOOLS:
        page = await client.list_tools(cursor=cursor)
        tools += page.tools
        cursor = page.next_cursor
        if cursor is None:
            break
    return tools[:_MAX_TOOLS]


class McpTool(BaseTool):
    """A server's tool. Not a StructuredTool, for which an argument called `config` would be LangChain's own."""

    model_config = ConfigDict(arbitrary_types_allowed=True)

    servers: McpServers = Field(exclude=True)
    server: McpServer = Field(exclude=True)
    remote_name: str
    response_format: Literal["content", "content_and_artifact"] = "content_and_artifact"

    def _run(self, **arguments: Any) -> Answer:
        return run_sync(self._arun(**arguments))

    async def _arun(self, **arguments: Any) -> Answer:
        return _answer(await self.servers.call(self.server, self.remote_name, arguments)), {}


def _as_tool(servers: McpServers, server: McpServer, tool: Tool) -> McpTool:
    return McpTool(
        name=_UNNAMEABLE.sub("_", f"{server.name}_{tool.name}")[:64],
        description=(tool.description or tool.title or tool.name)[:_MAX_DESCRIPTION],
        args_schema=tool.input_schema,
        servers=servers,
        server=server,
        remote_name=tool.name,
    )


def _answer(result: CallToolResult) -> str | list[dict[str, Any]]:
    """What the model reads: the texts, no longer than the policy says, and the images.

    Raises:
        McpToolFailed: the tool says that it failed.
    """
    texts: list[str] = []
    images: list[dict[str, Any]] = []
    for block in result.content:
        if isinstance(block, TextContent):
            texts.append(block.text)
        elif isinstance(block, ImageContent):
            images.append({"type": "image", "base64": block.data, "mime_type": block.mime_type})
        elif isinstance(block, EmbeddedResource) and isinstance(block.resource, TextResourceContents):
            texts.append(block.resource.text)
        else:
            texts.append(f"({block.type} is not shown)")
    context = current_call.get()
    policy = context.policy if context is not None else SandboxPolicy()
    text, _ = shortened(readable("\n".join(texts)), policy.max_output_bytes)
    if result.is_error:
        raise McpToolFailed(text or "The tool failed and does not say why.")
    return [{"type": "text", "text": text}, *images] if images else text
