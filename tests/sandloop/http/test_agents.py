"""Agents, threads and saved configurations over HTTP."""

from __future__ import annotations

import base64
import io
import json
import uuid
import zipfile
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

from tests.graphs.openai_server import Call, OpenAIServer, Refusal, Reply
from tests.sandbox_server.conftest import RunningServer
from tests.sandbox_server.waiting import wait_until

from . import events
from .conftest import RunningSandloop, start_sandloop, stop_sandloop

FACTORIAL = {"message": "Calculate the factorial of 10", "agent_type": "coding"}
SLEEP = "open('/tmp/begun', 'w').close()\nimport time\ntry: time.sleep(600)\nfinally: open('/tmp/stopped', 'w').close()"
ASK = {"enableNetwork": True, "networkApproval": "ask"}


@pytest.fixture(scope="module")
def model() -> Iterator[OpenAIServer]:
    with OpenAIServer() as server:
        yield server


@pytest.fixture(scope="module")
def with_model(
    sandbox_server: RunningServer, model: OpenAIServer, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[RunningSandloop]:
    """A server whose agents ask the model of the test."""
    running = start_sandloop(
        tmp_path_factory.mktemp("agents"),
        sandbox_server,
        OPENAI_BASE_URL=model.url,
        OPENAI_API_KEY="sk-canary-of-the-tests",
        SANDLOOP_MODEL="test",
    )
    yield running
    stop_sandloop(running)


@pytest.fixture
def carol(with_model: RunningSandloop, model: OpenAIServer) -> Iterator[httpx.Client]:
    """A client of a user of her own, whose threads end with the test."""
    model.reset()
    with with_model.client(f"carol-{uuid.uuid4().hex[:8]}") as client:
        yield client
        for thread in client.get("/agents/threads").json():
            client.post(f"/agents/{thread['id']}/cancel")
            client.delete(f"/agents/threads/{thread['id']}")
        for sandbox in client.get("/sandboxes").json():
            client.delete(f"/sandboxes/{sandbox['sandbox_id']}")


def test_the_request_of_the_readme_answers(alice: httpx.Client):
    answer = alice.post("/agents/run", json=FACTORIAL).json()
    assert "3628800" in answer["answer"]
    assert answer["scripted"]
    assert answer["stopped_because"] == "answered"
    assert [step["name"] for step in answer["steps"]] == ["execute_python_code"]
    assert alice.delete(f"/agents/threads/{answer['thread_id']}").status_code == 204
    assert answer["sandbox_id"] not in alice.get("/sandboxes").text


def test_a_run_streams_words_calls_output_and_the_end(alice: httpx.Client):
    got = events.post(alice, "/agents/stream", FACTORIAL)
    names = [name for name, _ in got]
    assert names[0] == "started"
    assert names[-1] == "ended"
    assert {"token", "tool_call", "tool_output", "tool_result"} <= set(names)
    assert all(data["type"] == name for name, data in got)
    assert names.index("tool_call") < names.index("tool_output") < names.index("tool_result")
    alice.delete(f"/agents/threads/{got[0][1]['thread_id']}")


def test_a_thread_is_listed_read_renamed_exported_and_deleted(alice: httpx.Client, bob: httpx.Client):
    thread = alice.post("/agents/run", json=FACTORIAL).json()["thread_id"]
    place = f"/agents/threads/{thread}"
    assert thread in [entry["id"] for entry in alice.get("/agents/threads").json()]
    detail = alice.get(place).json()
    assert detail["messages"][0] == {"role": "user", "text": FACTORIAL["message"], "steps": []}
    assert alice.patch(place, json={"title": "Ten"}).status_code == 204
    assert alice.get(place).json()["title"] == "Ten"
    notebook = alice.get(f"{place}/export")
    assert json.loads(notebook.content)["nbformat"] == 4
    whole = alice.get(f"{place}/export", params={"format": "zip"})
    assert zipfile.ZipFile(io.BytesIO(whole.content)).namelist()
    # Nothing of it is another's.
    unknown = f"/agents/threads/{uuid.uuid4()}"
    for method, at, body in (
        ("GET", "", None),
        ("PATCH", "", {"title": "x"}),
        ("DELETE", "", None),
        ("GET", "/export", None),
    ):
        theirs, nobodys = (bob.request(method, f"{where}{at}", json=body) for where in (place, unknown))
        assert theirs.status_code == nobodys.status_code == 404
        assert theirs.content == nobodys.content
    for where in (thread, unknown.rsplit("/", 1)[1]):
        assert bob.post(f"/agents/{where}/resume", json={}).status_code == 404
        assert bob.post(f"/agents/{where}/cancel").json() == {"cancelled": False}
    assert thread not in bob.get("/agents/threads").text
    assert alice.delete(place).status_code == 204
    assert alice.get(place).status_code == 404


def test_files_of_the_request_are_in_the_sandbox(carol: httpx.Client, model: OpenAIServer):
    model.replies(Reply(calls=(Call("execute_python_code", {"code": "print(open('a.txt').read())"}),)), Reply("Done."))
    file = {"name": "a.txt", "content": base64.b64encode(b"of the request").decode()}
    answer = carol.post("/agents/run", json={"message": "Read it", "files": [file]}).json()
    assert "of the request" in json.dumps(answer["steps"])


def test_an_approval_is_asked_for_and_survives_the_connection(carol: httpx.Client, model: OpenAIServer):
    model.replies(Reply(calls=(Call("execute_python_code", {"code": "print(6 * 7)"}),)), Reply("It is 42."))
    answer = carol.post("/agents/run", json={"message": "Go", "policy": ASK}).json()
    assert answer["stopped_because"] == "approval"
    [waiting] = answer["approvals"]
    detail = carol.get(f"/agents/threads/{answer['thread_id']}").json()
    assert detail["waiting"]
    assert [request["tool_call_id"] for request in detail["approvals"]] == [waiting["tool_call_id"]]
    resume = f"/agents/{answer['thread_id']}/resume"
    wrong = carol.post(resume, json={"decisions": [{"tool_call_id": "x", "decision": "approve"}]})
    assert (wrong.status_code, wrong.json()["errors"][0]["field"]) == (422, "decisions")
    decision = {"tool_call_id": waiting["tool_call_id"], "decision": "edit", "args": {"code": "print(6 * 8)"}}
    got = events.post(carol, resume, {"decisions": [decision]})
    assert got[-1][1]["response"]["answer"] == "It is 42."
    assert "48" in json.dumps([data for name, data in got if name == "tool_result"])
    ended = carol.post(resume, json={})
    assert (ended.status_code, ended.json()["code"]) == (409, "nothing_to_resume")


def test_a_client_that_goes_away_stops_the_run_and_its_code(carol: httpx.Client, model: OpenAIServer):
    model.replies(Reply(calls=(Call("execute_python_code", {"code": SLEEP}),)), Reply("Done."))
    with carol.stream("POST", "/agents/stream", json={"message": "Sleep"}) as response:
        reader = events.read(response)
        thread = next(data for name, data in reader if name == "started")["thread_id"]
        next(name for name, _ in reader if name == "tool_call")
        wait_until(lambda: _exists(carol, thread, "/tmp/begun"))
    wait_until(lambda: _exists(carol, thread, "/tmp/stopped"))
    wait_until(lambda: not carol.get(f"/agents/threads/{thread}").json()["running"])


def test_a_run_is_cancelled_and_only_one_goes_on_in_a_thread(carol: httpx.Client, model: OpenAIServer):
    model.replies(Reply(calls=(Call("execute_python_code", {"code": SLEEP}),)), Reply("Done."))
    with carol.stream("POST", "/agents/stream", json={"message": "Sleep"}) as response:
        reader = events.read(response)
        thread = next(data for name, data in reader if name == "started")["thread_id"]
        next(name for name, _ in reader if name == "tool_call")
        wait_until(lambda: _exists(carol, thread, "/tmp/begun"))
        second = carol.post("/agents/run", json={"message": "Me too", "thread_id": thread})
        assert (second.status_code, second.json()["code"]) == (409, "thread_busy")
        assert carol.delete(f"/agents/threads/{thread}").status_code == 409
        assert carol.post(f"/agents/{thread}/cancel").json() == {"cancelled": True}
        ended = list(reader)[-1]
    assert ended[0] == "ended"
    assert ended[1]["response"]["stopped_because"] == "cancelled"
    wait_until(lambda: _exists(carol, thread, "/tmp/stopped"))


def _exists(client: httpx.Client, thread: str, path: str) -> bool:
    body = {"command": f"test -e {path}", "thread_id": thread}
    return bool(client.post("/code/run-command", json=body).json()["exit_code"] == 0)


def test_a_models_failure_is_told_without_its_key(
    carol: httpx.Client, model: OpenAIServer, with_model: RunningSandloop
):
    model.replies(*[Refusal(401, "wrong key: sk-canary-of-the-tests")] * 4)
    answer = carol.post("/agents/run", json={"message": "Hello"})
    assert answer.json()["failure"]["name"] == "ModelKeyRejected"
    assert "sk-canary" not in answer.text + with_model.log.read_text()


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("agent_type", "nobody"),
        ("tools", ["no_tool"]),
        ("provider_id", "nobody"),
        ("message", ""),
        ("thread_id", "../x"),
        ("files", [{"name": "../x", "content": ""}]),
        ("files", [{"name": "x", "content": "not base64!"}]),
        ("policy", {"hostDirectories": ["/etc"]}),
        ("policy", {"enableGPU": True}),
        ("model_id", "nobody\u0000"),
        ("system_prompt_mode", "shout"),
    ],
)
def test_a_request_that_cannot_be_served_names_its_field(alice: httpx.Client, field: str, value: object):
    answer = alice.post("/agents/run", json={"message": "Hello", "model_id": "demo", field: value})
    assert answer.status_code in (400, 403, 422), answer.text
    if answer.status_code != 400:
        assert answer.json()["errors"][0]["field"].split(".")[0] == field


def test_what_is_refused_is_refused_by_status_also_for_events(alice: httpx.Client):
    answer = alice.post("/agents/stream", json={"message": "Hello", "agent_type": "nobody"})
    assert answer.status_code == 422


def test_configurations_are_saved_changed_and_deleted_by_their_owner(alice: httpx.Client, bob: httpx.Client):
    policy = {"name": "Analyst", "systemPrompt": "Be brief.", "enableNetwork": True, "maxExecutionTime": 60}
    made = alice.post("/agents/configs", json={"agent_type": "data_science", "policy": policy})
    assert made.status_code == 201
    place = f"/agents/configs/{made.json()['id']}"
    assert made.json()["policy"]["systemPrompt"] == "Be brief."
    assert [entry["id"] for entry in alice.get("/agents/configs").json()] == [made.json()["id"]]
    assert bob.get("/agents/configs").json() == []
    changed = alice.put(place, json={"agent_type": "coding", "policy": {**policy, "name": "Coder"}})
    assert changed.json()["policy"]["name"] == "Coder"
    for method in ("GET", "PUT", "DELETE"):
        body = {"policy": policy} if method == "PUT" else None
        assert bob.request(method, place, json=body).status_code == 404
    refused = alice.post("/agents/configs", json={"policy": {**policy, "timeout": 1}})
    assert refused.json()["errors"][0]["field"] == "policy.timeout"
    opened = alice.post("/agents/configs", json={"policy": {**policy, "hostDirectories": ["/"]}})
    assert opened.status_code in (403, 422)
    assert alice.delete(place).status_code == 204
    assert alice.get(place).status_code == 404


def test_types_and_providers_are_listed_without_what_is_the_servers_own(alice: httpx.Client):
    types = {entry["name"]: entry for entry in alice.get("/agents/types").json()}
    assert {"coding", "data_science", "chat"} <= types.keys()
    assert "execute_python_code" in types["coding"]["tools"]
    providers = {entry["id"]: entry for entry in alice.get("/agents/providers").json()}
    assert providers["scripted"]["default_model"] == "demo"
    assert "key" not in json.dumps(providers)


def test_the_servers_policy_holds_for_agents_too(sandbox_server: RunningServer, model: OpenAIServer, tmp_path: Path):
    (tmp_path / "sandloop.toml").write_text('[policy]\nallowedLanguages = ["bash"]\n')
    running = start_sandloop(
        tmp_path, sandbox_server, OPENAI_BASE_URL=model.url, OPENAI_API_KEY="sk-test", SANDLOOP_MODEL="test"
    )
    try:
        model.reset()
        model.replies(Reply(calls=(Call("execute_python_code", {"code": "print(1)"}),)), Reply("Refused."))
        with running.client("dave") as dave:
            answer = dave.post("/agents/run", json={"message": "Run it"}).json()
            assert answer["answer"] == "Refused." and not any(
                "print" in str(step["content"]) for step in answer["steps"]
            )
            assert "execute_python_code" not in model.requests[0].tools
    finally:
        stop_sandloop(running)
