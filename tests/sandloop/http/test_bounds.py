"""How much, how often and how slowly: what one client can do to the server, it can do to itself only."""

from __future__ import annotations

import json
import socket
import threading
import time
from collections.abc import Callable
from urllib.parse import urlsplit

import httpx
import pytest

from tests.sandbox_server.waiting import wait_until

from . import events
from .conftest import RunningSandloop, token

BAD_BODIES = {
    "NaN": b'{"code": "1", "timeout": NaN}',
    "Infinity": b'{"code": "1", "timeout": -Infinity}',
    "a number too large": b'{"code": "1", "timeout": 1e999}',
    "a number of many digits": b'{"code": "1", "timeout": ' + b"1" * 10_000 + b"}",
    "a lone surrogate": b'{"code": "\\ud800"}',
    "a lone surrogate as a key": b'{"\\udc00": 1}',
    "NUL": b'{"code": "\\u0000"}',
    "nested deeply": b"[" * 200_000,
    "no UTF-8": b'{"code": "\xff"}',
    "a mark of byte order": b'\xef\xbb\xbf{"code": "1"}',
    "no object": b"[1, 2]",
    "nothing": b"",
    "half of it": b'{"code": "1',
    "an unknown field": b'{"code": "1", "colour": 1}',
    "a wrong type": b'{"code": {"a": 1}}',
    "a thread that is none": b'{"code": "1", "thread_id": "../x"}',
    "a thread of line breaks": b'{"code": "1", "thread_id": "a\\n"}',
}


def connected(running: RunningSandloop, seconds: float = 60) -> socket.socket:
    place = urlsplit(running.url)
    return socket.create_connection((place.hostname, place.port), timeout=seconds)


def told(connection: socket.socket) -> bytes:
    """All that comes until the server closes."""
    received = b""
    while piece := connection.recv(65536):
        received += piece
    return received


def head(*lines: str, path: str = "/code/execute") -> bytes:
    common = (f"POST {path} HTTP/1.1", "Host: localhost", f"Authorization: Bearer {token()}")
    return "\r\n".join((*common, "Content-Type: application/json", *lines, "", "")).encode()


@pytest.mark.parametrize("kind", BAD_BODIES)
def test_a_bad_body_is_the_clients_error(alice: httpx.Client, kind: str):
    headers = {"Content-Type": "application/json"}
    answer = alice.post("/code/execute", content=BAD_BODIES[kind], headers=headers)
    assert answer.status_code in (400, 422)
    problem = answer.json()
    assert answer.headers["content-type"] == "application/problem+json"
    assert problem["status"] == answer.status_code
    assert not {"Traceback", "site-packages", "pydantic"} & set(answer.text.replace('"', " ").split())


def test_a_problem_names_the_field(alice: httpx.Client):
    body = {"code": "1", "policy": {"maxExecutionTime": 0, "name": ""}}
    errors = alice.post("/code/execute", json=body).json()["errors"]
    assert {error["field"] for error in errors} == {"policy.maxExecutionTime", "policy.name"}


def test_a_body_that_is_no_json_by_its_type_is_refused(alice: httpx.Client):
    # What a form of a foreign page can send.
    for kind in ("text/plain", "application/x-www-form-urlencoded"):
        answer = alice.post("/code/execute", content=b'{"code": "1"}', headers={"Content-Type": kind})
        assert answer.status_code == 422


@pytest.mark.parametrize(
    "path",
    [
        "/sandboxes/%00",
        "/sandboxes/..%2f..%2fetc%2fpasswd",
        "/sandboxes/a%ff",
        "/code/download?path=a%00b",
        "/code/download?path=%ff",
        "/code/languages?thread_id=%00",
        "/agents/threads/%00",
        "/agents/threads/..%2fx",
        f"/sandboxes/{'a' * 5000}",
        "//sandboxes",
    ],
)
def test_a_bad_address_is_the_clients_error(alice: httpx.Client, path: str):
    request = alice.build_request("GET", "/")
    raw = httpx.URL(str(request.url)).copy_with(raw_path=path.encode())
    answer = alice.send(httpx.Request("GET", raw, headers=request.headers))
    assert 400 <= answer.status_code < 500


def test_a_large_body_is_refused_before_it_is_read(sandloop: RunningSandloop):
    with connected(sandloop) as connection:
        connection.sendall(head("Content-Length: 999999999"))
        assert b" 413 " in told_head(connection)


def test_a_large_body_without_a_length_is_refused_when_it_is_too_large(sandloop: RunningSandloop):
    with connected(sandloop) as connection:
        connection.sendall(head("Transfer-Encoding: chunked"))
        chunk = b"100000\r\n" + b"x" * 0x100000 + b"\r\n"
        try:
            for _ in range(20):
                connection.sendall(chunk)
        except OSError:
            pass
        assert b" 413 " in told_head(connection)


def told_head(connection: socket.socket) -> bytes:
    received = b""
    while b"\r\n\r\n" not in received:
        try:
            piece = connection.recv(65536)
        except ConnectionResetError:
            break
        if not piece:
            break
        received += piece
    return received


@pytest.mark.parametrize(
    "framing",
    [
        ("Content-Length: 3", "Transfer-Encoding: chunked"),
        ("Content-Length: 3", "Content-Length: 4"),
        ("Content-Length: -1",),
        ("Host : x",),
        ("Host: other",),
        ("X: " + "a" * 100_000,),
        tuple(f"X-{number}: a" for number in range(1000)),
    ],
    ids=["both", "two lengths", "negative", "space", "two hosts", "large", "many"],
)
def test_an_ambiguous_or_large_head_is_refused_and_the_connection_closed(
    sandloop: RunningSandloop, framing: tuple[str, ...]
):
    with connected(sandloop) as connection:
        try:
            connection.sendall(head(*framing))
            answer = told(connection)
        except ConnectionError:
            return
        assert answer.split(b" ")[1] in (b"400", b"431")
        assert b"application/problem+json" in answer


def test_a_call_that_takes_too_long_is_ended(started: Callable[..., RunningSandloop]):
    running = started(SANDLOOP_LIMITS_CALL_SECONDS="3")
    with running.client("alice") as client:
        client.post("/code/execute", json={"code": "import time", "thread_id": "long"})
        body = {"code": "print('begun', flush=True); time.sleep(600)", "thread_id": "long"}
        answer = client.post("/code/execute", json=body)
        assert (answer.status_code, answer.json()["code"]) == (504, "timeout")
        got = events.post(client, "/code/execute", body)
        assert (got[0][0], got[-1][0], got[-1][1]["code"]) == ("stdout", "problem", "timeout")
        for sandbox in client.get("/sandboxes").json():
            client.delete(f"/sandboxes/{sandbox['sandbox_id']}")


def test_a_slow_head_and_a_slow_body_are_ended(started: Callable[..., RunningSandloop]):
    running = started(SANDLOOP_LIMITS_BODY_SECONDS="2")
    with connected(running) as slow_head, connected(running) as slow_body:
        slow_head.sendall(b"GET /health HT")
        slow_body.sendall(head("Content-Length: 1000"))
        started_at = time.monotonic()
        done = threading.Event()

        def drip() -> None:
            while not done.wait(0.2):
                try:
                    slow_body.sendall(b"x")
                except OSError:
                    return

        dripping = threading.Thread(target=drip)
        dripping.start()
        try:
            assert b" 408 " in told_head(slow_body)
            assert time.monotonic() - started_at < 20
        finally:
            done.set()
            dripping.join()
        assert b" 408 " in told_head(slow_head)


def test_too_many_requests_of_one_subject_are_refused_whatever_its_headers(started: Callable[..., RunningSandloop]):
    running = started(SANDLOOP_LIMITS_REQUESTS="10/minute")
    with running.client("alice") as alice, running.client("bob") as bob:
        refused = None
        for number in range(15):
            disguise = {
                "X-Forwarded-For": f"6.6.6.{number}",
                "X-Real-IP": f"6.6.6.{number}",
                "Forwarded": "for=6.6.6.6",
            }
            answer = alice.get("/auth/me", headers=disguise)
            if answer.status_code == 429:
                refused = refused or (number, answer)
        assert refused is not None
        assert refused[0] >= 10
        assert 1 <= int(refused[1].headers["retry-after"]) <= 60
        assert refused[1].json()["code"] == "rate_limited"
        assert refused[1].headers["content-type"] == "application/problem+json"
        assert bob.get("/auth/me").status_code == 200
        assert alice.get("/health").status_code == 200


def test_guessing_tokens_is_limited_by_address_and_forwarded_headers_are_not_believed(
    started: Callable[..., RunningSandloop],
):
    running = started(SANDLOOP_LIMITS_REFUSED="5/minute")
    with running.client() as client, running.client("alice") as alice:
        statuses = [
            client.get("/auth/me", headers={"X-Forwarded-For": f"6.6.6.{number}"}).status_code for number in range(10)
        ]
        assert statuses[:5] == [401] * 5
        assert statuses[-1] == 429
        assert client.post("/auth/login", json={"token": "x"}).status_code == 429
        assert alice.get("/auth/me").status_code == 200
    assert "6.6.6." not in running.log.read_text()


def test_a_configured_proxys_word_is_believed(started: Callable[..., RunningSandloop]):
    running = started(SANDLOOP_SERVER_TRUSTED_PROXIES="127.0.0.1", SANDLOOP_LIMITS_REFUSED="5/minute")
    with running.client() as client:
        statuses = [
            client.get("/auth/me", headers={"X-Forwarded-For": f"6.6.6.{number}"}).status_code for number in range(10)
        ]
    assert statuses == [401] * 10
    assert "6.6.6.1" in running.log.read_text()


def test_too_many_requests_at_once_are_refused_and_room_comes_back(started: Callable[..., RunningSandloop]):
    running = started(SANDLOOP_LIMITS_CONCURRENT="2")
    with running.client("alice") as client:
        body = json.dumps({"code": "import time; time.sleep(600)"}).encode()
        holding = [connected(running) for _ in range(2)]
        for number, connection in enumerate(holding):
            sent = json.dumps({**json.loads(body), "thread_id": f"t{number}"}).encode()
            connection.sendall(head(f"Content-Length: {len(sent)}") + sent)
        wait_until(lambda: client.get("/auth/me").status_code == 429, 60)
        for connection in holding:
            connection.close()
        wait_until(lambda: client.get("/auth/me").status_code == 200)
        for sandbox in client.get("/sandboxes").json():
            client.delete(f"/sandboxes/{sandbox['sandbox_id']}")


def test_a_thousand_idle_connections_do_not_keep_others_out(started: Callable[..., RunningSandloop]):
    running = started(SANDLOOP_LIMITS_CONNECTIONS="50")
    idle = [connected(running) for _ in range(60)]
    try:
        with running.client() as client:
            assert client.get("/health").status_code in (200, 503)
    finally:
        for connection in idle:
            connection.close()
    with running.client() as client:
        wait_until(lambda: client.get("/health").status_code == 200)
