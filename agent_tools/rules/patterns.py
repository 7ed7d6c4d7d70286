"""What code can be searched for, and the patterns that every policy starts with.

A pattern is a hint to the model and a signal in the audit log, never a wall: code can always be written so that no
pattern sees it. The wall is the sandbox.
"""

from __future__ import annotations

from typing import Annotated, Final

from pydantic import BaseModel, ConfigDict, Field, field_validator, model_validator
from pydantic.alias_generators import to_camel

from .languages import LANGUAGES, canonical_language
from .search import check_expression
from .verdicts import Action

DottedName = Annotated[str, Field(pattern=r"^[^\W\d]\w*(\.[^\W\d]\w*)*(\.\*)?$", max_length=200)]


class CodePattern(BaseModel):
    """Something that code may do, how to see it, and what to do then.

    It matches when one of `calls`, `imports` or `regex` does.
    """

    model_config = ConfigDict(frozen=True, extra="forbid", alias_generator=to_camel, populate_by_name=True)

    name: str = Field(
        pattern=r"^[a-z0-9]+(-[a-z0-9]+)*$",
        max_length=60,
        description="What refusals and the audit log call it: lower case letters, digits and hyphens.",
    )
    calls: tuple[DottedName, ...] = Field(
        default=(),
        description="Python: dotted names of functions, such as 'os.system'; 'subprocess.*' is all of a module.",
    )
    imports: tuple[DottedName, ...] = Field(
        default=(), description="Python: modules, such as 'ctypes', with all that is below them."
    )
    regex: str = Field(
        default="", max_length=500, description="A regular expression, searched for in the text of the code."
    )
    languages: tuple[str, ...] = Field(
        default=(), description="The languages in whose code 'regex' is searched for. Empty: all, and shell commands."
    )
    action: Action = Field(
        default="warn",
        description="'off': nothing. 'warn': the code runs, and the result says so. 'block': the code does not run. "
        "'ask': a person decides.",
    )
    message: str = Field(default="", max_length=500, description="What the model is told. Empty: a general sentence.")

    @field_validator("regex")
    @classmethod
    def _compiles(cls, text: str) -> str:
        check_expression(text)
        return text

    @field_validator("languages")
    @classmethod
    def _known_languages(cls, names: tuple[str, ...]) -> tuple[str, ...]:
        return known_languages(names)

    @model_validator(mode="after")
    def _looks_for_something(self) -> CodePattern:
        if not (self.calls or self.imports or self.regex):
            raise ValueError(f"The pattern {self.name!r} looks for nothing: give calls, imports or regex.")
        return self


def known_languages(names: tuple[str, ...]) -> tuple[str, ...]:
    """Canonical names, each once.

    Raises:
        ValueError: a name is no language's.
    """
    canonical: dict[str, None] = {}
    for name in names:
        language = canonical_language(name)
        if language is None:
            raise ValueError(f"{name!r} is not a language here. Use: {', '.join(LANGUAGES)}.")
        canonical[language] = None
    return tuple(canonical)


_SEPARATOR = r"""["'\s,]+"""

INSTALL_COMMAND: Final = CodePattern(
    name="install-command",
    regex=rf"\b(?:pip[\d.]*{_SEPARATOR}(?:install|download|wheel)|uv{_SEPARATOR}(?:add|sync|tool|run)"
    rf"|(?:npm|pnpm|yarn|bun){_SEPARATOR}(?:install|i|ci|add|exec)|npx{_SEPARATOR})\b",
    action="block",
    message="Installs are made by the tool install_packages here, which checks them against the policy's lists.",
)
"""Applied where a policy restricts packages: its lists say nothing about what a command installs."""

DEFAULT_PATTERNS: Final = (
    CodePattern(
        name="fork-bomb",
        regex=r":\s*\(\s*\)\s*\{\s*:\s*\|\s*:\s*&\s*\}\s*;\s*:",
        action="block",
        message="A fork bomb only fills the sandbox with processes until nothing runs.",
    ),
    CodePattern(
        name="delete-everything",
        regex=r"\brm\s+(?:-[\w-]+\s+)*+(?:/|/\*|~|~/|\$HOME|/home/user)/?\*?(?=[\s;&|\"')]|$)",
        message="This deletes all files of the sandbox, installed packages too. Delete only what you made.",
    ),
    CodePattern(
        name="end-own-process",
        calls=("os._exit", "os.abort", "os.killpg"),
        message="This can end the Python process that runs the code: its variables would be lost.",
    ),
    CodePattern(
        name="host-secrets",
        regex=r"/proc/(?:1|self)/(?:environ|mem|root)\b|/etc/shadow\b|\b169\.254\.169\.254\b",
        message="There are no secrets in the sandbox, and looking for them is noted.",
    ),
    CodePattern(
        name="crypto-mining",
        regex=r"(?i)stratum\+(?:tcp|ssl)://|\bxmrig\b|\bminerd\b",
        action="block",
        message="Mining is not what the sandbox is for.",
    ),
    CodePattern(
        name="shell-from-python",
        calls=(
            "os.system",
            "os.popen",
            "os.posix_spawn",
            "os.spawnv",
            "os.spawnl",
            "os.execv",
            "os.execl",
            "pty.spawn",
            "subprocess.*",
            "asyncio.create_subprocess_shell",
            "asyncio.create_subprocess_exec",
            "get_ipython.system",
            "get_ipython.getoutput",
            "get_ipython.run_cell_magic",
        ),
        action="off",
        message="Commands are run by the tool run_command here.",
    ),
    CodePattern(
        name="dynamic-code",
        calls=("eval", "exec", "compile", "__import__", "importlib.import_module"),
        action="off",
        message="Write the code out instead of building it from text.",
    ),
    CodePattern(
        name="native-code",
        imports=("ctypes", "cffi", "_ctypes"),
        action="off",
        message="Calling native code from Python is not wanted here.",
    ),
)
"""What a coding agent does every day is off, to be switched on where it must not."""
