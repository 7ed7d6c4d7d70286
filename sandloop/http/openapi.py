"""What FastAPI's description of the API lacks: the bodies of problems, and the events of streams."""

from __future__ import annotations

from typing import Any, Literal

from fastapi import FastAPI
from pydantic import BaseModel, RootModel
from pydantic.json_schema import models_json_schema

from agent_tools.results import Artifact, CommandResult, InstallResult
from graphs.requests import AgentEvent

from .code_models import Execution
from .problems import ProblemBody

_PLACE = "#/components/schemas/{model}"


class LiveText(BaseModel):
    """The data of `stdout`, `stderr` and `status`."""

    text: str


class CodeEvents(BaseModel):
    """The events of a call under /code: the names, and the data of each."""

    stdout: LiveText
    stderr: LiveText
    status: LiveText
    artifact: Artifact
    end: Execution | CommandResult | InstallResult
    problem: ProblemBody


class AgentEvents(RootModel[AgentEvent]):
    """The data of one event of a run; its name is the data's `type`. `problem` is the other event there is."""


_MODELS: tuple[tuple[type[BaseModel], Literal["serialization"]], ...] = (
    (ProblemBody, "serialization"),
    (CodeEvents, "serialization"),
    (AgentEvents, "serialization"),
)


def describe(app: FastAPI) -> None:
    """Make the application's description whole."""

    def openapi() -> dict[str, Any]:
        if app.openapi_schema is None:
            schema = FastAPI.openapi(app)
            _, more = models_json_schema(_MODELS, ref_template=_PLACE)
            schemas = schema.setdefault("components", {}).setdefault("schemas", {})
            app.openapi_schema = {**schema, "components": {**schema["components"], "schemas": more["$defs"] | schemas}}
        return app.openapi_schema

    app.openapi = openapi  # type: ignore[method-assign]
