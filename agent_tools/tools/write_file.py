"""The tool that writes a file."""

from pydantic import BaseModel, ConfigDict, Field

from ..context import CallContext
from ..executor import ToolExecutor
from ..results import Result
from .sandbox_tool import ToolSpec


class Arguments(BaseModel):
    """What the model gives."""

    model_config = ConfigDict(extra="forbid")

    path: str = Field(description="The file, absolute or relative to /home/user. Missing folders are made.")
    content: str = Field(description="All of its new content.")


async def _run(executor: ToolExecutor, context: CallContext, arguments: Arguments) -> Result:
    return await executor.write_file(arguments.path, arguments.content, context)


SPEC = ToolSpec(
    name="write_file",
    description="Write a text file in the sandbox; what was there is replaced. To change a part use edit_file.",
    arguments=lambda _: Arguments,
    run=_run,
    offered=lambda policy: policy.enable_file_system,
)
