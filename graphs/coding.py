"""The coding agent as a LangGraph graph: a loop of model and tools, one graph for all requests.

What a request names (agent type, model, prompt, tools, policy) comes in the run's context; see `AgentContext`. `graph`
is for LangGraph's own server and Studio, which bring their checkpointer. `create_coding_agent` is for code.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from langchain.agents import create_agent
from langchain.agents.middleware import AgentMiddleware
from langchain_core.language_models import BaseChatModel
from langchain_core.tools import BaseTool
from langgraph.checkpoint.base import BaseCheckpointSaver
from langgraph.graph.state import CompiledStateGraph
from langgraph.store.base import BaseStore

from agent_tools.executor import ToolExecutor
from agent_tools.sandboxes import Sandboxes

from .agent_types import AgentTypes
from .context import AgentContext
from .mcp_tools import McpServers
from .middleware import ModelCalls, ToolCalls
from .models import Models
from .scripted import ScriptedModel
from .settings import AgentSettings
from .summaries import Summaries
from .toolset import Toolset

CodingGraph = CompiledStateGraph[Any, AgentContext, Any, Any]


def create_coding_agent(
    model: BaseChatModel | None = None,
    *,
    sandboxes: Sandboxes | ToolExecutor | None = None,
    defaults: AgentContext | None = None,
    tools: Sequence[BaseTool] = (),
    middleware: Sequence[AgentMiddleware[Any, AgentContext, Any]] = (),
    settings: AgentSettings | None = None,
    types: AgentTypes | None = None,
    checkpointer: BaseCheckpointSaver[Any] | None = None,
    store: BaseStore | None = None,
    host_directories: Sequence[str] | None = None,
) -> CodingGraph:
    """Make a coding agent. With no arguments it just works.

    In a graph with a checkpointer each thread (`configurable.thread_id`) has its sandbox. A run's `context` says the
    rest; without one, `defaults` holds. What the policy marks `ask` interrupts the run, which needs a checkpointer.

    Args:
        model: the model of all runs; by default the one that the context names, or the settings.
        sandboxes: where sandboxes come from; by default E2B when E2B_API_KEY is set, else the embedded server.
        defaults: the context of a run that is given none.
        tools: more tools, which all runs have.
        middleware: of your own, around ours.
        settings: by default from the environment.
        types: the known agent types; by default the built-in ones and those of the settings' folder.
        checkpointer: keeps threads; without one nothing outlives a run.
        store: remembers tool calls that have begun, so that a crash does not repeat them.
        host_directories: the only folders of this machine that the policy of a run's context may open; None for any.
            Give it where others than you write the context.

    Raises:
        AgentTypeInvalid: a file of the settings' folder is malformed.
    """
    settings = settings or AgentSettings.from_environment()
    executor = sandboxes if isinstance(sandboxes, ToolExecutor) else ToolExecutor(sandboxes)
    types = types or AgentTypes(settings.agent_types)
    toolset = Toolset(executor, types, McpServers(), settings, more=tools, host_directories=host_directories)
    return compiled(toolset, Models(settings), settings, defaults, model, middleware, checkpointer, store)


def compiled(
    toolset: Toolset,
    models: Models,
    settings: AgentSettings,
    defaults: AgentContext | None = None,
    model: BaseChatModel | None = None,
    middleware: Sequence[AgentMiddleware[Any, AgentContext, Any]] = (),
    checkpointer: BaseCheckpointSaver[Any] | None = None,
    store: BaseStore | None = None,
) -> CodingGraph:
    """Return the graph of these parts; see `create_coding_agent`."""
    defaults = defaults or AgentContext()
    summaries = Summaries(settings.context_tokens)
    made: CodingGraph = create_agent(
        model or ScriptedModel.named(),  # a placeholder: `ModelCalls` chooses for each call
        toolset.everything,
        middleware=[
            *middleware,
            ModelCalls(toolset, models, summaries, defaults, model),
            ToolCalls(toolset, defaults),
        ],
        context_schema=AgentContext,
        checkpointer=checkpointer,
        store=store,
        name="coding",
    )
    return made


graph = create_coding_agent(host_directories=())
