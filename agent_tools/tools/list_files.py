"""The tool that lists a folder."""

from pydantic import BaseModel, ConfigDict, Field

from ..context import CallContext
from ..executor import ToolExecutor
from ..results import Result
from .sandbox_tool import ToolSpec


class Arguments(BaseModel):
    """What the model gives."""

    model_config = ConfigDict(extra="forbid")

    path: str = Field(".", description="The folder, absolute or relative to /home/user.")
    depth: int = Field(1, ge=1, le=10, description="How many levels of folders to go down.")


async def _run(executor: ToolExecutor, context: CallContext, arguments: Arguments) -> Result:
    return await executor.list_files(arguments.path, context, depth=arguments.depth)


SPEC = ToolSpec(
    name="list_files",
    description="List a folder of the sandbox: names, sizes and times.",
    arguments=lambda _: Arguments,
    run=_run,
    offered=lambda policy: policy.enable_file_system,
)
