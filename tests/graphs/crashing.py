"""An agent's process that a test kills in the middle of a tool call: `python -m tests.graphs.crashing DATABASE`."""

from __future__ import annotations

import asyncio
import sys

from graphs import AgentRequest, AgentService, AgentSettings


async def main(database: str) -> None:
    async with AgentService(AgentSettings(database=database, provider_id="openai", model_id="gpt-4o")) as service:
        async for event in service.stream(AgentRequest(message="Count", thread_id="t")):
            if event.type == "tool_output":
                print("in the call", flush=True)


asyncio.run(main(sys.argv[1]))
