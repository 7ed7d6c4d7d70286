"""What tests read of answers."""

from __future__ import annotations

import json
from typing import Any

from mcp.types import CallToolResult, TextContent


def text_of(result: CallToolResult) -> str:
    """The texts of an answer."""
    return "\n".join(block.text for block in result.content if isinstance(block, TextContent))


def values_of(result: CallToolResult) -> dict[str, Any]:
    """The values of an answer that is no error: structured, and the same as text."""
    assert not result.is_error, text_of(result)
    assert result.structured_content is not None
    assert json.loads(text_of(result)) == result.structured_content
    values: dict[str, Any] = result.structured_content
    return values
