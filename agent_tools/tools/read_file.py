"""The tool that reads a file."""

from pydantic import BaseModel, ConfigDict, Field

from ..context import CallContext
from ..executor import ToolExecutor
from ..results import Result
from .sandbox_tool import ToolSpec


class Arguments(BaseModel):
    """What the model gives."""

    model_config = ConfigDict(extra="forbid")

    path: str = Field(description="The file, absolute or relative to /home/user.")
    start_line: int | None = Field(None, ge=1, description="The first line to read, counted from 1.")
    end_line: int | None = Field(None, ge=1, description="The last line to read.")


async def _run(executor: ToolExecutor, context: CallContext, arguments: Arguments) -> Result:
    return await executor.read_file(
        arguments.path, context, start_line=arguments.start_line, end_line=arguments.end_line
    )


SPEC = ToolSpec(
    name="read_file",
    description="Read a text file of the sandbox, whole or some of its lines, or look at an image file.",
    arguments=lambda _: Arguments,
    run=_run,
    offered=lambda policy: policy.enable_file_system,
)
