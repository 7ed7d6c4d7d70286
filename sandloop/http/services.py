"""What the routes call, made once for each process."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from typing import Annotated

from fastapi import Depends, Request

from agent_tools.context import CallContext, LiveOutput, ignore, ignore_artifact
from agent_tools.executor import ToolExecutor
from agent_tools.policy import SandboxPolicy
from agent_tools.results import Artifact
from agent_tools.sandboxes import Sandboxes
from graphs.models import Models
from graphs.service import AgentService

from ..settings import Settings, environment
from .callers import Caller
from .problems import FieldProblem, Problem


@dataclass(frozen=True, slots=True)
class Services:
    """The executor of tools, the agents, and the settings."""

    settings: Settings
    executor: ToolExecutor
    agents: AgentService

    def context(
        self,
        caller: Caller,
        thread_id: str,
        policy: SandboxPolicy | None = None,
        *,
        approved: bool = False,
        on_output: Callable[[LiveOutput], None] = ignore,
        on_artifact: Callable[[Artifact], None] = ignore_artifact,
    ) -> CallContext:
        """Return the context of a call by this caller.

        Raises:
            Problem: the policy asks for more than a caller over HTTP may have.
        """
        return CallContext(
            thread_id=thread_id,
            owner=caller.subject,
            policy=self.policy(policy),
            asks_approved=approved,
            on_output=on_output,
            on_artifact=on_artifact,
        )

    def policy(self, wanted: SandboxPolicy | None) -> SandboxPolicy:
        """Return the policy of a call: the caller's own, else the server's.

        Raises:
            Problem: it names folders of this machine that the server's own policy does not.
        """
        if wanted is None:
            return self.settings.policy
        if not set(wanted.host_directories) <= set(self.settings.policy.host_directories):
            message = "Only the server's own settings open folders of its machine."
            error = FieldProblem(field="policy.hostDirectories", message=message)
            raise Problem(403, "policy.host_directories", message, errors=[error])
        return wanted


@asynccontextmanager
async def running(
    settings: Settings, executor: ToolExecutor | None, environ: Mapping[str, str]
) -> AsyncIterator[Services]:
    """Make the services, and end what was made here.

    Raises:
        DatabaseUnavailable: says what to do.
    """
    variables = environment(environ)
    agent_settings = settings.agent_settings(variables)
    async with AsyncExitStack() as closing:
        if executor is None:
            executor = await closing.enter_async_context(ToolExecutor(Sandboxes(settings.sandbox_settings)))
        agents = AgentService(agent_settings, executor, models=Models(agent_settings, variables))
        yield Services(settings, executor, await closing.enter_async_context(agents))


def _services(request: Request) -> Services:
    services = request.app.state.services
    assert isinstance(services, Services)
    return services


Used = Annotated[Services, Depends(_services)]
"""The services, for a route."""
