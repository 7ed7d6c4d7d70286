"""Whose sandbox an MCP call is for."""

from __future__ import annotations

import uuid
from dataclasses import dataclass

from agent_tools.context import LOCAL_OWNER


@dataclass(frozen=True, slots=True)
class Session:
    """A client's session: it has a sandbox of its own.

    Attributes:
        thread_id: the conversation, as the tools know it.
    """

    thread_id: str
    owner: str = LOCAL_OWNER

    @classmethod
    def named(cls, session_id: str, owner: str = LOCAL_OWNER) -> Session:
        """Return the session of this id. Another owner's session of the same id is another one."""
        return cls(f"mcp-{session_id}", owner)

    @classmethod
    def fresh(cls) -> Session:
        """Return the session of a process that serves one client."""
        return cls.named(uuid.uuid4().hex)
