"""The tool that runs a shell command."""

from pydantic import BaseModel, ConfigDict, Field

from ..context import CallContext
from ..executor import DEFAULT_TIMEOUT_S, ToolExecutor
from ..results import Result
from ..rules.languages import allows
from .sandbox_tool import ToolSpec


class Arguments(BaseModel):
    """What the model gives."""

    model_config = ConfigDict(extra="forbid")

    command: str = Field(description="The command, as bash reads it.")
    timeout: int = Field(DEFAULT_TIMEOUT_S, ge=1, description="Seconds after which it is killed.")
    background: bool = Field(
        False, description="Leave it running, e.g. a web server; its output goes to the file named in the answer."
    )


async def _run(executor: ToolExecutor, context: CallContext, arguments: Arguments) -> Result:
    return await executor.run_command(
        arguments.command, context, timeout_s=arguments.timeout, background=arguments.background
    )


SPEC = ToolSpec(
    name="run_command",
    description=(
        "Run a shell command in this conversation's sandbox, in /home/user. Each command is a shell of its own; files "
        "stay. Answers with 'exit_code', 'stdout' and 'stderr'. To install packages use install_packages."
    ),
    arguments=lambda _: Arguments,
    run=_run,
    offered=lambda policy: allows(policy, "bash"),
)
