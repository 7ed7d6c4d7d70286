"""The command line: one file a command, each thin. Nothing heavy is imported before a command runs."""

from __future__ import annotations

import os
import sys
from importlib.metadata import version
from typing import Annotated

import typer

from . import chat, doctor, execute, languages, mcp, run, serve, threads, token
from .exits import HELP, ExitCode, Problem
from .running import told

__all__ = ["app", "main"]

app = typer.Typer(
    name="sandloop",
    help="Coding agents that write and run code in sandboxes, on E2B or on this machine.",
    epilog=f"{HELP} Settings: sandloop.toml, .env and the environment; docs/configuration.md lists them.",
    no_args_is_help=True,
    add_completion=True,
    pretty_exceptions_enable=False,
    pretty_exceptions_show_locals=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)
app.command(epilog=execute.EXITS)(execute.execute)
app.command(epilog=run.EXITS)(run.run)
app.command(epilog=chat.EXITS)(chat.chat)
app.add_typer(threads.app, name="threads")
app.command(epilog=HELP)(languages.languages)
app.command(epilog=HELP)(doctor.doctor)
app.command(epilog=HELP)(serve.serve)
app.command(epilog=HELP)(token.token)
app.command(epilog=HELP)(mcp.mcp)


def _version(wanted: bool) -> None:
    if wanted:
        typer.echo(f"sandloop {version('sandloop')}")
        raise typer.Exit


@app.callback()
def options(
    show_version: Annotated[
        bool, typer.Option("--version", is_eager=True, callback=_version, help="Print the version.")
    ] = False,
    config: Annotated[
        str | None, typer.Option(metavar="FILE", help="The settings' file, instead of sandloop.toml here.")
    ] = None,
) -> None:
    """Take what holds for all commands."""
    if config is not None:
        os.environ["SANDLOOP_CONFIG"] = config


def main() -> None:
    """Run the command line and end the process."""
    try:
        app()
        code = 0
    except Problem as problem:
        code = told(problem)
    except SystemExit as end:
        code = end.code if isinstance(end.code, int) else 0
    try:
        sys.stdout.flush()
        sys.stderr.flush()
    except OSError:
        code = code or ExitCode.BROKEN_PIPE
    # The sandboxes' loop is a daemon thread with native code below it. An interpreter that takes itself apart meanwhile
    # aborts now and then, which would be the exit code.
    os._exit(code)
