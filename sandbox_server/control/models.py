"""The control plane's request and response bodies. Names and shapes: E2B's OpenAPI document."""

from __future__ import annotations

import json
from collections.abc import Iterable
from datetime import datetime
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, StringConstraints

from ..sandboxes.sandbox import LogLine, Sandbox

ENVD_VERSION = "0.6.4"
"""The SDK switches features on by this number (`e2b/envd/versions.py`); everything up to this one is served."""
CLIENT_ID = "sandloop"
_MAX_VARIABLES_BYTES = 128 * 1024
"""They travel in one message, and again with every process that is started."""
MIB = 1024 * 1024

Name = Annotated[str, StringConstraints(min_length=1, max_length=256)]
Text = Annotated[str, StringConstraints(max_length=32 * 1024)]
Seconds = Annotated[int, Field(ge=0, le=2**31 - 1)]


def _check_variables(variables: dict[str, str]) -> dict[str, str]:
    if any("=" in name or "\0" in name or "\0" in value for name, value in variables.items()):
        raise ValueError("a name cannot have '=' in it, and neither name nor value a NUL")
    if len(json.dumps(variables)) > _MAX_VARIABLES_BYTES:
        raise ValueError(f"more than {_MAX_VARIABLES_BYTES} bytes in all; write large values to files instead")
    return variables


class _Body(BaseModel):
    # A newer SDK may send fields that are not known here yet.
    model_config = ConfigDict(extra="ignore", strict=True)


class Network(_Body):
    """Egress and ingress rules."""

    allowPublicTraffic: bool = True
    allowOut: list[Name] = Field(default_factory=list, max_length=1000)
    denyOut: list[Name] = Field(default_factory=list, max_length=1000)
    egressProxy: dict[str, Any] | None = None
    maskRequestHost: str | None = None
    rules: dict[str, Any] | None = None


class AutoResume(_Body):
    """Whether traffic wakes a paused sandbox."""

    enabled: bool = False


class NewSandbox(_Body):
    """POST /sandboxes, POST /v2/sandboxes."""

    templateID: Name
    timeout: Seconds | None = None
    autoPause: bool = False
    autoPauseMemory: bool = True
    autoResume: AutoResume | None = None
    allow_internet_access: bool | None = None
    network: Network | None = None
    metadata: dict[Name, Text] = Field(default_factory=dict, max_length=256)
    envVars: Annotated[dict[Name, Text], Field(max_length=1024), AfterValidator(_check_variables)] = Field(
        default_factory=dict
    )
    mcp: Any = None
    iam: Any = None
    volumeMounts: list[Any] | None = None


class Timeout(_Body):
    """POST /sandboxes/{id}/timeout."""

    timeout: Seconds


class Refresh(_Body):
    """POST /sandboxes/{id}/refreshes."""

    duration: Annotated[int, Field(ge=0, le=3600)] = 60


class Connect(_Body):
    """POST /sandboxes/{id}/connect."""

    timeout: Seconds = 300
    memory: bool | None = None


class Resume(_Body):
    """POST /sandboxes/{id}/resume."""

    timeout: Seconds = 15
    autoPause: bool | None = None


class Pause(_Body):
    """POST /sandboxes/{id}/pause."""

    memory: bool | None = None


class NetworkUpdate(Network):
    """PUT /sandboxes/{id}/network."""

    allow_internet_access: bool | None = None


def timestamp(at: datetime) -> str:
    """Return the wire form of a time."""
    return at.isoformat().replace("+00:00", "Z")


def created(sandbox: Sandbox, domain: str) -> dict[str, Any]:
    """Return the answer to create, connect and resume."""
    return {
        "templateID": sandbox.template_id,
        "sandboxID": sandbox.id,
        "alias": sandbox.alias,
        "clientID": CLIENT_ID,
        "envdVersion": ENVD_VERSION,
        "envdAccessToken": sandbox.access.envd_token,
        "trafficAccessToken": sandbox.access.traffic_token,
        "domain": domain,
    }


def listed(sandbox: Sandbox) -> dict[str, Any]:
    """Return one entry of the list."""
    limits = sandbox.limits
    return {
        "templateID": sandbox.template_id,
        "alias": sandbox.alias,
        "sandboxID": sandbox.id,
        "clientID": CLIENT_ID,
        "startedAt": timestamp(sandbox.started_at),
        "endAt": timestamp(sandbox.lease.ends_at),
        "cpuCount": max(1, round(limits.cpus)),
        "memoryMB": limits.memory_bytes // MIB,
        "diskSizeMB": limits.home_bytes // MIB,
        "metadata": sandbox.metadata,
        "state": sandbox.state.value,
        "envdVersion": ENVD_VERSION,
        "volumeMounts": [],
    }


def detail(sandbox: Sandbox, domain: str) -> dict[str, Any]:
    """Return the answer to GET /sandboxes/{id}."""
    on_timeout: Literal["pause", "kill"] = "pause" if sandbox.lease.auto_pause else "kill"
    return {
        **listed(sandbox),
        "envdAccessToken": sandbox.access.envd_token,
        "allowInternetAccess": sandbox.allow_internet_access,
        **({"network": sandbox.network} if sandbox.network else {}),
        "domain": domain,
        "lifecycle": {"onTimeout": on_timeout, "autoResume": sandbox.lease.auto_resume},
    }


def log_entries(lines: Iterable[LogLine]) -> list[dict[str, Any]]:
    """Return a sandbox's log in the structured form."""
    return [
        {"timestamp": timestamp(line.at), "message": line.text, "level": line.level, "fields": {}} for line in lines
    ]
