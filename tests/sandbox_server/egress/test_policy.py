import pytest

from sandbox_server.egress import EgressPolicy, Registries, RuleError
from sandbox_server.egress.addresses import Destination, parse_authority
from sandbox_server.egress.errors import PolicyRefused


def policy(
    access: bool | None = None, allow: list[str] | None = None, deny: list[str] | None = None, *registries: str
) -> EgressPolicy:
    origins = frozenset(parse_authority(origin) for origin in registries)
    return EgressPolicy.from_e2b(access, allow or [], deny or [], Registries(origins=origins))


def allows(rules: EgressPolicy, authority: str) -> bool:
    try:
        rules.check(parse_authority(authority))
    except PolicyRefused:
        return False
    return True


def test_default_is_open_and_no_internet_access_is_off() -> None:
    assert allows(policy(), "example.com:443")
    assert not policy().is_off
    assert policy(access=False).is_off
    assert policy(deny=["0.0.0.0/0"]).is_off
    assert not allows(policy(access=False), "example.com:443")


def test_allowed_names_are_all_that_is_left_of_a_closed_network() -> None:
    rules = policy(access=False, allow=["example.com", "*.wild.org"])
    assert allows(rules, "example.com:443")
    assert allows(rules, "a.b.wild.org:80")
    for refused in ("wild.org:443", "www.example.com:443", "notexample.com:443", "notwild.org:443", "8.8.8.8:443"):
        assert not allows(rules, refused), refused


def test_allow_out_alone_closes_the_rest() -> None:
    assert not allows(policy(allow=["example.com"]), "example.org:443")


def test_allow_out_next_to_a_partial_deny_is_an_exception_to_it() -> None:
    rules = policy(allow=["8.8.8.8"], deny=["8.8.8.0/24"])
    assert allows(rules, "8.8.8.8:53")
    assert not allows(rules, "8.8.8.9:53")
    assert allows(rules, "1.1.1.1:443")


def test_allow_out_wins_over_deny_of_all_traffic() -> None:
    rules = policy(allow=["1.1.1.1"], deny=["0.0.0.0/0"])
    assert allows(rules, "1.1.1.1:443")
    assert not allows(rules, "8.8.8.8:443")
    assert not allows(rules, "[2606:4700:4700::1111]:443")


def test_deny_covers_the_addresses_a_name_has() -> None:
    rules = policy(deny=["8.8.8.8"])
    name = Destination("dns.example", 443)
    rules.check(name)
    addresses = [parse_authority(f"{host}:1").host for host in ("8.8.8.8", "8.8.4.4")]
    assert [str(kept) for kept in rules.checked(name, addresses)] == ["8.8.4.4"]  # type: ignore[arg-type]
    with pytest.raises(PolicyRefused):
        rules.checked(name, addresses[:1])  # type: ignore[arg-type]


def test_denying_all_of_ipv4_denies_ipv6() -> None:
    assert not allows(policy(allow=["example.com"], deny=["0.0.0.0/0"]), "[2606:4700:4700::1111]:443")


@pytest.mark.parametrize("spelling", ["EXAMPLE.com.", "Example.Com", "example.com."])
def test_spellings_of_a_name_are_one_name(spelling: str) -> None:
    assert allows(policy(allow=["example.com"]), f"{spelling}:443")
    assert allows(policy(allow=[spelling]), "example.com:443")


def test_rules_with_international_names_match_their_ascii_form() -> None:
    assert allows(policy(allow=["bücher.example"]), "xn--bcher-kva.example:443")


def test_named_hosts_are_open_on_web_ports_only() -> None:
    rules = policy(allow=["example.com"])
    assert allows(rules, "example.com:80")
    assert not allows(rules, "example.com:22")


def test_open_network_has_every_port_but_smtp() -> None:
    assert allows(policy(), "example.com:22")
    assert not allows(policy(), "example.com:25")
    assert not allows(policy(), "8.8.8.8:25")


def test_registry_port_is_open_when_its_host_is_allowed() -> None:
    rules = policy(False, ["mirror.corp.example"], [], "mirror.corp.example:8081")
    assert allows(rules, "mirror.corp.example:8081")
    assert not allows(rules, "mirror.corp.example:8082")
    assert not allows(policy(False, ["example.com"], [], "mirror.corp.example:8081"), "mirror.corp.example:8081")


def test_registry_on_a_private_address_is_reachable_at_its_exact_port_only() -> None:
    assert allows(policy(True, [], [], "10.1.2.3:3141"), "10.1.2.3:3141")
    assert not allows(policy(True, [], [], "10.1.2.3:3141"), "10.1.2.3:443")


def test_refusal_says_what_is_allowed() -> None:
    registries = policy(False, ["mirror.example"], [], "mirror.example:443")
    with pytest.raises(PolicyRefused, match=r"host 'x.org' is not allowed \(allowed: package registries\)"):
        registries.check(Destination("x.org", 443))
    many = policy(allow=["a.org", "b.org", "c.org", "1.1.1.1", "d.org"])
    with pytest.raises(PolicyRefused, match=r"\(allowed: a.org, b.org, c.org and 2 more\)"):
        many.check(Destination("x.org", 443))


@pytest.mark.parametrize("entry", ["", "*", "exa mple.com", "https://example.com", "example.com:443", "a..b", "127.1"])
def test_malformed_allow_out_is_named(entry: str) -> None:
    with pytest.raises(RuleError, match="allowOut"):
        policy(allow=[entry])


def test_names_cannot_be_denied() -> None:
    with pytest.raises(RuleError, match="names cannot be denied"):
        policy(deny=["example.com"])
