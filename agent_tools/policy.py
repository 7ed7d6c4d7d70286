"""What a coding agent may do: one frozen model, the fields of the form that a builder shows.

The policy is a second line. The wall is the sandbox. What checks a call against it is in `rules`.
"""

from __future__ import annotations

import posixpath
import re
from collections.abc import Iterable
from typing import Annotated, Literal, Self

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, field_validator, model_validator
from pydantic.alias_generators import to_camel

from .rules.languages import LANGUAGES
from .rules.patterns import DEFAULT_PATTERNS, CodePattern, known_languages
from .rules.requirements import NPM_PREFIX, Ecosystem, Package, read_entry
from .rules.typosquats import TYPOSQUATS
from .rules.verdicts import Action

__all__ = ["Approval", "CodePattern", "NetworkLevel", "SandboxPolicy"]

NetworkLevel = Literal["off", "registries", "on"]
"""What a sandbox reaches: nothing, the package registries, or the internet."""

Approval = Literal["allow", "ask", "deny"]

MAX_ENTRIES = 1000
"""Items of a list of names."""
MAX_SECONDS = 86_400
"""A day, which is as long as E2B keeps a sandbox."""


_UNPLAIN = re.compile(r"[\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f\ud800-\udfff]")


def _plain(text: str) -> str:
    """Refuse what databases and terminals cannot hold, and let through line breaks and tabs."""
    if _UNPLAIN.search(text):
        raise ValueError("Remove the control characters and lone surrogates.")
    return text


Text = Annotated[str, AfterValidator(_plain)]
Whole = Annotated[int, Field(strict=True)]
Switch = Annotated[bool, Field(strict=True)]


class SandboxPolicy(BaseModel):
    """The rules of a sandbox and of each call in it; camelCase on the wire, either spelling in Python.

    Items of the package lists are names of Python packages, and of npm packages after `npm:`; all but
    `default_packages` are without versions.
    """

    model_config = ConfigDict(
        frozen=True,
        extra="forbid",
        alias_generator=to_camel,
        populate_by_name=True,
        title="Sandbox policy",
        field_title_generator=lambda name, _: name.replace("_", " ").capitalize(),
    )

    name: Text = Field(default="default", min_length=1, max_length=100, description="What refusals call this policy.")
    description: Text = Field(default="", max_length=2000, description="For the people who choose among policies.")
    system_prompt: Text = Field(
        default="",
        max_length=50_000,
        description="What the model is told about its task. Empty: the prompt of the agent type.",
    )
    timeout: Whole = Field(
        default=1800, ge=10, le=MAX_SECONDS, description="Seconds the sandbox lives after its last call."
    )
    max_execution_time: Whole = Field(
        default=300,
        ge=1,
        le=MAX_SECONDS,
        description="Seconds that one call may take, installs included. Longer timeouts are cut to this.",
    )

    enable_file_system: Switch = Field(
        default=True, description="Whether there are tools for files. Code can use files of the sandbox either way."
    )
    enable_network: Switch = Field(
        default=False,
        description="Whether code reaches the internet. If not, it reaches the package registries where installs are "
        "enabled, and nothing else.",
    )
    network_approval: Literal["allow", "ask"] = Field(
        default="allow", description="Whether a person is asked before code runs in a sandbox with internet access."
    )
    enable_gpu: Switch = Field(
        default=False,
        validation_alias="enableGPU",
        serialization_alias="enableGPU",
        title="Enable GPU",
        description="No sandbox has a GPU: only false is valid.",
    )

    enable_installs: Switch = Field(default=True, description="Whether packages can be installed at all.")
    default_packages: tuple[str, ...] = Field(
        default=(), max_length=50, description="Installed once in each new sandbox; versions are possible."
    )
    allowed_packages: tuple[str, ...] = Field(
        default=(), max_length=MAX_ENTRIES, description="Packages that may be installed. Empty: all."
    )
    denied_packages: tuple[str, ...] = Field(
        default=(), max_length=MAX_ENTRIES, description="Packages that may never be installed."
    )
    package_approval: Approval | None = Field(
        default=None,
        description="What happens to a package that is on neither list: 'allow', 'ask' a person, or 'deny'. "
        "Unset: 'deny' when there are allowed packages, else 'allow'.",
    )
    suspicious_package_names: tuple[str, ...] = Field(
        default=tuple(sorted(TYPOSQUATS)),
        max_length=MAX_ENTRIES,
        description="Names that are mistaken, or made to be mistaken, for those of well-known packages.",
    )
    suspicious_package_action: Action = Field(
        default="block", description="What happens when such a name is asked for: 'off', 'warn', 'block' or 'ask'."
    )

    allowed_languages: tuple[str, ...] = Field(
        default=(),
        description=f"Languages that may be run. Empty: all. There are {', '.join(LANGUAGES)}.",
    )
    code_checks: Literal["off", "warn", "block"] = Field(
        default="block",
        description="How far the dangerous code patterns may go: 'block' lets each act as it says, 'warn' turns "
        "blocks and questions into warnings, 'off' searches for nothing.",
    )
    dangerous_code_patterns: tuple[CodePattern, ...] = Field(
        default=DEFAULT_PATTERNS,
        max_length=100,
        description="What is searched for in code before it runs. A hint to the model, not a wall.",
    )

    suspicious_file_endings: tuple[str, ...] = Field(
        default=(".bat", ".cmd", ".com", ".dll", ".exe", ".lnk", ".msi", ".ps1", ".scr", ".vbs"),
        max_length=MAX_ENTRIES,
        description="Endings of files that do harm when somebody opens them on a desktop.",
    )
    suspicious_file_action: Action = Field(
        default="warn", description="What happens when such a file is written: 'off', 'warn', 'block' or 'ask'."
    )
    host_directories: tuple[str, ...] = Field(
        default=(),
        max_length=20,
        description="Absolute paths of folders of this machine between which and the sandbox files may be copied. "
        "Empty: none.",
    )

    max_output_bytes: Whole = Field(
        default=32 * 1024,
        ge=1024,
        le=2**20,
        description="Bytes of output that the model gets of one call; the middle of more is cut.",
    )
    max_file_bytes: Whole = Field(
        default=32 * 1024 * 1024, ge=1024, le=2**30, description="Bytes of one file that tools read, write or copy."
    )
    max_code_bytes: Whole = Field(
        default=256 * 1024, ge=1024, le=2**20, description="Bytes of the code or command of one call."
    )

    @property
    def network(self) -> NetworkLevel:
        """What a sandbox of this policy reaches."""
        if self.enable_network:
            return "on"
        return "registries" if self.installs_possible else "off"

    @property
    def installs_possible(self) -> bool:
        """Whether there is any package that could be installed."""
        return self.enable_installs and not (self.unlisted_packages == "deny" and not self.allowed_packages)

    @property
    def unlisted_packages(self) -> Approval:
        """What happens to a package that is on neither list."""
        if self.package_approval is not None:
            return self.package_approval
        return "deny" if self.allowed_packages else "allow"

    @property
    def restricts_packages(self) -> bool:
        """Whether some packages may not be installed, or not without a person's approval."""
        return not self.installs_possible or bool(self.denied_packages) or self.unlisted_packages != "allow"

    @property
    def default_entries(self) -> frozenset[str]:
        """The default packages as the other lists spell them, without versions."""
        return frozenset(read_entry(item).entry for item in self.default_packages)

    def default_requirements(self, ecosystem: Ecosystem) -> tuple[str, ...]:
        """The default packages of one registry, each as one argument for its installer."""
        packages = map(read_entry, self.default_packages)
        return tuple(package.requirement for package in packages if package.ecosystem == ecosystem)

    @field_validator("enable_gpu")
    @classmethod
    def _no_gpu(cls, wanted: bool) -> bool:
        if wanted:
            raise ValueError("No sandbox has a GPU, E2B's neither. Set enableGPU to false.")
        return wanted

    @field_validator("name")
    @classmethod
    def _one_line(cls, name: str) -> str:
        if not name.strip() or not name.isprintable():
            raise ValueError("Give a name of one line that is not blank.")
        return name.strip()

    @field_validator("default_packages")
    @classmethod
    def _readable_packages(cls, items: tuple[str, ...]) -> tuple[str, ...]:
        return _unique(_spelled(read_entry(item)) for item in items)

    @field_validator("allowed_packages", "denied_packages", "suspicious_package_names")
    @classmethod
    def _readable_names(cls, items: tuple[str, ...]) -> tuple[str, ...]:
        return _unique(_bare_entry(item) for item in items)

    @field_validator("allowed_languages")
    @classmethod
    def _languages(cls, names: tuple[str, ...]) -> tuple[str, ...]:
        return known_languages(names)

    @field_validator("dangerous_code_patterns")
    @classmethod
    def _named_once(cls, patterns: tuple[CodePattern, ...]) -> tuple[CodePattern, ...]:
        names = [pattern.name for pattern in patterns]
        twice = sorted({name for name in names if names.count(name) > 1})
        if twice:
            raise ValueError(f"Give each pattern a name of its own; used twice: {', '.join(twice)}.")
        return patterns

    @field_validator("suspicious_file_endings")
    @classmethod
    def _endings(cls, endings: tuple[str, ...]) -> tuple[str, ...]:
        for ending in endings:
            if not _ENDING.fullmatch(ending):
                raise ValueError(f"{ending!r} is not an ending of a file. Write it with its dot, such as '.exe'.")
        return _unique(ending.lower() for ending in endings)

    @field_validator("host_directories")
    @classmethod
    def _host_directories(cls, paths: tuple[str, ...]) -> tuple[str, ...]:
        return _unique(_host_directory(path) for path in paths)

    @model_validator(mode="after")
    def _lists_agree(self) -> Self:
        allowed, denied = set(self.allowed_packages), set(self.denied_packages)
        if both := sorted(allowed & denied):
            raise ValueError(f"Remove from allowedPackages or from deniedPackages: {', '.join(both)}.")
        if self.package_approval == "allow" and allowed:
            raise ValueError(
                "packageApproval 'allow' lets every package through, also those not in allowedPackages. "
                "Choose 'deny' or 'ask', or empty allowedPackages."
            )
        if self.default_packages and not self.enable_installs:
            raise ValueError("defaultPackages cannot be installed: set enableInstalls to true, or empty the list.")
        defaults = self.default_entries
        if refused := sorted(defaults & denied):
            raise ValueError(f"Remove from defaultPackages or from deniedPackages: {', '.join(refused)}.")
        if self.unlisted_packages == "deny" and (unlisted := sorted(defaults - allowed)):
            raise ValueError(f"Add to allowedPackages, or remove from defaultPackages: {', '.join(unlisted)}.")
        return self


_ENDING = re.compile(r"\.[^\W_][\w.+-]{0,30}")


def _unique(items: Iterable[str]) -> tuple[str, ...]:
    return tuple(dict.fromkeys(items))


def _spelled(package: Package) -> str:
    return f"{NPM_PREFIX}{package.requirement}" if package.ecosystem == "npm" else package.requirement


def _bare_entry(item: str) -> str:
    package = read_entry(item)
    if package.requirement != package.name:
        raise ValueError(f"{item!r}: give the name only, {package.entry!r}. Versions belong in defaultPackages.")
    return package.entry


def _host_directory(path: str) -> str:
    if not path.startswith("/") or not path.isprintable() or ".." in path.split("/"):
        raise ValueError(f"{path!r} is not a folder's absolute path, such as '/srv/data'. '..' and '~' do not work.")
    normal = "/" + posixpath.normpath(path).lstrip("/")
    if normal == "/":
        raise ValueError("'/' would be the whole machine. Name the folders that are meant.")
    return normal
