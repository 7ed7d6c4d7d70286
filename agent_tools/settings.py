"""Where sandboxes come from and how long they are kept: one frozen value, read once at the edge."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal

MIB = 1024 * 1024


@dataclass(frozen=True, slots=True)
class SandboxSettings:
    """How `Sandboxes` reaches E2B, or the embedded server when there is no key.

    Attributes:
        api_key: E2B's key; empty: the embedded server on this machine is used, and started when needed.
        api_url: another control plane than E2B's cloud (a self-hosted E2B, a sandbox server of ours).
        sandbox_url: where all sandboxes are reached, with `api_url`.
        domain: the domain of a self-hosted E2B.
        template: of new sandboxes; empty: the code interpreter's own.
        ephemeral: each call gets a fresh sandbox, which is killed after it.
        on_timeout: what becomes of a sandbox that nobody used for the policy's `timeout`. A paused one keeps variables
            and files and is resumed by the next call.
        on_close: what `Sandboxes.close()` does with the sandboxes that it created.
        registry_hosts: hosts that stay reachable when only package registries are; empty: those that the tools in
            the sandbox are configured for.
        output_limit_bytes: text output of one call beyond which it is stopped.
        request_timeout_s: for one request to the service, other than running code.
        log_level: log lines of this level and above go to stderr; empty: the program's logging decides.
    """

    api_key: str = field(default="", repr=False)
    api_url: str = ""
    sandbox_url: str = ""
    domain: str = ""
    template: str = ""
    ephemeral: bool = False
    on_timeout: Literal["pause", "kill"] = "pause"
    on_close: Literal["kill", "pause", "keep"] = "kill"
    registry_hosts: tuple[str, ...] = ()
    output_limit_bytes: int = 16 * MIB
    request_timeout_s: float = 60
    log_level: str = ""

    @property
    def embedded(self) -> bool:
        """True when sandboxes are this machine's own."""
        return not self.api_key

    @classmethod
    def from_environment(cls, environ: Mapping[str, str] = os.environ) -> SandboxSettings:
        """Read E2B's own variables, and SANDLOOP_TEMPLATE, _REGISTRY_HOSTS and _LOG_LEVEL. Empty means unset."""
        return cls(
            api_key=environ.get("E2B_API_KEY", ""),
            api_url=environ.get("E2B_API_URL", ""),
            sandbox_url=environ.get("E2B_SANDBOX_URL", ""),
            domain=environ.get("E2B_DOMAIN", ""),
            template=environ.get("SANDLOOP_TEMPLATE", ""),
            registry_hosts=tuple(environ.get("SANDLOOP_REGISTRY_HOSTS", "").replace(",", " ").split()),
            log_level=environ.get("SANDLOOP_LOG_LEVEL", ""),
        )
