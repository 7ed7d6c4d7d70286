"""Threads in PostgreSQL, shared by two workers: what one began the other goes on with.

Run it: `SANDLOOP_DATABASE=postgresql://... python -m examples.postgres_threads`; needs the extra "postgres".
See `examples.create_agent` about the model.
"""

import asyncio

from agent_tools import ToolExecutor
from graphs import AgentRequest, AgentService, AgentSettings


async def main() -> None:
    settings = AgentSettings.from_environment()
    assert settings.is_postgres, "set SANDLOOP_DATABASE to the URL of a PostgreSQL database"
    async with (
        ToolExecutor() as executor,
        AgentService(settings, executor) as one,
        AgentService(settings, executor) as other,
    ):
        first = await one.run(AgentRequest(message="Calculate the factorial of 10"))
        second = await other.run(AgentRequest(message="Calculate the factorial of 5", thread_id=first.thread_id))
        thread = await one.thread(first.thread_id)
        print(*(f"{message.role}: {message.text}" for message in thread.messages), sep="\n")
        assert second.sandbox_id == first.sandbox_id
        await other.delete_thread(first.thread_id)


if __name__ == "__main__":
    asyncio.run(main())
