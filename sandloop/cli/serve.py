"""`sandloop serve`: the HTTP API, the MCP server and the page."""

from __future__ import annotations

from typing import Annotated

import typer

from .running import guarded


@guarded
def serve(
    host: Annotated[str | None, typer.Option(help="The address to listen at, instead of the configured one.")] = None,
    port: Annotated[int | None, typer.Option(min=0, max=65535, help="The port; 0: any free one.")] = None,
    workers: Annotated[
        int | None, typer.Option(min=1, max=64, help="Processes; more than one need a PostgreSQL database.")
    ] = None,
    no_auth: Annotated[bool, typer.Option("--no-auth", help="Let every program of this machine in.")] = False,
) -> None:
    """Serve the HTTP API, and MCP at /mcp, until Ctrl-C or SIGTERM."""
    from ..http.serving import serve as serve_http
    from ..mcp_server.over_http import MOUNT
    from ..settings import load

    given = {"host": host, "port": port, "workers": workers}
    overrides = {name: value for name, value in given.items() if value is not None}
    serve_http(load(overrides={"server": overrides} if overrides else None), auth=not no_auth, mounts=[MOUNT])
