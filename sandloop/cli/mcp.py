"""`sandloop mcp`: the tools as an MCP server over standard input and output."""

from __future__ import annotations

from .running import guarded


@guarded
def mcp() -> None:
    """Serve the sandbox tools to an MCP client (Claude Desktop, Cursor, VS Code) over stdin and stdout."""
    from ..mcp_server import serve_stdio
    from ..settings import load

    serve_stdio(load())
