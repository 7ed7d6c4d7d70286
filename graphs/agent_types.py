"""Agent types: which tools an agent has, and what it is told. Data, built in or from files of the user's."""

from __future__ import annotations

import tomllib
from collections.abc import Iterator, Mapping
from functools import cache
from pathlib import Path
from typing import Annotated, Final

import yaml
from pydantic import BaseModel, ConfigDict, Field, StringConstraints, ValidationError, model_validator

from agent_tools.policy import SandboxPolicy
from agent_tools.tools import DEFAULT_TOOLS, TOOLS
from prompts import Prompt, PromptError
from prompts import load as load_prompt
from prompts import names as prompt_names

from .errors import AgentTypeInvalid, UnknownAgentType

_NAME = r"[a-z][a-z0-9_-]{0,49}"
_ENDINGS: Final = (".toml", ".yaml", ".yml")

ShortText = Annotated[str, StringConstraints(min_length=1, max_length=2000)]


class McpServer(BaseModel):
    """A server of the Model Context Protocol whose tools an agent type has: a program, or an address.

    Attributes:
        name: begins the names of its tools, as `name_tool`.
        env: variables of the program, besides a few harmless ones.
        headers: sent to the address, such as one with a token.
        tools: the tools to take; empty for all.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    name: Annotated[str, StringConstraints(pattern=rf"^{_NAME}$")]
    command: str | None = None
    args: tuple[str, ...] = ()
    env: dict[str, str] = Field(default={}, repr=False)
    url: Annotated[str, StringConstraints(pattern=r"^https?://")] | None = None
    headers: dict[str, str] = Field(default={}, repr=False)
    tools: tuple[str, ...] = ()
    timeout_s: float = Field(default=60, gt=0, le=3600)

    @model_validator(mode="after")
    def _one_place(self) -> McpServer:
        if (self.command is None) == (self.url is None):
            raise ValueError("give either a command or a url")
        if self.url is not None and (self.args or self.env):
            raise ValueError("args and env are for a command")
        if self.url is None and self.headers:
            raise ValueError("headers are for a url")
        return self


class AgentType(BaseModel):
    """A kind of agent.

    Attributes:
        prompt: the name of a built-in prompt, or the text of one, with `$slots`.
        tools: the sandbox tools that are attached. A request may choose among them.
        allowed_tools: more tools that a request may name.
        policy: the sandbox's rules, where a request has none.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    name: Annotated[str, StringConstraints(pattern=rf"^{_NAME}$")]
    description: ShortText
    prompt: Annotated[str, StringConstraints(min_length=1, max_length=50_000)]
    tools: tuple[str, ...] = ()
    allowed_tools: tuple[str, ...] = ()
    mcp_servers: tuple[McpServer, ...] = ()
    policy: SandboxPolicy = SandboxPolicy()

    @property
    def permitted(self) -> tuple[str, ...]:
        """All sandbox tools that a request can have."""
        return tuple(dict.fromkeys((*self.tools, *self.allowed_tools)))

    @property
    def has_tools(self) -> bool:
        """Whether there is any tool, a sandbox's or another."""
        return bool(self.tools or self.mcp_servers)

    @property
    def parsed_prompt(self) -> Prompt:
        """The prompt, checked."""
        return _prompt(self.name, self.prompt)

    @model_validator(mode="after")
    def _consistent(self) -> AgentType:
        if unknown := sorted(set(self.permitted) - TOOLS.keys()):
            raise ValueError(f"there is no tool {unknown[0]!r}; there are {', '.join(TOOLS)}")
        names = [server.name for server in self.mcp_servers]
        if twice := sorted({name for name in names if names.count(name) > 1}):
            raise ValueError(f"two MCP servers are called {twice[0]!r}")
        try:
            _ = self.parsed_prompt
        except PromptError as error:
            raise ValueError(str(error)) from error
        return self


@cache
def _prompt(name: str, prompt: str) -> Prompt:
    # Files are read when a type is made, and not in the middle of a run.
    return load_prompt(prompt) if prompt in prompt_names() else Prompt.parse(name, prompt)


_MORE = tuple(name for name in TOOLS if name not in DEFAULT_TOOLS)

BUILT_IN: Final = (
    AgentType(
        name="coding",
        description="Writes code, runs it in a sandbox, and repairs what fails.",
        prompt="coding",
        tools=DEFAULT_TOOLS,
        allowed_tools=_MORE,
    ),
    AgentType(
        name="data_science",
        description="Analyses data in a sandbox: charts and tables first.",
        prompt="data_science",
        tools=DEFAULT_TOOLS,
        allowed_tools=_MORE,
    ),
    AgentType(name="chat", description="Answers without tools and without a sandbox.", prompt="chat"),
)


class AgentTypes:
    """The known agent types by name.

    Args:
        folder: of the user's own types; one with a built-in's name takes its place.

    Raises:
        AgentTypeInvalid: a file is malformed; names the file and the field.
    """

    def __init__(self, folder: Path | None = None) -> None:
        self._types = {known.name: known for known in BUILT_IN}
        if folder is not None:
            self._types |= _read_folder(folder)

    def __iter__(self) -> Iterator[AgentType]:
        return iter(self._types.values())

    def find(self, name: str) -> AgentType:
        """Return the type of this name.

        Raises:
            UnknownAgentType: lists the known ones.
        """
        if found := self._types.get(name):
            return found
        raise UnknownAgentType(f'There is no agent type "{name[:100]}". Known: {", ".join(sorted(self._types))}.')


def _read_folder(folder: Path) -> dict[str, AgentType]:
    if not folder.is_dir():
        raise AgentTypeInvalid(f'The folder of agent types "{folder}" does not exist: make it, or correct the setting.')
    found: dict[str, AgentType] = {}
    for path in sorted(path for path in folder.iterdir() if path.suffix in _ENDINGS):
        made = read_agent_type(path)
        if made.name in found:
            raise AgentTypeInvalid(f'"{path.name}": name: another file of the folder has "{made.name}" already.')
        found[made.name] = made
    return found


def read_agent_type(path: Path) -> AgentType:
    """Read an agent type from a TOML or YAML file.

    Raises:
        AgentTypeInvalid: names the file and the field.
    """
    try:
        text = path.read_text(encoding="utf-8")
        values = tomllib.loads(text) if path.suffix == ".toml" else yaml.safe_load(text)
    except (OSError, UnicodeDecodeError) as error:
        raise AgentTypeInvalid(f'"{path.name}" cannot be read: {error}') from error
    except (tomllib.TOMLDecodeError, yaml.YAMLError) as error:
        raise AgentTypeInvalid(f'"{path.name}" is not well-formed: {error}') from error
    if not isinstance(values, Mapping):
        raise AgentTypeInvalid(f'"{path.name}" must hold fields: {", ".join(AgentType.model_fields)}.')
    try:
        return AgentType.model_validate(values)
    except ValidationError as error:
        first = error.errors(include_url=False, include_input=False)[0]
        place = ".".join(str(part) for part in first["loc"]) or "its fields"
        raise AgentTypeInvalid(f'"{path.name}": {place}: {first["msg"].removeprefix("Value error, ")}') from error
