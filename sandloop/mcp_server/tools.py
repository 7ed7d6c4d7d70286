"""The tools of the server: those of `agent_tools` under their names, and four that MCP clients expect."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final, Literal

from pydantic import BaseModel, ConfigDict, Field, create_model

from agent_tools.context import CallContext
from agent_tools.executor import DEFAULT_TIMEOUT_S, ToolExecutor
from agent_tools.policy import SandboxPolicy
from agent_tools.results import (
    CommandResult,
    ExecutionResult,
    FileResult,
    FolderResult,
    InstallResult,
    Result,
    SandboxInfoResult,
)
from agent_tools.rules.languages import LANGUAGES, allows
from agent_tools.tools import TOOLS
from agent_tools.tools.sandbox_tool import ToolSpec

from .e2b_shape import CodeRun, as_code_run

READ_ONLY: Final = frozenset({"get_environment", "get_sandbox_info", "list_files", "read_file"})


class Environment(Result):
    """The Python environment of the session's sandbox; packages as `name==version`."""

    python_version: str = ""
    platform: str = ""
    packages: tuple[str, ...] = ()
    languages: tuple[str, ...] = ()
    sandbox_id: str = ""


class _Arguments(BaseModel):
    model_config = ConfigDict(extra="forbid")


class _Code(_Arguments):
    code: str = Field(description="The code to run.")


class _TimedCode(_Code):
    timeout: int = Field(DEFAULT_TIMEOUT_S, ge=1, description="Seconds the call may take.")


class _Package(_Arguments):
    package: str = Field(description="Its name on PyPI, with a version if needed: 'httpx>=0.27'.")


def _languages(policy: SandboxPolicy) -> list[str]:
    return [name for name in LANGUAGES if allows(policy, name)]


def _code_in_a_language(policy: SandboxPolicy) -> type[BaseModel]:
    known = _languages(policy)
    one_of: Any = Literal[tuple(known)]
    default = "python" if "python" in known else ...
    language = (one_of, Field(default, description="The language the code is in."))
    return create_model("Arguments", __base__=_TimedCode, language=language)


async def _execute_code(executor: ToolExecutor, context: CallContext, arguments: BaseModel) -> Result:
    values = arguments.model_dump()
    return await executor.execute_code(values["code"], values["language"], context, timeout_s=values["timeout"])


async def _run_code(executor: ToolExecutor, context: CallContext, arguments: _Code) -> Result:
    result = await executor.execute_code(arguments.code, "python", context)
    return await as_code_run(result, executor, context)


async def _install_package(executor: ToolExecutor, context: CallContext, arguments: _Package) -> Result:
    return await executor.install_packages([arguments.package], "python", context)


async def _get_environment(executor: ToolExecutor, context: CallContext, _: _Arguments) -> Result:
    await executor.languages(context)  # Makes the sandbox where there is none yet.
    found = (await executor.sandbox_info(context)).sandbox
    if found is None:
        note = "each call has a sandbox of its own here, which is gone by now"
        return Environment(success=True, notes=(note,))
    return Environment(
        success=True,
        python_version=found.python,
        platform=found.platform,
        packages=tuple(f"{package.name}=={package.version}" for package in found.packages),
        languages=found.languages,
        sandbox_id=found.sandbox_id,
    )


_OWN: Final = (
    ToolSpec(
        name="execute_code",
        description=(
            "Run code in this session's sandbox: Python, unless another language is named. Python, JavaScript, "
            "TypeScript, Bash and R keep variables between calls; programs of the other languages run from scratch, "
            "with the same files. The value of the last expression is shown, and charts come as images. Answers with "
            "'success', 'output' and, on failure, 'error'."
        ),
        arguments=_code_in_a_language,
        run=_execute_code,
        offered=lambda policy: bool(_languages(policy)),
    ),
    ToolSpec(
        name="install_package",
        description="Install a Python package from PyPI into this session's sandbox. It stays for later calls.",
        arguments=lambda _: _Package,
        run=_install_package,
        offered=lambda policy: policy.enable_installs,
    ),
    ToolSpec(
        name="get_environment",
        description="Describe where code runs: Python version, installed packages, platform, languages.",
        arguments=lambda _: _Arguments,
        run=_get_environment,
    ),
    ToolSpec(
        name="run_code",
        description="Run Python code in this session's sandbox, with Jupyter Notebook syntax. Answers with JSON: "
        "'results' and 'logs'. Prefer execute_code, which shows images.",
        arguments=lambda _: _Code,
        run=_run_code,
        offered=lambda policy: allows(policy, "python"),
    ),
)

RESULTS: Final[Mapping[str, type[Result]]] = {
    "execute_code": ExecutionResult,
    "execute_python_code": ExecutionResult,
    "run_command": CommandResult,
    "install_package": InstallResult,
    "install_packages": InstallResult,
    "list_files": FolderResult,
    "get_sandbox_info": SandboxInfoResult,
    "get_environment": Environment,
    "run_code": CodeRun,
}
"""What a tool answers with; for all others it is a `FileResult`."""


def result_of(name: str) -> type[Result]:
    """Return the type of a tool's results."""
    return RESULTS.get(name, FileResult)


def offered(policy: SandboxPolicy) -> dict[str, ToolSpec]:
    """Return the tools by name that a policy lets a client have; our `execute_code` knows Python as well."""
    every = {spec.name: spec for spec in _OWN}
    every |= {name: spec for name, spec in TOOLS.items() if name not in every}
    return {name: spec for name, spec in every.items() if spec.offered(policy)}
