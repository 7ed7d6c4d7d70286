"""Code that is to stop: timeouts and clients that leave keep the state; a kernel that dies is replaced."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

import pytest
from e2b import TimeoutException
from e2b_code_interpreter import AsyncSandbox, Sandbox

from .waiting import wait_until

NewSandbox = Callable[..., Sandbox]

ENDLESS = {
    "sleep": "import time; time.sleep(1000)",
    "a busy loop": "while True: pass",
    "await": "import asyncio; await asyncio.sleep(1000)",
    "a busy task": "async def spin():\n    while True: pass\nimport asyncio; await asyncio.create_task(spin())",
    "a subprocess": "import subprocess; subprocess.run(['sleep', '1000'])",
    "a shell command": "!sleep 1000",
    "a magic": "%%bash\nsleep 1000",
    "a lock": "import threading; lock = threading.Lock(); lock.acquire(); lock.acquire()",
    "a thread's end": "import threading, time; t = threading.Thread(target=time.sleep, args=[1000], daemon=True)\n"
    "t.start(); t.join()",
    "a pipe": "import os; os.read(os.pipe()[0], 1)",
    "printing": "while True: print('x' * 1000)",
    "a regular expression": "import re\nwhile True: re.match('(a*)*b', 'a' * 18)",
    "one that hides it": "import time\ntry: time.sleep(1000)\nexcept KeyboardInterrupt: time.sleep(1000)",
}


def stop_after_a_moment(sandbox: Sandbox, code: str, seconds: float = 0.3, **options: str) -> None:
    with pytest.raises(TimeoutException):
        sandbox.run_code(code, timeout=seconds, **options)


@pytest.mark.parametrize("code", ENDLESS.values(), ids=ENDLESS.keys())
def test_code_stops_at_its_timeout_and_the_state_stays(sandbox: Sandbox, code: str) -> None:
    sandbox.run_code("x = 1")
    stop_after_a_moment(sandbox, code)
    after = sandbox.run_code("x + 1", timeout=60)
    assert (after.text, after.logs.stdout) == ("2", [])


def test_what_the_code_waited_for_is_stopped_too(sandbox: Sandbox) -> None:
    stop_after_a_moment(sandbox, "import subprocess; subprocess.run(['sleep', '6543'])")
    sandbox.run_code("1", timeout=60)
    assert sandbox.commands.run("pgrep -cf '[s]leep 6543' || true").stdout == "0\n"


def test_cleaning_up_runs_when_code_is_stopped(sandbox: Sandbox) -> None:
    # It has to have begun by then, also on a busy machine.
    stop_after_a_moment(sandbox, "import time\ntry: time.sleep(1000)\nfinally: cleaned = True", seconds=2)
    assert sandbox.run_code("cleaned", timeout=60).text == "True"


def test_code_that_will_not_stop_costs_its_kernel_only(sandbox: Sandbox) -> None:
    context = sandbox.create_code_context()
    sandbox.run_code("x = 1")
    stubborn = "import time\nwhile True:\n    try: time.sleep(1)\n    except BaseException: pass"
    with pytest.raises(TimeoutException):
        sandbox.run_code(stubborn, context=context, timeout=0.3)
    assert sandbox.run_code("x", timeout=60).text == "1"
    assert sandbox.run_code("1 + 1", context=context, timeout=60).text == "2"


def test_a_timeout_does_not_reach_code_of_another_context(sandbox: Sandbox) -> None:
    context = sandbox.create_code_context()
    code = "import asyncio\nasync def tick():\n    global ticks\n    while True:\n        ticks += 1\n"
    sandbox.run_code(f"ticks = 0\n{code}        await asyncio.sleep(0.01)\ntask = asyncio.create_task(tick())")
    stop_after_a_moment(sandbox, "while True: pass", context=context)
    before = int(sandbox.run_code("ticks").text or "")
    wait_until(lambda: int(sandbox.run_code("ticks").text or "") > before)


async def test_code_stops_when_its_client_leaves(async_sandbox: AsyncSandbox) -> None:
    await async_sandbox.run_code("x = 1")
    started = asyncio.Event()
    running = asyncio.create_task(
        async_sandbox.run_code(
            "print('started')\nimport time\ntry: time.sleep(1000)\nfinally: x = 2", on_stdout=lambda _: started.set()
        )
    )
    async with asyncio.timeout(60):
        await started.wait()
        running.cancel()
        await asyncio.wait([running])
        assert (await async_sandbox.run_code("x")).text == "2"


async def test_code_that_waits_for_its_turn_never_runs_when_its_client_leaves(async_sandbox: AsyncSandbox) -> None:
    started = asyncio.Event()
    code = "import os, time\nprint('started')\nwhile not os.path.exists('/tmp/go'): time.sleep(0.01)"
    first = asyncio.create_task(async_sandbox.run_code(code, on_stdout=lambda _: started.set()))
    await asyncio.wait_for(started.wait(), 60)
    with pytest.raises(TimeoutException):
        await async_sandbox.run_code("open('/tmp/ran', 'w')", timeout=0.5)
    await async_sandbox.files.write("/tmp/go", "")
    assert (await first).error is None
    await async_sandbox.run_code("1")
    assert not await async_sandbox.files.exists("/tmp/ran")


@pytest.mark.parametrize(
    ("language", "endless", "keep", "tell"),
    [
        ("javascript", "for (;;) {}", "var kept = 1", "console.log(kept)"),
        ("javascript", "await new Promise(() => {})", "let kept = 1", "console.log(kept)"),
        ("javascript", "require('child_process').execSync('sleep 1000')", "const kept = 1", "console.log(kept)"),
        ("typescript", "while (true) {}", "let kept: number = 1", "console.log(kept)"),
        ("bash", "while :; do :; done", "kept=1", "echo $kept"),
        ("bash", "sleep 1000", "kept=1", "echo $kept"),
        ("bash", "trap '' INT; (trap '' INT; sleep 1000)", "kept=1", "echo $kept"),
    ],
)
def test_other_languages_keep_their_state_too(
    sandbox: Sandbox, language: str, endless: str, keep: str, tell: str
) -> None:
    sandbox.run_code(keep, language=language)
    stop_after_a_moment(sandbox, endless, language=language)
    assert "".join(sandbox.run_code(tell, language=language, timeout=60).logs.stdout) == "1\n"


# --- the kernel dies


@pytest.mark.parametrize(
    ("code", "words"),
    [
        ("import ctypes; ctypes.string_at(0)", "killed by SIGSEGV"),
        ("import os; os.abort()", "killed by SIGABRT"),
        ("import os; os._exit(3)", "exit code 3"),
        ("!kill -TERM $PPID", "killed by SIGTERM"),
        ("!kill -9 $PPID", "killed (SIGKILL)"),
    ],
)
def test_a_dead_kernel_is_named_and_replaced(sandbox: Sandbox, code: str, words: str) -> None:
    sandbox.run_code("x = 1")
    execution = sandbox.run_code(f"print('before')\n{code}")
    assert execution.logs.stdout == ["before\n"]
    error = execution.error
    assert error is not None and error.name == "KernelDied"
    assert words in error.value and "variables are lost" in error.value
    after = sandbox.run_code("'x' in globals()")
    assert (after.text, after.execution_count) == ("False", 1)


def test_code_over_the_memory_limit_is_told_so_and_costs_its_kernel_only(sandbox: Sandbox) -> None:
    context = sandbox.create_code_context()
    sandbox.run_code("x = 1")
    error = sandbox.run_code("hog = []\nwhile True: hog.append(b'x' * (64 << 20))", context=context).error
    assert error is not None and error.name == "KernelDied"
    assert "more memory than the sandbox's limit of 1024 MiB" in error.value
    assert sandbox.run_code("x").text == "1"
    assert sandbox.run_code("1 + 1", context=context).text == "2"


def test_a_kernel_that_dies_between_executions_is_replaced(sandbox: Sandbox) -> None:
    dying = "import os, threading\ndef die():\n    while not os.path.exists('/tmp/go'): pass\n    os._exit(1)"
    pid = int(sandbox.run_code(f"{dying}\nthreading.Thread(target=die).start()\nos.getpid()").text or "")
    sandbox.files.write("/tmp/go", "")
    wait_until(lambda: sandbox.commands.run(f"test -e /proc/{pid}; echo $?").stdout == "1\n")
    assert sandbox.run_code("1 + 1").text == "2"


@pytest.mark.parametrize(
    ("language", "code", "tell", "words"),
    [
        ("javascript", "process.abort()", "console.log(1)", "killed by SIGABRT"),
        ("javascript", "process.reallyExit(3)", "console.log(1)", "exit code 3"),
        ("typescript", "process.kill(process.pid, 'SIGTERM'); for (;;) {}", "console.log(1)", "killed by SIGTERM"),
        ("bash", "exit 3", "echo 1", "exit code 3"),
        ("bash", "kill -9 $$", "echo 1", "killed (SIGKILL)"),
    ],
)
def test_dead_kernels_of_other_languages_are_replaced_too(
    sandbox: Sandbox, language: str, code: str, tell: str, words: str
) -> None:
    error = sandbox.run_code(code, language=language, timeout=60).error
    assert error is not None and error.name == "KernelDied"
    assert words in error.value
    assert "".join(sandbox.run_code(tell, language=language).logs.stdout) == "1\n"


@pytest.mark.parametrize("end", ["os.close(fd)", "os.write(fd, b'\\xff' * 64)"])
def test_code_that_breaks_its_own_channel_costs_its_kernel_only(sandbox: Sandbox, end: str) -> None:
    sockets = "[int(n) for n in os.listdir('/proc/self/fd') if os.path.exists(f'/proc/self/fd/{n}') and stat(n)]"
    stat = "import os, stat as s\nstat = lambda n: s.S_ISSOCK(os.fstat(int(n)).st_mode)"
    sandbox.run_code(f"{stat}\nfor fd in {sockets}: {end}\nimport time; time.sleep(100)", timeout=60)
    assert sandbox.run_code("1 + 1", timeout=60).text == "2"
