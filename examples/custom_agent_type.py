"""An agent type of your own, from a file: its prompt, its tools and its rules.

Run it: `python -m examples.custom_agent_type`; see `examples.create_agent` about the model.
"""

import asyncio
from dataclasses import replace
from pathlib import Path

from graphs import AgentRequest, AgentService, AgentSettings

TYPES = Path(__file__).with_name("agent_types")


async def main() -> None:
    settings = replace(AgentSettings.from_environment(), database=":memory:", agent_types=TYPES)
    async with AgentService(settings) as service:
        reviewer = next(known for known in service.agent_types() if known.name == "reviewer")
        print(f"{reviewer.name}: {reviewer.description}")
        answer = await service.run(AgentRequest(message="Calculate the factorial of 10", agent_type="reviewer"))
        print(answer.answer)
        assert answer.stopped_because == "answered", answer.failure
        assert [step.name for step in answer.steps] == ["execute_python_code"]


if __name__ == "__main__":
    asyncio.run(main())
