"""Hosts, ports and IP addresses: one spelling for each, and those that no sandbox may reach."""

import re
import socket
from dataclasses import dataclass
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_network
from typing import TypeAlias

IPAddress: TypeAlias = IPv4Address | IPv6Address
IPNetwork: TypeAlias = IPv4Network | IPv6Network
Host: TypeAlias = str | IPv4Address | IPv6Address

_LABEL = re.compile(r"[a-z0-9_]([a-z0-9_-]{0,61}[a-z0-9_])?")
_NUMERIC_LABEL = re.compile(r"[0-9]+|0x[0-9a-f]*")
_PORT = re.compile(r"[0-9]{1,5}")

# A table of our own and not `ipaddress.is_private`: its meaning has changed between patch releases of Python.
_NEVER_V4 = tuple(
    (IPv4Network(network), kind)
    for network, kind in (
        ("0.0.0.0/8", "an unspecified address"),  # connect() to 0.0.0.0 reaches the host itself
        ("10.0.0.0/8", "a private address"),
        ("100.64.0.0/10", "a private address"),  # carrier-grade NAT; also some clouds' metadata services
        ("127.0.0.0/8", "a loopback address"),
        ("169.254.0.0/16", "a link-local address"),  # 169.254.169.254: cloud metadata
        ("172.16.0.0/12", "a private address"),
        ("192.0.0.0/24", "a reserved address"),
        # The documentation networks are not routed on the internet: where they answer, somebody uses them privately.
        ("192.0.2.0/24", "a reserved address"),
        ("192.88.99.0/24", "a reserved address"),
        ("192.168.0.0/16", "a private address"),
        ("198.18.0.0/15", "a reserved address"),
        ("198.51.100.0/24", "a reserved address"),
        ("203.0.113.0/24", "a reserved address"),
        ("224.0.0.0/4", "a multicast address"),
        ("240.0.0.0/4", "a reserved address"),
    )
)
_NEVER_V6 = tuple(
    (IPv6Network(network), kind)
    for network, kind in (
        ("::/128", "an unspecified address"),
        ("::1/128", "a loopback address"),
        ("::ffff:0:0/96", "an IPv4-mapped address"),
        ("fc00::/7", "a private address"),  # fd00:ec2::254: cloud metadata
        ("fe80::/10", "a link-local address"),
        ("ff00::/8", "a multicast address"),
        ("2001::/23", "a reserved address"),  # Teredo and other tunnels, which carry an IPv4 address
        ("2001:db8::/32", "a reserved address"),
        ("2002::/16", "a 6to4 address"),
        ("3fff::/20", "a reserved address"),
    )
)
_GLOBAL_V6 = IPv6Network("2000::/3")
_NAT64 = IPv6Network("64:ff9b::/96")

# RFC 6761, 6762, 8375 and ICANN's reservation of `internal`: names that only mean something on the host's own network.
_LOCAL_NAMES = frozenset({"localhost", "local", "localdomain", "internal", "home.arpa"})


@dataclass(frozen=True, slots=True)
class Destination:
    """Where a connection goes: a normalised host (name or address) and a port."""

    host: Host
    port: int

    @property
    def authority(self) -> str:
        """`host:port` as it stands in a request line, an IPv6 address in brackets."""
        host = f"[{self.host}]" if isinstance(self.host, IPv6Address) else str(self.host)
        return f"{host}:{self.port}"


def parse_name(text: str) -> str:
    """Give a DNS name its one spelling: ASCII, lower case, no trailing dot.

    Raises:
        ValueError: it is no DNS name. Numbers are refused too: the C library reads `127.1`, `0x7f.1` and
            `2130706433` as addresses.
    """
    try:
        name = text.removesuffix(".").encode("idna").decode("ascii").lower()
    except UnicodeError as error:
        raise ValueError("not a DNS name") from error
    labels = name.split(".")
    if len(name) > 253 or not all(_LABEL.fullmatch(label) for label in labels) or _NUMERIC_LABEL.fullmatch(labels[-1]):
        raise ValueError("not a DNS name")
    return name


def parse_host(text: str) -> Host:
    """Read a host as it stands in a URL: a name, a dotted IPv4 address or an IPv6 address in brackets.

    Raises:
        ValueError: it is none of these, or an IPv6 address with a zone.
    """
    if text.startswith("[") and text.endswith("]"):
        if "%" in text:
            raise ValueError("an IPv6 zone means nothing outside its host")
        return IPv6Address(text[1:-1])
    try:
        return IPv4Address(text.removesuffix("."))
    except ValueError:
        return parse_name(text)


def parse_authority(text: str, default_port: int | None = None) -> Destination:
    """Read `host:port`. User information (`user@host`) is refused with everything else that is no host.

    Raises:
        ValueError: malformed, or the port is missing, 0 or above 65535.
    """
    host, colon, port_text = text.rpartition(":")
    if not colon or text.endswith("]"):
        if default_port is None:
            raise ValueError("no port")
        return Destination(parse_host(text), default_port)
    if not _PORT.fullmatch(port_text) or not 0 < int(port_text) < 65536:
        raise ValueError("not a port")
    return Destination(parse_host(host), int(port_text))


def parse_network(text: str) -> IPNetwork:
    """Read an address or a CIDR block (`8.8.8.8`, `8.8.0.0/16`, host bits ignored).

    Raises:
        ValueError: it is neither.
    """
    return ip_network(text, strict=False)


def is_local_name(name: str) -> bool:
    """Whether a normalised name means something on the host's own network only, such as `localhost`."""
    return any(name == local or name.endswith(f".{local}") for local in _LOCAL_NAMES)


def why_never(address: IPAddress) -> str | None:
    """Say what kind of address it is when no sandbox may ever reach it, else None.

    Loopback, private, link-local, multicast and reserved addresses, IPv6 spellings of IPv4 ones, the host's own.
    """
    if isinstance(address, IPv6Address) and address in _NAT64:
        # A host with IPv6 only reaches every IPv4 service through this prefix: judge the address inside.
        return why_never(IPv4Address(int(address) & 0xFFFFFFFF))
    table = _NEVER_V4 if isinstance(address, IPv4Address) else _NEVER_V6
    for network, kind in table:
        if address in network:
            return kind
    if isinstance(address, IPv6Address) and address not in _GLOBAL_V6:
        return "a reserved address"
    return "an address of the host itself" if _is_own(address) else None


def _is_own(address: IPAddress) -> bool:
    """Ask the kernel: only an address of this host can be bound.

    With the sysctl `ip_nonlocal_bind` every address can be, and everything is refused: closed, not open.
    """
    family = socket.AF_INET if isinstance(address, IPv4Address) else socket.AF_INET6
    try:
        with socket.socket(family, socket.SOCK_DGRAM) as probe:
            probe.bind((str(address), 0))
    except OSError:
        return False
    return True
