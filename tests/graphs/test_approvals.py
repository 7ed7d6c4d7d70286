from __future__ import annotations

from dataclasses import replace

import pytest

from agent_tools import Sandboxes, SandboxPolicy, SandboxSettings, ToolExecutor
from agent_tools.policy import CodePattern
from graphs import AgentRequest, AgentService, ApprovalDecision
from graphs.errors import DecisionInvalid, NothingToResume, ThreadNotFound
from graphs.requests import AgentResponse, Decision

from .asking import all_of, ask, python, response, told
from .conftest import OpenService
from .openai_server import Call, OpenAIServer, Reply

ASKS = SandboxPolicy(
    name="careful",
    dangerous_code_patterns=(CodePattern(name="shell", calls=("os.system",), action="ask"),),
)
SHELL = "import os; print(os.system('true'))"


async def decide(service: AgentService, waiting: AgentResponse, decision: Decision, **more: object) -> AgentResponse:
    decisions = [
        ApprovalDecision(tool_call_id=request.tool_call_id, decision=decision, **more)  # type: ignore[arg-type]
        for request in waiting.approvals
    ]
    return response(await all_of(service.resume(waiting.thread_id, decisions)))


async def test_nothing_is_asked_by_default(service: AgentService, openai: OpenAIServer) -> None:
    openai.replies(python("print(1)"), Reply("Done."))
    assert (await ask(service, "Go")).stopped_because == "answered"


async def test_what_the_policy_asks_about_waits_for_a_person(service: AgentService, openai: OpenAIServer) -> None:
    openai.replies(python(SHELL), Reply("Done."))
    events = await all_of(service.stream(AgentRequest(message="Go", policy=ASKS, thread_id="t")))
    assert [event.type for event in events] == ["started", "approval", "ended"]
    waiting = response(events)
    assert waiting.stopped_because == "approval"
    (request,) = waiting.approvals
    assert (request.name, request.args) == ("execute_python_code", {"code": SHELL})
    assert "os.system" in request.reason
    assert (await service.threads())[0].waiting
    assert (await service.thread("t")).approvals == waiting.approvals


async def test_an_approved_call_runs_once(service: AgentService, openai: OpenAIServer) -> None:
    openai.replies(python("import os; n = globals().get('n', 0) + 1; os.system('true'); print(n)"), Reply("Done."))
    waiting = await ask(service, "Go", policy=ASKS)
    answer = await decide(service, waiting, "approve")
    assert (answer.stopped_because, answer.steps[0].content["output"]) == ("answered", "1")
    assert not (await service.threads())[0].waiting


async def test_an_approval_is_for_one_call_only(service: AgentService, openai: OpenAIServer) -> None:
    openai.replies(python(SHELL), python(SHELL), Reply("Done."))
    waiting = await ask(service, "Go", policy=ASKS)
    again = await decide(service, waiting, "approve")
    assert again.stopped_because == "approval"
    assert [step.failed for step in again.steps] == [False]


async def test_a_rejected_call_does_not_run_and_the_model_learns_why(
    service: AgentService, openai: OpenAIServer
) -> None:
    openai.replies(python(SHELL), Reply("I will not."))
    waiting = await ask(service, "Go", policy=ASKS)
    answer = await decide(service, waiting, "reject", reason="Use Python.")
    assert answer.answer == "I will not."
    assert answer.steps[0].failed and "Use Python." in str(answer.steps[0].content)
    assert answer.sandbox_id is None


async def test_an_edited_call_runs_with_the_new_arguments(service: AgentService, openai: OpenAIServer) -> None:
    openai.replies(python(SHELL), Reply("Done."))
    waiting = await ask(service, "Go", policy=ASKS)
    answer = await decide(service, waiting, "edit", args={"code": "print('edited')"})
    assert answer.steps[0].content["output"] == "edited"
    assert answer.steps[0].args == {"code": "print('edited')"}


async def test_calls_beside_the_one_that_waits_run_and_are_told_once(
    service: AgentService, openai: OpenAIServer
) -> None:
    calls = (Call("execute_python_code", {"code": "print('free')"}), Call("execute_python_code", {"code": SHELL}))
    openai.replies(Reply(calls=calls), Reply("Done."))
    waiting = await ask(service, "Go", policy=ASKS)
    assert [request.args["code"] for request in waiting.approvals] == [SHELL]
    assert [step.content["output"] for step in waiting.steps] == ["free"]
    answer = await decide(service, waiting, "approve")
    assert [step.args["code"] for step in answer.steps] == [SHELL]
    assert len((await service.thread(waiting.thread_id)).messages[1].steps) == 2


async def test_two_waiting_calls_are_decided_one_by_one(service: AgentService, openai: OpenAIServer) -> None:
    calls = tuple(Call("execute_python_code", {"code": f"{SHELL} # {n}"}) for n in range(2))
    openai.replies(Reply(calls=calls), Reply("Done."))
    waiting = await ask(service, "Go", policy=ASKS)
    first, second = waiting.approvals
    decisions = [
        ApprovalDecision(tool_call_id=second.tool_call_id, decision="reject"),
        ApprovalDecision(tool_call_id=first.tool_call_id, decision="approve"),
    ]
    answer = response(await all_of(service.resume(waiting.thread_id, decisions)))
    assert {step.tool_call_id: step.failed for step in answer.steps} == {
        first.tool_call_id: False,
        second.tool_call_id: True,
    }


async def test_a_decision_outlives_the_agent_and_finds_the_sandbox_paused(
    open_service: OpenService, sandbox_settings: SandboxSettings, openai: OpenAIServer
) -> None:
    openai.replies(python("x = 41"), python("import os; os.system('true'); print(x + 1)"), Reply("42"))
    first = ToolExecutor(Sandboxes(replace(sandbox_settings, on_close="pause")))
    service = await open_service(first)
    waiting = await ask(service, "Go", policy=ASKS)
    await service.__aexit__(None, None, None)
    await first.close()
    async with ToolExecutor(Sandboxes(sandbox_settings)) as second:
        again = await open_service(second)
        assert (await again.thread(waiting.thread_id)).approvals == waiting.approvals
        answer = await decide(again, waiting, "approve")
        assert answer.steps[0].content["output"] == "42"
        await again.delete_thread(waiting.thread_id)


async def test_a_message_instead_of_a_decision_gives_the_call_up(service: AgentService, openai: OpenAIServer) -> None:
    openai.replies(python(SHELL), Reply("As you like."))
    waiting = await ask(service, "Go", policy=ASKS)
    answer = await ask(service, "Never mind", thread_id=waiting.thread_id, policy=ASKS)
    assert answer.answer == "As you like."
    assert "Interrupted" in told(openai.requests[1])["error"]


async def test_decisions_that_do_not_fit_change_nothing(service: AgentService, openai: OpenAIServer) -> None:
    openai.replies(python(SHELL), Reply("Done."))
    waiting = await ask(service, "Go", policy=ASKS, thread_id="t")
    call_id = waiting.approvals[0].tool_call_id
    wrong = [
        [],
        [ApprovalDecision(tool_call_id="other", decision="approve")],
        [ApprovalDecision(tool_call_id=call_id, decision="approve")] * 2,
        [ApprovalDecision(tool_call_id=call_id, decision="edit")],
        [ApprovalDecision(tool_call_id=call_id, decision="edit", args={"kode": 1})],
    ]
    for decisions in wrong:
        with pytest.raises(DecisionInvalid):
            await all_of(service.resume("t", decisions))
    assert (await decide(service, waiting, "approve")).stopped_because == "answered"
    with pytest.raises(NothingToResume):
        await all_of(service.resume("t"))
    with pytest.raises(ThreadNotFound):
        await all_of(service.resume("t", owner="bob"))
