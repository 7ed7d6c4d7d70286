"""Files that a request brings, on their way into the sandbox."""

from __future__ import annotations

import base64
import binascii
from collections.abc import Mapping, Sequence

from agent_tools.context import CallContext
from agent_tools.executor import ToolExecutor
from agent_tools.languages.program import HOME

from .errors import FileInvalid
from .requests import InputFile
from .toolset import Plan


def readable_files(files: Sequence[InputFile], plan: Plan) -> dict[str, bytes]:
    """Return the files' contents by name.

    Raises:
        FileInvalid: a name is no plain file name or there twice, a content is no base64 or too long, or the agent has
            no sandbox.
    """
    found: dict[str, bytes] = {}
    for file in files:
        if not plan.agent_type.has_tools:
            raise FileInvalid(f'The agent type "{plan.agent_type.name}" has no sandbox to put files in.')
        name = file.name
        if name in (".", "..") or not name.isprintable() or set(name) & {"/", "\\"}:
            raise FileInvalid(f"{name!r} is not a plain file name: leave folders and control characters out.")
        if name in found:
            raise FileInvalid(f"There are two files called {name!r}.")
        try:
            found[name] = base64.b64decode(file.content, validate=True)
        except (binascii.Error, ValueError):
            raise FileInvalid(f"The content of {name!r} is not base64.") from None
        if len(found[name]) > plan.policy.max_file_bytes:
            raise FileInvalid(f"{name!r} is larger than the policy's maxFileBytes, {plan.policy.max_file_bytes}.")
    return found


async def put_files(files: Mapping[str, bytes], executor: ToolExecutor, context: CallContext) -> str:
    """Write the files into the sandbox's home, and return what the model is told about them.

    Raises:
        CallRefused: the policy does not let one in.
        SandboxUnavailable: there is no sandbox.
    """
    paths = []
    for name, content in files.items():
        paths.append(f"{HOME}/{name}")
        await executor.write_file(paths[-1], content, context)
    return f"\n\n(The user's files are in the sandbox: {', '.join(paths)})" if paths else ""
