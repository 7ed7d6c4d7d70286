"""Sandloop's settings: environment > .env > sandloop.toml > defaults, read once at the edge.

Every setting is a field of a section, with its variable beside it; docs/configuration.md lists them.
"""

from __future__ import annotations

import os
import re
import tomllib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from dotenv import dotenv_values
from pydantic import BaseModel, SecretStr, ValidationError
from pydantic.fields import FieldInfo
from pydantic_settings import BaseSettings, InitSettingsSource, PydanticBaseSettingsSource, SettingsConfigDict
from pydantic_settings.sources import TomlConfigSettingsSource

from agent_tools.policy import SandboxPolicy
from agent_tools.settings import SandboxSettings

from .sections import (
    AgentSection,
    AuthSection,
    DatabaseSection,
    E2BSection,
    LimitsSection,
    LogSection,
    SandboxesSection,
    Section,
    ServerSection,
)

if TYPE_CHECKING:
    from graphs.settings import AgentSettings

MIB = 1024 * 1024
FILE_NAME = "sandloop.toml"
_REFERENCE = re.compile(r"\$\{(\w+)\}")


class SettingsError(Exception):
    """A setting is unknown or cannot be used; the message names it and its place."""


class Settings(BaseSettings):
    """All settings. `load` reads them; the constructor takes sections as they are, for tests and code."""

    model_config = SettingsConfigDict(extra="forbid", frozen=True)

    e2b: E2BSection = E2BSection()
    sandboxes: SandboxesSection = SandboxesSection()
    policy: SandboxPolicy = SandboxPolicy()
    agent: AgentSection = AgentSection()
    database: DatabaseSection = DatabaseSection()
    server: ServerSection = ServerSection()
    auth: AuthSection = AuthSection()
    limits: LimitsSection = LimitsSection()
    log: LogSection = LogSection()

    @classmethod
    def settings_customise_sources(
        cls,
        settings_cls: type[BaseSettings],
        init_settings: PydanticBaseSettingsSource,
        env_settings: PydanticBaseSettingsSource,
        dotenv_settings: PydanticBaseSettingsSource,
        file_secret_settings: PydanticBaseSettingsSource,
    ) -> tuple[PydanticBaseSettingsSource, ...]:
        """Take what the constructor gets; `load` adds the other sources."""
        return (init_settings,)

    @property
    def sandbox_settings(self) -> SandboxSettings:
        """The same for `Sandboxes`."""
        e2b, kept = self.e2b, self.sandboxes
        return SandboxSettings(
            api_key=e2b.api_key.get_secret_value(),
            api_url=e2b.api_url,
            sandbox_url=e2b.sandbox_url,
            domain=e2b.domain,
            template=e2b.template,
            ephemeral=kept.ephemeral,
            on_timeout=kept.on_timeout,
            on_close=kept.on_close,
            registry_hosts=kept.registry_hosts,
            output_limit_bytes=kept.output_limit_mib * MIB,
        )

    def agent_settings(self, environ: Mapping[str, str] = os.environ) -> AgentSettings:
        """Return the same for `AgentService`.

        Args:
            environ: for what is decided by other programs' variables: OPENAI_API_KEY, XDG_DATA_HOME.
        """
        # graphs is heavy, and not needed to run code.
        from graphs.settings import AgentSettings

        agent = self.agent
        ours = {
            "SANDLOOP_DATABASE": self.database.url,
            "SANDLOOP_PROVIDER": agent.provider,
            "SANDLOOP_MODEL": agent.model,
            "SANDLOOP_MODEL_CALL_LIMIT": str(agent.model_call_limit),
            "SANDLOOP_TOOL_CALL_LIMIT": str(agent.tool_call_limit),
            "SANDLOOP_AGENT_TYPES": agent.types,
            "SANDLOOP_CONTEXT_TOKENS": str(agent.context_tokens),
        }
        return AgentSettings.from_environment({**environment(environ), **ours})


def load(
    path: Path | None = None,
    *,
    environ: Mapping[str, str] = os.environ,
    overrides: Mapping[str, Mapping[str, object]] | None = None,
) -> Settings:
    """Read the settings.

    Args:
        path: the file; by default `SANDLOOP_CONFIG`, else `sandloop.toml` here, else in the user's configuration
            folder. Only the first two must exist.
        environ: the environment. `.env` here adds what is not in it.
        overrides: section → key → value, above all other sources.

    Raises:
        SettingsError: a key is unknown, a value is not usable, or a file cannot be read.
    """
    variables = environment(environ)
    file = path or (Path(named) if (named := variables.get("SANDLOOP_CONFIG")) else None)
    if file is not None and not file.is_file():
        raise SettingsError(f"there is no file {file}")
    found = file or next((place for place in _usual_files(variables) if place.is_file()), None)

    class Loaded(Settings):
        @classmethod
        def settings_customise_sources(
            cls,
            settings_cls: type[BaseSettings],
            init_settings: PydanticBaseSettingsSource,
            env_settings: PydanticBaseSettingsSource,
            dotenv_settings: PydanticBaseSettingsSource,
            file_secret_settings: PydanticBaseSettingsSource,
        ) -> tuple[PydanticBaseSettingsSource, ...]:
            in_file = InitSettingsSource(settings_cls, _resolved(_toml(settings_cls, found), variables))
            return (init_settings, InitSettingsSource(settings_cls, _from(variables)), in_file)

    try:
        loaded = Loaded(**{name: dict(section) for name, section in (overrides or {}).items()})  # type: ignore[arg-type]
    except ValidationError as error:
        raise SettingsError(_told(error, found)) from None
    return Settings.model_construct(**{name: getattr(loaded, name) for name in Settings.model_fields})


def environment(environ: Mapping[str, str] = os.environ) -> dict[str, str]:
    """Return the environment with what `.env` here adds to it. Empty means unset."""
    try:
        added = dotenv_values(".env", interpolate=False)
    except (OSError, UnicodeDecodeError) as error:
        raise SettingsError(f".env cannot be read: {error}") from error
    return {name: value for name, value in {**added, **environ}.items() if value}


def _usual_files(environ: Mapping[str, str]) -> tuple[Path, ...]:
    configuration = Path(environ.get("XDG_CONFIG_HOME") or Path.home() / ".config")
    return Path(FILE_NAME), configuration / "sandloop" / FILE_NAME


def _toml(settings_cls: type[BaseSettings], file: Path | None) -> dict[str, Any]:
    try:
        return TomlConfigSettingsSource(settings_cls, file).toml_data if file else {}
    except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
        raise SettingsError(f"{file}: {error}") from error


def _resolved(value: Any, variables: Mapping[str, str]) -> Any:
    """Put variables into texts: `"${E2B_API_KEY}"`. One that is not set leaves nothing."""
    if isinstance(value, dict):
        return {key: _resolved(inner, variables) for key, inner in value.items()}
    if isinstance(value, list):
        return [_resolved(inner, variables) for inner in value]
    if isinstance(value, str):
        return _REFERENCE.sub(lambda match: variables.get(match[1], ""), value)
    return value


@dataclass(frozen=True, slots=True)
class Setting:
    """One line of the table in docs/configuration.md."""

    section: str
    key: str
    variable: str
    default: object
    description: str

    @property
    def shown(self) -> str:
        """The default as the documentation has it."""
        default = self.default.get_secret_value() if isinstance(self.default, SecretStr) else self.default
        if default in ("", (), None):
            return ""
        return f"`{str(default).lower() if isinstance(default, bool) else default}`"


def every_setting() -> Iterator[Setting]:
    """Yield the settings that have a variable, in the order of the file. The policy's fields have none."""
    for section, field in Settings.model_fields.items():
        if isinstance(field.annotation, type) and issubclass(field.annotation, Section):
            for key, inner in field.annotation.model_fields.items():
                yield Setting(section, key, _variable_of(section, key, inner), inner.default, inner.description or "")


def _variable_of(section: str, key: str, field: FieldInfo) -> str:
    extra = field.json_schema_extra
    named = extra.get("variable") if isinstance(extra, dict) else None
    return str(named or f"SANDLOOP_{section}_{key}".upper())


def _from(variables: Mapping[str, str]) -> dict[str, dict[str, str]]:
    found: dict[str, dict[str, str]] = {}
    for setting in every_setting():
        if (value := variables.get(setting.variable)) is not None:
            found.setdefault(setting.section, {})[setting.key] = value
    return found


def _told(error: ValidationError, file: Path | None) -> str:
    """Say what is wrong where, without the values: one may be a key."""
    lines = []
    for problem in error.errors(include_input=False, include_url=False):
        where = ".".join(str(part) for part in problem["loc"])
        message = problem["msg"].removeprefix("Value error, ")
        if problem["type"] == "extra_forbidden":
            message = f"there is no such setting; there are {', '.join(_known(problem['loc']))}"
        variable = next((s.variable for s in every_setting() if f"{s.section}.{s.key}" == where), None)
        lines.append(f"{where}{f' ({variable})' if variable else ''}: {message}")
    return f"settings{f' of {file}' if file else ''}: " + "; ".join(lines)


def _known(place: tuple[int | str, ...]) -> list[str]:
    if len(place) == 1:
        return [f"[{name}]" for name in Settings.model_fields]
    section = Settings.model_fields[str(place[0])].annotation
    assert isinstance(section, type) and issubclass(section, BaseModel)
    return [field.alias or name for name, field in section.model_fields.items()]
