"""What the agent's graph costs: `python -m bench.agent`.

A model that answers at once and a tool that does nothing, so that what is left is the loop. Beside it the same with
LangChain's plain `create_agent`. Both keep their threads in an SQLite file.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import statistics
import sys
import tempfile
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

from langchain.agents import create_agent
from langchain_core.tools import BaseTool, tool
from langgraph.checkpoint.sqlite.aio import AsyncSqliteSaver

from graphs import AgentContext, AgentSettings, create_coding_agent
from graphs.database import open_database
from graphs.scenarios import Script
from graphs.scripted import ScriptedModel

SCRIPT = Script.model_validate(
    {
        "title": "One call and an answer",
        "examples": ["go"],
        "scenarios": [{"match": "go", "steps": [{"calls": [{"tool": "nothing"}]}, {"text": "Done."}]}],
    }
)


_WARM = 5
_FRESH = 50


@tool
def nothing() -> str:
    """Do nothing."""
    return '{"success": true}'


async def turn(graph: Any, thread: str) -> float:
    """Seconds of one turn of a thread: the model, the tool, the model."""
    started = time.perf_counter()
    await graph.ainvoke({"messages": [("user", "go")]}, {"configurable": {"thread_id": thread}})
    return time.perf_counter() - started


@asynccontextmanager
async def plain(folder: Path) -> AsyncIterator[Any]:
    async with AsyncSqliteSaver.from_conn_string(str(folder / "plain.sqlite")) as saver:
        yield create_agent(ScriptedModel(script=SCRIPT), [nothing], system_prompt="Go.", checkpointer=saver)


@asynccontextmanager
async def ours(folder: Path) -> AsyncIterator[Any]:
    settings = AgentSettings(database=str(folder / "ours.sqlite"))
    more: list[BaseTool] = [nothing]
    async with open_database(settings) as database:
        yield create_coding_agent(
            ScriptedModel(script=SCRIPT),
            tools=more,
            defaults=AgentContext(),
            settings=settings,
            checkpointer=database.checkpointer,
            store=database.store,
        )


async def measure(count: int) -> dict[str, Any]:
    """Alternate between the two, so that whatever else the machine does slows both."""
    first: dict[str, list[float]] = {"create_agent": [], "sandloop": []}
    long: dict[str, list[float]] = {"create_agent": [], "sandloop": []}
    with tempfile.TemporaryDirectory() as name:
        async with plain(Path(name)) as theirs, ours(Path(name)) as own:
            graphs = {"create_agent": theirs, "sandloop": own}
            for number in range(_WARM + _FRESH):
                for label, graph in graphs.items():
                    first[label].append(await turn(graph, f"fresh-{number}"))
            for _ in range(count):
                for label, graph in graphs.items():
                    long[label].append(await turn(graph, "long"))
    result: dict[str, Any] = {
        label: {
            "first_turn_p50_ms": _median(first[label][_WARM:]),
            "turns_1_to_20_p50_ms": _median(long[label][:20]),
            "last_20_turns_p50_ms": _median(long[label][-20:]),
        }
        for label in first
    }
    for name in ("first_turn", "turns_1_to_20", "last_20_turns"):
        key = f"{name}_p50_ms"
        result[f"overhead_{key}"] = round(result["sandloop"][key] - result["create_agent"][key], 2)
    return result


def _median(seconds: list[float]) -> float:
    return round(statistics.median(seconds) * 1000, 2)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--turns", type=int, default=200, help="turns of the long thread (default: 200)")
    options = parser.parse_args()
    result = {"processors": os.cpu_count(), "turns": options.turns, **asyncio.run(measure(options.turns))}
    json.dump(result, sys.stdout, indent=1)
    print()


if __name__ == "__main__":
    main()
