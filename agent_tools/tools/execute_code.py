"""The tool that runs languages other than Python."""

from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field, create_model

from ..context import CallContext
from ..executor import DEFAULT_TIMEOUT_S, ToolExecutor
from ..policy import SandboxPolicy
from ..results import Result
from ..rules.languages import LANGUAGES, allows
from .sandbox_tool import ToolSpec


def _languages(policy: SandboxPolicy) -> list[str]:
    return [name for name in LANGUAGES if name != "python" and allows(policy, name)]


def _arguments(policy: SandboxPolicy) -> type[BaseModel]:
    # Python is left out: it has a tool of its own, and a choice between two misleads models.
    one_of: Any = Literal[tuple(_languages(policy))]
    timeout = Field(DEFAULT_TIMEOUT_S, ge=1, description="Seconds the call may take, compiling included.")
    return create_model(
        "Arguments",
        __config__=ConfigDict(extra="forbid"),
        __doc__="What the model gives.",
        code=(
            str,
            Field(description="The code to run: for compiled languages a whole program with its main function."),
        ),
        language=(one_of, Field(description="The language the code is in.")),
        timeout=(int, timeout),
    )


async def _run(executor: ToolExecutor, context: CallContext, arguments: BaseModel) -> Result:
    values = arguments.model_dump()
    return await executor.execute_code(values["code"], values["language"], context, timeout_s=values["timeout"])


SPEC = ToolSpec(
    name="execute_code",
    description=(
        "Run code of another language than Python in this conversation's sandbox. JavaScript, TypeScript, Bash and R "
        "keep variables between calls; programs of the other languages are compiled and run from scratch, in the same "
        "folder with the same files. Answers with 'success', 'output' and, on failure, 'error' and 'stderr'."
    ),
    arguments=_arguments,
    run=_run,
    offered=lambda policy: bool(_languages(policy)),
)
