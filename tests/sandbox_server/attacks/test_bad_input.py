"""Requests that no client should send: an error in E2B's shape with the right status, and nothing lost."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator

import pytest
from e2b_code_interpreter import Sandbox

from ..conftest import RunningServer
from .attacker import ENVD, INTERPRETER, encoded, head, raw, rss_bytes, status, to_sandbox

NewSandbox = Callable[..., Sandbox]


@pytest.fixture(autouse=True)
def others_are_not_hurt(server: RunningServer, new_sandbox: NewSandbox) -> Iterator[None]:
    bystander = new_sandbox()
    bystander.run_code("x = 1")
    before = rss_bytes(server.process.pid)
    yield
    assert bystander.run_code("x").text == "1"
    assert rss_bytes(server.process.pid) - before < 64 << 20


BODIES: list[bytes] = [
    b"{",
    b"nul",
    b"[]",
    b'"text"',
    b"1",
    b"null",
    b"\xff\xfe",
    b"\x00",
    b'{"templateID": NaN}',
    b'{"templateID": "base", "timeout": NaN}',
    b'{"templateID": "base", "timeout": Infinity}',
    b'{"templateID": "base", "timeout": 1e999}',
    b'{"templateID": "base", "timeout": -1}',
    b'{"templateID": "base", "timeout": 1.5}',
    b'{"templateID": "base", "timeout": "5"}',
    b'{"templateID": "base", "timeout": true}',
    b'{"templateID": "base", "timeout": 99999999999999999999}',
    b'{"templateID": "base", "timeout": ' + b"9" * 5000 + b"}",
    b'{"templateID": "\\ud800"}',
    b'{"templateID": ""}',
    b'{"templateID": "' + b"x" * 10_000 + b'"}',
    b'{"templateID": {"a": 1}}',
    b'{"templateID": "base", "metadata": {"a": 1}}',
    b'{"templateID": "base", "metadata": {"\\udfff": "x"}}',
    b'{"templateID": "base", "metadata": []}',
    b'{"templateID": "base", "envVars": {"A\\u0000B": "x"}}',
    b'{"templateID": "base", "envVars": {"A": "x\\u0000y"}}',
    b'{"templateID": "base", "envVars": {"A=B": "x"}}',
    b'{"templateID": "base", "envVars": {"": "x"}}',
    b'{"templateID": "base", "envVars": {"A": null}}',
    json.dumps({"templateID": "base", "envVars": {f"A{n}": "x" * 30_000 for n in range(10)}}).encode(),
    json.dumps({"templateID": "base", "envVars": {f"A{n}": "\u20ac" * 10_000 for n in range(10)}}).encode(),
    b'{"templateID": "base", "network": {"allowOut": ["not a host!"]}}',
    b'{"templateID": "base", "network": {"denyOut": ["300.1.1.1/99"]}}',
    b'{"templateID": "base", "network": {"allowOut": 5}}',
    b"[" * 100_000,
    b'{"a":' * 100_000,
]


@pytest.mark.parametrize("body", BODIES, ids=range(len(BODIES)))
@pytest.mark.parametrize("path", ["/sandboxes", "/v2/sandboxes"])
def test_a_bad_body_of_create_is_a_400_or_404(server: RunningServer, path: str, body: bytes) -> None:
    with server.client() as client:
        count = len(client.get("/v2/sandboxes").json())
        answer = client.post(path, content=body)
        assert answer.status_code in (400, 404), answer.text
        assert set(answer.json()) == {"code", "message"}
        assert answer.json()["code"] == answer.status_code
        assert "Traceback" not in answer.text
        assert "/site-packages/" not in answer.text
        assert len(client.get("/v2/sandboxes").json()) == count


def test_a_body_over_a_megabyte_is_a_413(server: RunningServer) -> None:
    with server.client() as client:
        answer = client.post("/sandboxes", content=b'{"templateID": "' + b"x" * (1 << 21) + b'"}')
    assert answer.status_code == 413
    assert answer.json()["code"] == 413


@pytest.mark.parametrize(
    "query",
    [
        "limit=0",
        "limit=-1",
        "limit=1e3",
        "limit=999999999999999999",
        "limit=%D9%A1",
        "state=dead",
        "state=%00",
        "order=sideways",
        "startedAfter=yesterday",
        "startedAfter=2020-01-01T00:00:00",
        "startedAfter=99999-01-01T00:00:00Z",
    ],
)
def test_a_bad_query_of_list_is_a_400(server: RunningServer, query: str) -> None:
    with server.client() as client:
        assert client.get(f"/v2/sandboxes?{query}").status_code == 400


@pytest.mark.parametrize(
    "query",
    [
        "nextToken=%ff",
        "nextToken=x",
        "metadata=%00%ff%26",
        "metadata=" + "a%3Db%26" * 1000,
        "x=y",
        "startedAfter=0001-01-01T00:00:00%2B23:59",
    ],
)
def test_an_odd_query_of_list_is_answered(server: RunningServer, query: str) -> None:
    with server.client() as client:
        assert client.get(f"/v2/sandboxes?{query}").status_code == 200


@pytest.mark.parametrize(
    ("verb", "body"),
    [
        ("timeout", b'{"timeout": -1}'),
        ("timeout", b'{"timeout": 1e30}'),
        ("timeout", b"{}"),
        ("timeout", b'{"timeout": 2147483647}'),
        ("refreshes", b'{"duration": 99999}'),
        ("connect", b'{"timeout": "x"}'),
        ("resume", b'{"timeout": []}'),
        ("pause", b'{"memory": "no"}'),
    ],
)
def test_a_bad_body_of_a_verb_is_a_400(server: RunningServer, sandbox: Sandbox, verb: str, body: bytes) -> None:
    with server.client() as client:
        assert client.post(f"/sandboxes/{sandbox.sandbox_id}/{verb}", content=body).status_code == 400
    assert sandbox.is_running()


def test_an_unknown_sandbox_is_a_404_for_every_verb(server: RunningServer) -> None:
    with server.client() as client:
        for verb in ("timeout", "connect", "pause", "resume", "refreshes"):
            answer = client.post(f"/sandboxes/nobody/{verb}", json={"timeout": 1})
            assert answer.status_code == 404
            assert "nobody" in answer.json()["message"]
        assert client.delete("/sandboxes/nobody").status_code == 404


def _call(server: RunningServer, sandbox: Sandbox, path: str, body: bytes, **headers: str) -> bytes:
    lines = {"Content-Type": "application/connect+json", "Connect-Protocol-Version": "1", **to_sandbox(sandbox)}
    lines |= {name.replace("_", "-"): value for name, value in headers.items()}
    lines |= {"Host": "localhost", "Connection": "close", "Content-Length": str(len(body))}
    return raw(server, head(f"POST {path}", *(f"{name}: {value}" for name, value in lines.items())) + body)


def _frame(message: bytes, flags: int = 0, length: int | None = None) -> bytes:
    return bytes([flags]) + (len(message) if length is None else length).to_bytes(4, "big") + message


TRUE = b'{"process": {"cmd": "/bin/true"}}'
BROKEN_FRAMES = {
    "length of 4 GiB": _frame(TRUE, length=0xFFFFFFFF),
    "reserved flag": _frame(TRUE, flags=0x80),
    "end and compressed": _frame(TRUE, flags=0x03),
    "compressed without a codec": _frame(TRUE, flags=0x01),
    "three bytes": b"\0\0\0",
    "nothing": b"",
    "short message": _frame(TRUE, length=len(TRUE) + 100),
    "not json": _frame(b"{"),
    "not an object": _frame(b"[]"),
    "nan": _frame(b'{"process": {"cmd": NaN}}'),
    "lone surrogate": _frame(b'{"process": {"cmd": "\\ud800"}}'),
    "NUL": _frame(b'{"process": {"cmd": "a\\u0000b"}}'),
    "empty command": _frame(b'{"process": {"cmd": ""}}'),
    "wrong types": _frame(b'{"process": {"args": {"a": 1}}}'),
    "deep": _frame(b'{"process": ' * 20_000),
    "two messages": _frame(TRUE) * 2,
    "raw bytes": bytes(range(256)) * 10,
}


@pytest.mark.parametrize("name", list(BROKEN_FRAMES))
def test_a_broken_frame_is_a_connect_error(server: RunningServer, sandbox: Sandbox, name: str) -> None:
    answer = _call(server, sandbox, "/process.Process/Start", BROKEN_FRAMES[name])
    assert 200 <= status(answer) < 500
    if status(answer) == 200 and name not in ("two messages", "reserved flag"):
        assert b'"error"' in answer
    assert b"Traceback" not in answer
    assert sandbox.commands.run("echo fine").stdout == "fine\n"


@pytest.mark.parametrize(
    ("body", "content_type"),
    [
        (b"{}{}", "application/json"),
        (b"{", "application/json"),
        (b"[]", "application/json"),
        (b"\xff\xff\xff\xff", "application/proto"),
        (b'{"path": "a\\u0000b"}', "application/json"),
        (b'{"path": "\\udfff"}', "application/json"),
        (b'{"path": "/", "depth": -1}', "application/json"),
        (b'{"path": "/", "depth": 1e30}', "application/json"),
        (b'{"path": "/nowhere"}', "application/json"),
        (b"{}", "application/grpc"),
        (b"{}", "text/plain"),
        (b"{}", "application/connect+json"),
        (b"{}", ""),
    ],
)
def test_a_bad_unary_call_is_a_connect_error(
    server: RunningServer, sandbox: Sandbox, body: bytes, content_type: str
) -> None:
    answer = _call(server, sandbox, "/filesystem.Filesystem/ListDir", body, Content_Type=content_type)
    assert 400 <= status(answer) < 500
    assert b"Traceback" not in answer


@pytest.mark.parametrize("value", ["-1", "1e30", "0", "x", "9" * 30, "", "1.5", "٣"])
def test_an_odd_timeout_of_a_call_never_hangs(server: RunningServer, sandbox: Sandbox, value: str) -> None:
    with server.client() as client:
        headers: dict[str, str | bytes] = {**to_sandbox(sandbox), "Connect-Timeout-Ms": value.encode()}
        headers["Content-Type"] = "application/json"
        answer = client.post("/process.Process/List", headers=encoded(headers), content=b"{}")
    assert answer.status_code in (200, 400, 408, 504)


def test_an_unknown_procedure_is_a_404(server: RunningServer, sandbox: Sandbox) -> None:
    for path in ("/process.Process/Nothing", "/process.Nothing/Start", "/filesystem.Filesystem/"):
        assert status(_call(server, sandbox, path, b"{}", Content_Type="application/json")) == 404


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"{",
        b"[]",
        b'{"code": 1}',
        b"{}",
        b'{"code": null}',
        b'{"code": "\\ud800"}',
        b'{"code": NaN}',
        b'{"code": "1", "context_id": 5}',
        b'{"code": "1", "language": "cobol"}',
        b'{"code": "1", "language": "python", "context_id": "x"}',
        b'{"code": "1", "context_id": "no-such-context"}',
        b'{"code": "1", "env_vars": {"A\\u0000": "x"}}',
        b'{"code": "1", "env_vars": {"A": 1}}',
        b'{"code": "1", "env_vars": []}',
        b"[" * 100_000,
    ],
)
def test_a_bad_body_of_execute_is_refused(server: RunningServer, sandbox: Sandbox, body: bytes) -> None:
    with server.client() as client:
        answer = client.post("/execute", headers=to_sandbox(sandbox, INTERPRETER), content=body)
    assert answer.status_code in (400, 404)
    assert "Traceback" not in answer.text


@pytest.mark.parametrize(
    "code", ["\0", "1\0", "\u202e", "é" * 1000, "(" * 100_000, "1+" * 50_000 + "1", "\n" * 100_000]
)
def test_odd_code_is_the_codes_own_affair(sandbox: Sandbox, code: str) -> None:
    sandbox.run_code(code, timeout=60)
    assert sandbox.run_code("1 + 1").text == "2"


def test_a_code_body_over_the_limit_is_refused(server: RunningServer, sandbox: Sandbox) -> None:
    with server.client() as client:
        body = b'{"code": "' + b"x" * (33 << 20) + b'"}'
        answer = client.post("/execute", headers=to_sandbox(sandbox, INTERPRETER), content=body)
    assert answer.status_code in (400, 413)


@pytest.mark.parametrize(
    ("content_type", "body"),
    [
        ("text/plain", b"x"),
        ("multipart/form-data", b"x"),
        ("multipart/form-data; boundary=b", b"x"),
        (
            "multipart/form-data; boundary=b",
            b'--b\r\nContent-Disposition: form-data; name="file"; filename="a\0b"\r\n\r\nx\r\n--b--',
        ),
        (
            "multipart/form-data; boundary=b",
            b'--b\r\nContent-Disposition: form-data; name="file"; filename="a"\r\n\r\nx',
        ),
        ("multipart/form-data; boundary=b", b"--b\r\nX: " + b"a" * 100_000 + b"\r\n\r\nx\r\n--b--"),
        ("multipart/form-data; boundary=" + "b" * 500, b"x"),
        ("application/octet-stream; x=\xff", b"x"),
    ],
)
def test_a_bad_upload_is_refused(server: RunningServer, sandbox: Sandbox, content_type: str, body: bytes) -> None:
    with server.client() as client:
        headers = {**to_sandbox(sandbox), "Content-Type": content_type}
        answer = client.post("/files", headers=encoded(headers), content=body)
    assert answer.status_code in (400, 413)
    assert answer.json()["code"] == answer.status_code


@pytest.mark.parametrize("encoding", ["gzip", "br", "deflate", "gzip, gzip", "x"])
def test_a_body_that_is_not_in_its_encoding_is_refused(server: RunningServer, sandbox: Sandbox, encoding: str) -> None:
    headers = {**to_sandbox(sandbox), "Content-Type": "application/octet-stream", "Content-Encoding": encoding}
    with server.client() as client:
        assert client.post("/files?path=x", headers=headers, content=b"not it").status_code == 400
    assert not sandbox.files.exists("x")


@pytest.mark.parametrize(
    "value", ["bytes=5-1", "bytes=-", "bytes=99999999999999999999-", "bytes=a-b", "lines=1-2", "bytes=0-0,2-3"]
)
def test_an_odd_range_is_answered(server: RunningServer, sandbox: Sandbox, value: str) -> None:
    with server.client() as client:
        answer = client.get("/files?path=/etc/passwd", headers={**to_sandbox(sandbox), "Range": value})
    assert answer.status_code in (200, 206, 416)


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"{",
        b"[]",
        b'{"source_paths": []}',
        b'{"source_paths": ["\\u0000"], "destination": "x"}',
        b'{"source_paths": [1], "destination": "x"}',
    ],
)
def test_a_bad_compose_is_refused(server: RunningServer, sandbox: Sandbox, body: bytes) -> None:
    with server.client() as client:
        assert client.post("/files/compose", headers=to_sandbox(sandbox, ENVD), content=body).status_code == 400


@pytest.mark.parametrize(
    "body",
    [
        b"{",
        b"[]",
        b'{"cwd": 1}',
        b'{"cwd": "x\\u0000"}',
        b'{"cwd": "/nowhere"}',
        b'{"language": "cobol"}',
        b'{"language": "\\ud800"}',
    ],
)
def test_a_bad_context_is_refused(server: RunningServer, sandbox: Sandbox, body: bytes) -> None:
    with server.client() as client:
        assert client.post("/contexts", headers=to_sandbox(sandbox, INTERPRETER), content=body).status_code == 400
        assert client.delete("/contexts/nobody", headers=to_sandbox(sandbox, INTERPRETER)).status_code == 404
        assert client.post("/contexts/%ff%00/restart", headers=to_sandbox(sandbox, INTERPRETER)).status_code == 404
