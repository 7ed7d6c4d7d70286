from __future__ import annotations

import base64
import io
import json
import zipfile
from collections.abc import Iterable
from typing import Any

import nbformat
import pytest
from langchain_core.messages import AIMessage, HumanMessage, ToolMessage

from agent_tools import CallContext, Sandboxes, ToolExecutor
from agent_tools.export import AnsweredCall, Entry, calls_of, notebook, zipped
from agent_tools.home_files import home_files, zip_names
from agent_tools.results import Artifact, ExecutionResult
from agent_tools.tools import coding_tools

DRAW = "import matplotlib.pyplot as plt\nplt.plot([1, 2])\nplt.show()\nprint('drawn')"


def read(data: bytes) -> Any:
    """The notebook, after Jupyter's own check of its form."""
    whole = nbformat.reads(data.decode(), as_version=4)
    nbformat.validate(whole)
    return whole


def cells(entries: Iterable[Entry]) -> list[Any]:
    return list(read(notebook(entries)).cells)


def ran(code: str, language: str = "python", **more: Any) -> ExecutionResult:
    return ExecutionResult(**{"success": True, "sandbox_id": "s", "code": code, "language": language, **more})


async def test_results_become_cells_with_what_was_seen(executor: ToolExecutor, context: CallContext):
    codes = [DRAW, "1 / 0", "import sys; sys.stderr.write('careful'); 6 * 7"]
    drawn, failed, warned = cells([await executor.execute_code(code, "python", context) for code in codes])
    assert [cell.source for cell in (drawn, failed, warned)] == codes
    assert [cell.execution_count for cell in (drawn, failed, warned)] == [1, 2, 3]
    assert [output.text for output in drawn.outputs if output.output_type == "stream"] == ["drawn\n"]
    (picture,) = [output.data for output in drawn.outputs if "image/png" in output.get("data", {})]
    assert base64.b64decode(picture["image/png"]).startswith(b"\x89PNG")
    (error,) = failed.outputs
    assert (error.ename, error.evalue) == ("ZeroDivisionError", "division by zero")
    assert "1 / 0" in "\n".join(error.traceback)
    assert {output.name: output.text for output in warned.outputs} == {"stdout": "42\n", "stderr": "careful\n"}


async def test_the_messages_of_a_graph_are_its_history(sandboxes: Sandboxes):
    (tool,) = coding_tools(sandboxes, names=["execute_python_code"])
    calls = [
        {"type": "tool_call", "name": tool.name, "args": {"code": code}, "id": f"call-{number}"}
        for number, code in enumerate([DRAW, "1 / 0"])
    ]
    answers = [await tool.ainvoke(call) for call in calls]
    unanswered = {"type": "tool_call", "name": tool.name, "args": {"code": "print(1)"}, "id": "cut off"}
    messages = [HumanMessage("Draw."), AIMessage("", tool_calls=[*calls, unanswered]), *answers, AIMessage("There.")]
    said, drawn, failed, told = cells(calls_of(messages))
    assert (said.source, told.source) == ("**User:** Draw.", "There.")
    assert any("image/png" in output.get("data", {}) for output in drawn.outputs)
    assert [output.ename for output in failed.outputs] == ["ZeroDivisionError"]


def test_an_artifact_of_a_tool_of_somebody_elses_is_not_taken_for_ours():
    call = {"type": "tool_call", "name": "search", "args": {"query": "x"}, "id": "1"}
    for artifact in ({"results": [{"url": "x"}]}, {"results": 3}, ["results"], None):
        answer = ToolMessage("found", tool_call_id="1", artifact=artifact)
        (entry,) = calls_of([AIMessage("", tool_calls=[call]), answer])
        assert isinstance(entry, AnsweredCall) and entry.artifacts == ()
        (cell,) = cells([entry])
        assert cell.cell_type == "markdown" and "search" in cell.source and "found" in cell.source


@pytest.mark.parametrize(
    ("language", "code", "said"),
    [
        ("bash", "echo $((40 + 2))", "42"),
        ("javascript", "console.log([1, 2].map(x => x * 21))", "[ 21, 42 ]"),
        ("typescript", "enum Size { Small = 42 }\nconst n: number = Size.Small\nconsole.log(n)", "42"),
        ("ruby", "puts 42", "42"),
        ("php", "<?php echo 42;", "42"),
    ],
)
async def test_cells_of_interpreted_languages_run_again_in_jupyter(
    executor: ToolExecutor, context: CallContext, language: str, code: str, said: str
):
    if language not in await executor.languages(context):
        pytest.skip(f"this sandbox has no {language}")
    result = await executor.execute_code(code, language, context)
    assert result.success, result
    (cell,) = cells([result])
    assert cell.cell_type == "code" and said in cell.outputs[0].text
    again = await executor.execute_code(cell.source, "python", context)
    assert said in again.output, again


def test_compiled_languages_are_text_that_their_code_cannot_break_out_of():
    (cell,) = cells([ran("// ```\n# Title\nfn main() {}", "rust", output="````\nout", error="CompileError: no")])
    assert cell.cell_type == "markdown"
    assert cell.source.startswith("**rust**\n\n````rust\n// ```\n# Title")
    assert "`````\n````\nout\nCompileError: no\n`````" in cell.source


def test_commands_are_cells_and_other_calls_are_text():
    shell = AnsweredCall("run_command", {"command": "ls"}, {"success": True, "stdout": "a.txt", "exit_code": 0})
    deep = AnsweredCall("execute", {"command": "ls"}, "a.txt\n[Command succeeded with exit code 0]")
    write = AnsweredCall("write_file", {"path": "a.txt", "content": "x"}, {"success": True})
    ours, theirs, other = cells([shell, deep, write])
    assert (ours.source, ours.outputs[0].text) == ("%%bash\nls", "a.txt\n")
    assert theirs.source == "%%bash\nls"
    assert other.cell_type == "markdown" and "a.txt" in other.source


def test_installed_packages_are_installed_again_and_nothing_else_is_run():
    hostile = ("six==1.17.0", "x==1\n!rm -rf ~", "-r==evil", "y==1; import os", "z @ http://example.org")
    install, code = cells([ran("import six", packages_installed=hostile)])
    assert (install.source, code.source) == ("%pip install six==1.17.0", "import six")


def test_the_representations_of_one_result_are_one_output():
    found = [
        Artifact(kind="png", name="png-1", mime_type="image/png", size=1, data="AA=="),
        Artifact(kind="html", name="html-1", mime_type="text/html", size=1, data="<b>"),
        Artifact(kind="json", name="json-2", mime_type="application/json", size=2, data="{}"),
        Artifact(kind="png", name="png-3", mime_type="image/png", size=400_000, path="/home/user/.sandloop/x.png"),
    ]
    (cell,) = cells([ran("draw()", artifacts=tuple(found))])
    first, second, third = (output.data for output in cell.outputs)
    assert first == {"image/png": "AA==", "text/html": "<b>"}
    assert second == {"application/json": {}}
    assert third == {"text/plain": "[png of 400000 bytes, in the sandbox: /home/user/.sandloop/x.png]"}


def test_text_that_is_none_does_not_stop_an_export():
    surrogate, code = cells(["lone \ud800", ran("print('\udfff')", output="a")])
    assert surrogate.source == "lone ?" and code.source == "print('?')"


async def test_a_zip_has_notebook_artifacts_files_and_what_was_left_out(executor: ToolExecutor, context: CallContext):
    made = await executor.execute_code(
        "import os; os.makedirs('out/__pycache__'); open('out/result.txt', 'w').write('42')\n"
        "open('out/__pycache__/x.pyc', 'w'); open('.hidden', 'w').write('x'); os.symlink('/etc', 'link')\n" + DRAW,
        "python",
        context,
    )
    assert made.success, made
    data = await zipped([made], executor, context, title="T", more={"thread.json": b"{}"})
    archive = zipfile.ZipFile(io.BytesIO(data))
    assert archive.testzip() is None
    assert set(archive.namelist()) == {
        "notebook.ipynb",
        "thread.json",
        "artifacts/step-1-png-1.png",
        "artifacts/step-1-chart-1.json",
        "files/out/result.txt",
        "left-out.txt",
    }
    assert archive.read("files/out/result.txt") == b"42"
    assert archive.read("artifacts/step-1-png-1.png").startswith(b"\x89PNG")
    assert json.loads(archive.read("artifacts/step-1-chart-1.json"))
    assert read(archive.read("notebook.ipynb")).metadata.title == "T"
    assert archive.read("left-out.txt").decode() == "'/home/user/link': a link, or no file\n"


async def test_results_too_large_for_a_message_are_in_the_zip_as_files(executor: ToolExecutor, context: CallContext):
    large = "from IPython.display import display, HTML; display(HTML('<p>' + 'x' * 400_000))"
    result = await executor.execute_code(large, "python", context)
    (stored,) = [artifact for artifact in result.artifacts if artifact.path]
    archive = zipfile.ZipFile(io.BytesIO(await zipped([result], executor, context)))
    (name,) = [name for name in archive.namelist() if name.startswith("files/")]
    assert stored.path == f"/home/user/{name.removeprefix('files/')}"
    assert len(archive.read(name)) == stored.size


async def test_no_sandbox_is_made_for_an_export(executor: ToolExecutor, context: CallContext):
    archive = zipfile.ZipFile(io.BytesIO(await zipped(["Hello."], executor, context)))
    assert archive.namelist() == ["notebook.ipynb"]
    assert await executor.sandboxes.find(context) is None


async def test_files_with_hostile_names_are_carried_out_under_safe_ones(executor: ToolExecutor, context: CallContext):
    names = [r"x\..\..\up", "C:drive", "con.txt", "a\nb", "rtl\u202egnp.exe", "trailing. ", "x" * 255]
    code = f"import os\nfor name in {names!r}: open(name, 'w').write(name)\nos.mkfifo('pipe'); open(b'\\xff', 'w')"
    assert (await executor.execute_code(code, "python", context)).success
    found = await home_files(executor.sandboxes, context)
    assert {file.data.decode() for file in found.files} >= set(names)
    archive = zipfile.ZipFile(io.BytesIO(await zipped([], executor, context)))
    kept = {name.removeprefix("files/") for name in archive.namelist() if name.startswith("files/")}
    assert kept >= {"x_.._.._up", "C_drive", "_con.txt", "a_b", "rtl_gnp.exe", "trailing"}
    assert all(len(name.encode()) <= 150 for name in kept)
    assert "pipe" not in kept
    assert any("ufffd" in line for line in found.left_out)


async def test_what_is_too_much_is_left_out_and_named(
    executor: ToolExecutor, context: CallContext, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr("agent_tools.home_files.MAX_FILES", 3)
    monkeypatch.setattr("agent_tools.home_files.MAX_BYTES", 1000)
    code = "for n in range(5): open(f'{n}.bin', 'wb').write(bytes(2000 if n == 0 else 10))\n"
    code += "import os; os.chmod('1.bin', 0)"
    assert (await executor.execute_code(code, "python", context)).success
    found = await home_files(executor.sandboxes, context)
    assert [file.path for file in found.files] == ["2.bin"]
    reasons = "\n".join(found.left_out)
    assert "'/home/user/0.bin': 2000 bytes are more" in reasons
    assert "'/home/user/1.bin': 403: permission denied" in reasons
    assert "'/home/user/4.bin': there are 3 files already" in reasons


def test_names_in_a_zip_lead_nowhere_and_are_all_different():
    paths = ["/etc/passwd", "../../up", "a/../../b", "./x", "A.txt", "a.txt", "", "/"]
    names = zip_names(paths)
    assert names == ["etc/passwd", "_/_/up", "a/_/_/b", "_/x", "A.txt", "a (2).txt", "_", "_ (2)"]
