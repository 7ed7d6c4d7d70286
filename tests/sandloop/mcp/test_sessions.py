"""Whose sandbox a call runs in, and how long that lives."""

from __future__ import annotations

import json
import signal
import subprocess
from pathlib import Path
from typing import Any

import httpx
import pytest
from mcp import Client

from tests.sandbox_server.conftest import RunningServer
from tests.sandbox_server.waiting import wait_until
from tests.sandloop.http.conftest import RunningSandloop, start_sandloop, stop_sandloop, token

from .conftest import Connect, stdio_parameters
from .reading import text_of, values_of

HEADERS = {"Accept": "application/json, text/event-stream", "Content-Type": "application/json"}
PROTOCOL = "2025-11-25"


def is_alive(server: RunningServer, sandbox_id: str) -> bool:
    with server.client() as client:
        return any(sandbox["sandboxID"] == sandbox_id for sandbox in client.get("/v2/sandboxes").json())


async def test_two_sessions_share_no_sandbox_and_each_ends_with_its_own(
    connect: Connect, sandbox_server: RunningServer
) -> None:
    async with connect() as one, connect() as other:
        first = values_of(await one.call_tool("execute_code", {"code": "secret = 1"}))
        second = values_of(await other.call_tool("execute_code", {"code": "secret"}))
        assert second["error"].startswith("NameError")
        assert first["sandbox_id"] != second["sandbox_id"]
        assert is_alive(sandbox_server, first["sandbox_id"])
    wait_until(lambda: not is_alive(sandbox_server, first["sandbox_id"]))
    wait_until(lambda: not is_alive(sandbox_server, second["sandbox_id"]))


def rpc(http: httpx.Client, method: str, session: str | None = None, **params: object) -> httpx.Response:
    """Send a request without the SDK's help."""
    headers = HEADERS | ({"Mcp-Session-Id": session, "MCP-Protocol-Version": PROTOCOL} if session else {})
    body = {"jsonrpc": "2.0", "id": 1, "method": method, "params": params}
    return http.post("/mcp", headers=headers, json=body)


def answer_of(response: httpx.Response) -> dict[str, object]:
    """The last message of an answer, which is an event stream."""
    assert response.status_code == 200, response.text
    lines = [line.removeprefix("data: ") for line in response.text.splitlines() if line.startswith("data: {")]
    answer: dict[str, object] = json.loads(lines[-1])
    return answer


def initialize(http: httpx.Client) -> str:
    client = {"name": "test", "version": "1"}
    response = rpc(http, "initialize", protocolVersion=PROTOCOL, capabilities={}, clientInfo=client)
    assert answer_of(response)["result"]["protocolVersion"] == PROTOCOL  # type: ignore[index]
    return response.headers["mcp-session-id"]


def run(http: httpx.Client, session: str | None, code: str) -> str:
    return json.dumps(answer_of(rpc(http, "tools/call", session, name="execute_code", arguments={"code": code})))


def test_the_session_id_of_another_owner_reaches_nothing(sandloop: RunningSandloop) -> None:
    with sandloop.client("alice") as alice, sandloop.client("bob") as bob:
        session = initialize(alice)
        assert "41" in run(alice, session, "secret = 41\nsecret")
        assert "NameError" in run(bob, session, "secret")
        for client in (bob, alice):
            assert client.delete("/mcp", headers={"Mcp-Session-Id": session}).status_code == 204
            remaining = client.get("/sandboxes").json()
            assert all(session not in (sandbox["thread_id"] or "") for sandbox in remaining)
            if client is bob:
                assert "41" in run(alice, session, "secret")


def test_a_call_before_initialize_is_told_what_to_do(sandloop: RunningSandloop) -> None:
    with sandloop.client("alice") as alice:
        assert "Call initialize first" in run(alice, None, "1")


@pytest.mark.parametrize("session", ["", "x" * 129, "ü", "a b"])
def test_a_malformed_session_id_is_refused(sandloop: RunningSandloop, session: str) -> None:
    with sandloop.client("alice") as alice:
        headers = {b"Mcp-Session-Id": session.encode()}
        posted = {**headers, b"Content-Type": b"application/json", b"Accept": b"application/json, text/event-stream"}
        assert alice.post("/mcp", headers=posted, content=b"{}").status_code == 400
        assert alice.delete("/mcp", headers=headers).status_code == 400


@pytest.mark.parametrize("path", ["/mcp", "/mcp/"])
@pytest.mark.parametrize("method", ["POST", "GET", "DELETE"])
@pytest.mark.parametrize(
    "authorization", [None, "Bearer nonsense", f"Bearer {token(exp=1)}", f"Bearer {token(aud='x')}"]
)
def test_without_a_good_token_there_is_no_mcp(
    sandloop: RunningSandloop, path: str, method: str, authorization: str | None
) -> None:
    headers = HEADERS | ({"Authorization": authorization} if authorization else {})
    with sandloop.client(None) as nobody:
        response = nobody.request(method, path, headers=headers, content=b"{}" if method == "POST" else None)
    assert response.status_code == 401
    assert response.headers["www-authenticate"] == "Bearer"
    assert "mcp-session-id" not in response.headers


def test_foreign_hosts_and_pages_are_refused(sandloop: RunningSandloop) -> None:
    with sandloop.client("alice") as alice:
        assert alice.post("/mcp", headers={**HEADERS, "Host": "evil.example"}, content=b"{}").status_code == 421
        foreign = {**HEADERS, "Origin": "https://evil.example"}
        assert alice.post("/mcp", headers=foreign, content=b"{}").status_code == 403


@pytest.mark.parametrize("body", [b"", b"{", b"[]", b"null", b'"x"', b'{"jsonrpc": "2.0"}', b"[" * 100_000, b"\xff"])
def test_what_is_no_message_gets_a_4xx(sandloop: RunningSandloop, body: bytes) -> None:
    with sandloop.client("alice") as alice:
        session = initialize(alice)
        response = alice.post("/mcp", headers={**HEADERS, "Mcp-Session-Id": session}, content=body)
    assert 400 <= response.status_code < 500, response.text
    assert "Traceback" not in response.text


def test_versions_without_sessions_are_refused_naming_those_that_have_them(sandloop: RunningSandloop) -> None:
    with sandloop.client("alice") as alice:
        response = alice.post("/mcp", headers={**HEADERS, "MCP-Protocol-Version": "2026-07-28"}, content=b"{}")
        assert response.status_code == 400
        error = response.json()["error"]
        assert error["code"] == -32022
        assert PROTOCOL in error["data"]["supported"]
        assert alice.get("/mcp").status_code == 405
        assert alice.post("/mcp/elsewhere", headers=HEADERS, content=b"{}").status_code == 404


def test_a_signal_ends_the_process_and_its_sandbox(sandbox_server: RunningServer, tmp_path: Path) -> None:
    parameters = stdio_parameters(sandbox_server, tmp_path)
    with subprocess.Popen(
        [parameters.command, *parameters.args],
        cwd=tmp_path,
        env=parameters.env,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    ) as process:
        assert process.stdin is not None and process.stdout is not None and process.stderr is not None
        client = {"name": "test", "version": "1"}
        started = {"protocolVersion": PROTOCOL, "capabilities": {}, "clientInfo": client}
        call = {"name": "execute_code", "arguments": {"code": "print('loud')\nimport os; os.system('echo louder')"}}
        lines = ["no message at all"]
        for number, (method, params) in enumerate([("initialize", started), ("tools/call", call)]):
            lines.append(json.dumps({"jsonrpc": "2.0", "id": number, "method": method, "params": params}))
        process.stdin.write("\n".join(lines) + "\n")
        process.stdin.flush()
        messages: list[dict[str, Any]] = []
        while not any(message.get("id") == 1 for message in messages):
            # All that comes on standard output is protocol.
            messages.append(json.loads(process.stdout.readline()))
        assert all(message["jsonrpc"] == "2.0" for message in messages)
        sandbox_id = messages[-1]["result"]["structuredContent"]["sandbox_id"]
        assert is_alive(sandbox_server, sandbox_id)
        process.send_signal(signal.SIGTERM)
        assert process.wait(60) == 128 + signal.SIGTERM
        assert process.stdout.read() == ""
        assert "Traceback" not in process.stderr.read()
    assert not is_alive(sandbox_server, sandbox_id)


def test_a_session_goes_on_in_any_worker_and_ends_with_the_server(
    sandbox_server: RunningServer, tmp_path: Path
) -> None:
    running = start_sandloop(tmp_path, sandbox_server, SANDLOOP_SERVER_WORKERS="2")
    try:
        with running.client("carol") as carol:
            session = initialize(carol)
            run(carol, session, "import os; print(os.getpid()); calls = 0")
        for number in range(1, 13):
            # A connection of its own goes to whichever worker takes it first.
            with running.client("carol") as carol:
                assert f'"output\\": \\"{number}\\"' in run(carol, session, "calls += 1\ncalls")
        with running.client("carol") as carol:
            [sandbox] = carol.get("/sandboxes").json()
    finally:
        stop_sandloop(running)
    assert not is_alive(sandbox_server, sandbox["sandbox_id"])


def test_a_client_that_goes_away_stops_its_code(sandloop: RunningSandloop) -> None:
    with sandloop.client("alice") as alice:
        session = initialize(alice)
        run(alice, session, "n = 0")
        with sandloop.client("alice", timeout=2) as impatient, pytest.raises(httpx.ReadTimeout):
            run(impatient, session, "while True: n += 1")
        assert "NameError" not in run(alice, session, "n")


async def test_without_a_sandbox_service_the_model_is_told_what_a_person_can_do(
    sandbox_server: RunningServer, tmp_path: Path
) -> None:
    nowhere = {"E2B_API_URL": "http://127.0.0.1:9", "E2B_SANDBOX_URL": "http://127.0.0.1:9"}
    async with Client(stdio_parameters(sandbox_server, tmp_path, **nowhere)) as client:
        result = await client.call_tool("execute_code", {"code": "1"})
    assert result.is_error
    assert text_of(result).startswith("ServiceUnreachable: ")
    assert "127.0.0.1:9" in text_of(result)
