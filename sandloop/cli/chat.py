"""`sandloop chat`: a conversation with an agent at the terminal."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Annotated

import typer

from . import running
from .exits import ExitCode, Problem
from .run import (
    AgentType,
    Approvals,
    Files,
    Model,
    Prompt,
    PromptMode,
    Provider,
    SaveDir,
    Thread,
    Tools,
    tool_names,
)

if TYPE_CHECKING:
    from .conversing import Conversation, Wanted
    from .view import View

EXITS = (
    "Exit codes: 0 ended by you, 1 the last turn failed (only where the input is no terminal), 2 wrong usage, "
    "69 no sandbox or database to be had, 78 wrong settings, 130 interrupted."
)
_HELP = "Ctrl-C stops a turn, Ctrl-D ends; /file PATH gives the next message a file."


def chat(
    thread: Thread = None,
    file: Files = None,
    agent_type: AgentType = None,
    provider: Provider = None,
    model: Model = None,
    save_dir: SaveDir = None,
    approve: Approvals = "ask",
    system_prompt: Prompt = None,
    system_prompt_mode: PromptMode = "extend",
    tools: Tools = None,
    last: Annotated[bool, typer.Option("--last", help="Go on with the thread that was used last.")] = False,
) -> None:
    """Talk with an agent: variables and files live on from turn to turn, and from one chat to the next."""
    if last and thread:
        raise Problem("give one of --thread and --last")

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
    )
    running.run(_chat(thread, [str(path) for path in file or ()], wanted, last=last), interrupts=False)


async def _chat(thread: str | None, paths: list[str], wanted: Wanted, *, last: bool) -> int:
    from dataclasses import replace

    from . import services
    from .conversing import Conversation, configured_policy
    from .view import View

    settings = services.settings()
    view = View()
    async with services.agents(settings) as service:
        if thread is not None:
            thread = await services.whole_id(service, thread)
        if last:
            threads = await service.threads()
            if not threads:
                raise Problem("there is no thread yet: leave --last out")
            thread = threads[0].id
        policy = configured_policy(settings)
        conversation = Conversation(service, view, replace(wanted, policy=policy), thread)
        if thread is not None:
            await _remind(conversation, view)
        if sys.stdin.isatty():
            view.line(_HELP, "dim")
        code = await _turns(conversation, view, paths)
        if conversation.thread_id is not None:
            view.line(f"go on with: sandloop chat --thread {conversation.thread_id}", "dim")
    return code


async def _turns(conversation: Conversation, view: View, paths: list[str]) -> int:
    from pathlib import Path

    from .conversing import input_files

    code = ExitCode.SUCCESS
    while (message := _message(view)) is not None:
        if message.startswith("/file "):
            paths.append(message.removeprefix("/file ").strip())
            continue
        if not message.strip():
            continue
        try:
            files = input_files([Path(path).expanduser() for path in paths])
            code = await running.interruptible(conversation.say(message, files))
        except running.Interrupted:
            view.line("", "")
        except Problem as problem:
            running.told(problem)
        paths.clear()
    return ExitCode.SUCCESS if sys.stdin.isatty() else code


async def _remind(conversation: Conversation, view: View) -> None:
    """Show where the thread stopped, and settle what waits."""
    thread = await conversation.detail()
    view.line(thread.title, "bold")
    for message in thread.messages[-2:]:
        view.quote(message.role, message.text)
    if thread.waiting or thread.interrupted:
        view.line("the last run has not come to its end; it goes on now", "yellow")
        try:
            await running.interruptible(conversation.go_on())
        except running.Interrupted:
            view.line("", "")


def _message(view: View) -> str | None:
    """Return what the person says; None at the end."""
    while True:
        try:
            if sys.stdin.isatty() and sys.stdout.isatty():
                # For line editing and history.
                import readline  # noqa: F401

                return running.asked("\n› ")
            line = sys.stdin.readline()
            return line.rstrip("\n") if line else None
        except EOFError:
            view.line("")
            return None
        except running.Interrupted:
            view.line(_HELP, "dim")
