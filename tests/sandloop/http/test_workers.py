"""Several workers on one PostgreSQL: threads, configurations and sandboxes are the same for all."""

from __future__ import annotations

from collections.abc import Callable

import httpx
import pytest

from tests.sandbox_server.waiting import wait_until

from .conftest import RunningSandloop
from .postgres import running_postgres


@pytest.mark.timeout(300)
def test_two_processes_share_threads_and_sandboxes(started: Callable[..., RunningSandloop]):
    with running_postgres() as url:
        servers = [started(SANDLOOP_DATABASE=url) for _ in range(2)]
        with servers[0].client("alice") as first, servers[1].client("alice") as second:
            _share(first, second)
        with servers[1].client("bob") as bob:
            assert bob.get("/agents/threads").json() == []
            assert bob.get("/sandboxes").json() == []
        for server in servers:
            assert url not in server.log.read_text()


def _share(first: httpx.Client, second: httpx.Client) -> None:
    begun = first.post("/code/execute", json={"code": "shared = 1", "thread_id": "s"}).json()
    gone_on = second.post("/code/execute", json={"code": "shared + 1", "thread_id": "s"}).json()
    assert (gone_on["output"], gone_on["sandbox_id"]) == ("2", begun["sandbox_id"])
    run = first.post("/agents/run", json={"message": "Calculate the factorial of 10", "thread_id": "a"}).json()
    assert "3628800" in run["answer"]
    seen = second.get("/agents/threads/a").json()
    assert seen["messages"][0]["text"] == "Calculate the factorial of 10"
    again = second.post("/agents/run", json={"message": "Calculate the factorial of 5", "thread_id": "a"}).json()
    assert (again["sandbox_id"], "120" in again["answer"]) == (run["sandbox_id"], True)
    config = second.post("/agents/configs", json={"policy": {"name": "Shared"}}).json()
    assert first.get(f"/agents/configs/{config['id']}").json() == config
    asking = {"message": "Calculate the factorial of 6", "thread_id": "w"}
    policy = {"enableNetwork": True, "networkApproval": "ask"}
    waiting = first.post("/agents/run", json={**asking, "policy": policy}).json()
    assert waiting["stopped_because"] == "approval"
    decisions = [{"tool_call_id": each["tool_call_id"], "decision": "approve"} for each in waiting["approvals"]]
    assert "720" in second.post("/agents/w/resume", json={"decisions": decisions}).json()["answer"]
    for thread in ("a", "w"):
        assert second.delete(f"/agents/threads/{thread}").status_code == 204
    assert first.get("/agents/threads").json() == []
    for sandbox in first.get("/sandboxes").json():
        first.delete(f"/sandboxes/{sandbox['sandbox_id']}")


@pytest.mark.timeout(300)
def test_serve_runs_several_workers_on_one_socket(started: Callable[..., RunningSandloop]):
    with running_postgres() as url:
        running = started(SANDLOOP_DATABASE=url, SANDLOOP_SERVER_WORKERS="2")
        answers = []

        def asked() -> bool:
            # A connection each, so that both get some.
            with running.client("alice") as client:
                answer = client.post("/code/execute", json={"code": "count = 1", "thread_id": "s"})
                answers.append(answer.json()["sandbox_id"])
            return len(answers) >= 6

        wait_until(asked, 120)
        assert len(set(answers)) == 1
        with running.client("alice") as client:
            client.delete(f"/sandboxes/{answers[0]}")
