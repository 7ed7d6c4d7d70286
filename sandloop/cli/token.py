"""`sandloop token`: a token for the HTTP API."""

from __future__ import annotations

from typing import Annotated

import typer

from .running import guarded


@guarded
def token(
    expires: Annotated[str, typer.Option(metavar="TIME", help="How long it is good: 30m, 12h.")] = "1h",
    subject: Annotated[
        str | None, typer.Option(metavar="NAME", help="Whose threads and sandboxes it opens; by default yours.")
    ] = None,
) -> None:
    """Print a token for `Authorization: Bearer …`."""
    from ..http import tokens
    from ..settings import environment, load
    from .sources import seconds

    lifetime_s = round(seconds(expires))
    made = tokens.make(
        load().auth, subject=subject or tokens.DEFAULT_SUBJECT, lifetime_s=lifetime_s, environ=environment()
    )
    typer.echo(made)
