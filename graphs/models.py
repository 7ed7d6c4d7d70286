"""The chat models of requests, made once each."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Mapping
from dataclasses import dataclass

from langchain_core.language_models import BaseChatModel

from .context import AgentContext
from .errors import InvalidModelSettings
from .providers import chat_model
from .settings import AgentSettings

_KEPT = 64


@dataclass(frozen=True, slots=True)
class Choice:
    """A provider's and a model's name."""

    provider_id: str
    model_id: str

    @property
    def is_scripted(self) -> bool:
        """Whether the replies are prepared; people are told."""
        return self.provider_id == "scripted"


class Models:
    """Makes chat models by a request's names and keeps them.

    Args:
        settings: say what a request without names means.
        env: variables of keys and addresses.
    """

    def __init__(self, settings: AgentSettings, env: Mapping[str, str] = os.environ) -> None:
        self._settings = settings
        self._env = env
        self._made: dict[Choice, BaseChatModel] = {}

    def choice(self, context: AgentContext) -> Choice:
        """Return whose model a request is for.

        Raises:
            InvalidModelSettings: the request names no model, and its provider has no default one.
        """
        provider_id = context.provider_id or self._settings.provider_id
        default = self._settings.model_id if provider_id == self._settings.provider_id else ""
        model_id = context.model_id or default or ("demo" if provider_id == "scripted" else "")
        if not model_id:
            raise InvalidModelSettings(
                f'Name a model of the provider "{provider_id}": give "model_id", or set SANDLOOP_MODEL.'
            )
        return Choice(provider_id, model_id)

    def find(self, choice: Choice) -> BaseChatModel:
        """Return the model. The first time this blocks: it imports the provider's package.

        Raises:
            RequestRefused: see `providers.chat_model`.
        """
        if choice not in self._made:
            made = chat_model(choice.provider_id, choice.model_id, env=self._env)
            if len(self._made) >= _KEPT:
                self._made.pop(next(iter(self._made)))
            self._made[choice] = made
        return self._made[choice]

    async def afind(self, choice: Choice) -> BaseChatModel:
        """Return the model, without blocking; see `find`."""
        if (known := self._made.get(choice)) is not None:
            return known
        return await asyncio.to_thread(self.find, choice)
