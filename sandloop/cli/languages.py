"""`sandloop languages`: what code can be written in."""

from __future__ import annotations

import json
import secrets
from typing import TYPE_CHECKING, Annotated

import typer

from .running import run

if TYPE_CHECKING:
    from agent_tools.languages import Language


def languages(
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
) -> None:
    """Show which languages the sandboxes have, and how to get the rest."""
    run(_languages(as_json))


async def _languages(as_json: bool) -> int:
    from agent_tools.context import CallContext
    from agent_tools.languages import LANGUAGES

    from . import services

    settings = services.settings()
    sandboxes = services.throwaway(settings)
    async with services.executor(sandboxes) as executor:
        policy = settings.policy.model_copy(update={"timeout": 10, "default_packages": ()})
        there = await executor.languages(CallContext(f"cli-{secrets.token_hex(6)}", policy=policy))
    if as_json:
        print(json.dumps([_entry(language, language.name in there) for language in LANGUAGES], indent=2))  # noqa: T201
        return 0
    _show(LANGUAGES, there, embedded=sandboxes.embedded)
    return 0


def _entry(language: Language, there: bool) -> dict[str, object]:
    return {
        "name": language.name,
        "title": language.title,
        "aliases": language.aliases,
        "ending": language.ending,
        "keeps_state": language.kernel is not None,
        "available": there,
        **({} if there else {"install": language.how_to_install}),
    }


def _show(every: tuple[Language, ...], there: frozenset[str], *, embedded: bool) -> None:
    from rich.box import SIMPLE_HEAD
    from rich.console import Console
    from rich.table import Table

    table = Table(box=SIMPLE_HEAD, pad_edge=False)
    for heading in ("language", "--language", "files", "between calls", "here"):
        table.add_column(heading, no_wrap=heading != "here")
    for language in every:
        here = "[green]yes[/]" if language.name in there else f"[yellow]no[/]: {language.how_to_install}"
        state = "keeps variables" if language.kernel else "keeps files"
        table.add_row(language.title, ", ".join((language.name, *language.aliases)), language.ending, state, here)
    console = Console()
    console.print(table)
    if len(there) < len(every):
        if embedded:
            console.print("[dim]'make setup-languages' installs them on this machine; new sandboxes then have them.[/]")
        else:
            console.print("[dim]On E2B they belong into a template of your own: SANDLOOP_TEMPLATE names it.[/]")
