"""What the server tells a new sandbox about itself: the one data shape that both sides share (besides `messages`)."""

from __future__ import annotations

from dataclasses import asdict, dataclass, field
from typing import Any

HOME = "/home/user"
VENV = f"{HOME}/.venv"
ROOT = "/opt/sandloop"
TEMPLATE = f"{ROOT}/template"
LIBRARY = f"{ROOT}/lib"
PROGRAMS = f"{ROOT}/bin"
PROXY_PORT = 3128
"""Where the guest listens on 127.0.0.1 for HTTP clients that want out."""
MIB = 1024 * 1024


@dataclass(frozen=True, slots=True)
class Limits:
    """Bounds of one sandbox. Bytes unless the name says otherwise."""

    memory_bytes: int = 1024 * MIB
    """For processes; the home, /tmp and /dev/shm come on top of it, so that a full home is ENOSPC, not an OOM kill."""
    home_bytes: int = 2048 * MIB
    tmp_bytes: int = 256 * MIB
    shm_bytes: int = 64 * MIB
    inodes: int = 200_000
    """Files and folders in the home, and as many in /tmp."""
    processes: int = 256
    cpus: float = 2.0
    open_files: int = 4096
    file_bytes: int = 2048 * MIB
    output_bytes: int = 64 * MIB
    """Text one execution may print; what goes over is dropped, and the stream says how much."""

    @property
    def total_memory_bytes(self) -> int:
        """What the memory cgroup must allow: tmpfs pages count as memory."""
        return self.memory_bytes + self.home_bytes + self.tmp_bytes + self.shm_bytes


@dataclass(frozen=True, slots=True)
class SandboxConfig:
    """One sandbox, as its guest needs to know it."""

    sandbox_id: str
    template_id: str
    envs: dict[str, str] = field(default_factory=dict)
    """The create call's environment variables."""
    network_env: dict[str, str] = field(default_factory=dict)
    """Proxy, registry and certificate variables. Where nothing may leave, it is the proxy that says so."""
    path: str = "/usr/local/bin:/usr/bin:/bin"
    """The host's tool folders that are visible inside."""
    tool_env: dict[str, str] = field(default_factory=dict)
    """Variables that toolchains outside /usr need (RUSTUP_HOME, JAVA_HOME)."""
    limits: Limits = field(default_factory=Limits)
    watchdog: bool = False
    """Whether pid 1 keeps the memory limit: there are no control groups."""
    uid: int | None = None
    """The host's uid and gid this sandbox runs as; None: the server's own user."""

    @property
    def memory_bytes(self) -> int:
        """The processes' memory limit."""
        return self.limits.memory_bytes

    @property
    def max_output_bytes(self) -> int:
        """The text limit of one execution."""
        return self.limits.output_bytes

    def base_env(self) -> dict[str, str]:
        """Return a fresh environment for a process of the sandbox."""
        return {
            "HOME": HOME,
            "USER": "user",
            "LOGNAME": "user",
            "SHELL": "/bin/bash",
            "LANG": "C.UTF-8",
            "PATH": f"{VENV}/bin:{HOME}/.local/bin:{PROGRAMS}:{TEMPLATE}/bin:{self.path}",
            "VIRTUAL_ENV": VENV,
            "MPLBACKEND": "module://matplotlib_inline.backend_inline",
            "PIP_NO_CACHE_DIR": "1",
            "PIP_DISABLE_PIP_VERSION_CHECK": "1",
            # Global packages would go to Node's own folder, which is read-only.
            "npm_config_prefix": f"{HOME}/.local",
            "npm_config_update_notifier": "false",
            "E2B_SANDBOX": "true",
            "E2B_SANDBOX_ID": self.sandbox_id,
            "E2B_TEMPLATE_ID": self.template_id,
            **self.tool_env,
            **self.network_env,
            **self.envs,
        }

    def to_json(self) -> dict[str, Any]:
        """Return the JSON form that `from_json` reads."""
        return asdict(self)

    @classmethod
    def from_json(cls, data: dict[str, Any]) -> SandboxConfig:
        """Read what `to_json` wrote."""
        return cls(**{**data, "limits": Limits(**data["limits"])})
