"""The tool that deletes a file or a folder."""

from pydantic import BaseModel, ConfigDict, Field

from ..context import CallContext
from ..executor import ToolExecutor
from ..results import Result
from .sandbox_tool import ToolSpec


class Arguments(BaseModel):
    """What the model gives."""

    model_config = ConfigDict(extra="forbid")

    path: str = Field(description="The file or folder, absolute or relative to /home/user.")


async def _run(executor: ToolExecutor, context: CallContext, arguments: Arguments) -> Result:
    return await executor.delete_file(arguments.path, context)


SPEC = ToolSpec(
    name="delete_file",
    description="Delete a file of the sandbox, or a folder with all that is in it.",
    arguments=lambda _: Arguments,
    run=_run,
    offered=lambda policy: policy.enable_file_system,
)
