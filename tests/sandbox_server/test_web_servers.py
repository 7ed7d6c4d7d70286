"""A web server started in a sandbox is reached from outside, through the gateway."""

from __future__ import annotations

import base64
import hashlib
import os
import socket
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx
import pytest
from e2b_code_interpreter import Sandbox

from .conftest import RunningServer
from .waiting import wait_until

PROGRAM = Path(__file__).parent / "inside" / "web_server.py"
MIB = 1024 * 1024
NewSandbox = Callable[..., Sandbox]


def serve(sandbox: Sandbox, port: int = 3000, host: str = "0.0.0.0") -> Any:
    """Start the web server inside; return the SDK's handle of it once it listens."""
    sandbox.files.write("web_server.py", PROGRAM.read_bytes())
    command = f"python web_server.py {port} {host}"
    handle = sandbox.commands.run(command, background=True, stdin=True, timeout=0)
    assert next(iter(handle))[0] == "ready\n"
    return handle


@pytest.fixture
def web(server: RunningServer, sandbox: Sandbox) -> Iterator[httpx.Client]:
    """A client of the server at port 3000, as a browser would be: by the host name."""
    serve(sandbox)
    with browser(server, sandbox) as client:
        yield client


def browser(server: RunningServer, sandbox: Sandbox, port: int = 3000, **headers: str) -> httpx.Client:
    """Not every resolver knows *.localhost, so connect to the address and say the name."""
    return httpx.Client(
        base_url=server.url, headers={"Host": sandbox.get_host(port), **headers}, timeout=60, trust_env=False
    )


def test_the_host_name_leads_to_the_port(server: RunningServer, sandbox: Sandbox, web: httpx.Client) -> None:
    port = server.url.rpartition(":")[2]
    assert sandbox.get_host(3000) == f"3000-{sandbox.sandbox_id}.localhost:{port}"
    answer = web.get("/page?x=1&y=%20z")
    assert answer.status_code == 200
    assert answer.json()["path"] == "/page?x=1&y=%20z"
    assert answer.json()["headers"]["host"] == sandbox.get_host(3000)


def test_e2bs_headers_lead_to_the_port(server: RunningServer, sandbox: Sandbox, web: httpx.Client) -> None:
    headers = {"E2b-Sandbox-Id": sandbox.sandbox_id, "E2b-Sandbox-Port": "3000"}
    assert httpx.get(server.url + "/page", headers=headers, trust_env=False).json()["path"] == "/page"


@pytest.mark.parametrize("host", ["127.0.0.1", "::1", "::", "localhost"])
def test_a_server_is_found_at_whatever_local_address_it_listens(
    server: RunningServer, sandbox: Sandbox, host: str
) -> None:
    serve(sandbox, 8080, host)
    with browser(server, sandbox, 8080) as client:
        assert client.get("/").status_code == 200


def test_a_port_where_nobody_listens_is_a_502_that_says_so(server: RunningServer, sandbox: Sandbox) -> None:
    with browser(server, sandbox, 4000) as client:
        answer = client.get("/")
    assert answer.status_code == 502
    assert "port is not open" in answer.json()["message"]
    assert answer.json()["sandboxId"] == sandbox.sandbox_id


def test_two_servers_in_two_sandboxes_do_not_meet(server: RunningServer, new_sandbox: NewSandbox) -> None:
    one, other = new_sandbox(), new_sandbox()
    serve(one)
    with browser(server, one) as client:
        assert client.get("/").status_code == 200
    with browser(server, other) as client:
        assert client.get("/").status_code == 502


@pytest.mark.parametrize("method", ["POST", "PUT", "PATCH", "DELETE", "OPTIONS"])
def test_a_body_arrives_whole_with_every_method(web: httpx.Client, method: str) -> None:
    body = os.urandom(3 * MIB)
    seen = web.request(method, "/form", content=body).json()
    assert (seen["method"], seen["bytes"], seen["body"]) == (method, len(body), hashlib.sha256(body).hexdigest())


def test_a_body_without_a_length_arrives_whole(web: httpx.Client) -> None:
    piece = os.urandom(100_000)
    seen = web.post("/form", content=(piece for _ in range(30))).json()
    assert seen["body"] == hashlib.sha256(piece * 30).hexdigest()


def test_the_servers_own_authorization_and_cookies_pass(web: httpx.Client) -> None:
    headers = web.get("/", headers={"Authorization": "Bearer mine", "Cookie": "a=b", "X-Own": "1"}).json()["headers"]
    assert (headers["authorization"], headers["cookie"], headers["x-own"]) == ("Bearer mine", "a=b", "1")


@pytest.mark.parametrize("path", ["/unchanged", "/empty"])
def test_an_answer_without_a_body_ends_at_its_head(web: httpx.Client, path: str) -> None:
    for _ in range(2):
        assert web.get(path).status_code in (204, 304)
        assert web.get("/").status_code == 200


def test_the_answer_to_head_keeps_its_length(web: httpx.Client) -> None:
    answer = web.head("/")
    assert (answer.headers["content-length"], answer.content) == ("12345", b"")
    assert web.get("/").status_code == 200


def test_a_server_of_the_old_kind_ends_its_answer_by_hanging_up(web: httpx.Client) -> None:
    assert web.get("/old").text == "until the end"


def test_an_answer_that_breaks_off_breaks_off_for_the_client_too(web: httpx.Client) -> None:
    with pytest.raises(httpx.RemoteProtocolError):
        web.get("/half")


def test_a_server_that_does_not_speak_http_is_a_502(web: httpx.Client) -> None:
    assert web.get("/garbage").status_code == 502


def test_a_server_that_refuses_a_body_early_is_heard(web: httpx.Client) -> None:
    for _ in range(5):
        assert web.post("/refuse", content=bytes(100_000)).status_code == 413


def test_events_arrive_one_by_one(server: RunningServer, sandbox: Sandbox) -> None:
    handle = serve(sandbox)
    with browser(server, sandbox) as client, client.stream("GET", "/events") as answer:
        assert answer.headers["content-type"] == "text/event-stream"
        lines = answer.iter_lines()
        for number in range(5):
            handle.send_stdin("next\n")
            assert next(lines) == f"data: {number}"
            assert next(lines) == ""


def test_a_slow_reader_slows_the_server_down_and_gets_everything(web: httpx.Client) -> None:
    with web.stream("GET", "/large") as answer:
        chunks = answer.iter_raw()
        read = len(next(chunks))
        sent = []

        def has_stopped() -> bool:
            sent.append(int(web.get("/sent").text))
            return len(sent) > 30 and len(set(sent[-30:])) == 1

        wait_until(has_stopped)
        assert sent[-1] < 50
        assert read + sum(len(chunk) for chunk in chunks) == 100 * MIB


def test_a_download_that_its_client_breaks_off_ends_the_servers_side(web: httpx.Client) -> None:
    with web.stream("GET", "/large") as answer:
        next(answer.iter_raw())
    sent = int(web.get("/sent").text)
    assert sent < 100
    assert web.get("/").status_code == 200


@contextmanager
def websocket(
    server: RunningServer, sandbox: Sandbox, path: str = "/socket", **headers: str
) -> Iterator[tuple[socket.socket, bytes]]:
    """Open a connection and ask for a WebSocket; give it with the head of the answer."""
    url = httpx.URL(server.url)
    key = base64.b64encode(os.urandom(16)).decode()
    fields = {"Host": sandbox.get_host(3000), "Connection": "Upgrade", "Upgrade": "websocket"}
    fields |= {"Sec-WebSocket-Version": "13", "Sec-WebSocket-Key": key, **headers}
    lines = [f"GET {path} HTTP/1.1", *(f"{name}: {value}" for name, value in fields.items()), "", ""]
    with socket.create_connection((url.host, url.port), timeout=60) as connection:
        connection.sendall("\r\n".join(lines).encode())
        head = b""
        while not head.endswith(b"\r\n\r\n"):
            byte = connection.recv(1)
            assert byte, head
            head += byte
        yield connection, head


def receive(connection: socket.socket, size: int) -> bytes:
    data = b""
    while len(data) < size:
        more = connection.recv(size - len(data))
        assert more, f"closed after {len(data)} bytes"
        data += more
    return data


def test_a_websocket_goes_through(server: RunningServer, sandbox: Sandbox) -> None:
    handle = serve(sandbox)
    frame = b"\x81\x85\x01\x02\x03\x04" + bytes(a ^ b for a, b in zip(b"hello", b"\x01\x02\x03\x04\x01", strict=True))
    with websocket(server, sandbox) as (connection, head):
        assert head.startswith(b"HTTP/1.1 101 ")
        assert b"sec-websocket-accept: " in head.lower()
        for _ in range(3):
            connection.sendall(frame)
            assert receive(connection, len(frame)) == frame
    assert next(iter(handle))[0] == "client gone\n"


def test_a_websocket_carries_much_in_both_directions_at_once(server: RunningServer, sandbox: Sandbox) -> None:
    serve(sandbox)
    piece = os.urandom(64 * 1024)
    with websocket(server, sandbox) as (connection, _):
        for _ in range(50):
            connection.sendall(piece)
            assert receive(connection, len(piece)) == piece


def test_a_websocket_to_a_closed_port_is_a_502(server: RunningServer, sandbox: Sandbox) -> None:
    with websocket(server, sandbox) as (_, head):
        assert head.startswith(b"HTTP/1.1 502 ")


def test_a_websocket_ends_with_its_sandbox(server: RunningServer, sandbox: Sandbox) -> None:
    serve(sandbox)
    with websocket(server, sandbox) as (connection, head):
        assert head.startswith(b"HTTP/1.1 101 ")
        sandbox.kill()
        assert connection.recv(1) == b""


def test_without_public_traffic_only_its_token_opens_a_port(server: RunningServer, new_sandbox: NewSandbox) -> None:
    sandbox = new_sandbox(network={"allow_public_traffic": False})
    serve(sandbox)
    token = sandbox.traffic_access_token
    assert token
    name = "E2b-Traffic-Access-Token"
    for headers, status in (({}, 401), ({name: "wrong"}, 401), ({name: sandbox.sandbox_id}, 401), ({name: token}, 200)):
        with browser(server, sandbox, **headers) as client:
            assert client.get("/").status_code == status
    for headers, status in (({}, 401), ({name: token}, 101)):
        with websocket(server, sandbox, **headers) as (_, head):
            assert head.startswith(b"HTTP/1.1 %d " % status)
    assert sandbox.run_code("1 + 1").text == "2"
    assert sandbox.commands.run("echo works").stdout == "works\n"


def test_a_port_opens_again_after_pause_and_resume(server: RunningServer, sandbox: Sandbox, web: httpx.Client) -> None:
    sandbox.pause()
    answer = web.get("/")
    assert answer.status_code == 502
    assert answer.json()["message"] == "The sandbox was not found"
    Sandbox.connect(sandbox.sandbox_id, **server.options)
    assert web.get("/").status_code == 200
    assert sandbox.files.exists("web_server.py")


def test_a_hundred_requests_leave_no_connection_open_inside(sandbox: Sandbox, web: httpx.Client) -> None:
    assert [web.get("/").status_code for _ in range(100)] == [200] * 100
    # State 01 is an established connection.
    wait_until(lambda: sandbox.commands.run("grep -c ':0BB8 .* 01 ' /proc/net/tcp || true").stdout.strip() == "0")


def test_a_websocket_whose_path_is_no_url_is_answered(server: RunningServer, sandbox: Sandbox) -> None:
    with websocket(server, sandbox, path="//[") as (_, head):
        assert head.startswith(b"HTTP/1.1 502 ")
