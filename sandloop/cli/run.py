"""`sandloop run`: one message to an agent, and what comes of it, live."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import typer

from . import running
from .exits import Problem

if TYPE_CHECKING:
    from .conversing import Wanted
    from .view import View

EXITS = (
    "Exit codes: 0 answered, 1 failed, 2 wrong usage, 3 a call waits for approval, 4 a limit of calls was reached, "
    "69 no sandbox or database to be had, 78 wrong settings, 130 interrupted."
)

Prompt = Annotated[str | None, typer.Option("--system-prompt", metavar="TEXT", help="Instructions of your own.")]
PromptMode = Annotated[
    Literal["extend", "replace"], typer.Option(help="Whether they come after those of the agent type, or instead.")
]
AgentType = Annotated[
    str | None, typer.Option("--agent-type", "-a", help="coding, data_science, chat or one of your own.")
]
Provider = Annotated[str | None, typer.Option("--provider", "-p", help="openai, ollama, anthropic, …, or scripted.")]
Model = Annotated[str | None, typer.Option("--model", "-m", help="The model's name at its provider.")]
Tools = Annotated[list[str] | None, typer.Option("--tools", help="Only these tools; can be repeated, or a,b,c.")]
Thread = Annotated[
    str | None,
    typer.Option("--thread", "-t", metavar="ID", help="The conversation to go on with; its id, or the beginning."),
]
Files = Annotated[
    list[Path] | None, typer.Option("--file", "-f", metavar="PATH", help="Put into the sandbox first; can be repeated.")
]
SaveDir = Annotated[
    Path | None, typer.Option(metavar="DIR", help="Where files and images that the agent makes are saved.")
]
Approvals = Annotated[
    Literal["ask", "never", "always"], typer.Option("--approve", help="What becomes of calls that need approval.")
]


def run(
    message: Annotated[
        str | None, typer.Argument(help="What to do. Without it --thread goes on where it stopped.", show_default=False)
    ] = None,
    file: Files = None,
    agent_type: AgentType = None,
    provider: Provider = None,
    model: Model = None,
    thread: Thread = None,
    save_dir: SaveDir = None,
    approve: Approvals = "ask",
    system_prompt: Prompt = None,
    system_prompt_mode: PromptMode = "extend",
    tools: Tools = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print the whole response as JSON.")] = False,
) -> None:
    """Let an agent work: its words, code and output live on stderr, the answer on stdout."""
    if message is None and thread is None:
        raise Problem('say what to do: sandloop run "…"; or name the thread to go on with by --thread ID')
    if message is not None and not message.strip():
        raise Problem("the message is empty")
    if message is None and file:
        raise Problem("files come with a message")

    from .conversing import Wanted

    wanted = Wanted(
        agent_type=agent_type,
        provider=provider,
        model=model,
        system_prompt=system_prompt,
        system_prompt_mode=system_prompt_mode,
        tools=tool_names(tools),
        approve=approve,
        save_dir=save_dir,
        as_json=as_json,
    )
    running.run(_run(message, file or [], thread, wanted))


def tool_names(given: list[str] | None) -> tuple[str, ...]:
    """Return the names of a repeated or comma-separated option."""
    return tuple(name.strip() for names in given or () for name in names.split(",") if name.strip())


async def _run(message: str | None, paths: list[Path], thread: str | None, wanted: Wanted) -> int:
    from dataclasses import replace

    from . import services
    from .conversing import Conversation, configured_policy, input_files
    from .view import View

    files = input_files(paths)
    settings = services.settings()
    view = View()
    async with services.agents(settings) as service:
        if thread is not None:
            thread = await services.whole_id(service, thread)
        conversation = Conversation(service, view, replace(wanted, policy=configured_policy(settings)), thread)
        try:
            code = await (conversation.say(message, files) if message is not None else conversation.go_on())
        except asyncio.CancelledError:
            _how_to_go_on(view, conversation.thread_id, stopped=True)
            raise
        _how_to_go_on(view, conversation.thread_id, stopped=code != 0)
    return code


def _how_to_go_on(view: View, thread_id: str | None, *, stopped: bool) -> None:
    if thread_id is None:
        return
    if stopped:
        view.line(f"go on with: sandloop run --thread {thread_id}", "yellow")
    else:
        view.line(f"go on with: sandloop chat --thread {thread_id}", "dim")
