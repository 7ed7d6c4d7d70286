"""`sandloop threads`: the conversations that are kept."""

from __future__ import annotations

import json
import sys
from collections.abc import Awaitable, Callable
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import typer

from .exits import HELP, ExitCode, Problem
from .running import run
from .services import SHORTEST, whole_id

if TYPE_CHECKING:
    from graphs.requests import ThreadDetail, ThreadSummary
    from graphs.service import AgentService

app = typer.Typer(help="List, show, export, rename and delete conversations.", no_args_is_help=True)

Id = Annotated[str, typer.Argument(metavar="ID", help="The thread's id, or the beginning of it.")]
_NO_WIDTH = 10_000

AsJson = Annotated[bool, typer.Option("--json", help="Print JSON.")]


@app.command("list", epilog=HELP)
def list_threads(as_json: AsJson = False) -> None:
    """List the conversations, the one last used first."""

    async def work(service: AgentService) -> None:
        threads = await service.threads()
        if as_json:
            print(json.dumps([thread.model_dump() for thread in threads], ensure_ascii=False, indent=2))  # noqa: T201
        elif threads:
            _show_list(threads)
        else:
            print('no threads yet: sandloop run "…" begins one', file=sys.stderr)  # noqa: T201

    run(_with_service(work))


@app.command(epilog=HELP)
def show(thread_id: Id, as_json: AsJson = False) -> None:
    """Show what was said and run."""

    async def work(service: AgentService) -> None:
        thread = await service.thread(await whole_id(service, thread_id))
        if as_json:
            print(thread.model_dump_json(indent=2))  # noqa: T201
        else:
            _show_thread(thread)

    run(_with_service(work))


@app.command(epilog=HELP)
def export(
    thread_id: Id,
    output: Annotated[Path | None, typer.Argument(help="The file to write; - is standard output.")] = None,
    kind: Annotated[
        Literal["ipynb", "zip"] | None,
        typer.Option("--format", help="A notebook, or a zip of it, the images and the sandbox's files."),
    ] = None,
) -> None:
    """Save a conversation as a notebook or a zip."""
    ending = output.suffix.removeprefix(".").lower() if output is not None else ""
    chosen: Literal["ipynb", "zip"] = kind or ("zip" if ending == "zip" else "ipynb")

    async def work(service: AgentService) -> None:
        found = await whole_id(service, thread_id)
        data = await service.export_thread(found, format=chosen)
        if output is not None and str(output) == "-":
            sys.stdout.buffer.write(data)
            return
        target = output or Path(f"{found[:8]}.{chosen}")
        try:
            target.write_bytes(data)
        except OSError as error:
            raise Problem(f"{target} cannot be written: {error.strerror}", ExitCode.FAILED) from error
        print(target)  # noqa: T201

    run(_with_service(work))


@app.command(epilog=HELP)
def rename(thread_id: Id, title: Annotated[str, typer.Argument(help="The new title.")]) -> None:
    """Give a conversation another title."""

    async def work(service: AgentService) -> None:
        await service.rename_thread(await whole_id(service, thread_id), title)

    run(_with_service(work))


@app.command(epilog=HELP)
def delete(
    thread_ids: Annotated[list[str], typer.Argument(metavar="ID...", help="Ids, or beginnings of them.")],
) -> None:
    """Delete conversations, with their sandboxes and all files in them."""

    async def work(service: AgentService) -> None:
        for found in [await whole_id(service, thread_id) for thread_id in thread_ids]:
            await service.delete_thread(found)
            print(f"deleted {found}", file=sys.stderr)  # noqa: T201

    run(_with_service(work))


async def _with_service(work: Callable[[AgentService], Awaitable[None]]) -> int:
    from .services import agents, settings

    async with agents(settings()) as service:
        await work(service)
    return 0


def _show_list(threads: list[ThreadSummary]) -> None:
    from rich.box import SIMPLE_HEAD
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    from .terminal import visible_line

    console = Console()
    if not console.is_terminal:
        console.width = _NO_WIDTH
    short = _short_ids([thread.id for thread in threads])
    table = Table(box=SIMPLE_HEAD, pad_edge=False)
    for heading in ("thread", "last used", "agent", "state"):
        table.add_column(heading, no_wrap=True)
    table.add_column("title")
    for thread in threads:
        states = {"waits for approval": thread.waiting, "running": thread.running, "interrupted": thread.interrupted}
        state = next((name for name, holds in states.items() if holds), "")
        table.add_row(
            Text(visible_line(short[thread.id])),
            datetime.fromisoformat(thread.updated_at).astimezone().strftime("%Y-%m-%d %H:%M"),
            Text(thread.agent_type),
            Text(state, style="yellow"),
            Text(visible_line(thread.title)),
        )
    console.print(table)


def _short_ids(ids: list[str]) -> dict[str, str]:
    """Return ids as short as they can be told apart, which all commands take."""
    return {
        each: next(
            (
                each[:length]
                for length in range(SHORTEST, len(each))
                if not any(other.startswith(each[:length]) for other in ids if other != each)
            ),
            each,
        )
        for each in ids
    }


def _show_thread(thread: ThreadDetail) -> None:
    from rich.console import Console

    from .view import View

    view = View(Console(highlight=False))
    view.line(thread.title, "bold")
    for message in thread.messages:
        view.line("")
        view.message(message)
    for request in thread.approvals:
        view.line(f"waits for approval: {request.reason}", "bold yellow")
        view.show_call(request.name, request.args, "?")
