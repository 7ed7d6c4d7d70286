"""The tables of sandloop.toml: every setting with its default, its variable and what it is for."""

from __future__ import annotations

import ipaddress
import re
from pathlib import Path
from typing import Annotated, Literal

from limits import parse as parse_rate
from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field, SecretStr
from pydantic.config import JsonDict

from agent_tools.rules.languages import LANGUAGES, canonical_language


def _split(value: object) -> object:
    """A list, as a variable holds it: separated by commas or spaces."""
    return tuple(value.replace(",", " ").split()) if isinstance(value, str) else value


def _rate(text: str) -> str:
    try:
        parse_rate(text)
    except ValueError:
        raise ValueError("write it as '600/minute' or '10/second'") from None
    return text


def _language(name: str) -> str:
    if (canonical := canonical_language(name)) is None:
        raise ValueError(f"{name!r} is not a language here; use one of {', '.join(LANGUAGES)}")
    return canonical


def _networks(networks: tuple[str, ...]) -> tuple[str, ...]:
    for network in networks:
        try:
            ipaddress.ip_network(network)
        except ValueError:
            raise ValueError(f"{network!r} is neither an address nor a network such as '10.0.0.0/8'") from None
    return networks


def _origins(origins: tuple[str, ...]) -> tuple[str, ...]:
    for origin in origins:
        if not re.fullmatch(r"https?://[\w.\[\]:-]+", origin):
            raise ValueError(f"{origin!r} is not an origin such as 'https://example.org'; '*' is not possible")
    return origins


Names = Annotated[tuple[str, ...], BeforeValidator(_split)]
Rate = Annotated[str, AfterValidator(_rate)]


def _variable(name: str) -> JsonDict:
    return {"variable": name}


class Section(BaseModel):
    """A table of the file. An unknown key is an error."""

    model_config = ConfigDict(extra="forbid", frozen=True)


class E2BSection(Section):
    """Where sandboxes come from, and what `sandloop execute` does when nothing else is said."""

    api_key: SecretStr = Field(
        default=SecretStr(""),
        description="E2B's key. Empty: the embedded server of this machine.",
        json_schema_extra=_variable("E2B_API_KEY"),
    )
    api_url: str = Field(
        default="", description="Another control plane than E2B's cloud.", json_schema_extra=_variable("E2B_API_URL")
    )
    sandbox_url: str = Field(
        default="",
        description="Where all sandboxes of that one are reached.",
        json_schema_extra=_variable("E2B_SANDBOX_URL"),
    )
    domain: str = Field(
        default="", description="The domain of a self-hosted E2B.", json_schema_extra=_variable("E2B_DOMAIN")
    )
    template: str = Field(
        default="",
        description="The template of new sandboxes. Empty: the code interpreter's.",
        json_schema_extra=_variable("SANDLOOP_TEMPLATE"),
    )
    timeout: int = Field(default=30_000, ge=1, description="Milliseconds that one run of code may take by default.")
    stream: bool = Field(default=True, description="Whether `sandloop execute` prints output as it comes.")
    default_language: Annotated[str, AfterValidator(_language)] = Field(
        default="python", description="The language of code that does not say it."
    )


class SandboxesSection(Section):
    """How long sandboxes are kept."""

    ephemeral: bool = Field(default=False, description="Give each call a fresh sandbox, and kill it afterwards.")
    on_timeout: Literal["pause", "kill"] = Field(
        default="pause", description="What becomes of a sandbox that nobody used for the policy's `timeout`."
    )
    on_close: Literal["kill", "pause", "keep"] = Field(
        default="keep", description="What becomes of the sandboxes when `sandloop serve` ends."
    )
    registry_hosts: Names = Field(
        default=(),
        description="Hosts of package registries. Empty: those of this machine's pip and npm.",
        json_schema_extra=_variable("SANDLOOP_REGISTRY_HOSTS"),
    )
    # Below the 64 MiB at which the embedded server begins to drop output: a limit beyond that would never be reached.
    output_limit_mib: int = Field(default=16, ge=1, le=63, description="MiB of output after which a call is stopped.")


class AgentSection(Section):
    """What agents do where a request does not say otherwise."""

    provider: str = Field(
        default="",
        description="The provider of models. Empty: OpenAI with OPENAI_API_KEY or OPENAI_BASE_URL, else the scripted.",
        json_schema_extra=_variable("SANDLOOP_PROVIDER"),
    )
    model: str = Field(
        default="",
        description="The model. Empty: the provider's default.",
        json_schema_extra=_variable("SANDLOOP_MODEL"),
    )
    model_call_limit: int = Field(
        default=50,
        ge=1,
        le=10_000,
        description="Model calls of one turn.",
        json_schema_extra=_variable("SANDLOOP_MODEL_CALL_LIMIT"),
    )
    tool_call_limit: int = Field(
        default=100,
        ge=1,
        le=10_000,
        description="Tool calls of one turn.",
        json_schema_extra=_variable("SANDLOOP_TOOL_CALL_LIMIT"),
    )
    types: str = Field(
        default="",
        description="A folder of agent types of your own.",
        json_schema_extra=_variable("SANDLOOP_AGENT_TYPES"),
    )
    context_tokens: int = Field(
        default=32_000,
        ge=1,
        le=100_000_000,
        description="The window of a model that is not known to have another.",
        json_schema_extra=_variable("SANDLOOP_CONTEXT_TOKENS"),
    )


class ServerSection(Section):
    """Where `sandloop serve` listens, and to whom."""

    host: str = Field(default="127.0.0.1", min_length=1, description="The address to listen at.")
    port: int = Field(default=8000, ge=0, le=65535, description="The port to listen at; 0: any free one.")
    workers: int = Field(
        default=1, ge=1, le=64, description="Processes. More than one share threads only by PostgreSQL."
    )
    allowed_hosts: Names = Field(
        default=(),
        description="Names by which clients reach the server, besides localhost and addresses. '.example.org' is a "
        "domain with all below it.",
    )
    cors_origins: Annotated[tuple[str, ...], BeforeValidator(_split), AfterValidator(_origins)] = Field(
        default=(), description="Origins of other pages that may call the API with a token. Empty: none."
    )
    trusted_proxies: Annotated[tuple[str, ...], BeforeValidator(_split), AfterValidator(_networks)] = Field(
        default=(),
        description="Addresses of reverse proxies whose X-Forwarded-For and -Proto are believed. Empty: none.",
    )
    shutdown_grace: int = Field(
        default=30, ge=0, le=3600, description="Seconds that running calls get to end at a shutdown."
    )


class AuthSection(Section):
    """Whose tokens are taken."""

    algorithm: Literal["HS256", "RS256"] = Field(default="HS256", description="The one algorithm of tokens.")
    secret: SecretStr = Field(
        default=SecretStr(""),
        description="HS256: the secret, of 32 bytes or more. Empty: one is made and kept in the data folder.",
    )
    public_key_file: Path | None = Field(default=None, description="RS256: the public key, as PEM.")
    private_key_file: Path | None = Field(
        default=None, description="RS256: the private key, only for `sandloop token`."
    )
    jwks_url: str = Field(
        default="",
        pattern=r"^$|^https?://",
        description="RS256: where the issuer publishes its keys, instead of a file.",
    )
    audience: str = Field(default="sandloop", min_length=1, description="The `aud` that tokens must have.")
    issuer: str = Field(default="", description="The `iss` that tokens must have. Empty: any.")


class LimitsSection(Section):
    """How much one client may ask for."""

    requests: Rate = Field(default="1200/minute", description="Requests of one subject.")
    refused: Rate = Field(default="30/minute", description="Requests without a good token from one address.")
    concurrent: int = Field(default=64, ge=1, description="Requests of one subject that run at the same time.")
    connections: int = Field(default=1000, ge=1, description="Connections to one worker at the same time.")
    storage: str = Field(
        default="async+memory://",
        description="Where the counts are: this, or 'async+redis://host' for several workers.",
    )
    json_mib: int = Field(default=16, ge=1, le=1024, description="MiB of a JSON body.")
    upload_mib: int = Field(default=64, ge=1, le=4096, description="MiB of an upload.")
    body_seconds: int = Field(default=60, ge=1, description="Seconds in which a request's body must have come.")
    call_seconds: int = Field(default=3600, ge=1, description="Seconds after which any request is ended.")


class DatabaseSection(Section):
    """Where threads and saved agents are."""

    url: str = Field(
        default="",
        description="A file for SQLite, or 'postgresql://…'. Empty: a file in the data folder.",
        json_schema_extra=_variable("SANDLOOP_DATABASE"),
    )


class LogSection(Section):
    """What is written to stderr."""

    level: Literal["debug", "info", "warning", "error"] = Field(
        default="info", description="The least level that is written."
    )
    format: Literal["text", "json"] = Field(default="text", description="Lines for people, or for machines.")
