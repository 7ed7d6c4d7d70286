"""Python code: what `run_code` returns, streams, refuses and keeps."""

from __future__ import annotations

import base64
import time
from collections.abc import Callable
from typing import Any

import pytest
from e2b_code_interpreter import AsyncSandbox, Execution, Result, Sandbox

from . import package_index
from .conftest import RunningServer
from .waiting import wait_until

NewSandbox = Callable[..., Sandbox]


def ran(execution: Execution) -> Execution:
    """An execution that must not fail."""
    assert execution.error is None, execution.error
    return execution


def only_result(execution: Execution) -> Result:
    (result,) = ran(execution).results
    return result


def stdout(execution: Execution) -> str:
    return "".join(execution.logs.stdout)


def stderr(execution: Execution) -> str:
    return "".join(execution.logs.stderr)


# --- state


def test_names_imports_and_the_folder_live_on_between_executions(sandbox: Sandbox) -> None:
    ran(sandbox.run_code("import math, os\ndef half(x): return x / 2\nos.chdir('/tmp')"))
    assert sandbox.run_code("half(math.tau) == math.pi, os.getcwd()").text == "(True, '/tmp')"


def test_an_error_keeps_what_was_done_before_it(sandbox: Sandbox) -> None:
    assert sandbox.run_code("x = 1\n1 / 0\nx = 2").error is not None
    assert sandbox.run_code("x").text == "1"


def test_executions_are_counted_from_one_also_when_they_fail(sandbox: Sandbox) -> None:
    counts = [sandbox.run_code(code).execution_count for code in ("1", "1/0", "(", "", "x = 1")]
    assert counts == [1, 2, 3, 4, 4]  # An empty cell is none.


def test_the_last_results_have_ipythons_names(sandbox: Sandbox) -> None:
    sandbox.run_code("6 * 7")
    assert sandbox.run_code("_ + _1 + Out[1]").text == "126"
    assert sandbox.run_code("In[1]").text == "6 * 7"


def test_a_new_kernel_has_only_ipythons_names(sandbox: Sandbox) -> None:
    names = sandbox.run_code("sorted(name for name in globals() if not name.startswith('_'))").text
    assert names == "['In', 'Out', 'exit', 'get_ipython', 'open', 'quit']"


@pytest.mark.parametrize(
    "code",
    ["import random; random.random()", "import numpy; float(numpy.random.rand())", "import uuid; str(uuid.uuid4())"],
)
def test_sandboxes_draw_different_random_numbers(new_sandbox: NewSandbox, code: str) -> None:
    assert len({new_sandbox().run_code(code).text for _ in range(3)}) == 3


# --- results


def decoded(result: Result, kind: str) -> bytes:
    return base64.b64decode(result[kind], validate=True)


@pytest.mark.parametrize(
    ("kind", "code", "expected"),
    [
        ("text", "'abc'", "abc"),
        ("text", "[1, 'a']", "[1, 'a']"),
        ("html", "from IPython.display import HTML; HTML('<b>x</b>')", "<b>x</b>"),
        ("markdown", "from IPython.display import Markdown; Markdown('# x')", "# x"),
        ("javascript", "from IPython.display import Javascript; Javascript('f()')", "f()"),
        ("latex", "from IPython.display import Latex; Latex('$x$')", "$x$"),
        ("latex", "import sympy; sympy.Symbol('x') ** 2", r"$\displaystyle x^{2}$"),
        ("json", "from IPython.display import JSON; JSON({'a': [1]})", {"a": [1]}),
        ("json", "{'a': [1, None]}", {"a": [1, None]}),
        ("data", "import pandas; pandas.DataFrame({'a': [1, 2], 'b': ['x', 'y']})", {"a": [1, 2], "b": ["x", "y"]}),
        (
            "data",
            "import pandas; pandas.DataFrame({'t': pandas.to_datetime(['2024-05-06', None]), 'n': [1.5, None]})",
            {"t": ["2024-05-06T00:00:00", None], "n": [1.5, None]},
        ),
    ],
)
def test_a_value_is_shown_in_its_own_kind(sandbox: Sandbox, kind: str, code: str, expected: object) -> None:
    result = only_result(sandbox.run_code(code))
    assert result.is_main_result
    assert result[kind] == expected


@pytest.mark.parametrize(
    ("kind", "code", "beginning"),
    [
        ("png", "from PIL import Image; Image.new('RGB', (2, 2))", b"\x89PNG"),
        ("png", "from matplotlib import pyplot; pyplot.plot([1, 2]); pyplot.show()", b"\x89PNG"),
        ("jpeg", "from IPython.display import Image; Image(b'\\xff\\xd8\\xff', format='jpeg')", b"\xff\xd8\xff"),
        ("pdf", "class Page:\n    def _repr_pdf_(self): return b'%PDF-1.4'\nPage()", b"%PDF"),
    ],
)
def test_binary_kinds_travel_in_base64(sandbox: Sandbox, kind: str, code: str, beginning: bytes) -> None:
    assert decoded(only_result(sandbox.run_code(code)), kind).startswith(beginning)


def test_svg_is_text(sandbox: Sandbox) -> None:
    svg = '<svg xmlns="http://www.w3.org/2000/svg"/>'
    result = only_result(sandbox.run_code(f"from IPython.display import SVG; SVG({svg!r})"))
    assert result.svg is not None and result.svg.startswith("<svg")


@pytest.mark.parametrize(
    ("call", "kind"),
    [
        ("plot([1, 2], [3, 4])", "line"),
        ("scatter([1, 2], [3, 4])", "scatter"),
        ("bar(['a', 'b'], [3, 4])", "bar"),
        ("pie([1, 2], labels=['a', 'b'])", "pie"),
        ("boxplot([[85, 90, 78], [70, 80, 75]], patch_artist=True)", "box_and_whisker"),
    ],
)
def test_a_figure_has_its_data_as_a_chart(sandbox: Sandbox, call: str, kind: str) -> None:
    result = only_result(sandbox.run_code(f"from matplotlib import pyplot; pyplot.title('T'); pyplot.{call};"))
    assert result.png is not None and result.chart is not None
    assert (result.chart.type.value, result.chart.title) == (kind, "T")


def test_two_plots_in_a_figure_are_a_superchart(sandbox: Sandbox) -> None:
    code = "from matplotlib import pyplot\n_, axes = pyplot.subplots(2)\nfor each in axes: each.plot([1, 2])"
    chart: Any = only_result(sandbox.run_code(code)).chart
    assert chart.type.value == "superchart"
    assert [each.type.value for each in chart.elements] == ["line", "line"]


def test_what_display_shows_comes_before_the_main_result(sandbox: Sandbox) -> None:
    results = ran(sandbox.run_code("display('a', 'b'); 'c'")).results
    assert [(result.text, result.is_main_result) for result in results] == [("a", False), ("b", False), ("c", True)]


def test_an_updated_display_is_shown_again_as_it_is_at_the_end(sandbox: Sandbox) -> None:
    code = "shown = display('a', display_id=True)\nfor text in 'bcd': shown.update(text)"
    assert [result.text for result in ran(sandbox.run_code(code)).results] == ["a", "d"]
    assert only_result(sandbox.run_code("shown.update('e')")).text == "e"


@pytest.mark.parametrize("code", ["None", "1;", "x = 1", "# nothing", ""])
def test_what_has_no_value_has_no_result(sandbox: Sandbox, code: str) -> None:
    assert ran(sandbox.run_code(code)).results == []


def test_a_value_that_cannot_be_shown_is_an_error_and_not_the_end(sandbox: Sandbox) -> None:
    execution = sandbox.run_code("class Odd:\n    def __repr__(self): raise ValueError('no')\nOdd()")
    assert execution.error is not None and execution.error.name == "ValueError"
    assert sandbox.run_code("1 + 1").text == "2"


def test_too_large_a_result_is_left_out_and_says_so(sandbox: Sandbox) -> None:
    result = only_result(sandbox.run_code("from IPython.display import HTML; HTML('x' * (40 << 20))"))
    assert result.html is None
    assert result.text is not None and "left out: text/html" in result.text


# --- libraries that look for a notebook


def test_tqdm_finds_a_notebook_or_a_terminal_but_does_not_fail(sandbox: Sandbox) -> None:
    execution = ran(sandbox.run_code("from tqdm.auto import tqdm\nfor _ in tqdm(range(3)): pass"))
    assert "3/3" in stderr(execution) + "".join(result.text or "" for result in execution.results)
    assert "Warning" not in stderr(execution)


PLOTLY = "from plotly import graph_objects\nfigure = graph_objects.Figure([graph_objects.Bar(y=[1])])"


def test_plotly_shows_a_figure_as_jupyter_gets_it(sandbox: Sandbox) -> None:
    results = ran(sandbox.run_code(f"{PLOTLY}\nfigure.show()\nfigure")).results
    shown = [(result.extra or {})["application/vnd.plotly.v1+json"]["data"][0]["type"] for result in results]
    assert shown == ["bar", "bar"]


def test_plotly_renders_html_when_asked(new_sandbox: NewSandbox) -> None:
    sandbox = new_sandbox(envs={"PLOTLY_RENDERER": "notebook_connected"})
    execution = sandbox.run_code(f"{PLOTLY}\nfigure")
    assert any("plotly" in (result.html or "") for result in ran(execution).results)


def test_pandas_styling_is_html(sandbox: Sandbox) -> None:
    result = only_result(sandbox.run_code("import pandas; pandas.DataFrame({'a': [1]}).style.set_caption('C')"))
    assert result.html is not None and "<caption>C</caption>" in result.html


def test_rich_prints_html_as_in_jupyter(server: RunningServer, new_sandbox: NewSandbox) -> None:
    registries = package_index.registry_hosts(server)
    sandbox = new_sandbox(network={"allow_out": registries, "deny_out": ["0.0.0.0/0"]})
    ran(sandbox.run_code("%pip install -q rich"))
    result = only_result(sandbox.run_code("import rich; rich.print('[bold]hi[/bold]')"))
    assert result.html is not None and "font-weight: bold" in result.html
    assert result.text is not None and "hi" in result.text


def test_pillow_shows_and_saved_images_are_seen(sandbox: Sandbox) -> None:
    code = "from PIL import Image; image = Image.new('RGB', (2, 2)); image.show(); image.save('a.png')"
    assert [decoded(result, "png")[:4] for result in ran(sandbox.run_code(code)).results] == [b"\x89PNG"] * 2


# --- output


WRITERS = {
    "print": "print('seen')",
    "no newline": "print('seen', end='')",
    "the descriptor": "os.write(1, b'seen')",
    "a thread": "import threading; threading.Thread(target=print, args=['seen']).start()",
    "a subprocess": "import subprocess; subprocess.run(['echo', 'seen'])",
    "a shell command": "!echo seen",
    "a forked child": "if os.fork() == 0: print('seen'); os._exit(0)",
    "C": "import ctypes; libc = ctypes.CDLL(None); libc.puts(b'seen'); libc.fflush(None)",
    "a logger": "import logging; logging.warning('seen')",
    "stderr": "import sys; print('seen', file=sys.stderr)",
    "display": "display('seen')",
    "a picture": "from matplotlib import pyplot; pyplot.plot([1]); pyplot.title('seen'); pyplot.show()",
}


@pytest.mark.parametrize("statement", WRITERS.values(), ids=WRITERS.keys())
def test_output_arrives_while_the_code_runs(sandbox: Sandbox, statement: str) -> None:
    def see(_: object) -> None:
        sandbox.files.write("/tmp/seen", "")

    code = f"import os, time\n{statement}\nwhile not os.path.exists('/tmp/seen'): time.sleep(0.01)\n'end'"
    execution = sandbox.run_code(code, on_stdout=see, on_stderr=see, on_result=see, timeout=60)
    assert ran(execution).text == "end"


async def test_output_arrives_while_the_code_runs_with_the_async_sdk(async_sandbox: AsyncSandbox) -> None:
    async def see(_: object) -> None:
        await async_sandbox.files.write("/tmp/seen", "")

    code = "import os, time\nprint('seen')\nwhile not os.path.exists('/tmp/seen'): time.sleep(0.01)"
    ran(await async_sandbox.run_code(code, on_stdout=see, timeout=60))


def test_what_c_code_buffers_is_output_of_the_same_execution(sandbox: Sandbox) -> None:
    libc = "import ctypes; libc = ctypes.CDLL(None)"
    assert stdout(sandbox.run_code(f"{libc}; libc.printf(b'from C %d\\n', 7); None")) == "from C 7\n"


def test_the_streams_are_told_apart(sandbox: Sandbox) -> None:
    execution = sandbox.run_code("import sys; print('out'); print('err', file=sys.stderr)\n!echo shell >&2")
    assert (stdout(execution), stderr(execution)) == ("out\n", "err\nshell\n")


@pytest.mark.parametrize("printing", ["print('text', n)", "os.system(f'echo text {n}')"], ids=["print", "subprocess"])
def test_text_and_results_keep_their_order(sandbox: Sandbox, printing: str) -> None:
    seen: list[str] = []
    sandbox.run_code(
        f"import os\nfor n in range(200): {printing}; display(f'result {{n}}')",
        # A line may come in pieces.
        on_stdout=lambda message: seen.append(message.line),
        on_result=lambda result: seen.append(f"{result.text}\n"),
    )
    assert "".join(seen) == "".join(f"text {number}\nresult {number}\n" for number in range(200))


def test_threads_can_show_results_too(sandbox: Sandbox) -> None:
    code = "from threading import Thread\nthreads = [Thread(target=display, args=[n]) for n in range(8)]\n"
    execution = sandbox.run_code(
        f"{code}for each in threads: each.start(); display('main')\nfor each in threads: each.join()"
    )
    assert sorted(result.text or "" for result in ran(execution).results) == [*"01234567", *["main"] * 8]


def test_characters_cut_in_two_arrive_whole_and_broken_ones_are_replaced(sandbox: Sandbox) -> None:
    sent = "é€𝄞" * 40_000
    assert stdout(sandbox.run_code(f"import os; print({sent[:3]!r} * 40_000, end='')")) == sent
    assert stdout(sandbox.run_code("os.write(1, b'a\\xffb'); print('\\ud800')")) == "a\ufffdb\\ud800\n"


def test_output_between_executions_belongs_to_the_next(sandbox: Sandbox) -> None:
    sandbox.run_code("!(while [ ! -e /tmp/go ]; do sleep 0.01; done; echo late; touch /tmp/gone) &")
    sandbox.files.write("/tmp/go", "")
    wait_until(lambda: sandbox.files.exists("/tmp/gone"))
    assert stdout(sandbox.run_code("print('next')")) == "late\nnext\n"


def test_a_child_left_running_does_not_hold_the_execution(sandbox: Sandbox) -> None:
    ran(sandbox.run_code("import subprocess; child = subprocess.Popen(['sleep', '1000'])", timeout=60))
    assert sandbox.run_code("child.poll() is None").text == "True"


def test_a_client_slower_than_the_code_gets_all_output(sandbox: Sandbox) -> None:
    code = "import os\nfor _ in range(256): os.write(1, b'x' * 65_535 + b'\\n');"
    execution = sandbox.run_code(code, on_stdout=lambda _: time.sleep(0.1))
    assert len(stdout(execution)) == 256 * 65_536


def test_output_over_the_limit_is_dropped_and_the_amount_is_said(sandbox: Sandbox) -> None:
    limit = 64 << 20
    execution = sandbox.run_code("import os\nfor _ in range(65): os.write(1, b'x' * (1 << 20));")
    assert len(stdout(execution)) == limit
    assert f"dropped {1 << 20} bytes over the output limit of {limit}" in stderr(execution)
    assert stdout(sandbox.run_code("print('next')")) == "next\n"


# --- errors


@pytest.mark.parametrize(
    ("code", "name", "value", "trace"),
    [
        ("def f(): return 1 / 0\n\nf()", "ZeroDivisionError", "division by zero", "line 1, in f"),
        ("undefined", "NameError", "name 'undefined' is not defined", "----> 1 undefined"),
        ("import nothing_such", "ModuleNotFoundError", "No module named 'nothing_such'", "nothing_such"),
        ("x = (", "SyntaxError", "'(' was never closed", "x = (\n"),
        ("if True:\nx", "IndentationError", "expected an indented block", "    x\n"),
        ("raise ValueError", "ValueError", "", "ValueError"),
        ("assert 1 == 2, 'differ'", "AssertionError", "differ", "assert 1 == 2"),
        ("raise ExceptionGroup('many', [ValueError('one')])", "ExceptionGroup", "many (1 sub-exception)", "one"),
        ("raise KeyboardInterrupt", "KeyboardInterrupt", "", "KeyboardInterrupt"),
        ("import asyncio; asyncio.run(asyncio.sleep(0))", "RuntimeError", "cannot be called from a running", "run"),
        ("%no_such_magic", "UsageError", "Line magic function `%no_such_magic` not found", ""),
    ],
)
def test_an_error_has_name_value_and_traceback(sandbox: Sandbox, code: str, name: str, value: str, trace: str) -> None:
    error = sandbox.run_code(code).error
    assert error is not None
    assert error.name == name
    assert value in error.value
    assert trace in error.traceback and "\x1b[" not in error.traceback


def test_a_traceback_names_the_cell_and_its_line(sandbox: Sandbox) -> None:
    sandbox.run_code("def fail():\n    raise KeyError('k')")
    error = sandbox.run_code("x = 1\n\nfail()").error
    assert error is not None
    assert "Cell In[2], line 3" in error.traceback and "Cell In[1], line 2, in fail()" in error.traceback


def test_what_was_shown_before_an_error_is_kept(sandbox: Sandbox) -> None:
    execution = sandbox.run_code("print('a'); display('b'); 1 / 0")
    assert stdout(execution) == "a\n" and [result.text for result in execution.results] == ["b"]
    assert execution.error is not None


@pytest.mark.parametrize("code", ["input('name? ')", "import getpass; getpass.getpass()"])
def test_asking_for_input_is_refused_with_what_to_do(sandbox: Sandbox, code: str) -> None:
    error = sandbox.run_code(code, timeout=60).error
    assert error is not None and error.name == "StdinNotImplementedError"
    assert "nobody can type input here" in error.value and "environment variable" in error.value


def test_standard_input_is_empty(sandbox: Sandbox) -> None:
    assert sandbox.run_code("import sys; sys.stdin.read() + 'end'", timeout=60).text == "end"
    assert stdout(sandbox.run_code("!cat; echo end", timeout=60)) == "end\n"


@pytest.mark.parametrize("code", ["exit()", "quit()", "import sys; sys.exit(3)", "raise SystemExit"])
def test_leaving_ends_the_execution_and_keeps_the_state(sandbox: Sandbox, code: str) -> None:
    sandbox.run_code("x = 1")
    error = sandbox.run_code(f"{code}\nx = 2").error
    assert error is not None and error.name == "SystemExit"
    assert sandbox.run_code("x").text == "1"


# --- environment variables


def test_variables_of_an_execution_are_put_back_after_it(new_sandbox: NewSandbox) -> None:
    sandbox = new_sandbox(envs={"KEPT": "create"})
    both = "import os; os.environ.get('KEPT'), os.environ.get('NEW')"
    assert sandbox.run_code(both, envs={"KEPT": "call", "NEW": "1"}).text == "('call', '1')"
    assert sandbox.run_code(both).text == "('create', None)"


def test_variables_are_put_back_after_an_error_too(sandbox: Sandbox) -> None:
    assert sandbox.run_code("1 / 0", envs={"NEW": "1"}).error is not None
    assert sandbox.run_code("import os; 'NEW' in os.environ").text == "False"


def test_variables_reach_child_processes(sandbox: Sandbox) -> None:
    assert stdout(sandbox.run_code("!echo $NEW", envs={"NEW": "two words"})) == "two words\n"


# --- IPython's own language


@pytest.mark.parametrize(
    ("code", "printed"),
    [
        ("%%bash\nfor i in 1 2; do echo $i; done", "1\n2\n"),
        ("%%sh\necho hi", "hi\n"),
        ("!echo one two", "one two\n"),
        ("word = 'py'\n!echo {word} $word $$HOME", "py py /home/user\n"),
        ("x = !printf 'a\\nb\\n'\nprint(x)", "['a', 'b']\n"),
        ("!exit 3\nprint(_exit_code)", "3\n"),
        ("%cd -q /tmp\n!pwd", "/tmp\n"),
        ("%env GREETING=hi\n!echo $GREETING", "env: GREETING=hi\nhi\n"),
        ("%%capture caught\nprint('x')", ""),
        ("%%python3\nprint('x')", "x\n"),
    ],
)
def test_magics_and_shell_commands_print(sandbox: Sandbox, code: str, printed: str) -> None:
    assert stdout(ran(sandbox.run_code(code))) == printed


@pytest.mark.parametrize("code", ["%time sum(range(3))", "%%time\nsum(range(3))"])
def test_time_prints_the_time_and_keeps_the_value(sandbox: Sandbox, code: str) -> None:
    execution = ran(sandbox.run_code(code))
    assert execution.text == "3"
    assert "Wall time" in stdout(execution)


def test_writefile_writes(sandbox: Sandbox) -> None:
    ran(sandbox.run_code("%%writefile note.txt\nhello\n"))
    assert sandbox.files.read("note.txt") == "hello\n"


def test_a_failing_bash_cell_is_an_error(sandbox: Sandbox) -> None:
    execution = sandbox.run_code("%%bash\necho before\nexit 3")
    assert stdout(execution) == "before\n"
    assert execution.error is not None and "exit status 3" in execution.error.value


# --- asyncio


def test_await_at_the_top_level(sandbox: Sandbox) -> None:
    ran(sandbox.run_code("import asyncio\nasync def double(x):\n    await asyncio.sleep(0)\n    return 2 * x"))
    assert sandbox.run_code("await double(21)").text == "42"
    assert sandbox.run_code("[await double(x) async for x in aiter_()]").error is not None
    assert sandbox.run_code("await asyncio.gather(double(1), double(2))").text == "[2, 4]"


def test_tasks_live_on_when_no_code_runs(sandbox: Sandbox) -> None:
    later = "async def later(): await asyncio.sleep(0.05); open('/tmp/done', 'w').close(); return 'late'"
    started = sandbox.run_code(f"import asyncio\n{later}\ntask = asyncio.create_task(later())\ntask.done()")
    assert started.text == "False"
    wait_until(lambda: sandbox.files.exists("/tmp/done"))
    assert sandbox.run_code("await task").text == "late"


def test_what_a_task_displays_when_no_code_runs_holds_nothing_up(sandbox: Sandbox) -> None:
    later = "async def later(): await asyncio.sleep(0.05); display('lost'); open('/tmp/done', 'w').close()"
    ran(sandbox.run_code(f"import asyncio\n{later}\ntask = asyncio.create_task(later())"))
    wait_until(lambda: sandbox.files.exists("/tmp/done"))
    assert sandbox.run_code("1 + 1", timeout=60).text == "2"
