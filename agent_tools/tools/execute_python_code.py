"""The tool that runs Python."""

from pydantic import BaseModel, ConfigDict, Field

from ..context import CallContext
from ..executor import DEFAULT_TIMEOUT_S, ToolExecutor
from ..results import Result
from ..rules.languages import allows
from .sandbox_tool import ToolSpec


class Arguments(BaseModel):
    """What the model gives."""

    model_config = ConfigDict(extra="forbid")

    code: str = Field(description="The Python code to run. It may use top-level await.")
    timeout: int = Field(DEFAULT_TIMEOUT_S, ge=1, description="Seconds the call may take, installs included.")
    install_packages: list[str] | None = Field(
        None, description="Python packages to install first, e.g. ['polars', 'httpx>=0.27']."
    )


async def _run(executor: ToolExecutor, context: CallContext, arguments: Arguments) -> Result:
    return await executor.execute_code(
        arguments.code,
        "python",
        context,
        timeout_s=arguments.timeout,
        install_packages=arguments.install_packages or (),
    )


SPEC = ToolSpec(
    name="execute_python_code",
    description=(
        "Run Python code in this conversation's sandbox, as a notebook cell: variables, imports and files live on "
        "between calls, and the value of the last expression is shown. Print what you want to see. numpy, pandas, "
        "scipy, matplotlib, seaborn, scikit-learn, sympy, pillow, requests and plotly are installed. Charts are shown "
        "to the user when you call plt.show(). Answers with 'success', 'output' and, on failure, 'error' and "
        "'traceback'."
    ),
    arguments=lambda _: Arguments,
    run=_run,
    offered=lambda policy: allows(policy, "python"),
)
