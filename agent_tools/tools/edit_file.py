"""The tool that changes a part of a file."""

from pydantic import BaseModel, ConfigDict, Field

from ..context import CallContext
from ..executor import ToolExecutor
from ..results import Result
from .sandbox_tool import ToolSpec


class Arguments(BaseModel):
    """What the model gives."""

    model_config = ConfigDict(extra="forbid")

    path: str = Field(description="The file, absolute or relative to /home/user.")
    old_string: str = Field(description="The text to replace, exactly as it is in the file, spaces included.")
    new_string: str = Field(description="What to put there.")
    replace_all: bool = Field(False, description="Replace it everywhere; else it must be there exactly once.")


async def _run(executor: ToolExecutor, context: CallContext, arguments: Arguments) -> Result:
    return await executor.edit_file(
        arguments.path, arguments.old_string, arguments.new_string, context, replace_all=arguments.replace_all
    )


SPEC = ToolSpec(
    name="edit_file",
    description="Replace an exact piece of text in a file of the sandbox.",
    arguments=lambda _: Arguments,
    run=_run,
    offered=lambda policy: policy.enable_file_system,
)
