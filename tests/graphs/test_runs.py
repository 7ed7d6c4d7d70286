from __future__ import annotations

import asyncio
import base64
import contextlib
import time
from pathlib import Path

import pytest

from agent_tools import Sandboxes, SandboxSettings, ToolExecutor
from agent_tools.context import CallContext
from graphs import AgentRequest, AgentService
from graphs.claims import FileClaims
from graphs.errors import (
    FileInvalid,
    InvalidModelSettings,
    ModelKeyMissing,
    ThreadBusy,
    ToolCallingUnsupported,
    UnknownAgentType,
    UnknownProvider,
    UnknownTool,
)
from graphs.requests import AgentResponse, InputFile, Token
from graphs.runs import Run
from tests.agent_tools.waiting import until

from .asking import all_of, ask, python, response, told, tool_messages
from .conftest import OpenService
from .openai_server import Answer, Broken, Call, Hang, OpenAIServer, Raw, Refusal, Reply


async def test_a_question_is_answered_with_what_code_returned(service: AgentService, openai: OpenAIServer) -> None:
    openai.replies(python("import math; print(math.factorial(10))"), Reply("It is 3628800."))
    answer = await ask(service, "Calculate the factorial of 10")
    assert (answer.answer, answer.stopped_because, answer.failure) == ("It is 3628800.", "answered", None)
    assert [step.content["output"] for step in answer.steps] == ["3628800"]
    assert answer.sandbox_id == answer.steps[0].content["sandbox_id"]
    assert (answer.usage.input_tokens, answer.usage.output_tokens) == (22, 14)
    assert not answer.scripted
    assert told(openai.requests[1])["output"] == "3628800"


async def test_events_come_in_the_order_of_what_happens(service: AgentService, openai: OpenAIServer) -> None:
    openai.replies(
        Reply("Let me see.", calls=(Call("execute_python_code", {"code": "print('out'); 1 + 1"}),)), Reply("Two.")
    )
    events = await all_of(service.stream(AgentRequest(message="1 + 1?")))
    kinds = [event.type for event in events]
    assert list(dict.fromkeys(kinds)) == ["started", "token", "tool_call", "tool_output", "tool_result", "ended"]
    assert kinds[-2] == "token"
    assert "".join(event.text for event in events if event.type == "token") == "Let me see.Two."
    called = next(event for event in events if event.type == "tool_call")
    live = next(event for event in events if event.type == "tool_output")
    assert called.args["code"].startswith("print") and live.tool_call_id == called.tool_call_id
    assert (live.stream, live.text) == ("stdout", "out\n")


async def test_the_scripted_model_needs_no_key_and_says_what_it_is(open_service: OpenService) -> None:
    service = await open_service(provider_id="scripted", model_id="demo")
    answer = await ask(service, "Calculate the factorial of 10")
    assert answer.answer == "The factorial of 10 is 3628800."
    assert answer.scripted


async def test_a_thread_keeps_its_words_and_its_variables(service: AgentService, openai: OpenAIServer) -> None:
    openai.replies(python("x = 41"), Reply("Kept."), python("print(x + 1)"), Reply("42"))
    first = await ask(service, "Remember x")
    second = await ask(service, "Add one", thread_id=first.thread_id)
    assert second.steps[0].content["output"] == "42"
    assert second.sandbox_id == first.sandbox_id
    assert len(second.steps) == 1
    said = [message["content"] for message in openai.requests[-1].messages if message["role"] == "user"]
    assert said == ["Remember x", "Add one"]


async def test_the_same_thread_id_of_two_owners_is_two_threads(service: AgentService, openai: OpenAIServer) -> None:
    openai.replies(python("x = 'secret'"), Reply("Kept."), python("print(x)"), Reply("No."))
    await ask(service, "Remember", thread_id="t", owner="ann")
    other = await ask(service, "Tell me", thread_id="t", owner="bob")
    assert other.steps[0].content["error"].startswith("NameError")
    assert len([m for m in openai.requests[-1].messages if m["role"] == "user"]) == 1


async def test_files_of_a_request_are_in_the_sandbox_and_the_model_is_told(
    service: AgentService, openai: OpenAIServer
) -> None:
    openai.replies(python("print(open('a.csv').read())"), Reply("Read."))
    file = InputFile(name="a.csv", content=base64.b64encode(b"n\n7").decode())
    answer = await ask(service, "Read it", files=(file,))
    assert answer.steps[0].content["output"] == "n\n7"
    assert "/home/user/a.csv" in openai.requests[0].messages[-1]["content"]
    assert (await service.thread(answer.thread_id)).messages[0].text == "Read it"


@pytest.mark.parametrize(
    ("name", "content"), [("../a", "YQ=="), ("a", "not base64!"), ("..", "YQ=="), ("a\nb", "YQ=="), ("a\\b", "YQ==")]
)
async def test_unusable_files_are_refused(service: AgentService, name: str, content: str) -> None:
    with pytest.raises(FileInvalid):
        await ask(service, "Read it", files=(InputFile(name=name, content=content),))


# --- what a request may name


async def test_coding_has_the_sandbox_tools_with_an_empty_list(service: AgentService, openai: OpenAIServer) -> None:
    openai.replies(Reply("Hello."))
    await ask(service, "Hello", tools=())
    assert {"execute_python_code", "run_command", "write_file"} <= set(openai.requests[0].tools)
    assert "delete_file" not in openai.requests[0].tools


async def test_named_tools_are_the_only_ones(service: AgentService, openai: OpenAIServer) -> None:
    openai.replies(Reply("Hello."))
    await ask(service, "Hello", tools=("run_command", "delete_file"))
    assert openai.requests[0].tools == ["run_command", "delete_file"]


async def test_a_tool_that_the_run_does_not_have_is_not_run(service: AgentService, openai: OpenAIServer) -> None:
    openai.replies(python("print(1)"), Reply("I cannot."))
    answer = await ask(service, "Run it", tools=("list_files",))
    assert answer.steps[0].failed
    assert "list_files" in told(openai.requests[1])["error"]
    assert answer.sandbox_id is None


async def test_chat_has_no_tools_and_no_sandbox(service: AgentService, openai: OpenAIServer) -> None:
    openai.replies(python("print(1)"), Reply("I cannot."))
    answer = await ask(service, "Run it", agent_type="chat")
    assert openai.requests[0].tools == []
    assert answer.steps[0].failed and answer.sandbox_id is None


async def test_the_system_prompt_extends_or_replaces(service: AgentService, openai: OpenAIServer) -> None:
    openai.replies(Reply("1"), Reply("2"))
    await ask(service, "Hello", system_prompt="Speak like a pirate.")
    await ask(service, "Hello", system_prompt="Only this.", system_prompt_mode="replace")
    extended, replaced = (request.messages[0]["content"] for request in openai.requests)
    assert "coding assistant" in extended and extended.endswith("Speak like a pirate.")
    assert replaced == "Only this."


async def test_unknown_names_are_refused_with_the_known_ones(service: AgentService) -> None:
    with pytest.raises(UnknownAgentType, match="chat, coding, data_science"):
        await ask(service, "Hello", agent_type="poet")
    with pytest.raises(UnknownTool, match="execute_python_code"):
        await ask(service, "Hello", tools=("fly",))
    with pytest.raises(UnknownTool, match="chat"):
        await ask(service, "Hello", tools=("run_command",), agent_type="chat")
    with pytest.raises(UnknownProvider, match="scripted"):
        await ask(service, "Hello", provider_id="nobody", model_id="x")
    with pytest.raises(InvalidModelSettings, match="model_id"):
        await ask(service, "Hello", provider_id="ollama")
    with pytest.raises(ToolCallingUnsupported):
        await ask(service, "Hello", model_id="gpt-image-2")
    assert await service.threads() == []


async def test_a_missing_key_is_said_before_anything_runs(open_service: OpenService, model_env: dict[str, str]) -> None:
    model_env.clear()
    service = await open_service()
    with pytest.raises(ModelKeyMissing, match="OPENAI_API_KEY"):
        await ask(service, "Hello")


# --- limits


async def test_a_model_that_never_stops_is_stopped_and_says_so(open_service: OpenService, openai: OpenAIServer) -> None:
    service = await open_service(model_call_limit=3)
    openai.answer(lambda _: python("print('again')"))
    answer = await ask(service, "Loop")
    assert answer.stopped_because == "model_calls"
    assert "limit of 3 model calls" in answer.answer
    assert len(openai.requests) == 3


async def test_a_new_message_begins_with_the_whole_limit(open_service: OpenService, openai: OpenAIServer) -> None:
    service = await open_service(model_call_limit=2)
    openai.replies(python("1"), python("2"), python("3"), Reply("Done."))
    first = await ask(service, "Loop")
    second = await ask(service, "Go on", thread_id=first.thread_id)
    assert (first.stopped_because, second.stopped_because) == ("model_calls", "answered")


async def test_tool_calls_beyond_the_limit_are_not_run(open_service: OpenService, openai: OpenAIServer) -> None:
    service = await open_service(tool_call_limit=2)
    openai.replies(python("print(1)"), Reply(calls=tuple(Call("list_files", {"folder": "."}) for _ in range(3))))
    answer = await ask(service, "Go")
    assert answer.stopped_because == "tool_calls"
    assert [step.failed for step in answer.steps] == [False, True, True, True]


# --- unhelpful replies


async def test_the_model_is_told_of_malformed_arguments(service: AgentService, openai: OpenAIServer) -> None:
    openai.replies(
        Reply(calls=(Call("execute_python_code", '{"code": "pri'),)),
        python("print(5)"),
        Reply("Five."),
    )
    answer = await ask(service, "Print 5")
    assert answer.answer == "Five."
    assert "not a JSON object" in tool_messages(openai.requests[1])[-1]
    assert answer.steps[-1].content["output"] == "5"


async def test_wrong_arguments_and_unknown_tools_go_back_to_the_model(
    service: AgentService, openai: OpenAIServer
) -> None:
    openai.replies(
        Reply(calls=(Call("execute_python_code", {"kode": "1"}), Call("fly", {}))),
        Reply("I give up."),
    )
    answer = await ask(service, "Fly")
    assert [step.failed for step in answer.steps] == [True, True]
    assert answer.stopped_because == "answered"


async def test_a_model_that_only_sends_garbage_ends_the_run(service: AgentService, openai: OpenAIServer) -> None:
    openai.answer(lambda _: Reply(calls=(Call("execute_python_code", "{{{"),)))
    answer = await ask(service, "Print 5")
    assert answer.stopped_because == "failed"
    assert len(openai.requests) == 3


async def test_parallel_calls_each_get_their_own_answer(service: AgentService, openai: OpenAIServer) -> None:
    calls = tuple(Call("execute_python_code", {"code": f"print({n} * 11)"}) for n in range(8))
    openai.replies(Reply(calls=calls), Reply("Done."))
    answer = await ask(service, "Eight at once")
    results = {step.args["code"]: step.content["output"] for step in answer.steps}
    assert results == {f"print({n} * 11)": str(n * 11) for n in range(8)}


async def test_call_ids_that_a_server_uses_again_are_told_apart(service: AgentService, openai: OpenAIServer) -> None:
    openai.replies(
        Reply(calls=(Call("execute_python_code", {"code": "print(1)"}, id="call_0"),)),
        Reply(calls=(Call("execute_python_code", {"code": "print(2)"}, id="call_0"),)),
        Reply("Done."),
    )
    answer = await ask(service, "Count")
    assert [step.content["output"] for step in answer.steps] == ["1", "2"]
    assert [told_["output"] for told_ in map(__import__("json").loads, tool_messages(openai.requests[-1]))] == [
        "1",
        "2",
    ]


async def test_an_empty_reply_is_asked_for_again(service: AgentService, openai: OpenAIServer) -> None:
    openai.replies(Reply(""), Reply("Here."))
    assert (await ask(service, "Hello")).answer == "Here."


@pytest.mark.parametrize(
    ("reply", "name"),
    [
        (Refusal(401), "ModelKeyRejected"),
        (Refusal(404), "ModelNotFound"),
        (Refusal(400, "no such setting"), "ModelRequestRejected"),
        (Refusal(429, headers={"Retry-After": "0"}), "ModelRateLimited"),
        (Refusal(500, headers={"Retry-After": "0"}), "ModelUnavailable"),
        (Reply("half", finish_reason="length"), "ReplyTruncated"),
        (Broken("half a sentence, and"), "ModelUnavailable"),
        (Broken("half a sentence, and", politely=True), "ReplyTruncated"),
        (Raw(b"\xff\xfe no JSON"), "ReplyUnreadable"),
    ],
)
async def test_a_model_that_fails_ends_the_run_with_the_reason(
    service: AgentService, openai: OpenAIServer, reply: Answer, name: str
) -> None:
    # As often as the SDK tries.
    openai.replies(*[reply] * 3)
    answer = await ask(service, "Hello")
    assert answer.stopped_because == "failed"
    assert answer.failure is not None and answer.failure.name == name
    assert "sk-test" not in answer.model_dump_json()


async def test_a_thread_goes_on_after_a_failure(service: AgentService, openai: OpenAIServer) -> None:
    openai.replies(python("x = 5"), Refusal(401), Reply("It was 5."))
    failed = await ask(service, "Set x")
    assert (await service.threads())[0].interrupted
    resumed = response(await all_of(service.resume(failed.thread_id)))
    assert (resumed.answer, resumed.stopped_because) == ("It was 5.", "answered")
    assert resumed.steps == ()


async def test_without_a_sandbox_the_model_is_told_once_and_then_the_run_fails(
    open_service: OpenService, openai: OpenAIServer
) -> None:
    nowhere = SandboxSettings(api_key="k", api_url="http://127.0.0.1:9", sandbox_url="http://127.0.0.1:9")
    service = await open_service(ToolExecutor(Sandboxes(nowhere)))
    openai.answer(lambda _: python("print(1)"))
    answer = await ask(service, "Print 1")
    assert answer.failure is not None and answer.failure.name == "ServiceUnreachable"
    assert "ServiceUnreachable" in told(openai.requests[1])["error"]
    assert len(openai.requests) == 2


# --- one run a thread, and its end


async def test_a_thread_runs_once_at_a_time_also_among_processes(
    open_service: OpenService, openai: OpenAIServer
) -> None:
    one, other = await open_service(), await open_service()
    openai.answer(lambda r: Reply("Done.") if tool_messages(r) else python("import time; print('on'); time.sleep(60)"))
    events = one.stream(AgentRequest(message="Wait", thread_id="t"))
    await _until_output(events)
    for service in (one, other):
        with pytest.raises(ThreadBusy):
            await ask(service, "Hello", thread_id="t")
        with pytest.raises(ThreadBusy):
            await service.delete_thread("t")
    assert (await one.threads())[0].running
    await events.aclose()
    openai.answer(lambda _: Reply("Free."))
    assert (await ask(other, "Hello", thread_id="t")).answer == "Free."


async def test_closing_the_events_stops_the_code(
    service: AgentService, openai: OpenAIServer, executor: ToolExecutor
) -> None:
    openai.replies(python("import time\nprint('on')\nfor n in range(600): time.sleep(0.1)"))
    events = service.stream(AgentRequest(message="Wait", thread_id="t"))
    await _until_output(events)
    started = time.monotonic()
    await events.aclose()
    free = await executor.execute_code("print(n < 590)", "python", CallContext(thread_id="t"))
    assert free.output == "True"
    assert time.monotonic() - started < 5
    assert (await service.threads())[0].interrupted


async def test_cancelling_ends_the_run_within_a_second_and_the_thread_goes_on(
    service: AgentService, openai: OpenAIServer
) -> None:
    openai.replies(python("import time\nx = 1\nprint('on')\ntime.sleep(60)"), python("print(x)"), Reply("One."))
    events = service.stream(AgentRequest(message="Wait", thread_id="t"))
    await _until_output(events)
    started = time.monotonic()
    assert await service.cancel("t")
    assert time.monotonic() - started < 2
    ended = response(await all_of(events))
    assert ended.stopped_because == "cancelled"
    assert not await service.cancel("t")
    answer = await ask(service, "What is x?", thread_id="t")
    assert answer.steps[0].content["output"] == "1"
    assert "Interrupted" in tool_messages(openai.requests[1])[0]


async def test_a_run_that_is_cancelled_while_the_model_thinks_ends_and_the_thread_goes_on(
    service: AgentService, openai: OpenAIServer
) -> None:
    openai.replies(Hang(after="Let me"), Reply("Here I am."))
    events = service.stream(AgentRequest(message="Think", thread_id="t"))
    while not isinstance(await anext(events), Token):
        pass
    assert await service.cancel("t")
    assert response(await all_of(events)).stopped_because == "cancelled"
    assert (await ask(service, "Hello?", thread_id="t")).answer == "Here I am."


async def test_a_run_that_is_cancelled_before_its_first_step_frees_its_thread(
    service: AgentService, openai: OpenAIServer
) -> None:
    openai.replies(Reply("Free."))
    events = service.stream(AgentRequest(message="Wait", thread_id="t"))
    first = asyncio.ensure_future(anext(events))
    await until(lambda: service.cancel("t"))
    assert response([await first, *await all_of(events)]).stopped_because == "cancelled"
    assert (await ask(service, "Hello", thread_id="t")).answer == "Free."


async def test_a_run_that_is_stopped_before_it_begins_still_ends() -> None:
    ended: list[bool] = []

    async def work(_: object) -> None:
        raise AssertionError("it was stopped")

    async def end(_: object, cancelled: bool) -> AgentResponse:
        ended.append(cancelled)
        return AgentResponse(answer="", thread_id="t", stopped_because="cancelled")

    run = Run(work, end)
    run.start()
    await run.stop()
    assert ended == [True]


async def test_a_claim_of_one_who_went_away_meanwhile_is_given_back(tmp_path: Path) -> None:
    claims = FileClaims(tmp_path)
    for number in range(50):
        taking = asyncio.ensure_future(claims.take(str(number)))
        for _ in range(number % 5 + 1):
            await asyncio.sleep(0)
        if taking.cancel():
            with contextlib.suppress(asyncio.CancelledError):
                await taking
        elif taking.result():
            await claims.drop(str(number))

        async def free(key: str = str(number)) -> bool:
            return await claims.take(key)

        await until(free, 10)


async def test_a_cancelled_call_is_not_repeated_by_a_resume(service: AgentService, openai: OpenAIServer) -> None:
    code = "import time\nn = globals().get('n', 0) + 1\nprint('on')\ntime.sleep(60 if n == 1 else 0)"
    openai.replies(python(code), python("print(n)"), Reply("Once."))
    events = service.stream(AgentRequest(message="Wait", thread_id="t"))
    await _until_output(events)
    await events.aclose()
    resumed = response(await all_of(service.resume("t")))
    assert "Interrupted" in resumed.steps[0].content["error"]
    assert resumed.steps[1].content["output"] == "1"


async def test_closing_the_service_cancels_its_runs(open_service: OpenService, openai: OpenAIServer) -> None:
    service = await open_service()
    openai.replies(python("import time; print('on'); time.sleep(60)"))
    events = service.stream(AgentRequest(message="Wait", thread_id="t"))
    await _until_output(events)
    await service.__aexit__(None, None, None)
    assert response(await all_of(events)).stopped_because == "cancelled"
    again = await open_service()
    assert (await again.threads())[0].interrupted


async def test_fifty_threads_at_once_do_not_mix(service: AgentService, openai: OpenAIServer) -> None:
    def reply(request: object) -> Reply:
        number = next(m["content"] for m in request.messages if m["role"] == "user")  # type: ignore[attr-defined]
        results = tool_messages(request)  # type: ignore[arg-type]
        return Reply(told(request)["output"]) if results else python(f"n = {number}; print(n * n)")  # type: ignore[arg-type]

    openai.answer(reply)
    async with asyncio.TaskGroup() as group:
        tasks = [group.create_task(ask(service, str(number))) for number in range(50)]
    answers = [task.result() for task in tasks]
    assert [answer.answer for answer in answers] == [str(n * n) for n in range(50)]
    assert len({answer.sandbox_id for answer in answers}) == 50
    assert len({answer.thread_id for answer in answers}) == 50


async def _until_output(events: object) -> None:
    async for event in events:  # type: ignore[attr-defined]
        if event.type == "tool_output":
            return
    raise AssertionError("there was no output")
