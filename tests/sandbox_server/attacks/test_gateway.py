"""Attacks on the server's own address: keys, ids, signatures, framing, floods, and hostile answers from inside."""

from __future__ import annotations

import base64
import hashlib
import resource
import secrets
import socket
import time
from collections.abc import Callable, Iterator
from urllib.parse import quote, urlsplit

import pytest
from e2b_code_interpreter import Sandbox

from ..conftest import API_KEY, RunningServer
from ..waiting import wait_until
from .attacker import (
    ENVD,
    MIB,
    encoded,
    head,
    open_files,
    raw,
    read_to_end,
    rss_bytes,
    status,
    to_sandbox,
    token_of,
    upload,
)

NewSandbox = Callable[..., Sandbox]
ROUTES = [
    ("GET", "/sandboxes"),
    ("POST", "/sandboxes"),
    ("GET", "/v2/sandboxes"),
    ("POST", "/v2/sandboxes"),
    ("GET", "/sandboxes/metrics"),
    ("GET", "/sandboxes/{id}"),
    ("DELETE", "/sandboxes/{id}"),
    ("POST", "/sandboxes/{id}/connect"),
    ("POST", "/v2/sandboxes/{id}/connect"),
    ("POST", "/sandboxes/{id}/timeout"),
    ("POST", "/sandboxes/{id}/refreshes"),
    ("POST", "/sandboxes/{id}/pause"),
    ("POST", "/sandboxes/{id}/resume"),
    ("GET", "/sandboxes/{id}/logs"),
    ("GET", "/v2/sandboxes/{id}/logs"),
    ("GET", "/sandboxes/{id}/metrics"),
    ("PUT", "/sandboxes/{id}/network"),
    ("POST", "/sandboxes/{id}/fork"),
    ("POST", "/sandboxes/{id}/snapshots"),
    ("GET", "/templates"),
    ("POST", "/v3/templates"),
    ("GET", "/volumes"),
    ("GET", "/secrets"),
]


@pytest.mark.parametrize(("method", "path"), ROUTES)
def test_every_route_of_the_control_plane_asks_for_the_key(
    server: RunningServer, sandbox: Sandbox, method: str, path: str
) -> None:
    path = path.format(id=sandbox.sandbox_id)
    wrong: list[dict[str, str | bytes]] = [
        {},
        {"X-API-Key": b""},
        {"X-API-Key": API_KEY[:-1].encode()},
        {"X-API-Key": API_KEY.encode() + b"\xff"},
        {"X-API-Key": "ключ".encode()},
        {"X-API-Key": token_of(sandbox).encode()},
        {"Authorization": b"Bearer " + API_KEY[:-1].encode()},
        {"X-Access-Token": token_of(sandbox).encode()},
    ]
    with server.client() as client:
        del client.headers["X-API-Key"]
        for headers in wrong:
            answer = client.request(method, path, headers=encoded(headers))
            assert answer.status_code == 401, headers
            assert answer.json()["code"] == 401
    assert sandbox.is_running()


def test_health_is_all_that_is_open(server: RunningServer) -> None:
    with server.client() as client:
        del client.headers["X-API-Key"]
        assert client.get("/health").status_code == 200
        assert client.get("/").status_code == 404
        assert client.get("/openapi.json").status_code == 404


@pytest.mark.parametrize(
    "sandbox_id", ["", "a:b", "../x", "%2e%2e", "a" * 10_000, "A" * 25, "0" * 25, "a b", "\xff", "x-y", "١٢٣"]
)
def test_a_guessed_id_finds_nothing(server: RunningServer, sandbox_id: str) -> None:
    with server.client() as client:
        answer = client.get("/files", headers=[(b"e2b-sandbox-id", sandbox_id.encode())])
        assert answer.status_code in (400, 502)
        answer = client.get(f"/sandboxes/{quote(sandbox_id, safe='')}x")
        assert answer.status_code == 404
        assert set(answer.json()) == {"code", "message"}


def test_ids_are_long_and_random(new_sandbox: NewSandbox, server: RunningServer) -> None:
    ids = [new_sandbox().sandbox_id for _ in range(3)]
    assert all(len(sandbox_id) == 25 for sandbox_id in ids)
    assert len({sandbox_id[:6] for sandbox_id in ids}) == 3
    alphabet = "0123456789abcdefghijklmnopqrstuv"
    with server.client() as client:
        for _ in range(200):
            guess = "".join(secrets.choice(alphabet) for _ in range(25))
            assert client.get("/contexts", headers={"E2b-Sandbox-Id": guess}).status_code == 502


def _sign(
    sandbox: Sandbox, path: str, operation: str, user: str = "", expires: int | None = None, token: str = ""
) -> str:
    parts = [path, operation, user, token or token_of(sandbox), *([] if expires is None else [str(expires)])]
    digest = base64.b64encode(hashlib.sha256(":".join(parts).encode()).digest()).decode().rstrip("=")
    return quote(f"v1_{digest}", safe="")


def test_a_signature_opens_what_it_was_made_for_and_nothing_else(server: RunningServer, sandbox: Sandbox) -> None:
    sandbox.files.write("a", "a")
    sandbox.files.write("b", "b")
    soon, past = int(time.time()) + 60, int(time.time()) - 1
    good = _sign(sandbox, "a", "read")
    timed = _sign(sandbox, "a", "read", expires=soon)
    to = to_sandbox(sandbox, token=False)
    with server.client() as client:

        def get(query: str, method: str = "GET") -> int:
            return client.request(method, f"/files?{query}", headers=to).status_code

        assert get(f"path=a&signature={good}") == 200
        assert get(f"path=a&signature={timed}&signature_expiration={soon}") == 200
        refused = [
            f"path=b&signature={good}",
            f"path=a&signature={good[:-1]}",
            f"path=a&signature={good}x",
            "path=a&signature=",
            "path=a",
            f"path=a&signature={timed}",
            f"path=a&signature={timed}&signature_expiration={soon + 60}",
            f"path=a&signature={_sign(sandbox, 'a', 'read', expires=past)}&signature_expiration={past}",
            f"path=a&signature={good}&signature_expiration=-1",
            f"path=a&signature={good}&signature_expiration=1e30",
            f"path=a&signature={good}&signature_expiration={'9' * 5000}",
            f"path=a&username=root&signature={good}",
            f"path=a&signature={_sign(sandbox, 'a', 'read', token='guess')}",
            f"path=a&path=b&signature={good}",
            f"path=a&signature={_sign(sandbox, 'a', 'write')}",
        ]
        assert [query for query in refused if get(query) != 401] == []
        assert get(f"path=a&signature={good}", "POST") == 401
        assert get(f"path=a&signature={good}", "HEAD") == 401
        assert client.post("/files/compose", headers=to, params={"signature": good}).status_code == 401


TRAVERSALS = [
    "/files/..%2f..%2fetc%2fpasswd",
    "/files/%252e%252e%252fetc",
    "//etc/passwd",
    "/files?path=a%00b",
    "/files?path=%ff%fe",
    "/files?path=" + "a" * 5000,
    "/files?path=" + "a/" * 2000,
    "/files?path=..%2f..%2f..%2fetc%2fshadow",
    "/files?path=/proc/1/mem",
    "/files?path=/proc/1/root/etc/shadow",
    "/files?path=/dev/zero",
    "/files?path=/dev/random",
    "/files?path=~root/x",
    "/files?path=",
    "/files?path=.",
    "/%2e%2e/%2e%2e/files",
    "/files;x?path=/etc/passwd",
]


@pytest.mark.parametrize("target", TRAVERSALS)
def test_a_traversal_is_refused_or_stays_inside(server: RunningServer, sandbox: Sandbox, target: str) -> None:
    headers = [f"{name}: {value}" for name, value in to_sandbox(sandbox).items()]
    answer = raw(server, head(f"GET {target}", "Host: localhost", "Connection: close", *headers))
    assert status(answer) in (400, 403, 404)
    assert b"root:x:" not in answer


CHUNK = b"5\r\nhello\r\n0\r\n\r\n"
SMUGGLED = [
    (b"Content-Length: 5\r\nTransfer-Encoding: chunked\r\n", CHUNK),
    (b"Transfer-Encoding: chunked\r\nContent-Length: 5\r\n", CHUNK),
    (b"Content-Length: 5\r\nContent-Length: 6\r\n", b"hello!"),
    (b"Content-Length: 5\r\nContent-Length: 5\r\n", b"hello"),
    (b"Content-Length: -1\r\n", b""),
    (b"Content-Length: +5\r\n", b"hello"),
    (b"Content-Length: 5, 5\r\n", b"hello"),
    (b"Content-Length: 0x5\r\n", b"hello"),
    (b"Content-Length: 99999999999999999999999\r\n", b""),
    (b"Transfer-Encoding: gzip\r\n", b"hello"),
    (b"Transfer-Encoding: identity\r\n", b"hello"),
    (b"Transfer-Encoding: xchunked\r\n", CHUNK),
    (b"Transfer-Encoding: chunked\r\nTransfer-Encoding: identity\r\n", CHUNK),
    (b"Transfer-Encoding : chunked\r\n", CHUNK),
    (b"Transfer-Encoding: chunked\r\n", b"-5\r\nhello\r\n0\r\n\r\n"),
    (b"Transfer-Encoding: chunked\r\n", b"fffffffffffffffff\r\nhello"),
    (b"Transfer-Encoding: chunked\r\n", b"5hello\r\n0\r\n\r\n"),
    (b"Host : x\r\n", b""),
    (b"Host: x\r\n", b""),
    (b"Bad Name: x\r\n", b""),
    (b"X: a\x00b\r\n", b""),
    (b"X: a\rb\r\n", b""),
    (b": empty\r\n", b""),
    (b" folded: x\r\n", b""),
    (b"E2b-Sandbox-Id: a\r\nE2b-Sandbox-Id: b\r\n", b""),
]


@pytest.mark.parametrize(("lines", "body"), SMUGGLED)
def test_a_request_that_two_readers_could_read_differently_is_refused(
    server: RunningServer, lines: bytes, body: bytes
) -> None:
    start = b"POST /sandboxes HTTP/1.1\r\nHost: localhost\r\n"
    smuggled = b"GET /health HTTP/1.1\r\nHost: localhost\r\n\r\n"
    answer = raw(server, start + lines + b"\r\n" + body + smuggled)
    assert status(answer) in (400, 431)
    assert b'"code": ' in answer or b'"code":' in answer
    assert answer.count(b"HTTP/1.1 ") == 1
    assert b'"ok"' not in answer


@pytest.mark.parametrize(
    "request_bytes",
    [
        b"GET / HTTP/1.1\nHost: localhost\n\n",
        b"GET / HTTP/9.9\r\nHost: localhost\r\n\r\n",
        b"GET  / HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n",
        b"GET /\x00 HTTP/1.1\r\nHost: localhost\r\n\r\n",
        b"CONNECT example.com:443 HTTP/1.1\r\nHost: example.com\r\n\r\n",
        b"OPTIONS * HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n",
        b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
        b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03" + b"\x00" * 64,
        b"G\xc3\x8bT / HTTP/1.1\r\nHost: localhost\r\n\r\n",
        b"\r\n" * 100_000,
    ],
    ids=["bare LF", "version", "two spaces", "NUL", "CONNECT", "OPTIONS *", "HTTP/2", "TLS", "method", "empty lines"],
)
def test_what_is_no_request_is_refused_and_closed(server: RunningServer, request_bytes: bytes) -> None:
    assert status(raw(server, request_bytes)) in (0, 400, 404, 408, 431)


def test_a_head_of_a_megabyte_and_one_of_20000_headers_are_refused(server: RunningServer) -> None:
    before = rss_bytes(server.process.pid)
    assert status(raw(server, b"GET / HTTP/1.1\r\nHost: localhost\r\nX: " + b"a" * MIB + b"\r\n\r\n")) in (431, 0)
    assert status(raw(server, b"GET / HTTP/1.1\r\nHost: localhost\r\n" + b"a: b\r\n" * 20_000 + b"\r\n")) in (431, 0)
    assert status(raw(server, b"GET /" + b"a" * MIB + b" HTTP/1.1\r\nHost: localhost\r\n\r\n")) in (431, 0)
    assert rss_bytes(server.process.pid) - before < 64 * MIB


CHUNKED = (
    b"POST /sandboxes HTTP/1.1\r\nHost: localhost\r\nX-API-Key: %s\r\nTransfer-Encoding: chunked\r\n\r\n"
    % API_KEY.encode()
)


@pytest.mark.parametrize(
    ("begin", "piece"),
    [
        (b"0\r\nX: ", b"a" * 65536),
        (b"0\r\n", b"a: b\r\n" * 10_000),
        (b"5;", b"a" * 65536),
        (b"", b"10000\r\n" + b"a" * 65536 + b"\r\n"),
        (b"", b"1\r\na\r\n" * 10_000),
    ],
    ids=["trailer", "trailers", "extension", "body", "small chunks"],
)
def test_a_request_without_end_costs_no_memory(server: RunningServer, begin: bytes, piece: bytes) -> None:
    before = rss_bytes(server.process.pid)
    address = urlsplit(server.url)
    with socket.create_connection((address.hostname, address.port or 0), timeout=60) as connection:
        received = b""
        try:
            connection.sendall(CHUNKED + begin)
            for _ in range(2000):
                connection.sendall(piece)
            connection.shutdown(socket.SHUT_WR)
            received = read_to_end(connection)
        except ConnectionError:
            pass
    assert status(received) in (0, 400, 413, 431)
    assert rss_bytes(server.process.pid) - before < 64 * MIB


def test_a_slow_head_ends_with_408(server: RunningServer) -> None:
    assert status(raw(server, b"GET / HTTP/1.1\r\nHost: loc")) == 408


def test_clients_that_leave_in_the_middle_leave_nothing(server: RunningServer, sandbox: Sandbox) -> None:
    sandbox.commands.run("true")
    before = open_files(server.process.pid)
    address = urlsplit(server.url)
    headers = [f"{name}: {value}" for name, value in to_sandbox(sandbox).items()]
    uploads = head("POST /files?path=half", "Host: localhost", "Content-Length: 1000000",
                   "Content-Type: application/octet-stream", *headers)  # fmt: skip
    for request in (b"", b"GET / HT", head("GET /health", "Host: localhost")[:-2], uploads + b"x" * 1000, uploads):
        for _ in range(10):
            with socket.create_connection((address.hostname, address.port or 0)) as connection:
                connection.sendall(request)
    wait_until(lambda: open_files(server.process.pid) <= before + 10)
    wait_until(lambda: not sandbox.files.exists("half"))
    assert sandbox.commands.run("echo fine").stdout == "fine\n"


@pytest.fixture
def many_files() -> Iterator[None]:
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (min(4096, hard), hard))
    yield
    resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))


@pytest.mark.usefixtures("many_files")
def test_a_thousand_idle_connections_hold_nobody_up(server: RunningServer, sandbox: Sandbox) -> None:
    address = urlsplit(server.url)
    before = open_files(server.process.pid)
    flood = [socket.create_connection((address.hostname, address.port or 0)) for _ in range(1000)]
    try:
        assert sandbox.commands.run("echo fine").stdout == "fine\n"
        assert sandbox.run_code("1 + 1").text == "2"
    finally:
        for connection in flood:
            connection.close()
    wait_until(lambda: open_files(server.process.pid) < before + 20)


HOSTILE = {
    "status 999": {502},
    "early hints with a body": {502},
    "switching protocols": {502},
    "bad length": {502},
    "two lengths": {502},
    "no http": {502},
    "nothing": {502},
    "endless head": {502},
    "endless headers": {502},
    "endless informational": {502},
    "endless trailer": {200},
    "endless trailers": {200},
    "endless chunk extension": {200},
    "short body": {200},
    "long body": {200},
}


@pytest.mark.parametrize("mode", list(HOSTILE))
def test_a_hostile_web_server_in_a_sandbox_harms_nobody(server: RunningServer, sandbox: Sandbox, mode: str) -> None:
    listening = sandbox.commands.run(f"python {upload(sandbox, 'web_server')} 8000 '{mode}'", background=True)
    assert "listening" in str(next(iter(listening))[0])
    before = rss_bytes(server.process.pid)
    answer = raw(server, head("GET /", f"Host: 8000-{sandbox.sandbox_id}.localhost", "Connection: close"))
    assert status(answer) in HOSTILE[mode]
    assert rss_bytes(server.process.pid) - before < 64 * MIB
    with server.client() as client:
        assert client.get("/health").status_code == 200


@pytest.mark.parametrize("path", ["/health", "/files?path=/etc/passwd", "/nowhere"])
@pytest.mark.parametrize("port", [49983, 49999])
def test_a_head_request_is_answered_and_does_not_hang(
    server: RunningServer, sandbox: Sandbox, port: int, path: str
) -> None:
    headers = [f"{name}: {value}" for name, value in to_sandbox(sandbox, port).items()]
    answer = raw(server, head(f"HEAD {path}", "Host: localhost", "Connection: close", *headers))
    assert status(answer) in (200, 204, 404, 405)
    assert answer.endswith(b"\r\n\r\n")


def test_a_head_request_to_a_web_server_inside_does_not_wait_for_a_body(
    server: RunningServer, sandbox: Sandbox
) -> None:
    listening = sandbox.commands.run(
        f"python {upload(sandbox, 'web_server')} 8000 'length and no body'", background=True
    )
    next(iter(listening))
    answer = raw(server, head("HEAD /", f"Host: 8000-{sandbox.sandbox_id}.localhost", "Connection: close"))
    assert status(answer) == 200


def test_a_page_from_elsewhere_cannot_reach_the_control_plane_by_its_own_name(server: RunningServer) -> None:
    for host in ("evil.example", "evil.example:80", "localhost.evil.example", "127.0.0.1.evil.example", ""):
        assert status(raw(server, head("GET /sandboxes", f"Host: {host}", "Connection: close"))) in (400, 421)


def test_forwarded_headers_change_nothing(server: RunningServer, sandbox: Sandbox) -> None:
    with server.client() as client:
        headers = {"X-Forwarded-For": "6.6.6.6", "X-Forwarded-Host": f"{ENVD}-{sandbox.sandbox_id}.localhost"}
        assert client.get("/files?path=/etc/passwd", headers=headers).status_code == 404
