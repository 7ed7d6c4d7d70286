"""Code, commands, packages and languages over HTTP."""

from __future__ import annotations

import contextlib
import threading
import time

import httpx

from tests.sandbox_server.waiting import wait_until

from . import events
from .conftest import RunningSandloop


def test_execute_answers_with_the_contract_and_keeps_state_per_thread(alice: httpx.Client, thread: str):
    first = alice.post("/code/execute", json={"code": "x = 41", "thread_id": thread, "language": "python"})
    assert first.status_code == 200
    second = alice.post("/code/execute", json={"code": "print(x + 1)", "thread_id": thread}).json()
    assert (second["success"], second["output"], second["thread_id"]) == (True, "42", thread)
    assert second["sandbox_id"] == first.json()["sandbox_id"]
    other = alice.post("/code/execute", json={"code": "x", "thread_id": f"{thread}-b"}).json()
    assert not other["success"]
    assert other["error"].startswith("NameError")
    alice.delete(f"/sandboxes/{other['sandbox_id']}")


def test_code_that_fails_is_a_result_and_no_http_error(alice: httpx.Client, thread: str):
    answer = alice.post("/code/execute", json={"code": "1/0", "thread_id": thread})
    assert answer.status_code == 200
    assert answer.json()["error"].startswith("ZeroDivisionError")
    assert "1/0" in answer.json()["traceback"]


def test_javascript_runs_in_the_same_thread(alice: httpx.Client, thread: str):
    call = {"code": "console.log([1,2].map(x => x * 2))", "language": "js", "thread_id": thread}
    assert "[ 2, 4 ]" in alice.post("/code/execute", json=call).json()["output"]


def test_a_chart_comes_as_artifacts(alice: httpx.Client, thread: str):
    code = "import matplotlib.pyplot as plt\nplt.plot([1, 2]); plt.show()"
    artifacts = alice.post("/code/execute", json={"code": code, "thread_id": thread}).json()["artifacts"]
    assert {artifact["kind"] for artifact in artifacts} >= {"png", "chart"}


def test_output_comes_as_events_while_the_code_runs(alice: httpx.Client, thread: str):
    code = "import sys\nprint('one', flush=True)\ninput_ = open('/tmp/go', 'w')\nprint('two', file=sys.stderr)\n3"
    got = events.post(alice, "/code/execute", {"code": code, "thread_id": thread})
    assert [data["text"] for name, data in got if name == "stdout"] == ["one\n"]
    assert [data["text"] for name, data in got if name == "stderr"] == ["two\n"]
    assert got[-1][0] == "end"
    assert got[-1][1]["output"] == "one\n3"


def test_an_event_arrives_before_the_code_has_ended(alice: httpx.Client, thread: str):
    code = (
        "import pathlib, time\nprint('first', flush=True)\nwhile not pathlib.Path('/tmp/go').exists(): time.sleep(0.01)"
    )
    body = {"code": code, "thread_id": thread}
    with alice.stream("POST", "/code/execute", json=body, headers={"Accept": "text/event-stream"}) as response:
        reader = events.read(response)
        assert next(reader) == ("stdout", {"text": "first\n"})
        alice.post("/code/write-file", json={"path": "/tmp/go", "content": "", "thread_id": thread})
        assert next(reader)[0] == "end"


def test_a_result_arrives_before_the_code_has_ended(alice: httpx.Client, thread: str):
    code = (
        "import pathlib, time\nfrom IPython.display import HTML, display\ndisplay(HTML('<b>first</b>'))\n"
        "while not pathlib.Path('/tmp/go').exists(): time.sleep(0.01)\n'last'"
    )
    body = {"code": code, "thread_id": thread}
    with alice.stream("POST", "/code/execute", json=body, headers={"Accept": "text/event-stream"}) as response:
        reader = events.read(response)
        name, artifact = next(reader)
        assert (name, artifact["kind"], artifact["data"]) == ("artifact", "html", "<b>first</b>")
        alice.post("/code/write-file", json={"path": "/tmp/go", "content": "", "thread_id": thread})
        [(name, result)] = reader
        assert (name, result["output"].endswith("last")) == ("end", True)


def test_text_that_is_no_unicode_does_not_break_an_answer(alice: httpx.Client, thread: str):
    code = "from IPython.display import HTML, display\ndisplay(HTML('a\\ud800b'))\nprint('c\\x00d\\x1b[31m')"
    for accept in ("application/json", "text/event-stream"):
        body = {"code": code, "thread_id": thread}
        answer = alice.post("/code/execute", json=body, headers={"Accept": accept})
        assert answer.status_code == 200
        assert "problem" not in answer.text
    made = alice.post("/code/run-command", json={"command": "touch $'/home/user/x\\xffy'", "thread_id": thread})
    assert made.json()["success"]
    assert alice.post("/code/list-files", json={"thread_id": thread}).status_code == 200


def test_a_client_that_goes_away_stops_its_code(alice: httpx.Client, thread: str):
    code = "import time\nprint('begun', flush=True)\ntry: time.sleep(600)\nfinally: open('/tmp/stopped', 'w').close()"
    body = {"code": code, "thread_id": thread}
    with alice.stream("POST", "/code/execute", json=body, headers={"Accept": "text/event-stream"}) as response:
        assert next(events.read(response))[0] == "stdout"
    wait_until(lambda: _exists(alice, thread, "/tmp/stopped"))


def test_a_client_that_goes_away_stops_its_code_without_events_too(
    alice: httpx.Client, sandloop: RunningSandloop, thread: str
):
    alice.post("/code/execute", json={"code": "import time", "thread_id": thread})
    code = "try:\n    open('/tmp/begun', 'w').close(); time.sleep(600)\nfinally:\n    open('/tmp/stopped', 'w').close()"
    with sandloop.client("alice") as impatient:

        def ask() -> None:
            with contextlib.suppress(httpx.TimeoutException):
                impatient.post("/code/execute", json={"code": code, "thread_id": thread}, timeout=2)

        asking = threading.Thread(target=ask)
        asking.start()
        wait_until(lambda: _exists(alice, thread, "/tmp/begun"))
        asking.join()
    wait_until(lambda: _exists(alice, thread, "/tmp/stopped"))


def _exists(client: httpx.Client, thread: str, path: str) -> bool:
    body = {"command": f"test -e {path}", "thread_id": thread}
    return bool(client.post("/code/run-command", json=body).json()["exit_code"] == 0)


def test_a_timeout_interrupts_the_code_and_keeps_its_variables(alice: httpx.Client, thread: str):
    call = {"code": "y = 7\nimport time; time.sleep(60)", "timeout": 1, "thread_id": thread}
    started = time.monotonic()
    assert alice.post("/code/execute", json=call).json()["error"].startswith("ExecutionTimeout")
    assert time.monotonic() - started < 30
    assert alice.post("/code/execute", json={"code": "y", "thread_id": thread}).json()["output"] == "7"


def test_a_client_that_does_not_read_holds_nothing_up_and_gets_the_end(alice: httpx.Client, thread: str):
    code = "for i in range(400_000): print('x' * 40)\nopen('/tmp/done', 'w').close()"
    body = {"code": code, "thread_id": thread}
    with alice.stream("POST", "/code/execute", json=body, headers={"Accept": "text/event-stream"}) as response:
        wait_until(lambda: _exists(alice, thread, "/tmp/done"), 60)
        name, result = list(events.read(response))[-1]
    assert (name, result["success"]) == ("end", True)


def test_commands_run_and_say_their_exit_code(alice: httpx.Client, thread: str):
    body = {"command": "echo out; echo err >&2; exit 3", "thread_id": thread}
    answer = alice.post("/code/run-command", json=body).json()
    assert (answer["stdout"], answer["stderr"], answer["exit_code"]) == ("out\n", "err\n", 3)
    got = events.post(alice, "/code/run-command", body)
    assert {name for name, _ in got} == {"stdout", "stderr", "end"}


def test_languages_say_what_the_sandbox_has(alice: httpx.Client, thread: str):
    answer = alice.get("/code/languages", params={"thread_id": thread}).json()
    by_name = {entry["name"]: entry for entry in answer["languages"]}
    assert answer["default"] == "python"
    assert by_name["python"]["available"]
    assert by_name["python"]["stateful"]
    assert by_name["typescript"]["ending"] == ".ts"


def test_what_the_policy_asks_about_passes_with_approval_only(alice: httpx.Client, thread: str):
    policy = {"enableNetwork": True, "networkApproval": "ask"}
    body = {"code": "1", "thread_id": thread, "policy": policy}
    refused = alice.post("/code/execute", json=body)
    assert refused.status_code == 403
    assert refused.json()["code"].startswith("network")
    assert alice.post("/code/execute", json={**body, "approved": True}).json()["output"] == "1"


def test_packages_with_shell_characters_are_refused_by_name(alice: httpx.Client, thread: str):
    for name in (
        "requests; id",
        "$(id)",
        "`id`",
        "requests\nevil",
        "reque\u017fts",
        "--index-url=http://x",
        "-r/etc/passwd",
    ):
        answer = alice.post("/code/install-packages", json={"packages": [name], "thread_id": thread})
        assert answer.status_code in (403, 422), name
        assert answer.json()["errors"][0]["field"] == "packages"
    for name in ("evil @ https://x/e.whl", "git+https://x/e", "file:///etc", "./evil", "e.whl", "reqeusts"):
        answer = alice.post("/code/execute", json={"code": "1", "install_packages": [name], "thread_id": thread})
        assert answer.status_code in (403, 422), name
