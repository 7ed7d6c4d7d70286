"""Where a sandbox may connect: E2B's network options as rules that can be asked."""

from collections.abc import Sequence
from dataclasses import dataclass
from ipaddress import IPv4Network, IPv6Network

from sandbox_server.egress.addresses import (
    Destination,
    IPAddress,
    IPNetwork,
    is_local_name,
    parse_name,
    parse_network,
    why_never,
)
from sandbox_server.egress.errors import PolicyRefused, RuleError
from sandbox_server.egress.registries import Registries

_ALL_V4 = IPv4Network("0.0.0.0/0")
_ALL_V6 = IPv6Network("::/0")
# E2B matches a name by the Host header on port 80 and by SNI on 443, and nowhere else.
_NAMED_PORTS = frozenset({80, 443})
# SMTP between servers: the port that turns a sandbox into a source of spam, and closed by every cloud.
_SMTP_PORT = 25


@dataclass(frozen=True, slots=True)
class EgressPolicy:
    """What one sandbox may reach. Immutable: an update of the network options makes a new one.

    Attributes:
        is_open: what no rule names is allowed.
        names: normalised names, `example.com` or `*.example.com` (subdomains only).
        allowed: networks that win over `denied`.
        denied: networks that are refused where `is_open`.
        registries: their exact host and port may be private, when a rule lets the sandbox go there at all.
    """

    is_open: bool
    names: frozenset[str]
    allowed: tuple[IPNetwork, ...]
    denied: tuple[IPNetwork, ...]
    registries: Registries

    @classmethod
    def from_e2b(
        cls,
        allow_internet_access: bool | None,
        allow_out: Sequence[str],
        deny_out: Sequence[str],
        registries: Registries,
    ) -> "EgressPolicy":
        """Make the policy of E2B's create options.

        `allow_internet_access=False` means the same as `deny_out=["0.0.0.0/0"]`, which also closes IPv6. `allow_out`
        wins over `deny_out`. `allow_out` alone closes the rest, as the SDK documents it (only without it is all traffic
        allowed); next to a partial `deny_out` it is a list of exceptions and the rest stays open.

        Raises:
            RuleError: an entry is malformed, or `deny_out` has a name.
        """
        names, allowed = _parse_allow_out(allow_out)
        denied = _parse_deny_out(deny_out)
        closed = allow_internet_access is False or _ALL_V4 in denied or bool(allow_out and not deny_out)
        return cls(
            is_open=_ALL_V4 in allowed or not closed, names=names, allowed=allowed, denied=denied, registries=registries
        )

    @property
    def is_off(self) -> bool:
        """Nothing can leave. The sandbox has its proxy all the same, to say so."""
        return not (self.is_open or self.names or self.allowed)

    def check(self, destination: Destination) -> None:
        """Judge by name, literal address and port, before anything is resolved.

        A name that no rule allows is never looked up: a DNS query is already a way out for data. So in a closed policy
        a name needs a rule with a name, and networks match literal addresses only.

        Raises:
            PolicyRefused: with the reason and what would be allowed.
        """
        host, port = destination.host, destination.port
        by_rule = self._has_rule_for(destination)
        if not (by_rule or self.is_open):
            raise PolicyRefused(f"host '{host}' is not allowed ({self.summary})")
        if destination in self.registries.origins:
            return
        if port == _SMTP_PORT:
            raise PolicyRefused("port 25 is not allowed")
        if not isinstance(host, str):
            self.checked(destination, [host])
        elif is_local_name(host):
            raise PolicyRefused(f"host '{host}' is a name of the host's own network")
        elif not self.is_open and port not in _NAMED_PORTS:
            raise PolicyRefused(f"port {port} of host '{host}' is not allowed (allowed: 80, 443)")

    def checked(self, destination: Destination, addresses: Sequence[IPAddress]) -> list[IPAddress]:
        """Keep those of a destination's addresses that may be connected to.

        Raises:
            PolicyRefused: none is left.
        """
        if destination in self.registries.origins:
            return list(addresses)
        by_name = isinstance(destination.host, str) and self._has_rule_for(destination)
        kept, why = [], "an address that is not allowed"
        for address in addresses:
            if kind := why_never(address):
                why = kind
            elif by_name or not _within(address, self.denied) or _within(address, self.allowed):
                kept.append(address)
        if not kept:
            raise PolicyRefused(f"host '{destination.host}' is not allowed: it is {why}")
        return kept

    @property
    def summary(self) -> str:
        """What the rules allow, short enough for a reason phrase."""
        if self.is_off:
            return "allowed: nothing"
        rules = sorted(self.names) + [str(network) for network in self.allowed]
        if not self.allowed and self.names.issubset(self.registries.hosts):
            return "allowed: package registries"
        more = f" and {len(rules) - 3} more" if len(rules) > 3 else ""
        return f"allowed: {', '.join(rules[:3])}{more}"

    def _has_rule_for(self, destination: Destination) -> bool:
        host = destination.host
        if not isinstance(host, str):
            return _within(host, self.allowed)
        labels = host.split(".")
        parents = (".".join(labels[i:]) for i in range(1, len(labels)))
        return host in self.names or any(f"*.{parent}" in self.names for parent in parents)


def _within(address: IPAddress, networks: Sequence[IPNetwork]) -> bool:
    return any(address in network for network in networks)


def _parse_allow_out(entries: Sequence[str]) -> tuple[frozenset[str], tuple[IPNetwork, ...]]:
    names: set[str] = set()
    networks: list[IPNetwork] = []
    for entry in entries:
        try:
            networks.append(parse_network(entry))
        except ValueError:
            names.add(_parse_pattern(entry))
    return frozenset(names), _with_ipv6(networks)


def _parse_deny_out(entries: Sequence[str]) -> tuple[IPNetwork, ...]:
    networks: list[IPNetwork] = []
    for entry in entries:
        try:
            networks.append(parse_network(entry))
        except ValueError as error:
            message = f"network.denyOut entry {entry!r} is no IP address or CIDR block; names cannot be denied"
            raise RuleError(message) from error
    return _with_ipv6(networks)


def _parse_pattern(entry: str) -> str:
    prefix = "*." if entry.startswith("*.") else ""
    try:
        return prefix + parse_name(entry.removeprefix(prefix))
    except ValueError as error:
        message = f"network.allowOut entry {entry!r} is no domain, '*.domain', IP address or CIDR block"
        raise RuleError(message) from error


def _with_ipv6(networks: list[IPNetwork]) -> tuple[IPNetwork, ...]:
    """E2B's constant for all traffic is `0.0.0.0/0`: it stands for both families."""
    return (*networks, _ALL_V6) if _ALL_V4 in networks else tuple(networks)
