"""Saved configurations of agents, each its owner's."""

from __future__ import annotations

import uuid

from langgraph.store.base import BaseStore

from agent_tools.policy import SandboxPolicy

from .agent_types import AgentTypes
from .errors import ConfigNotFound
from .markers import owned
from .records import now
from .requests import CodingAgentConfig

_LISTED = 1000


class Configs:
    """The configurations in a database's store."""

    def __init__(self, store: BaseStore, types: AgentTypes) -> None:
        self._store = store
        self._types = types

    async def all(self, owner: str) -> list[CodingAgentConfig]:
        """Return the owner's configurations by name."""
        found: list[CodingAgentConfig] = []
        while page := await self._store.asearch(owned("configs", owner), limit=_LISTED, offset=len(found)):
            found += [CodingAgentConfig.model_validate(item.value) for item in page]
        return sorted(found, key=lambda config: (config.policy.name.casefold(), config.created_at))

    async def find(self, owner: str, config_id: str) -> CodingAgentConfig:
        """Return a configuration.

        Raises:
            ConfigNotFound: the owner has none of this id.
        """
        item = await self._store.aget(owned("configs", owner), config_id)
        if item is None:
            raise ConfigNotFound(f'There is no saved configuration "{config_id[:100]}".')
        return CodingAgentConfig.model_validate(item.value)

    async def create(self, owner: str, policy: SandboxPolicy, agent_type: str) -> CodingAgentConfig:
        """Save a new configuration.

        Raises:
            UnknownAgentType: lists the known ones.
        """
        time = now()
        config = CodingAgentConfig(
            id=str(uuid.uuid4()),
            created_at=time,
            updated_at=time,
            agent_type=self._types.find(agent_type).name,
            policy=policy,
        )
        return await self._saved(owner, config)

    async def update(
        self, owner: str, config_id: str, policy: SandboxPolicy, agent_type: str | None
    ) -> CodingAgentConfig:
        """Replace a configuration.

        Raises:
            ConfigNotFound: the owner has none of this id.
            UnknownAgentType: lists the known ones.
        """
        known = await self.find(owner, config_id)
        name = self._types.find(agent_type or known.agent_type).name
        changes = {"policy": policy, "agent_type": name, "updated_at": now()}
        return await self._saved(owner, known.model_copy(update=changes))

    async def delete(self, owner: str, config_id: str) -> None:
        """Delete a configuration.

        Raises:
            ConfigNotFound: the owner has none of this id.
        """
        await self.find(owner, config_id)
        await self._store.adelete(owned("configs", owner), config_id)

    async def _saved(self, owner: str, config: CodingAgentConfig) -> CodingAgentConfig:
        await self._store.aput(owned("configs", owner), config.id, config.model_dump(mode="json"))
        return config
