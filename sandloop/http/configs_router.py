"""Saved configurations of agents: the policy is the form, with the agent's name, description and system prompt."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Path, Response
from pydantic import BaseModel, ConfigDict, Field

from agent_tools.policy import SandboxPolicy
from graphs.requests import CodingAgentConfig

from . import callers
from .bodies import StrictRoute
from .callers import Current
from .problems import described
from .services import Used

router = APIRouter(
    prefix="/agents/configs",
    tags=["configs"],
    route_class=StrictRoute,
    dependencies=[callers.described],
    responses=described(400, 401, 403, 422, 429, 503),
)
ConfigId = Annotated[str, Path(pattern=r"^[A-Za-z0-9-]{1,64}$")]


class ConfigCall(BaseModel):
    """What is saved of an agent."""

    model_config = ConfigDict(
        extra="forbid",
        json_schema_extra={
            "examples": [
                {
                    "agent_type": "coding",
                    "policy": {"name": "Analyst", "systemPrompt": "Be brief.", "defaultPackages": ["polars"]},
                }
            ]
        },
    )

    agent_type: str = Field(default="coding", max_length=50)
    policy: SandboxPolicy


@router.get("")
async def configs(caller: Current, services: Used) -> list[CodingAgentConfig]:
    """List them by name."""
    return await services.agents.configs(owner=caller.subject)


@router.post("", status_code=201)
async def create(call: ConfigCall, caller: Current, services: Used) -> CodingAgentConfig:
    """Save a new one."""
    policy = services.policy(call.policy)
    return await services.agents.create_config(policy, call.agent_type, owner=caller.subject)


@router.post("/check", status_code=204)
async def check(call: ConfigCall, _: Current, services: Used) -> Response:
    """Say whether one could be saved, without saving it: a form asks on the way."""
    services.policy(call.policy)
    return Response(status_code=204)


@router.get("/{config_id}", responses=described(404))
async def config(config_id: ConfigId, caller: Current, services: Used) -> CodingAgentConfig:
    """Return one."""
    return await services.agents.get_config(config_id, owner=caller.subject)


@router.put("/{config_id}", responses=described(404))
async def update(config_id: ConfigId, call: ConfigCall, caller: Current, services: Used) -> CodingAgentConfig:
    """Replace one."""
    policy = services.policy(call.policy)
    return await services.agents.update_config(config_id, policy, call.agent_type, owner=caller.subject)


@router.delete("/{config_id}", status_code=204, responses=described(404))
async def delete(config_id: ConfigId, caller: Current, services: Used) -> Response:
    """Delete one."""
    await services.agents.delete_config(config_id, owner=caller.subject)
    return Response(status_code=204)
