"""`serve` as a process: health, page, shutdown, bad settings; and the same application inside another server."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import subprocess
import sys
import threading
from collections.abc import Callable
from pathlib import Path

import httpx

from tests.sandbox_server.waiting import wait_until

from . import events
from .conftest import PROGRAM, RunningSandloop


def test_health_readiness_and_metrics(sandloop: RunningSandloop, alice: httpx.Client, thread: str):
    alice.post("/code/execute", json={"code": "1", "thread_id": thread})
    with sandloop.client() as client:
        assert client.get("/health").json()["status"] == "ok"
        assert client.get("/ready").json() == {"status": "ready", "sandboxes": "ok", "database": "ok"}
    text = alice.get("/metrics").text
    assert 'sandloop_http_requests_total{method="POST",route="/code/execute",status="200"}' in text
    assert "sandloop_executions_total" in text
    noted = [line for line in sandloop.log.read_text().splitlines() if "route=/code/execute" in line]
    assert any("owner=alice" in line and "status=200" in line and "by=token" in line for line in noted)


def test_sandboxes_are_listed_described_extended_and_killed(alice: httpx.Client, thread: str):
    sandbox_id = alice.post("/code/execute", json={"code": "1", "thread_id": thread}).json()["sandbox_id"]
    place = f"/sandboxes/{sandbox_id}"
    listed = {entry["sandbox_id"]: entry for entry in alice.get("/sandboxes").json()}
    assert listed[sandbox_id]["thread_id"] == thread
    assert listed[sandbox_id]["memory_mib"] > 0
    described = alice.get(place, params={"details": True}).json()
    assert "python" in described["languages"]
    assert "numpy" in {package["name"] for package in described["packages"]}
    assert 7000 < alice.post(f"{place}/extend", json={"seconds": 7200}).json()["seconds_left"] <= 7200
    assert alice.delete(place).status_code == 204
    assert alice.get(place).status_code == 404
    after = alice.post("/code/execute", json={"code": "2", "thread_id": thread}).json()
    assert after["output"] == "2"
    assert after["sandbox_id"] != sandbox_id


def test_the_openapi_has_examples_and_the_events(sandloop: RunningSandloop):
    with sandloop.client() as client:
        schema = client.get("/openapi.json").json()
    models = schema["components"]["schemas"]
    assert models["ExecuteCall"]["examples"]
    assert models["RunCall"]["examples"]
    assert "Ended" in models
    content = schema["paths"]["/agents/stream"]["post"]["responses"]["200"]["content"]
    assert "text/event-stream" in content
    assert schema["components"]["securitySchemes"]


def test_without_a_built_page_the_root_says_so(started: Callable[..., RunningSandloop]):
    with started().client() as client:
        assert "not built" in client.get("/").text
        assert client.get("/nothing").status_code == 404


def test_a_built_page_is_served_with_a_strict_policy_and_the_api_stays(started: Callable[..., RunningSandloop]):
    files = {
        "page/index.html": b"<!doctype html><title>Sandloop</title>",
        "page/assets/app-1a2b.js": b"1",
        "page/frame.html": b"<!doctype html>",
    }
    with started(files, page="page").client(headers={"Accept": "text/html"}) as client:
        for path in ("/", "/chat/some-thread"):
            answer = client.get(path)
            assert "<title>Sandloop</title>" in answer.text
            assert "default-src 'self'" in answer.headers["content-security-policy"]
            assert "script-src" not in answer.headers["content-security-policy"]
        assert "immutable" in client.get("/assets/app-1a2b.js").headers["cache-control"]
        assert "sandbox allow-scripts" in client.get("/frame.html").headers["content-security-policy"]
        assert client.get("/sandboxes").status_code == 401
        assert client.get("/assets/none.js", headers={"Accept": "*/*"}).status_code == 404
        assert client.get("/..%2f..%2fserve.log").text.startswith("<!doctype")


def test_a_shutdown_lets_a_running_call_end(started: Callable[..., RunningSandloop]):
    running = started(SANDLOOP_SERVER_SHUTDOWN_GRACE="60")
    go = (
        "import pathlib, time\nprint('begun', flush=True)\n"
        "while not pathlib.Path('/tmp/go').exists(): time.sleep(.02)\n'ended'"
    )
    with running.client("alice") as client, running.client("alice") as other:
        body = {"code": go, "thread_id": "shutdown"}
        other.post("/code/run-command", json={"command": "true", "thread_id": "shutdown"})
        with client.stream("POST", "/code/execute", json=body, headers={"Accept": "text/event-stream"}) as response:
            reader = events.read(response)
            assert next(reader)[0] == "stdout"
            waiting = {"command": "sleep 2; touch /tmp/go", "thread_id": "shutdown", "background": True}
            other.post("/code/run-command", json=waiting)
            running.process.send_signal(signal.SIGTERM)
            name, data = list(reader)[-1]
        assert (name, data["output"]) == ("end", "begun\nended")
    assert running.process.wait(60) == 0


def test_a_shutdown_stops_what_does_not_end_in_time(started: Callable[..., RunningSandloop]):
    running = started(SANDLOOP_SERVER_SHUTDOWN_GRACE="1")
    with running.client("alice") as client:
        body = {"code": "import time\nprint('begun', flush=True)\ntime.sleep(600)", "thread_id": "hanging"}
        with client.stream("POST", "/code/execute", json=body, headers={"Accept": "text/event-stream"}) as response:
            reader = events.read(response)
            assert next(reader)[0] == "stdout"
            running.process.send_signal(signal.SIGTERM)
            with contextlib.suppress(httpx.RemoteProtocolError):
                assert "end" not in [name for name, _ in reader]
    assert running.process.wait(60) == 0
    assert "Traceback" not in running.log.read_text()


def test_state_survives_a_restart_of_the_server(started: Callable[..., RunningSandloop], tmp_path: Path):
    first = started(XDG_DATA_HOME=str(tmp_path / "kept"))
    with first.client("alice") as client:
        sandbox_id = client.post("/code/execute", json={"code": "kept = 5", "thread_id": "restart"}).json()[
            "sandbox_id"
        ]
        run = client.post("/agents/run", json={"message": "Calculate the factorial of 5", "thread_id": "restart-agent"})
        assert "120" in run.json()["answer"]
    first.process.send_signal(signal.SIGTERM)
    assert first.process.wait(60) == 0
    second = started(XDG_DATA_HOME=str(tmp_path / "kept"))
    with second.client("alice") as client:
        again = client.post("/code/execute", json={"code": "kept", "thread_id": "restart"}).json()
        assert (again["output"], again["sandbox_id"]) == ("5", sandbox_id)
        assert len(client.get("/agents/threads/restart-agent").json()["messages"]) >= 2
        for sandbox in client.get("/sandboxes").json():
            client.delete(f"/sandboxes/{sandbox['sandbox_id']}")


def test_a_port_that_is_taken_is_said_so(sandloop: RunningSandloop, tmp_path: Path):
    port = sandloop.url.rsplit(":", 1)[1]
    environ = {
        **os.environ,
        "SANDLOOP_SERVER_PORT": port,
        "XDG_DATA_HOME": str(tmp_path),
        "PYTHONPATH": str(Path(__file__).parents[3]),
    }
    program = [sys.executable, "-c", PROGRAM, json.dumps({"auth": True, "page": "no-page"})]
    done = subprocess.run(program, env=environ, capture_output=True, text=True, cwd=tmp_path, check=False)
    assert f"cannot listen at 127.0.0.1 port {port}" in done.stderr


def test_many_clients_stream_at_once_and_nothing_is_left_behind(started: Callable[..., RunningSandloop]):
    running = started()
    descriptors = Path(f"/proc/{running.process.pid}/fd")
    with running.client("alice") as client:
        client.post("/code/execute", json={"code": "1", "thread_id": "s0"})
        before = len(list(descriptors.iterdir()))
        failures: list[object] = []

        def stream(number: int) -> None:
            with running.client("alice") as own:
                for turn in range(3):
                    got = events.post(own, "/code/execute", {"code": f"print({number})", "thread_id": f"s{number % 4}"})
                    if got[-1][1].get("output") != str(number):
                        failures.append((number, turn, got))

        threads = [threading.Thread(target=stream, args=(number,)) for number in range(12)]
        for each in threads:
            each.start()
        for each in threads:
            each.join()
        assert failures == []
        for sandbox in client.get("/sandboxes").json():
            client.delete(f"/sandboxes/{sandbox['sandbox_id']}")
        assert client.get("/sandboxes").json() == []
    # Connections to the sandbox service are kept for some seconds.
    wait_until(lambda: len(list(descriptors.iterdir())) <= before + 8, 60)


def test_the_import_of_the_package_is_light():
    heavy = "e2b", "fastapi", "langgraph"
    program = f"import sys, sandloop; sandloop.SandboxPolicy; print([name for name in {heavy} if name in sys.modules])"
    said = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True).stdout
    assert said.strip() == "[]"
