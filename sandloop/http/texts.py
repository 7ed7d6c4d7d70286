"""JSON of what may hold any text: what comes out of a sandbox is not always Unicode."""

from __future__ import annotations

import json

from pydantic import BaseModel
from pydantic_core import PydanticSerializationError


def as_json(model: BaseModel) -> str:
    """Return the model as JSON; a lone surrogate travels as its escape."""
    try:
        return model.model_dump_json(by_alias=True)
    except PydanticSerializationError:
        return json.dumps(model.model_dump(by_alias=True))
