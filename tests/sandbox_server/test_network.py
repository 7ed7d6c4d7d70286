"""What a sandbox reaches: nothing, the package registries, or the internet, and never the host or its network."""

from __future__ import annotations

import asyncio
import json
import os
import socket
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from e2b import InvalidArgumentException, SandboxException
from e2b.sandbox.sandbox_api import SandboxNetworkOpts
from e2b_code_interpreter import AsyncSandbox, Sandbox

from sandbox_server.guest import messages
from sandbox_server.sandboxes.channel import GuestChannel

from . import package_index, programs
from .conftest import API_KEY, RunningServer
from .package_index import MIRROR_HOST, Mirror
from .waiting import wait_until

NewSandbox = Callable[..., Sandbox]
INSIDE = Path(__file__).parent / "inside"
NOWHERE = "no-such-host.invalid"
REFUSED = "Sandbox network policy: "
ALL_TRAFFIC = "0.0.0.0/0"


def ask(sandbox: Sandbox, *targets: str, idle: int = 0) -> list[str]:
    """Ask the sandbox's proxy for each target; return the first lines of its answers."""
    path = _upload(sandbox, "ask_proxy")
    words = " ".join(f"'{target}'" for target in targets)
    answers = json.loads(sandbox.commands.run(f"python {path} {idle} {words}").stdout)
    return [str(answer).removeprefix("HTTP/1.1 ") for answer in answers]


def _upload(sandbox: Sandbox, name: str) -> str:
    path = f"/tmp/{name}.py"
    sandbox.files.write(path, (INSIDE / f"{name}.py").read_text())
    return path


def output(sandbox: Sandbox, command: str) -> str:
    """Run a command; return what it prints, also when it fails."""
    return str(sandbox.commands.run(f"({command}) 2>&1 || true").stdout)


@pytest.fixture(scope="session")
def registries(server: RunningServer) -> list[str]:
    return package_index.registry_hosts(server)


# --- off


@pytest.mark.parametrize(
    "command",
    [
        "pip install cowsay",
        "python -m pip download cowsay",
        "npm install is-number",
        f"curl -sS http://{NOWHERE}/",
        f"curl -sSv https://{NOWHERE}/",
        f"python -c \"import urllib.request as r; r.urlopen('https://{NOWHERE}/')\"",
        f"python -c \"import requests; requests.get('https://{NOWHERE}/')\"",
        f"git clone http://{NOWHERE}/x.git",
    ],
)
def test_with_the_network_off_programs_say_why_they_fail(new_sandbox: NewSandbox, command: str) -> None:
    said = output(new_sandbox(allow_internet_access=False), command)
    assert f"{REFUSED}host " in said and "(allowed: nothing)" in said


@pytest.mark.parametrize("magic", ["%pip", "!pip"])
def test_with_the_network_off_an_install_in_a_cell_says_why_it_fails(new_sandbox: NewSandbox, magic: str) -> None:
    execution = new_sandbox(allow_internet_access=False).run_code(f"{magic} install cowsay")
    assert f"{REFUSED}host " in "".join(execution.logs.stderr)


@pytest.mark.parametrize(
    "network",
    [
        {"deny_out": [ALL_TRAFFIC]},
        {"deny_out": lambda ctx: [ctx.all_traffic]},
        {"allow_out": ["example.com"]},
        {"allow_out": ["example.com", "8.8.8.8"], "deny_out": [ALL_TRAFFIC]},
    ],
)
def test_what_no_rule_allows_is_refused(new_sandbox: NewSandbox, network: SandboxNetworkOpts) -> None:
    for answer in ask(new_sandbox(network=network), f"CONNECT {NOWHERE}:443", "GET http://1.1.1.1/"):
        assert answer.startswith(f"403 {REFUSED}host ")


@pytest.mark.parametrize("internet", [True, False])
def test_only_the_proxy_leads_out(new_sandbox: NewSandbox, internet: bool) -> None:
    sandbox = new_sandbox(allow_internet_access=internet)
    attempts = {
        "socket.create_connection(('1.1.1.1', 53))": "Network is unreachable",
        "socket.socket(socket.AF_INET, socket.SOCK_DGRAM).sendto(b'x', ('8.8.8.8', 53))": "Network is unreachable",
        "socket.socket(socket.AF_INET6, socket.SOCK_DGRAM).sendto(b'x', ('2001:4860:4860::8888', 53))": "unreachable",
        "socket.socket(socket.AF_INET, socket.SOCK_RAW, socket.IPPROTO_ICMP)": "not permitted",
        "socket.socket(socket.AF_PACKET, socket.SOCK_RAW)": "not permitted",
        "socket.getaddrinfo('example.com', 80)": "Name or service not known",
    }
    for attempt, outcome in attempts.items():
        error = sandbox.run_code(f"import socket; {attempt}").error
        assert error is not None and outcome in error.value, (attempt, error)


# --- registries


def test_the_server_names_its_registries_to_those_with_the_key(server: RunningServer) -> None:
    with server.client() as client:
        hosts = client.get("/registries").json()["hosts"]
        assert hosts == sorted(hosts)
        assert client.get("/registries", headers={"X-API-Key": "wrong"}).status_code == 401


def test_registries_are_reached_and_nothing_else(new_sandbox: NewSandbox, registries: list[str]) -> None:
    sandbox = new_sandbox(network={"allow_out": registries, "deny_out": [ALL_TRAFFIC]})
    status = 'curl -sS -o /dev/null -w "%{http_code}" ${npm_config_registry%/}/is-number'
    assert sandbox.commands.run(status).stdout == "200"
    for host in ("example.com", "www." + registries[0], registries[0] + ".example.com", "1.1.1.1"):
        (answer,) = ask(sandbox, f"CONNECT {host}:443")
        assert answer == f"403 {REFUSED}host '{host}' is not allowed (allowed: package registries)"
    (answer,) = ask(sandbox, f"CONNECT {registries[0]}:22")
    assert answer.startswith(f"403 {REFUSED}port 22 ")


@pytest.mark.parametrize("options", [{}, {"allow_internet_access": True}])
def test_with_the_network_on_node_and_python_reach_out(
    new_sandbox: NewSandbox, registries: list[str], options: dict[str, bool]
) -> None:
    sandbox = new_sandbox(**options)
    fetch = "await fetch(new URL('is-number', process.env.npm_config_registry))"
    assert sandbox.run_code(f"(({fetch})).status", language="javascript").text == "200"
    assert output(sandbox, f'node --input-type=module -e "console.log(({fetch}).status)"') == "200\n"
    get = "import os, requests; requests.get(os.environ['npm_config_registry'].rstrip('/') + '/is-number').status_code"
    assert sandbox.run_code(get).text == "200"


# --- changes while it runs


def test_new_rules_hold_for_new_connections(sandbox: Sandbox) -> None:
    request = f"CONNECT {NOWHERE}:443"
    assert REFUSED not in ask(sandbox, request)[0]
    sandbox.update_network({"deny_out": [ALL_TRAFFIC]})
    assert ask(sandbox, request) == [f"403 {REFUSED}host '{NOWHERE}' is not allowed (allowed: nothing)"]
    sandbox.update_network({"allow_out": [NOWHERE]})
    assert REFUSED not in ask(sandbox, request)[0]
    sandbox.update_network({"allow_internet_access": False})
    assert REFUSED in ask(sandbox, request)[0]
    sandbox.update_network({})
    assert REFUSED not in ask(sandbox, request)[0]
    assert sandbox.commands.run("echo still here").stdout == "still here\n"


async def test_new_rules_through_the_async_sdk(async_sandbox: AsyncSandbox) -> None:
    await async_sandbox.update_network({"deny_out": [ALL_TRAFFIC]})
    said = await async_sandbox.commands.run(f"curl -sS http://{NOWHERE}/")
    assert said.stdout.startswith(REFUSED)


@pytest.mark.parametrize(
    "network",
    [
        {"deny_out": ["example.com"]},
        {"allow_out": ["not a host"]},
        {"allow_out": ["https://example.com/"]},
        {"allow_out": ["10.0.0.0/33"]},
        {"allow_out": ["exa*mple.com"]},
    ],
)
def test_rules_that_cannot_be_understood_are_refused_by_name(
    server: RunningServer, sandbox: Sandbox, network: SandboxNetworkOpts
) -> None:
    entry = str(next(iter(network.values()))[0])  # type: ignore[index]
    with pytest.raises((SandboxException, InvalidArgumentException)) as refused:
        Sandbox.create(network=network, **server.options)
    assert entry in str(refused.value)
    with pytest.raises((SandboxException, InvalidArgumentException)) as refused:
        sandbox.update_network({"allow_out": network.get("allow_out", []), "deny_out": network.get("deny_out", [])})
    assert entry in str(refused.value)


# --- the host and its network


@pytest.fixture
def canary() -> Iterator[socket.socket]:
    """A server on all addresses of the host."""
    with socket.create_server(("0.0.0.0", 0)) as listening:
        listening.setblocking(False)
        yield listening


def _addresses_of_the_host() -> list[str]:
    names = [socket.gethostname(), "localhost"]
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        try:
            probe.connect(("198.51.100.1", 9))  # Sends nothing: the kernel picks the outward address.
            return [*names, probe.getsockname()[0]]
        except OSError:
            return names


@pytest.mark.parametrize(
    "network", [{}, {"allow_out": [ALL_TRAFFIC]}, {"allow_out": ["127.0.0.0/8", "localhost", "0.0.0.0/32"]}]
)
def test_servers_of_the_host_are_not_reached_by_any_spelling(
    new_sandbox: NewSandbox, canary: socket.socket, network: SandboxNetworkOpts
) -> None:
    port = canary.getsockname()[1]
    hosts = [
        *("127.0.0.1", "127.0.0.2", "127.1", "0.0.0.0", "0", "2130706433", "0x7f000001", "0177.0.0.1", "127.0.0.1."),
        *("[::1]", "[::]", "[::ffff:127.0.0.1]", "[::ffff:7f00:1]", "[64:ff9b::7f00:1]", "[2002:7f00:1::]"),
        *("LOCALHOST", "localhost.", "a.localhost", "ip6-localhost", "ip6-loopback", "127.0.0.1@example.com"),
        *_addresses_of_the_host(),
    ]
    sandbox = new_sandbox(network=network)
    for form in ("CONNECT {}:{}", "GET http://{}:{}/"):
        targets = [form.format(host, port) for host in hosts]
        for target, answer in zip(targets, ask(sandbox, *targets), strict=True):
            assert answer[:3] in ("400", "403", "502"), (target, answer)
    with pytest.raises(BlockingIOError):
        canary.accept()


@pytest.mark.parametrize("host", ["169.254.169.254", "[fd00:ec2::254]", "metadata.google.internal", "10.0.0.1"])
def test_metadata_and_private_addresses_are_refused(sandbox: Sandbox, host: str) -> None:
    for answer in ask(sandbox, f"CONNECT {host}:80", f"GET http://{host}/latest/meta-data/"):
        assert answer.startswith(f"403 {REFUSED}")


def test_the_server_that_runs_the_sandbox_is_not_reached_from_it(sandbox: Sandbox, server: RunningServer) -> None:
    said = output(sandbox, f"curl -sS --noproxy '' -x $http_proxy {server.url}/health")
    assert said.startswith(f"{REFUSED}host '127.0.0.1' is not allowed: it is a loopback address")


# --- with a mirror on this host as registry


@pytest.fixture(scope="module")
def index(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Mirror]:
    with package_index.mirror(tmp_path_factory.mktemp("index")) as serving:
        yield serving


@pytest.fixture(scope="module")
def mirrored(index: Mirror, tmp_path_factory: pytest.TempPathFactory) -> Iterator[programs.Serving]:
    """A server whose only Python index is a private address: the mirror's."""
    url = f"http://{index.authority}/"
    none = {"PIP_EXTRA_INDEX_URL": "", "PIP_FIND_LINKS": "", "PIP_CONFIG_FILE": os.devnull}
    with programs.serving(tmp_path_factory.mktemp("run"), "--api-key", API_KEY, PIP_INDEX_URL=url, **none) as serving:
        yield serving


@pytest.fixture
def near_mirror(mirrored: programs.Serving) -> Iterator[Sandbox]:
    made = Sandbox.create(timeout=120, api_url=mirrored.url, sandbox_url=mirrored.url, api_key=API_KEY)
    yield made
    made.kill()


def test_a_private_registry_is_reached_and_no_other_port_of_its_host(
    near_mirror: Sandbox, index: Mirror, canary: socket.socket
) -> None:
    targets = f"CONNECT {index.authority}", f"CONNECT {MIRROR_HOST}:{canary.getsockname()[1]}"
    allowed, refused = ask(near_mirror, *targets)
    assert allowed.startswith("200 ")
    assert refused == f"403 {REFUSED}host '{MIRROR_HOST}' is not allowed: it is a loopback address"


def test_a_private_registry_needs_a_rule_where_the_network_is_off(near_mirror: Sandbox, index: Mirror) -> None:
    near_mirror.update_network({"allow_internet_access": False})
    assert ask(near_mirror, f"CONNECT {index.authority}")[0].startswith("403 ")
    near_mirror.update_network({"allow_out": [MIRROR_HOST], "deny_out": [ALL_TRAFFIC]})
    assert ask(near_mirror, f"CONNECT {index.authority}")[0].startswith("200 ")


def test_killing_a_sandbox_cuts_its_connections_and_leaves_no_descriptor(
    near_mirror: Sandbox, index: Mirror, mirrored: programs.Serving
) -> None:
    descriptors = Path(f"/proc/{mirrored.process.pid}/fd")
    open_before = len(list(descriptors.iterdir()))
    path = _upload(near_mirror, "hold_tunnel")
    for _ in range(5):
        said = iter(near_mirror.commands.run(f"python {path} {index.authority}", background=True))
        assert next(said)[0] == "HTTP/1.1 200 Connection established\n"
    wait_until(lambda: index.connected == 5)
    near_mirror.kill()
    wait_until(lambda: index.connected == 0)
    # Fewer: the sandbox's own have gone too.
    wait_until(lambda: len(list(descriptors.iterdir())) < open_before)


def test_more_connections_than_a_sandbox_may_have_are_refused_until_some_close(
    near_mirror: Sandbox, index: Mirror, mirrored: programs.Serving
) -> None:
    request = f"CONNECT {index.authority}"
    assert ask(near_mirror, request, idle=64) == ["503 This sandbox has 64 connections open already"]
    wait_until(lambda: ask(near_mirror, request)[0].startswith("200 "))


def test_a_flood_of_connections_leaves_the_way_out_open(sandbox: Sandbox) -> None:
    path = _upload(sandbox, "flood_proxy")
    assert sandbox.commands.run(f"python {path} 2000", timeout=90).stdout == "2000\n"
    wait_until(lambda: ask(sandbox, "GET /")[0].startswith("400 "))


def test_connections_of_one_sandbox_are_not_counted_for_another(new_sandbox: NewSandbox) -> None:
    busy, other = new_sandbox(), new_sandbox()
    busy.run_code("import socket; idle = [socket.create_connection(('127.0.0.1', 3128)) for _ in range(64)]")
    assert ask(busy, "GET /")[0].startswith("503 ")
    assert ask(other, "GET /")[0].startswith("400 ")


# --- what a hostile guest could send


async def test_descriptors_that_are_no_tcp_connections_are_closed_and_not_served() -> None:
    taken: asyncio.Future[socket.socket] = asyncio.get_running_loop().create_future()
    ours, guests = messages.pair()
    channel = GuestChannel(ours, taken.set_result)
    pipe = os.pipe()
    unix, other = socket.socketpair()
    with unix, other, guests, socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as datagrams, socket.socket() as tcp:
        open_before = len(os.listdir("/proc/self/fd"))
        for fds in ([pipe[0]], [unix.fileno()], [datagrams.fileno()], [ours.fileno()], [], [pipe[1], tcp.fileno()]):
            messages.send(guests, {"egress": True}, fds)
        messages.send(guests, {"egress": 1}, [tcp.fileno()])
        messages.send(guests, {"egress": True}, [tcp.fileno(), pipe[0], pipe[1]])
        async with asyncio.timeout(60):
            last = await taken
        assert len(os.listdir("/proc/self/fd")) == open_before + 1
    assert (last.family, last.type, last.getblocking()) == (socket.AF_INET, socket.SOCK_STREAM, False)
    last.close()
    channel.close()
    for fd in pipe:
        os.close(fd)


@pytest.mark.parametrize("kind, protocol", [(1, 132), (5, 132), (1, 262), (6, 33), (2, 115), (1, 256), (10, 0)])
@pytest.mark.parametrize("family", [socket.AF_INET, socket.AF_INET6])
def test_there_are_no_sockets_of_protocols_but_tcp_and_udp(
    sandbox: Sandbox, family: int, kind: int, protocol: int
) -> None:
    """SCTP, MPTCP, DCCP, L2TP, SMC, and the old way to a packet socket."""
    code = f"import socket\nsocket.socket({int(family)}, {kind}, {protocol})"
    error = sandbox.run_code(code).error
    assert error is not None
    assert error.name == "PermissionError"
