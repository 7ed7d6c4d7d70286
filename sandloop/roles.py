"""Agents by role: which MCP servers and which of their tools each has, from a YAML mapping.

    async with Roles.load().agent("data_scientist") as agent:
        answer = await agent.execute_tool("python_executor", "execute_code", {"code": "1 + 1"})

Each call is checked against the mapping before a server hears of it.

    RolesError
    ├── RolesInvalid      the mapping is malformed; names the place
    ├── UnknownRole       there is no such role; lists those there are
    ├── UnknownServer     the role has no such server; lists those it has
    ├── UnknownTool       the role does not have this tool of the server; lists those it has
    └── ToolFailed        the server did not carry the call out; says why
"""

from __future__ import annotations

import os
import re
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from importlib.resources import files
from pathlib import Path
from typing import Annotated, Any, Final

import yaml
from langchain_core.tools import BaseTool
from mcp.types import CallToolResult, ImageContent, TextContent
from pydantic import BaseModel, ConfigDict, Field, StringConstraints, ValidationError, model_validator

from agent_tools.loop import run_sync
from graphs.agent_types import McpServer
from graphs.mcp_tools import McpServers, McpTool, McpToolFailed

_OURS: Final = "sandloop"
_REFERENCE = re.compile(r"\$\{(\w+)\}")
_SHIPPED: Final = "roles.yaml"

Name = Annotated[str, StringConstraints(pattern=r"^[a-z][a-z0-9_-]{0,49}$")]


class RolesError(Exception):
    """Base of the errors here."""


class RolesInvalid(RolesError):
    """The mapping cannot be read, or says something that it cannot say."""


class UnknownRole(RolesError):
    """There is no role of this name."""


class UnknownServer(RolesError):
    """The role has no server of this name."""


class UnknownTool(RolesError):
    """The role does not have this tool."""


class ToolFailed(RolesError):
    """The server did not carry the call out; the message is the server's."""


class Role(BaseModel):
    """What an agent of a role may use.

    Attributes:
        servers: by name, the tools; empty for all that the server has.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    description: str = ""
    servers: dict[Name, tuple[str, ...]] = Field(min_length=1)


class _Place(BaseModel):
    """Where a server is: the fields of `McpServer` without its name, which is the key."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    command: str | None = None
    args: tuple[str, ...] = ()
    env: dict[str, str] = Field(default={}, repr=False)
    url: str | None = None
    headers: dict[str, str] = Field(default={}, repr=False)
    timeout_s: float = 330


class _Mapping(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")

    servers: dict[Name, _Place] = Field(min_length=1)
    roles: dict[Name, Role] = Field(min_length=1)

    @model_validator(mode="after")
    def _servers_exist(self) -> _Mapping:
        for name, role in self.roles.items():
            for server in role.servers:
                if server not in self.servers:
                    raise ValueError(
                        f'the role "{name}" names the server "{server}"; there are {_listed(self.servers)}'
                    )
        return self


@dataclass(frozen=True, slots=True)
class ToolAnswer:
    """What a tool answered.

    Attributes:
        text: for a model to read.
        data: the same as values, where the server gives them: of a run of code `success`, `output`, `error`.
        images: their bytes as base64, with their media types.
    """

    text: str
    data: Mapping[str, Any] | None = None
    images: tuple[tuple[str, str], ...] = ()


class Roles:
    """The roles of a mapping.

    Args:
        servers: by name.
        roles: by name.
    """

    def __init__(self, servers: Mapping[str, McpServer], roles: Mapping[str, Role]) -> None:
        self._servers = dict(servers)
        self._roles = dict(roles)

    @classmethod
    def load(cls, path: Path | None = None, environ: Mapping[str, str] = os.environ) -> Roles:
        """Read a mapping; by default the one that comes with Sandloop, of a data scientist and a coder.

        Args:
            path: a YAML file.
            environ: for `${NAME}` in the variables and headers of a server. Where one is not set, the whole entry is
                left out.

        Raises:
            RolesInvalid: names the place.
        """
        name = path.name if path else _SHIPPED
        try:
            text = path.read_text(encoding="utf-8") if path else (files("sandloop") / _SHIPPED).read_text("utf-8")
            values = _Mapping.model_validate(yaml.safe_load(text))
            servers = {server: _server(server, place, environ) for server, place in values.servers.items()}
        except (OSError, UnicodeDecodeError, yaml.YAMLError) as error:
            raise RolesInvalid(f'"{name}" cannot be read: {error}') from error
        except ValidationError as error:
            first = error.errors(include_url=False, include_input=False)[0]
            place = ".".join(str(part) for part in first["loc"]) or "its fields"
            raise RolesInvalid(f'"{name}": {place}: {first["msg"].removeprefix("Value error, ")}') from error
        return cls(servers, values.roles)

    @property
    def names(self) -> tuple[str, ...]:
        """The roles there are."""
        return tuple(self._roles)

    def agent(self, role: str) -> RoleAgent:
        """Return an agent of a role.

        Raises:
            UnknownRole: lists the known ones.
        """
        if role not in self._roles:
            raise UnknownRole(f'There is no role "{role[:100]}". Known: {_listed(self._roles)}.')
        mapped = self._roles[role].servers
        return RoleAgent(role, [self._servers[name].model_copy(update={"tools": mapped[name]}) for name in mapped])


class RoleAgent:
    """Calls the tools of a role. Use it as `async with`, or `close()` it: that ends the servers it has started.

    Args:
        role: its name, for messages.
        servers: with the tools that the role has of each; none for all.
    """

    def __init__(self, role: str, servers: Sequence[McpServer]) -> None:
        self.role = role
        self._servers = {server.name: server for server in servers}
        self._connections = McpServers()

    async def __aenter__(self) -> RoleAgent:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.close()

    async def close(self) -> None:
        """End the connections and the servers that were started; it can be used again."""
        await self._connections.close()

    def close_sync(self) -> None:
        """Do the same where nothing can be awaited."""
        run_sync(self.close())

    @property
    def servers(self) -> tuple[McpServer, ...]:
        """The servers, each with the tools that the role has of it."""
        return tuple(self._servers.values())

    async def tools(self) -> list[BaseTool]:
        """Return the role's tools for a LangChain agent, named `server_tool`.

        Raises:
            McpServerUnavailable: a server does not start or answer.
        """
        return list((await self._connections.atools(self.servers)).values())

    async def execute_tool(self, server: str, tool: str, arguments: Mapping[str, Any] | None = None) -> ToolAnswer:
        """Call a tool that the role has.

        That code failed is an answer, whose `data` says so.

        Raises:
            UnknownServer, UnknownTool: the role does not have it; lists what it has.
            ToolFailed: the server refused the call, or is not there.
            McpServerUnavailable: the server does not start or answer.
        """
        if server not in self._servers:
            raise UnknownServer(
                f'The role "{self.role}" has no server "{server[:100]}". It has: {_listed(self._servers)}.'
            )
        place = self._servers[server]
        if place.tools and tool not in place.tools:
            raise self._unknown(server, tool, place.tools)
        served = [found.remote_name for found in await self._of(place)]
        if tool not in served:
            raise self._unknown(server, tool, served)
        try:
            return _answer(await self._connections.call(place, tool, arguments or {}))
        except McpToolFailed as error:
            raise ToolFailed(str(error)) from None

    def execute_tool_sync(self, server: str, tool: str, arguments: Mapping[str, Any] | None = None) -> ToolAnswer:
        """Do the same where nothing can be awaited; see `execute_tool`."""
        return run_sync(self.execute_tool(server, tool, arguments))

    async def _of(self, server: McpServer) -> list[McpTool]:
        found = await self._connections.atools([server])
        return [tool for tool in found.values() if isinstance(tool, McpTool)]

    def _unknown(self, server: str, tool: str, known: Sequence[str]) -> UnknownTool:
        return UnknownTool(
            f'The role "{self.role}" has no tool "{tool[:100]}" of "{server}". It has: {_listed(known) or "none"}.'
        )


def _answer(result: CallToolResult) -> ToolAnswer:
    text = "\n".join(block.text for block in result.content if isinstance(block, TextContent))
    if result.is_error:
        raise ToolFailed(text or "The tool failed and does not say why.")
    images = tuple((block.mime_type, block.data) for block in result.content if isinstance(block, ImageContent))
    return ToolAnswer(text, result.structured_content, images)


def _server(name: str, place: _Place, environ: Mapping[str, str]) -> McpServer:
    command, args = place.command, place.args
    if command == _OURS:
        # This installation's own, whatever is on the PATH.
        command, args = sys.executable, ("-m", _OURS, *args)
    return McpServer(
        name=name,
        command=command,
        args=args,
        env=_resolved(place.env, environ),
        url=place.url,
        headers=_resolved(place.headers, environ),
        timeout_s=place.timeout_s,
    )


def _resolved(values: Mapping[str, str], environ: Mapping[str, str]) -> dict[str, str]:
    return {
        key: _REFERENCE.sub(lambda match: environ[match[1]], value)
        for key, value in values.items()
        if all(environ.get(name) for name in _REFERENCE.findall(value))
    }


def _listed(names: Mapping[str, object] | Sequence[str]) -> str:
    return ", ".join(names)
