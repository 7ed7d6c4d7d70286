"""The tool that installs packages."""

from typing import Literal

from pydantic import BaseModel, ConfigDict, Field

from ..context import CallContext
from ..executor import DEFAULT_TIMEOUT_S, ToolExecutor
from ..results import Result
from .sandbox_tool import ToolSpec


class Arguments(BaseModel):
    """What the model gives."""

    model_config = ConfigDict(extra="forbid")

    packages: list[str] = Field(min_length=1, description="Names, with a version if needed: ['polars', 'httpx>=0.27'].")
    language: Literal["python", "javascript"] = Field("python", description="Whose packages: PyPI's or npm's.")
    timeout: int = Field(DEFAULT_TIMEOUT_S, ge=1, description="Seconds the installation may take.")


async def _run(executor: ToolExecutor, context: CallContext, arguments: Arguments) -> Result:
    return await executor.install_packages(arguments.packages, arguments.language, context, timeout_s=arguments.timeout)


SPEC = ToolSpec(
    name="install_packages",
    description="Install packages into the sandbox, for Python (PyPI) or JavaScript (npm). They stay for later calls.",
    arguments=lambda _: Arguments,
    run=_run,
    offered=lambda policy: policy.enable_installs,
)
