"""uvicorn's HTTP protocol with the bounds it lacks, refusing in our own words."""

from __future__ import annotations

import json
from http import HTTPStatus

from sandbox_server.gateway.server_protocol import BoundedProtocol

from .problems import MEDIA_TYPE, ProblemBody


class Protocol(BoundedProtocol):
    """One client connection: heads and bodies that are ambiguous, too large or too slow end it."""

    def error_body(self, status: int, message: str) -> tuple[str, bytes]:
        """Return the refusal of a head as a problem."""
        body = ProblemBody(title=HTTPStatus(status).phrase, status=status, code="http", detail=message)
        return MEDIA_TYPE, json.dumps(body.model_dump()).encode()
