from __future__ import annotations

import asyncio
import dataclasses
import subprocess
import sys
import uuid
from typing import Any

import pytest
from deepagents import create_deep_agent
from deepagents.backends.protocol import FileDownloadResponse, FileUploadResponse
from langchain_core.messages import HumanMessage, ToolMessage
from langchain_core.runnables import RunnableConfig
from langgraph.checkpoint.memory import InMemorySaver

from agent_tools import CallContext, InvalidCall, Sandboxes, SandboxPolicy, SandboxSettings, ToolExecutor, coding_tools
from agent_tools.deepagents import REFUSED, TIMED_OUT, SandloopBackend
from agent_tools.loop import run_sync
from graphs.scenarios import Scenario, Script, ScriptedCall, Step
from graphs.scripted import ScriptedModel

from .conftest import Leases


@pytest.fixture
def thread() -> str:
    """A thread that no other test has, where the owner is everybody's."""
    return f"thread-{uuid.uuid4().hex[:8]}"


@pytest.fixture
def backend(sandboxes: Sandboxes, context: CallContext) -> SandloopBackend:
    return SandloopBackend(sandboxes, context=context)


def model(*steps: tuple[str, dict[str, Any]]) -> ScriptedModel:
    """A model that makes these calls, one after the other, and then says what the last one answered."""
    calls = [Step(calls=(ScriptedCall(tool=tool, args=args),)) for tool, args in steps]
    scenario = Scenario(match="", steps=(*calls, Step(text="Done.")))
    return ScriptedModel(script=Script(title="test", examples=("Go",), scenarios=(scenario,)))


async def answers(agent: Any, thread_id: str) -> list[ToolMessage]:
    state = await agent.ainvoke({"messages": [HumanMessage("Go")]}, {"configurable": {"thread_id": thread_id}})
    return [message for message in state["messages"] if isinstance(message, ToolMessage)]


# --- commands and code


async def test_stdout_and_stderr_come_together_in_their_order(backend: SandloopBackend):
    done = await backend.aexecute("echo one; echo two >&2; echo three; exit 3")
    assert (done.output, done.exit_code, done.truncated) == ("one\ntwo\nthree\n", 3, False)


async def test_output_is_passed_on_as_it_is(backend: SandloopBackend):
    done = await backend.aexecute(r"printf 'a\0b\033[1mc\r\nd'")
    assert done.output == "a\0b\033[1mc\r\nd"


async def test_a_command_that_takes_too_long_is_killed_and_says_so(backend: SandloopBackend):
    done = await backend.aexecute("echo begun; sleep 100", timeout=1)
    assert done.exit_code == TIMED_OUT
    assert done.output.startswith("begun\n[ExecutionTimeout: killed after 1 s")
    assert (await backend.aexecute("echo well")).output == "well\n"


async def test_a_cancelled_command_ends_and_leaves_the_sandbox_usable(backend: SandloopBackend):
    await backend.aexecute("mkfifo begun")
    running = asyncio.create_task(backend.aexecute("echo > begun; exec sleep 987"))
    await backend.aexecute("cat begun")
    running.cancel()
    with pytest.raises(asyncio.CancelledError):
        await running
    gone = await backend.aexecute("for _ in $(seq 300); do pgrep -f '^sleep 987' || break; sleep 0.1; done; echo well")
    assert gone.output.splitlines()[-1] == "well"
    assert (await backend.aexecute("pgrep -f '^sleep 987'")).output == ""


async def test_a_flood_is_killed_and_truncated(new_sandboxes: Leases, context: CallContext):
    backend = SandloopBackend(new_sandboxes(output_limit_bytes=1_000_000), context=context)
    done = await backend.aexecute("yes")
    assert done.truncated and done.exit_code
    assert "OutputLimit" in done.output


async def test_what_the_policy_refuses_is_told_to_the_model(sandboxes: Sandboxes, new_context: Any):
    backend = SandloopBackend(sandboxes, context=new_context(allowed_languages=("python",)))
    done = await backend.aexecute("echo hi")
    assert done.exit_code == REFUSED and done.output.startswith("PolicyRefusal: ")
    assert (await backend.arun_code("6 * 7")).output == "42"
    with pytest.raises(InvalidCall):
        await backend.arun_code("x", "klingon")


async def test_a_strict_policy_does_not_stop_the_file_tools(sandboxes: Sandboxes, new_context: Any):
    backend = SandloopBackend(sandboxes, context=new_context(allowed_packages=("numpy",)))
    assert (await backend.awrite("/home/user/notes/a.txt", "alpha\nbeta\n")).error is None
    assert (await backend.aedit("/home/user/notes/a.txt", "beta", "gamma")).occurrences == 1
    found = await backend.agrep("gamma", "/home/user")
    assert found.matches and found.matches[0]["path"] == "/home/user/notes/a.txt"
    globbed = await backend.aglob("**/*.txt", "/home/user")
    assert globbed.matches and globbed.matches[0]["path"] == "/home/user/notes/a.txt"
    listed = await backend.als("/home/user/notes")
    assert listed.entries and listed.entries[0]["path"] == "/home/user/notes/a.txt"
    assert (await backend.adelete("/home/user/notes/a.txt")).error is None


def test_code_keeps_its_variables_and_sees_the_files(backend: SandloopBackend):
    assert backend.write("/home/user/n.txt", "41").error is None
    assert backend.run_code("n = int(open('n.txt').read())").success
    assert backend.run_code("n + 1").output == "42"
    assert backend.run_code("echo $((40 + 2))", "bash").output == "42"


async def test_calls_in_parallel_get_their_own_answers(backend: SandloopBackend):
    async with asyncio.TaskGroup() as running:
        tasks = [running.create_task(backend.aexecute(f"sleep 0.{n}; echo {n}")) for n in range(5)]
    assert [task.result().output for task in tasks] == [f"{n}\n" for n in range(5)]


# --- files


async def test_each_file_has_its_own_answer_in_deepagents_words(sandboxes: Sandboxes, new_context: Any):
    backend = SandloopBackend(sandboxes, context=new_context(max_file_bytes=5000))
    await backend.aexecute("mkdir folder; echo secret > closed; chmod 0 closed; mkdir shut; chmod 500 shut")
    home = "/home/user"
    up = await backend.aupload_files(
        [
            (f"{home}/a.txt", b"a"),
            ("b.txt", b"b"),
            ("/etc/passwd", b"c"),
            (f"{home}/folder", b"d"),
            (f"{home}/shut/e.txt", b"e"),
            (f"{home}/\n", b"f"),
            (f"{home}/a.txt/g", b"g"),
        ]
    )
    assert [answer.error for answer in up] == [
        None,
        "invalid_path",
        "permission_denied",
        "invalid_path",
        "permission_denied",
        "invalid_path",
        "invalid_path",
    ]
    (large,) = await backend.aupload_files([(f"{home}/large", bytes(6000))])
    assert large.error and "6000 bytes" in large.error
    down = await backend.adownload_files(
        [f"{home}/a.txt", "a.txt", f"{home}/missing", f"{home}/folder", f"{home}/closed"]
    )
    assert down[0] == FileDownloadResponse(f"{home}/a.txt", content=b"a")
    assert [answer.error for answer in down[1:]] == [
        "invalid_path",
        "file_not_found",
        "is_directory",
        "permission_denied",
    ]


async def test_a_policy_without_file_tools_denies_them(sandboxes: Sandboxes, new_context: Any):
    backend = SandloopBackend(sandboxes, context=new_context(enable_file_system=False))
    assert await backend.aupload_files([("/tmp/a", b"")]) == [FileUploadResponse("/tmp/a", "permission_denied")]


# --- whose sandbox


async def test_threads_of_one_agent_have_sandboxes_of_their_own(sandboxes: Sandboxes, thread: str):
    backend = SandloopBackend(sandboxes)
    steps = [
        ("execute", {"command": "cat /home/user/who.txt"}),
        ("write_file", {"file_path": "/home/user/who.txt", "content": "me"}),
        ("read_file", {"file_path": "/home/user/who.txt"}),
    ]
    agent = create_deep_agent(model(*steps), backend=backend, checkpointer=InMemorySaver())
    found = set()
    for thread_id in (f"{thread}-1", f"{thread}-2"):
        first, _, read = await answers(agent, thread_id)
        assert "No such file" in first.text, "another thread's file"
        assert first.artifact == {"truncated": False, "exit_code": 1}
        assert "me" in read.text
        info = await sandboxes.find(CallContext(thread_id=thread_id))
        found.add(info.sandbox_id if info else None)
    assert len(found - {None}) == 2


async def test_the_coding_tools_of_the_same_executor_share_the_threads_sandbox(executor: ToolExecutor, thread: str):
    steps = [
        ("write_file", {"file_path": "/home/user/n.txt", "content": "41"}),
        ("execute_python_code", {"code": "int(open('n.txt').read()) + 1"}),
    ]
    tools = coding_tools(executor, names=["execute_python_code"])
    agent = create_deep_agent(model(*steps), tools, backend=SandloopBackend(executor))
    _, ran = await answers(agent, thread)
    assert '"output": "42"' in ran.text


def test_a_graph_that_is_invoked_synchronously_finds_its_thread_too(sandboxes: Sandboxes, thread: str):
    agent = create_deep_agent(model(("execute", {"command": "echo $((40 + 2))"})), backend=SandloopBackend(sandboxes))
    state = agent.invoke({"messages": [HumanMessage("Go")]}, {"configurable": {"thread_id": thread}})
    assert "42" in state["messages"][-2].text
    assert run_sync(sandboxes.find(CallContext(thread_id=thread))) is not None


async def test_output_of_the_models_commands_is_shown_live_and_that_of_file_tools_is_not(
    sandboxes: Sandboxes, thread: str
):
    steps = [("read_file", {"file_path": "/home/user/.profile"}), ("execute", {"command": "echo live; echo err >&2"})]
    agent = create_deep_agent(model(*steps), backend=SandloopBackend(sandboxes))
    config: RunnableConfig = {"configurable": {"thread_id": thread}}
    parts = [part async for part in agent.astream({"messages": [HumanMessage("Go")]}, config, stream_mode="custom")]
    assert {part["type"] for part in parts} == {"tool_output"}
    assert "".join(part["text"] for part in parts) == "live\nerr\n"
    assert all(part["tool_call_id"].startswith("call_") for part in parts)


async def test_a_lost_sandbox_is_told_to_the_model_once_by_the_next_command(
    backend: SandloopBackend, sandboxes: Sandboxes, context: CallContext
):
    await backend.aexecute("touch old.txt")
    (info,) = await sandboxes.owned(context.owner)
    assert await sandboxes.kill(context.owner, info.sandbox_id)
    fixed = SandloopBackend(sandboxes, context=dataclasses.replace(context, known_sandbox_id=info.sandbox_id))
    assert (await fixed.awrite("/home/user/new.txt", "x")).error is None
    told = [
        (await fixed.aexecute_with_offload("ls", "/tmp/call", max_inline_bytes=1000)).response.output for _ in range(2)
    ]
    assert told[0].startswith("new.txt\n[Note: the earlier sandbox") and told[1] == "new.txt\n"


async def test_calls_outside_of_a_graph_share_the_backends_own_sandbox(sandboxes: Sandboxes):
    first, second = SandloopBackend(sandboxes), SandloopBackend(sandboxes)
    await first.aexecute("echo mine > a.txt")
    assert (await first.aexecute("cat a.txt")).output == "mine\n"
    assert (await second.aexecute("cat a.txt")).exit_code == 1
    assert first.id.startswith("deepagents-") and first.id != second.id


def test_the_id_is_that_of_the_thread(backend: SandloopBackend, sandboxes: Sandboxes, new_context: Any):
    assert backend.id == "thread"
    assert SandloopBackend(sandboxes, context=new_context(sandbox_key="team")).id == "team"


def test_a_backend_that_could_not_work_is_refused(settings: SandboxSettings, context: CallContext):
    with pytest.raises(ValueError, match="ephemeral"):
        SandloopBackend(Sandboxes(dataclasses.replace(settings, ephemeral=True)))
    with pytest.raises(ValueError, match="policy already"):
        SandloopBackend(Sandboxes(settings), SandboxPolicy(), context=context)


def test_without_deepagents_the_import_says_what_to_install():
    code = "import sys; sys.modules['deepagents'] = None; import agent_tools.deepagents"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60)
    assert done.returncode == 1
    assert 'pip install "sandloop[deepagents]"' in done.stderr.splitlines()[-1]
