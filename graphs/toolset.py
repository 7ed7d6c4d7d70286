"""The tools of one run: those of the sandbox that the agent type and the request name, and those of MCP servers."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from langchain_core.tools import BaseTool

from agent_tools.executor import ToolExecutor
from agent_tools.policy import SandboxPolicy
from agent_tools.tools import TOOLS, coding_tools

from .agent_types import AgentType, AgentTypes
from .context import AgentContext
from .errors import RequestRefused, UnknownTool
from .mcp_tools import McpServers, served_by
from .settings import AgentSettings

_KEPT = 256


@dataclass(frozen=True, slots=True)
class Plan:
    """What holds for a run.

    Attributes:
        tools: what the model may call, by name; nothing else is run.
    """

    agent_type: AgentType
    policy: SandboxPolicy
    tools: Mapping[str, BaseTool]
    model_call_limit: int
    tool_call_limit: int


class Toolset:
    """Makes the plans of runs.

    Args:
        executor: carries sandbox tools out.
        types: the known agent types.
        servers: keeps connections to MCP servers.
        settings: the limits of requests that name none.
        more: tools that all runs have.
        host_directories: the only folders of this machine that a request's policy may open, besides those of its agent
            type; None for any.
    """

    def __init__(
        self,
        executor: ToolExecutor,
        types: AgentTypes,
        servers: McpServers,
        settings: AgentSettings,
        more: Sequence[BaseTool] = (),
        host_directories: Sequence[str] | None = None,
    ) -> None:
        self._executor = executor
        self._types = types
        self._servers = servers
        self._settings = settings
        self._more = {tool.name: tool for tool in more}
        self._host_directories = host_directories
        self._kept: OrderedDict[tuple[SandboxPolicy, tuple[str, ...]], dict[str, BaseTool]] = OrderedDict()

    @property
    def everything(self) -> list[BaseTool]:
        """All sandbox tools under the default policy, for a graph's picture; a run has its own."""
        return [*coding_tools(self._executor, names=tuple(TOOLS)), *self._more.values()]

    def policy(self, context: AgentContext) -> SandboxPolicy:
        """Return the sandbox's rules of a request."""
        return context.policy or self._types.find(context.agent_type).policy

    def check(self, context: AgentContext) -> AgentType:
        """Return the agent type of a request whose names all exist.

        Raises:
            UnknownAgentType, UnknownTool: list the known ones.
            RequestRefused: the policy opens folders of this machine that it may not.
        """
        agent_type = self._types.find(context.agent_type)
        if context.policy is not None and self._host_directories is not None:
            open_ones = {*self._host_directories, *agent_type.policy.host_directories}
            if not set(context.policy.host_directories) <= open_ones:
                raise RequestRefused(
                    "A request cannot open folders of this machine: an agent type of yours can, by its policy's "
                    "hostDirectories."
                )
        for name in context.tools:
            if name in agent_type.permitted or name in self._more or served_by(agent_type.mcp_servers, name):
                continue
            known = ", ".join(agent_type.permitted) or "none"
            if name in TOOLS:
                raise UnknownTool(f'The agent type "{agent_type.name}" has no tool "{name}". It can have: {known}.')
            raise UnknownTool(f'There is no tool "{name[:100]}". "{agent_type.name}" can have: {known}.')
        return agent_type

    def plan(self, context: AgentContext) -> Plan:
        """Return the plan of a run; blocks while MCP servers are asked for their tools for the first time."""
        return self._plan(context, self._servers.tools(self.check(context).mcp_servers))

    async def aplan(self, context: AgentContext) -> Plan:
        """Return the plan of a run; see `plan`."""
        return self._plan(context, await self._servers.atools(self.check(context).mcp_servers))

    def _plan(self, context: AgentContext, served: Mapping[str, BaseTool]) -> Plan:
        agent_type = self.check(context)
        policy = self.policy(context)
        wanted = context.tools
        names = tuple(name for name in wanted if name in TOOLS) if wanted else agent_type.tools
        others = {name: tool for name, tool in served.items() if not wanted or name in wanted}
        return Plan(
            agent_type=agent_type,
            policy=policy,
            tools={**self._of_sandbox(policy, names), **others, **self._more},
            model_call_limit=context.model_call_limit or self._settings.model_call_limit,
            tool_call_limit=context.tool_call_limit or self._settings.tool_call_limit,
        )

    def _of_sandbox(self, policy: SandboxPolicy, names: tuple[str, ...]) -> dict[str, BaseTool]:
        key = (policy, names)
        if key not in self._kept:
            made = coding_tools(self._executor, policy, names) if names else []
            self._kept[key] = {tool.name: tool for tool in made}
            if len(self._kept) > _KEPT:
                self._kept.popitem(last=False)
        self._kept.move_to_end(key)
        return self._kept[key]
