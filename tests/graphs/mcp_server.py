"""A real MCP server process: `python -m tests.graphs.mcp_server [PORT]`, over stdio or HTTP."""

from __future__ import annotations

import os
import sys
from typing import Any

from mcp.server import MCPServer
from mcp.server.mcpserver import Image
from mcp.server.mcpserver.exceptions import ToolError

PIXEL = bytes.fromhex(
    "89504e470d0a1a0a0000000d49484452000000010000000108060000001f15c4890000000d49444154789c6360606060000000050001a5f645"
    "400000000049454e44ae426082"
)

server = MCPServer("weather")


@server.tool()
def forecast(city: str, config: str = "short") -> str:
    """The weather of a city."""
    return f"{config}: rain in {city}"


@server.tool()
def refuse() -> str:
    """Always fails."""
    raise ToolError("there is no weather today")


@server.tool(structured_output=False)
def picture() -> list[Any]:
    """A picture of the weather."""
    return ["a pixel", Image(data=PIXEL, format="png")]


@server.tool()
def flood() -> str:
    """Too much weather."""
    return "rain " * 100_000


@server.tool()
def crash() -> str:
    """End the server."""
    os._exit(1)


if __name__ == "__main__":
    if len(sys.argv) > 1:
        server.run("streamable-http", host="127.0.0.1", port=int(sys.argv[1]))
    else:
        server.run("stdio")
