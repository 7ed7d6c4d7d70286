"""Contexts: kernels side by side, each with its own state."""

from __future__ import annotations

import json
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor

import httpx
import pytest
from e2b import NotFoundException, SandboxException
from e2b_code_interpreter import AsyncSandbox, Context, Sandbox

from .conftest import RunningServer
from .waiting import wait_until


def waiting_for(path: str) -> str:
    """Python code that runs until there is a file."""
    return f"import os, time\nwhile not os.path.exists({path!r}): time.sleep(0.01)"


def default(sandbox: Sandbox, language: str = "python") -> Context:
    return next(context for context in sandbox.list_code_contexts() if context.language == language)


@pytest.fixture
def threads() -> Iterator[ThreadPoolExecutor]:
    with ThreadPoolExecutor() as pool:
        yield pool


def test_contexts_share_no_names(sandbox: Sandbox) -> None:
    context = sandbox.create_code_context()
    sandbox.run_code("x = 'default'")
    sandbox.run_code("x = 'own'", context=context)
    assert sandbox.run_code("x").text == "default"
    assert sandbox.run_code("x", context=context).text == "own"


def test_contexts_share_the_files_of_the_sandbox(sandbox: Sandbox) -> None:
    context = sandbox.create_code_context()
    sandbox.run_code("open('note.txt', 'w').write('x')", context=context)
    assert sandbox.run_code("open('note.txt').read()").text == "x"


@pytest.mark.parametrize(
    ("language", "code"),
    [
        ("python", "import os; os.getcwd()"),
        ("javascript", "process.cwd()"),
        ("typescript", "process.cwd()"),
        ("bash", "pwd"),
    ],
)
def test_a_context_has_the_language_and_folder_it_was_made_with(sandbox: Sandbox, language: str, code: str) -> None:
    sandbox.files.make_dir("work")
    context = sandbox.create_code_context(cwd="/home/user/work", language=language)
    assert (context.language, context.cwd) == (language, "/home/user/work")
    execution = sandbox.run_code(code, context=context)
    assert (execution.text or "".join(execution.logs.stdout)).strip() == "/home/user/work"


def test_a_context_of_its_own_shares_nothing_between_javascript_and_typescript(sandbox: Sandbox) -> None:
    context = sandbox.create_code_context(language="typescript")
    sandbox.run_code("globalThis.mark = 1", language="typescript")
    assert sandbox.run_code("typeof mark", context=context).text == "undefined"


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"cwd": "/no/such/folder"}, "does not exist"),
        ({"cwd": "relative"}, "absolute path"),
        ({"language": "cobol"}, "not supported; there are python"),
    ],
)
def test_a_context_that_cannot_be_made_says_why(sandbox: Sandbox, options: dict[str, str], words: str) -> None:
    before = len(sandbox.list_code_contexts())
    with pytest.raises(SandboxException, match=words):
        sandbox.create_code_context(**options)
    assert len(sandbox.list_code_contexts()) == before


def test_the_list_has_the_default_contexts_and_those_made(sandbox: Sandbox) -> None:
    made = sandbox.create_code_context(language="bash", cwd="/tmp")
    listed = sandbox.list_code_contexts()
    assert {"python", "javascript"} <= {context.language for context in listed}
    assert [(each.language, each.cwd) for each in listed if each.id == made.id] == [("bash", "/tmp")]


def test_the_default_context_is_the_one_of_code_that_names_none(sandbox: Sandbox) -> None:
    sandbox.run_code("x = 1")
    assert sandbox.run_code("x", context=default(sandbox)).text == "1"
    assert sandbox.run_code("x", language="python").text == "1"


def test_restart_forgets_names_and_ends_processes_but_keeps_the_context(sandbox: Sandbox) -> None:
    context = sandbox.create_code_context(cwd="/tmp")
    sandbox.run_code("import subprocess; x = 1; subprocess.Popen(['sleep', '4321'])", context=context)
    sandbox.restart_code_context(context)
    error = sandbox.run_code("x", context=context).error
    assert error is not None and error.name == "NameError"
    assert sandbox.run_code("import os; os.getcwd()", context=context).text == "/tmp"
    assert sandbox.commands.run("pgrep -cf '[s]leep 4321' || true").stdout == "0\n"


@pytest.mark.parametrize("language", ["javascript", "typescript", "bash"])
def test_every_language_restarts(sandbox: Sandbox, language: str) -> None:
    context = sandbox.create_code_context(language=language)
    set_it, tell = ("X=1", "echo ${X-gone}") if language == "bash" else ("var x = 1", "console.log(typeof x)")
    sandbox.run_code(set_it, context=context)
    sandbox.restart_code_context(context)
    said = "".join(sandbox.run_code(tell, context=context).logs.stdout).strip()
    assert said in ("gone", "undefined")


def test_restart_ends_what_runs_with_an_error(sandbox: Sandbox, threads: ThreadPoolExecutor) -> None:
    context = sandbox.create_code_context()
    started = threading.Event()
    code = "import time; print('started'); time.sleep(1000)"
    running = threads.submit(sandbox.run_code, code, context=context, on_stdout=lambda _: started.set())
    assert started.wait(60)
    sandbox.restart_code_context(context)
    error = running.result(60).error
    assert error is not None and error.value == "Context was restarted"
    assert sandbox.run_code("1 + 1", context=context).text == "2"


def test_a_removed_context_is_gone(sandbox: Sandbox) -> None:
    context = sandbox.create_code_context()
    sandbox.remove_code_context(context)
    assert context.id not in {each.id for each in sandbox.list_code_contexts()}
    with pytest.raises(NotFoundException):
        sandbox.run_code("1", context=context)


def test_removing_ends_what_the_context_started(sandbox: Sandbox) -> None:
    context = sandbox.create_code_context(language="bash")
    sandbox.run_code("sleep 5432 &", context=context)
    sandbox.remove_code_context(context)
    assert sandbox.commands.run("pgrep -cf '[s]leep 5432' || true").stdout == "0\n"


@pytest.mark.parametrize(
    "use",
    [
        lambda sandbox, context: sandbox.run_code("1", context=context),
        lambda sandbox, context: sandbox.restart_code_context(context),
        lambda sandbox, context: sandbox.remove_code_context(context),
    ],
    ids=["run", "restart", "remove"],
)
def test_an_unknown_context_is_not_found(sandbox: Sandbox, use: Callable[[Sandbox, Context], object]) -> None:
    with pytest.raises(NotFoundException, match="Context no-such-context not found"):
        use(sandbox, Context("no-such-context", "python", "/"))


def test_a_context_of_another_sandbox_is_not_found(new_sandbox: Callable[..., Sandbox]) -> None:
    context = new_sandbox().create_code_context()
    with pytest.raises(NotFoundException):
        new_sandbox().run_code("1", context=context)


def test_contexts_run_at_the_same_time(sandbox: Sandbox, threads: ThreadPoolExecutor) -> None:
    contexts = [sandbox.create_code_context() for _ in range(2)]
    meet = "open({mine!r}, 'w').close()\n{wait}\n'met'"
    paths = ["/tmp/0", "/tmp/1"]
    running = [
        threads.submit(sandbox.run_code, meet.format(mine=mine, wait=waiting_for(other)), context=context, timeout=60)
        for mine, other, context in zip(paths, reversed(paths), contexts, strict=True)
    ]
    assert [each.result().text for each in running] == ["met", "met"]


def test_a_context_runs_one_execution_at_a_time(sandbox: Sandbox, threads: ThreadPoolExecutor) -> None:
    sandbox.run_code("running, most = 0, 0")
    code = "import asyncio\nrunning += 1; most = max(most, running)\nawait asyncio.sleep(0.01)\nrunning -= 1"
    for each in [threads.submit(sandbox.run_code, code) for _ in range(6)]:
        assert each.result(60).error is None
    assert sandbox.run_code("most").text == "1"


def test_executions_that_wait_get_signs_of_life_and_their_turn(
    server: RunningServer, sandbox: Sandbox, threads: ThreadPoolExecutor
) -> None:
    threads.submit(sandbox.run_code, f"open('/tmp/began', 'w').close()\n{waiting_for('/tmp/go')}\nseen = ['first']")
    wait_until(lambda: sandbox.files.exists("/tmp/began"))
    headers = {"E2b-Sandbox-Id": sandbox.sandbox_id, "E2b-Sandbox-Port": "49999"}
    if token := sandbox._envd_access_token:
        headers["X-Access-Token"] = token
    with httpx.stream(
        "POST", f"{server.url}/execute", json={"code": "seen.append('second')"}, headers=headers, timeout=60
    ) as response:
        lines = response.iter_lines()
        assert json.loads(next(lines)) == {"type": "keepalive"}
        third = threads.submit(sandbox.run_code, "seen.append('third'); seen")
        sandbox.files.write("/tmp/go", "")
        assert third.result(60).text == "['first', 'second', 'third']"
        assert json.loads(list(lines)[-1]) == {"type": "end_of_execution"}


async def test_contexts_with_the_async_sdk(async_sandbox: AsyncSandbox) -> None:
    context = await async_sandbox.create_code_context(cwd="/tmp", language="python")
    await async_sandbox.run_code("x = 1", context=context)
    assert (await async_sandbox.run_code("x", context=context)).text == "1"
    await async_sandbox.restart_code_context(context)
    assert (await async_sandbox.run_code("x", context=context)).error is not None
    await async_sandbox.remove_code_context(context)
    assert context.id not in {each.id for each in await async_sandbox.list_code_contexts()}
