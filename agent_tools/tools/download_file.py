"""The tool that copies a file from the sandbox to the host."""

from pydantic import BaseModel, ConfigDict, Field

from ..context import CallContext
from ..executor import ToolExecutor
from ..results import Result
from .sandbox_tool import ToolSpec


class Arguments(BaseModel):
    """What the model gives."""

    model_config = ConfigDict(extra="forbid")

    path: str = Field(description="The file in the sandbox.")
    host_path: str = Field(description="Where to put it on the user's machine, in a shared folder; a new name.")


async def _run(executor: ToolExecutor, context: CallContext, arguments: Arguments) -> Result:
    return await executor.download_file(arguments.path, arguments.host_path, context)


SPEC = ToolSpec(
    name="download_file",
    description="Copy a file of the sandbox to the user's machine. A file that is there already is not overwritten.",
    arguments=lambda _: Arguments,
    run=_run,
    offered=lambda policy: policy.enable_file_system and bool(policy.host_directories),
)
