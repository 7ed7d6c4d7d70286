"""The executor behind a tool of the OpenAI Agents SDK: no LangChain, the same sandboxes and the same rules.

Run it: `python -m examples.openai_agents` with OPENAI_API_KEY or OPENAI_BASE_URL, and SANDLOOP_MODEL; needs
`pip install openai-agents`.
"""

import asyncio
import json

from agents import Agent, OpenAIChatCompletionsModel, Runner, function_tool, set_tracing_disabled
from openai import AsyncOpenAI

from agent_tools import CallContext, CallRefused, SandboxPolicy, ToolExecutor
from graphs import AgentSettings

executor = ToolExecutor()
context = CallContext(thread_id="openai-agents-example", policy=SandboxPolicy(max_execution_time=60))


@function_tool
async def run_python(code: str) -> str:
    """Run Python in a sandbox, as a notebook cell: variables live on, and the last expression's value is shown."""
    try:
        result = await executor.execute_code(code, "python", context)
    except CallRefused as refusal:
        return f"refused: {refusal}"
    return json.dumps(result.content(without=frozenset({"code"})))


async def main() -> None:
    set_tracing_disabled(True)
    async with AsyncOpenAI() as client, executor:
        model = OpenAIChatCompletionsModel(AgentSettings.from_environment().model_id, client)
        agent = Agent(name="coder", instructions="Calculate with Python.", tools=[run_python], model=model)
        result = await Runner.run(agent, "Calculate the factorial of 10")
        print(result.final_output)
        assert "3628800" in result.final_output.replace(",", "")


if __name__ == "__main__":
    asyncio.run(main())
