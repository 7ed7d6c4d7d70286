"""A deep agent whose files and commands are in a sandbox; what it did is left as a notebook and its files in a zip.

Run it: `python -m examples.deep_agent`, with the extra `deepagents`; see `examples.create_agent` about the model.
"""

import asyncio
import io
import zipfile
from pathlib import Path

from deepagents import create_deep_agent
from langchain_core.messages import HumanMessage
from langchain_core.runnables import RunnableConfig

from agent_tools import CallContext, ToolExecutor, coding_tools
from agent_tools.deepagents import SandloopBackend
from agent_tools.export import calls_of, zipped
from graphs import AgentSettings
from graphs.providers import chat_model
from graphs.scenarios import Scenario, Script, ScriptedCall, Step

DATA = Path(__file__).parent / "data" / "bicycle_counts.csv"
TASK = (
    "/home/user/bicycle_counts.csv has the bicycles over a bridge for each day. How many were there on the busiest "
    "day? Calculate it, and write the answer to /home/user/report.md."
)

CODE = """
import pandas as pd
counts = pd.read_csv("bicycle_counts.csv", index_col="Date").Bicycles.dropna()
print(f"{counts.max():.0f} bicycles on {counts.idxmax()}")
""".strip()
# What the scripted model does. The deep agent's own tools and ours work in the same sandbox.
SCRIPT = Script(
    title="The busiest day",
    examples=(TASK,),
    scenarios=(
        Scenario(
            match="busiest day",
            steps=(
                Step(calls=(ScriptedCall(tool="execute", args={"command": "head -3 bicycle_counts.csv"}),)),
                Step(calls=(ScriptedCall(tool="execute_python_code", args={"code": CODE}, id="most"),)),
                Step(
                    calls=(
                        ScriptedCall(
                            tool="write_file",
                            args={"file_path": "/home/user/report.md", "content": "{{ most.output }}\n"},
                        ),
                    )
                ),
                Step(text="The busiest day had {{ most.output }}."),
            ),
        ),
    ),
)


async def main() -> None:
    settings = AgentSettings.from_environment()
    model = chat_model(settings.provider_id, settings.model_id, script=SCRIPT)
    async with ToolExecutor() as executor:
        tools = coding_tools(executor, names=["execute_python_code"])
        agent = create_deep_agent(model, tools, backend=SandloopBackend(executor))
        thread: RunnableConfig = {"configurable": {"thread_id": "deep-agent-example"}}
        caller = CallContext(thread_id="deep-agent-example")
        await executor.write_file(f"/home/user/{DATA.name}", DATA.read_bytes(), caller)

        state = await agent.ainvoke({"messages": [HumanMessage(TASK)]}, thread)
        print(state["messages"][-1].text)

        archive = zipfile.ZipFile(io.BytesIO(await zipped(calls_of(state["messages"]), executor, caller)))
        print(", ".join(archive.namelist()))
        most = max(int(count) for line in DATA.read_text().splitlines()[1:] if (count := line.split(",")[1]))
        assert str(most) in archive.read("files/report.md").decode().replace(",", "")


if __name__ == "__main__":
    asyncio.run(main())
