"""From results to what an MCP client gets: text for the model, the same as structured content, and images."""

from __future__ import annotations

import json
from typing import Any

from mcp.types import CallToolResult, ContentBlock, ImageContent, TextContent

from agent_tools.context import CallContext
from agent_tools.executor import ToolExecutor
from agent_tools.results import ExecutionResult, FileResult, Result

from .e2b_shape import PICTURES, CodeRun, with_pictures

_LEFT_OUT = frozenset({"code"})
"""The model has just written it."""


async def answer(result: Result, executor: ToolExecutor, context: CallContext) -> CallToolResult:
    """Return a result for a client. That code failed is no error here: the model reads `success` and `error`."""
    # What comes out of a sandbox is not always Unicode, and the wire is.
    text = json.dumps(result.content(without=_LEFT_OUT), ensure_ascii=False).encode(errors="replace").decode()
    content: list[ContentBlock] = [TextContent(type="text", text=text)]
    if isinstance(result, CodeRun):
        return CallToolResult(content=content)
    content += await _images(result, executor, context)
    return CallToolResult(content=content, structured_content=json.loads(text))


async def _images(result: Result, executor: ToolExecutor, context: CallContext) -> list[ImageContent]:
    if isinstance(result, FileResult) and result.image is not None:
        return [ImageContent(type="image", data=result.image, mime_type=result.mime_type or "image/png")]
    if not isinstance(result, ExecutionResult):
        return []
    pictures: dict[str, ImageContent] = {}
    for artifact in await with_pictures(result.artifacts, executor, context):
        if artifact.kind in PICTURES and artifact.data is not None:
            # A result may be there both as PNG and as JPEG: one is enough.
            number = artifact.name.rpartition("-")[2]
            pictures.setdefault(number, ImageContent(type="image", data=artifact.data, mime_type=artifact.mime_type))
    return list(pictures.values())


def failed(message: str) -> CallToolResult:
    """Return a call that was not carried out, with what the model can do about it."""
    text = message.encode(errors="replace").decode()
    return CallToolResult(content=[TextContent(type="text", text=text)], is_error=True)


def output_schema(kind: type[Result]) -> dict[str, Any] | None:
    """Return the JSON schema of a result's content, in which empty fields are left out; None where it is only text."""
    if issubclass(kind, CodeRun):
        return None
    schema = kind.model_json_schema(mode="serialization")
    for name in _LEFT_OUT:
        schema["properties"].pop(name, None)
    schema["required"] = ["success"]
    schema["description"] = (kind.__doc__ or kind.__name__).partition("\n")[0]
    return schema
