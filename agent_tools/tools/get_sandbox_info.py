"""The tool that describes a sandbox."""

from pydantic import BaseModel, ConfigDict, Field

from ..context import CallContext
from ..executor import ToolExecutor
from ..results import Result
from .sandbox_tool import ToolSpec


class Arguments(BaseModel):
    """What the model gives."""

    model_config = ConfigDict(extra="forbid")

    sandbox_id: str | None = Field(None, description="Which sandbox; leave it out for this conversation's own.")


async def _run(executor: ToolExecutor, context: CallContext, arguments: Arguments) -> Result:
    return await executor.sandbox_info(context, arguments.sandbox_id)


SPEC = ToolSpec(
    name="get_sandbox_info",
    description=(
        "Describe the sandbox: state, time left, CPU, memory and disk with their limits, languages, installed Python "
        "packages with versions. Changes nothing, and makes no sandbox where there is none yet."
    ),
    arguments=lambda _: Arguments,
    run=_run,
)
