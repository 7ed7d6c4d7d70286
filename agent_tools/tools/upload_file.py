"""The tool that copies a file from the host into the sandbox."""

from pydantic import BaseModel, ConfigDict, Field

from ..context import CallContext
from ..executor import ToolExecutor
from ..results import Result
from .sandbox_tool import ToolSpec


class Arguments(BaseModel):
    """What the model gives."""

    model_config = ConfigDict(extra="forbid")

    host_path: str = Field(description="The file on the user's machine, in one of the folders that are shared.")
    path: str = Field(description="Where to put it in the sandbox.")


async def _run(executor: ToolExecutor, context: CallContext, arguments: Arguments) -> Result:
    return await executor.upload_file(arguments.host_path, arguments.path, context)


SPEC = ToolSpec(
    name="upload_file",
    description="Copy a file from the user's machine into the sandbox.",
    arguments=lambda _: Arguments,
    run=_run,
    offered=lambda policy: policy.enable_file_system and bool(policy.host_directories),
)
