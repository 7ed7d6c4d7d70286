"""What an agent's runs need to know of this machine: one frozen value, read once at the edge."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Self

from .errors import InvalidModelSettings

DEFAULT_MODEL_CALL_LIMIT = 50
DEFAULT_TOOL_CALL_LIMIT = 100
MAX_LIMIT = 10_000

_OPENAI_MODEL = "gpt-5.5"


@dataclass(frozen=True, slots=True)
class AgentSettings:
    """How agents run where a request does not say otherwise.

    Attributes:
        database: of threads and saved configurations: the path of an SQLite file, ":memory:", or the URL of a
            PostgreSQL database.
        provider_id: of requests that name none.
        model_id: of requests that name no model, for `provider_id` only; "" when it has to be named.
        model_call_limit: model calls of one turn, after which it ends and says so.
        tool_call_limit: tool calls of one turn.
        agent_types: a folder of files, each an agent type of the user's own; None without one.
        context_tokens: the window of a model that is not known to have another.
    """

    database: str = field(default="", repr=False)  # a URL may hold a password
    provider_id: str = "scripted"
    model_id: str = "demo"
    model_call_limit: int = DEFAULT_MODEL_CALL_LIMIT
    tool_call_limit: int = DEFAULT_TOOL_CALL_LIMIT
    agent_types: Path | None = None
    context_tokens: int = 32_000

    @property
    def is_postgres(self) -> bool:
        """Whether the database is PostgreSQL."""
        return self.database.startswith(("postgres://", "postgresql://"))

    @classmethod
    def from_environment(cls, environ: Mapping[str, str] = os.environ) -> Self:
        """Read the variables whose names begin with SANDLOOP_.

        They are DATABASE, PROVIDER, MODEL, MODEL_CALL_LIMIT, TOOL_CALL_LIMIT, AGENT_TYPES and CONTEXT_TOKENS. Without a
        provider it is OpenAI when there is OPENAI_API_KEY or OPENAI_BASE_URL, else the scripted one. Empty
        means unset.

        Raises:
            InvalidModelSettings: a number is none.
        """
        has_openai = environ.get("OPENAI_API_KEY") or environ.get("OPENAI_BASE_URL")
        provider_id = environ.get("SANDLOOP_PROVIDER") or ("openai" if has_openai else "scripted")
        folder = environ.get("SANDLOOP_AGENT_TYPES")
        return cls(
            database=environ.get("SANDLOOP_DATABASE") or str(default_database(environ)),
            provider_id=provider_id,
            model_id=environ.get("SANDLOOP_MODEL") or _default_model(provider_id, environ),
            model_call_limit=_number(environ, "SANDLOOP_MODEL_CALL_LIMIT", DEFAULT_MODEL_CALL_LIMIT, MAX_LIMIT),
            tool_call_limit=_number(environ, "SANDLOOP_TOOL_CALL_LIMIT", DEFAULT_TOOL_CALL_LIMIT, MAX_LIMIT),
            agent_types=Path(folder).expanduser() if folder else None,
            context_tokens=_number(environ, "SANDLOOP_CONTEXT_TOKENS", 32_000, 100_000_000),
        )


def default_database(environ: Mapping[str, str] = os.environ) -> Path:
    """The SQLite file in the user's data folder."""
    data = environ.get("XDG_DATA_HOME")
    return (Path(data) if data else Path.home() / ".local" / "share") / "sandloop" / "sandloop.sqlite"


def _default_model(provider_id: str, environ: Mapping[str, str]) -> str:
    if provider_id == "scripted":
        return "demo"
    if provider_id == "openai" and not environ.get("OPENAI_BASE_URL"):
        return _OPENAI_MODEL
    return ""


def _number(environ: Mapping[str, str], name: str, default: int, most: int) -> int:
    text = environ.get(name, "").strip()
    if not text:
        return default
    if not text.isascii() or not text.isdigit() or not 1 <= int(text) <= most:
        raise InvalidModelSettings(f"{name} must be a whole number from 1 to {most}, and is {text!r}.")
    return int(text)
