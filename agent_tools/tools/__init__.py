"""The tools that a model may call: one file each, and a line here."""

from __future__ import annotations

import uuid
from collections.abc import Sequence

from langchain_core.tools import BaseTool

from ..errors import InvalidCall
from ..executor import ToolExecutor
from ..policy import SandboxPolicy
from ..sandboxes import Sandboxes
from . import (
    delete_file,
    download_file,
    edit_file,
    execute_code,
    execute_python_code,
    get_sandbox_info,
    install_packages,
    list_files,
    read_file,
    run_command,
    upload_file,
    write_file,
)
from .sandbox_tool import ToolSpec, make_tool

TOOLS: dict[str, ToolSpec] = {
    module.SPEC.name: module.SPEC
    for module in (
        execute_python_code,
        get_sandbox_info,
        execute_code,
        run_command,
        read_file,
        write_file,
        edit_file,
        list_files,
        install_packages,
        delete_file,
        upload_file,
        download_file,
    )
}

DEFAULT_TOOLS: tuple[str, ...] = tuple(TOOLS)[:9]
"""Many overlapping tools mislead models: the last three are given by name only."""


def coding_tools(
    sandboxes: Sandboxes | ToolExecutor | None = None,
    policy: SandboxPolicy | None = None,
    names: Sequence[str] | None = None,
) -> list[BaseTool]:
    """Return the tools of a coding agent. With no arguments it just works.

    In a graph, each thread (`configurable.thread_id`) has its sandbox. Calls without a thread share one, that of this
    list.

    Args:
        sandboxes: where sandboxes come from; by default E2B when E2B_API_KEY is set, else the embedded server.
        policy: the rules; a tool that they rule out is not in the list.
        names: which tools; by default `DEFAULT_TOOLS`.

    Raises:
        InvalidCall: a name is no tool's.
    """
    policy = policy or SandboxPolicy()
    if unknown := sorted(set(names or ()) - TOOLS.keys()):
        raise InvalidCall(f"there is no tool {unknown[0]!r}; there are {', '.join(TOOLS)}", rule="tool.unknown")
    executor = sandboxes if isinstance(sandboxes, ToolExecutor) else ToolExecutor(sandboxes)
    session = f"tools-{uuid.uuid4().hex[:12]}"
    return [
        make_tool(TOOLS[name], executor, policy, session)
        for name in (DEFAULT_TOOLS if names is None else names)
        if TOOLS[name].offered(policy)
    ]
