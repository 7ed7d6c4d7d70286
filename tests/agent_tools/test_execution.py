"""Running code: what comes back, what stays, and what is kept within bounds."""

from __future__ import annotations

import asyncio
import base64
import json
import time
from typing import Any

import pytest

from agent_tools import CallContext, LiveOutput, ToolExecutor
from agent_tools.results import ExecutionResult

from .conftest import Contexts, Leases

ON_SUCCESS = {"success", "output", "sandbox_id", "execution_time", "packages_installed", "code"}
ON_FAILURE = {"success", "error", "code", "sandbox_id"}


async def python(executor: ToolExecutor, context: CallContext, code: str, **options: Any) -> ExecutionResult:
    return await executor.execute_code(code, "python", context, **options)


async def value(executor: ToolExecutor, context: CallContext, code: str) -> str:
    result = await python(executor, context, code)
    assert result.success, result
    return result.output


async def test_a_success_has_the_keys_of_the_contract(executor: ToolExecutor, context: CallContext):
    content = (await python(executor, context, "print('hi')\n6 * 7")).content()
    assert set(content) == ON_SUCCESS
    assert content["success"] is True
    assert content["output"] == "hi\n42"
    assert content["packages_installed"] == []
    assert content["code"] == "print('hi')\n6 * 7"
    assert 0 < content["execution_time"] < 60
    found = await executor.sandboxes.find(context)
    assert found is not None and content["sandbox_id"] == found.sandbox_id


async def test_a_success_without_output_still_has_all_keys(executor: ToolExecutor, context: CallContext):
    content = (await python(executor, context, "x = 1")).content()
    assert set(content) == ON_SUCCESS and content["output"] == ""


async def test_a_failure_has_the_keys_of_the_contract(executor: ToolExecutor, context: CallContext):
    content = (await python(executor, context, "def f(:")).content()
    assert set(content) == ON_FAILURE | {"traceback"}
    assert content["success"] is False
    assert content["error"].startswith("SyntaxError: ")
    assert content["code"] == "def f(:"


async def test_a_failure_has_the_output_so_far_and_a_traceback(executor: ToolExecutor, context: CallContext):
    content = (await python(executor, context, "print('before')\n1/0")).content()
    assert set(content) == ON_FAILURE | {"traceback", "output"}
    assert content["error"] == "ZeroDivisionError: division by zero"
    assert content["output"] == "before"
    assert "1/0" in content["traceback"] and "\x1b" not in content["traceback"]


async def test_stderr_is_kept_apart_from_output(executor: ToolExecutor, context: CallContext):
    result = await python(executor, context, "import sys; print('out'); print('err', file=sys.stderr)")
    assert (result.output, result.stderr) == ("out", "err\n")


async def test_variables_imports_and_files_live_on_between_calls(executor: ToolExecutor, context: CallContext):
    await value(executor, context, "import math; x = 41; open('kept.txt', 'w').write('here')")
    assert await value(executor, context, "x += 1; print(x, math.floor(1.5), open('kept.txt').read())") == "42 1 here"
    assert (await python(executor, context, "1/0")).success is False
    assert await value(executor, context, "x") == "42"


async def test_languages_with_a_kernel_keep_state_apart_from_each_other(executor: ToolExecutor, context: CallContext):
    await value(executor, context, "x = 'python'")
    assert (await executor.execute_code("let x = 'javascript'", "javascript", context)).success
    assert (await executor.execute_code("x=bash; cd /tmp", "bash", context)).success
    assert (await executor.execute_code("x", "js", context)).output == "javascript"
    assert (await executor.execute_code("echo $x $PWD", "shell", context)).output == "bash /tmp"
    assert await value(executor, context, "x") == "python"


async def test_a_program_of_a_language_without_a_kernel_fails_with_its_exit_code(
    executor: ToolExecutor, context: CallContext
):
    result = await executor.execute_code("import sys\nprint('so far')\nsys.exit(3)", "python", context)
    assert not result.success and result.error is not None and result.error.startswith("SystemExit")
    await executor.write_file("fail.sh", "echo so far; echo why >&2; exit 3", context)
    command = await executor.run_command("bash fail.sh", context)
    assert command.content() | {"execution_time": 0} == {
        "success": False,
        "error": "NonZeroExit: exit code 3",
        "stdout": "so far\n",
        "stderr": "why\n",
        "exit_code": 3,
        "execution_time": 0,
        "sandbox_id": command.sandbox_id,
    }


async def test_a_timeout_above_the_policy_is_capped_and_said(executor: ToolExecutor, new_context: Contexts):
    context = new_context(max_execution_time=2)
    await value(executor, context, "1")
    started = time.monotonic()
    result = await python(executor, context, "import time\nwhile True: print('tick'); time.sleep(.2)", timeout_s=100)
    # The limit is kept while output comes, too.
    assert 2 <= time.monotonic() - started < 10
    assert result.error is not None and result.error.startswith("ExecutionTimeout: interrupted after 2 s")
    assert result.notes == ("the timeout was cut to 2 s, the policy's limit",)
    assert result.output.startswith("tick\n")
    command = await executor.run_command("sleep 60", context, timeout_s=100)
    assert command.error is not None and command.error.startswith("ExecutionTimeout")
    assert command.notes == result.notes
    assert (await python(executor, context, "1", timeout_s=2)).notes == ()


async def test_a_call_that_may_take_longer_than_the_sandbox_lives_extends_its_lease(
    executor: ToolExecutor, new_context: Contexts
):
    context = new_context(timeout=10, max_execution_time=600)
    await value(executor, context, "1")
    before = await executor.sandboxes.find(context)
    await python(executor, context, "1", timeout_s=500)
    after = await executor.sandboxes.find(context)
    assert before is not None and after is not None
    assert (after.end_at - before.end_at).total_seconds() > 100


async def test_what_is_rich_is_listed_in_the_content_and_carried_in_the_artifact(
    executor: ToolExecutor, context: CallContext
):
    code = """
import matplotlib.pyplot as plt, pandas
from IPython.display import HTML, SVG, Latex, display
plt.bar(["a", "b"], [1, 2]); plt.show()
display(HTML("<b>x</b>"), SVG("<svg xmlns='http://www.w3.org/2000/svg'/>"), Latex("$x$"))
pandas.DataFrame({"n": [1]})
"""
    result = await python(executor, context, code)
    assert result.success, result
    by_kind = {artifact.kind: artifact for artifact in result.artifacts}
    assert {"png", "chart", "html", "svg", "latex", "dataframe"} <= by_kind.keys()
    png = by_kind["png"]
    assert png.data is not None and base64.b64decode(png.data).startswith(b"\x89PNG") and png.mime_type == "image/png"
    assert by_kind["svg"].data is not None and by_kind["svg"].data.startswith("<svg")
    assert json.loads(by_kind["chart"].data or "")["type"] == "bar"
    assert json.loads(by_kind["dataframe"].data or "")
    assert f"png: {png.name}" in result.content()["results"]
    assert len({artifact.name for artifact in result.artifacts}) == len(result.artifacts)
    assert "artifacts" not in result.content()


async def test_a_large_artifact_is_a_file_of_the_sandbox_instead(executor: ToolExecutor, context: CallContext):
    result = await python(executor, context, "from IPython.display import HTML; HTML('<p>' + 'x' * 400_000)")
    artifact = next(artifact for artifact in result.artifacts if artifact.kind == "html")
    assert artifact.data is None and artifact.path is not None
    assert f"html: {artifact.name} in {artifact.path}" in result.results
    assert (await executor.read_bytes(artifact.path, context)).decode() == "<p>" + "x" * 400_000


async def test_long_output_is_cut_in_the_middle_and_whole_in_a_file(executor: ToolExecutor, new_context: Contexts):
    context = new_context(max_output_bytes=2000)
    result = await python(executor, context, "for i in range(20_000): print(i)")
    assert result.success and len(result.output) < 2100
    assert result.output.startswith("0\n1\n") and result.output.endswith("19999")
    assert "bytes left out" in result.output
    assert result.output_file is not None and result.content()["output_file"] == result.output_file
    whole = (await executor.read_bytes(result.output_file, context)).decode()
    assert whole.split() == [str(number) for number in range(20_000)]
    read = await executor.read_file(result.output_file, context, start_line=100, end_line=101)
    assert read.text == "99\n100\n"


async def test_one_line_of_a_million_characters_is_no_slower(executor: ToolExecutor, context: CallContext):
    await value(executor, context, "1")
    started = time.monotonic()
    assert (await python(executor, context, "print('a' * 1_000_000)")).output_file is not None
    assert time.monotonic() - started < 10


async def test_output_whose_file_cannot_be_kept_does_not_lose_the_result(executor: ToolExecutor, context: CallContext):
    await executor.run_command("mkdir -p .sandloop && echo in the way > .sandloop/outputs", context)
    result = await python(executor, context, "ran = globals().get('ran', 0) + 1; print('x' * 100_000)")
    assert result.success and result.output_file is None and result.output.startswith("xxx")
    assert await value(executor, context, "ran") == "1"


async def test_a_flood_of_output_is_stopped_and_the_sandbox_lives_on(new_sandboxes: Leases, context: CallContext):
    executor = ToolExecutor(new_sandboxes(output_limit_bytes=1_000_000))
    await value(executor, context, "x = 1")
    result = await python(executor, context, "while True: print('x' * 1000)", timeout_s=100)
    assert result.error == "OutputLimit: stopped after printing more than 0.954 MiB; print less"
    assert result.output.startswith("xxx") and result.output_file is not None
    assert await value(executor, context, "x") == "1"
    command = await executor.run_command("yes", context, timeout_s=100)
    assert command.error is not None and command.error.startswith("OutputLimit: killed after printing more than")
    assert await value(executor, context, "x") == "1"


async def test_a_flood_of_displayed_results_is_stopped(new_sandboxes: Leases, context: CallContext):
    executor = ToolExecutor(new_sandboxes(output_limit_bytes=100_000))
    code = "from IPython.display import HTML, display\nwhile True: display(HTML('x' * 1000))"
    result = await python(executor, context, code, timeout_s=100)
    assert result.error is not None and result.error.startswith("OutputLimit") and len(result.artifacts) <= 50


async def test_control_characters_and_escape_sequences_do_not_come_through(
    executor: ToolExecutor, context: CallContext
):
    code = r"print('\x1b[31mred\x1b[0m \x1b]0;title\x07 a\x00b\x08 \u202ertl 10%\r20%\r\n\ttab')"
    assert await value(executor, context, code) == "20%\n\ttab"
    assert await value(executor, context, r"print('\x1b[31mred\x1b[0m\x1b]0;title\x07 a\x00b\x08\u202ex')") == "red abx"
    error = (await python(executor, context, r"raise ValueError('\x1b[31m\x00bad')")).error
    assert error == "ValueError: bad"


async def test_code_with_half_a_character_is_an_answer_and_not_a_crash(executor: ToolExecutor, context: CallContext):
    assert await value(executor, context, "print('caf\u00e9 \U0001f600')") == "caf\u00e9 \U0001f600"
    result = await python(executor, context, r"print('\ud800x')")
    json.dumps(result.content(), ensure_ascii=False).encode()


async def test_live_output_comes_while_the_code_runs_and_is_safe_to_show(executor: ToolExecutor, new_context: Contexts):
    pieces: list[LiveOutput] = []
    first = asyncio.Event()
    loop = asyncio.get_running_loop()

    def take(piece: LiveOutput) -> None:
        pieces.append(piece)
        loop.call_soon_threadsafe(first.set)

    context = new_context(on_output=take)
    code = r"""
import os, sys, time
print('\x1b]0;title\x07\x1b[31mfirst', flush=True)
while not os.path.exists('go'): time.sleep(.01)
print('last', file=sys.stderr)
"""
    running = asyncio.create_task(python(executor, context, code))
    await asyncio.wait_for(first.wait(), 60)
    assert not running.done()
    await executor.run_command("touch go", new_context())
    assert (await running).success
    assert "".join(piece.text for piece in pieces if piece.stream == "stdout") == "first\n"
    assert "".join(piece.text for piece in pieces if piece.stream == "stderr") == "last\n"


async def test_live_output_ends_where_nobody_could_read_it(executor: ToolExecutor, new_context: Contexts):
    pieces: list[LiveOutput] = []
    result = await python(executor, new_context(on_output=pieces.append), "for _ in range(3000): print('x' * 1000)")
    assert result.success
    assert sum(len(piece.text) for piece in pieces) < 1_100_000
    assert pieces[-1] == LiveOutput("status", "\n[more output follows, which is not shown live]\n")


async def test_a_background_command_is_left_running_and_its_output_is_in_a_file(
    executor: ToolExecutor, context: CallContext
):
    started = await executor.run_command("echo up; sleep 1000", context, background=True)
    assert started.success and started.pid is not None and started.output_file is not None
    check = f"for i in $(seq 500); do grep -q up {started.output_file} && break; sleep .02; done; kill -0 {started.pid}"
    assert (await executor.run_command(check, context)).success


@pytest.mark.usefixtures("registries")
async def test_packages_are_installed_within_the_call_and_named(executor: ToolExecutor, context: CallContext):
    assert not (await python(executor, context, "import cowsay")).success
    result = await python(executor, context, "import cowsay; print(cowsay.__name__)", install_packages=["cowsay==6.1"])
    assert result.success, result
    assert result.content()["packages_installed"] == ["cowsay==6.1"]
    assert await value(executor, context, "cowsay.__name__") == "cowsay"
    again = await executor.install_packages(["cowsay"], "python", context)
    assert again.success and again.packages_installed == ("cowsay==6.1",)


@pytest.mark.usefixtures("registries")
async def test_npm_packages_are_installed_for_javascript(executor: ToolExecutor, context: CallContext):
    installed = await executor.install_packages(["is-number@7"], "javascript", context)
    assert installed.success and installed.packages_installed[0].startswith("is-number@7"), installed
    assert (await executor.execute_code("require('is-number')(5)", "javascript", context)).output == "true"
