"""The way out of a sandbox: an HTTP proxy on the host, the policy it asks, and the package registries it knows."""

from sandbox_server.egress.dial import HostProxies, SystemResolver
from sandbox_server.egress.errors import EgressError, RuleError
from sandbox_server.egress.policy import EgressPolicy
from sandbox_server.egress.proxy import EgressLimits, EgressProxy
from sandbox_server.egress.registries import SANDBOX_CA_BUNDLE, Registries, discover, sandbox_env

__all__ = [
    "SANDBOX_CA_BUNDLE",
    "EgressError",
    "EgressLimits",
    "EgressPolicy",
    "EgressProxy",
    "HostProxies",
    "Registries",
    "RuleError",
    "SystemResolver",
    "discover",
    "sandbox_env",
]
