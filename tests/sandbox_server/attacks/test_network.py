"""Ways out of a sandbox's network, and ways in."""

from __future__ import annotations

import socket
from collections.abc import Callable
from pathlib import Path
from urllib.parse import urlsplit

import pytest
from e2b_code_interpreter import Sandbox

from ..conftest import RunningServer
from ..waiting import wait_until
from .attacker import encoded, head, probe, raw, status, to_sandbox

NewSandbox = Callable[..., Sandbox]
REFUSED = {
    "gateway": "ECONNREFUSED",
    "any address": "ECONNREFUSED",
    "listener": "ECONNREFUSED",
    "listener 6": "ECONNREFUSED",
    "unix": "ENOENT",
    "abstract": "ECONNREFUSED",
}


@pytest.mark.parametrize("internet", [True, False])
def test_nothing_is_reached_past_the_proxy(
    server: RunningServer, new_sandbox: NewSandbox, tmp_path: Path, internet: bool
) -> None:
    sandbox = new_sandbox(allow_internet_access=internet)
    abstract = f"canary-{sandbox.sandbox_id}"
    with (
        socket.create_server(("", 0), family=socket.AF_INET6, dualstack_ipv6=True) as listener,
        socket.socket(socket.AF_UNIX) as by_path,
        socket.socket(socket.AF_UNIX) as by_name,
    ):
        by_path.bind(str(tmp_path / "s"))
        by_path.listen()
        by_name.bind("\0" + abstract)
        by_name.listen()
        ports = (urlsplit(server.url).port, listener.getsockname()[1])
        outcomes = probe(sandbox, "network", *ports, tmp_path / "s", abstract)
    unreachable = {name for name, outcome in outcomes.items() if outcome == "ENETUNREACH"}
    assert unreachable == {"internet", "udp", "internet 6", "metadata", "metadata 6", "private"}
    assert {name: outcomes[name] for name in REFUSED} == REFUSED
    assert outcomes["name"].startswith("EAI_")


@pytest.mark.parametrize("host", ["127.0.0.1", "localhost", "[::1]", "0.0.0.0", "2130706433", "[::ffff:127.0.0.1]"])
def test_the_proxy_leads_nowhere_on_the_host(sandbox: Sandbox, host: str) -> None:
    with socket.create_server(("127.0.0.1", 0)) as canary:
        canary.setblocking(False)
        port = canary.getsockname()[1]
        proxied = "curl -s -m 10 --noproxy '' -o /dev/null -w '%{http_code}' -x http://127.0.0.1:3128"
        assert sandbox.commands.run(f"{proxied} 'http://{host}:{port}/' || true").stdout in ("403", "400", "502")
        with pytest.raises(BlockingIOError):
            canary.accept()


@pytest.mark.parametrize("address", ["127.0.0.1", "0.0.0.0", "::1"])
def test_a_port_is_reached_through_the_gateway_wherever_it_is_bound(
    server: RunningServer, sandbox: Sandbox, address: str
) -> None:
    sandbox.commands.run(f"python -m http.server -b {address} 8000", background=True)
    request = head("GET /", f"Host: 8000-{sandbox.sandbox_id}.localhost", "Connection: close")
    wait_until(lambda: status(raw(server, request)) == 200)


def test_a_closed_port_is_a_502(server: RunningServer, sandbox: Sandbox) -> None:
    answer = raw(server, head("GET /", f"Host: 8001-{sandbox.sandbox_id}.localhost", "Connection: close"))
    assert status(answer) == 502
    assert b"port is not open" in answer


@pytest.mark.parametrize("port", ["0", "65536", "99999", "999999999999", "-1", "1e3", "٣", "22x"])
def test_a_port_that_cannot_be_is_refused(server: RunningServer, sandbox: Sandbox, port: str) -> None:
    headers: dict[str, str | bytes] = {**to_sandbox(sandbox), "E2b-Sandbox-Port": port.encode()}
    with server.client() as client:
        assert client.get("/", headers=encoded(headers)).status_code == 400


def test_sandboxes_do_not_share_a_network(new_sandbox: NewSandbox) -> None:
    first, second = new_sandbox(), new_sandbox()
    first.commands.run("python -m http.server 8000", background=True)
    reach = "import socket; socket.create_connection(('127.0.0.1', 8000)).close()"
    wait_until(lambda: first.run_code(reach).error is None)
    error = second.run_code(reach).error
    assert error is not None and error.name == "ConnectionRefusedError"
