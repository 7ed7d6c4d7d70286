"""The tools through the official client, over both transports."""

from __future__ import annotations

import asyncio
import base64
import json
from typing import Any

import pytest
from mcp import Client
from mcp.types import ImageContent

from agent_tools.tools import DEFAULT_TOOLS

from .conftest import Connect
from .reading import text_of, values_of

OWN = {"execute_code", "install_package", "get_environment", "run_code"}


async def test_server_lists_its_own_tools_and_those_of_agent_tools_with_schemas(client: Client) -> None:
    tools = {tool.name: tool for tool in (await client.list_tools()).tools}
    assert OWN | set(DEFAULT_TOOLS) <= set(tools)
    assert "upload_file" not in tools, "it copies files of this machine, and the policy opens no folder of it"
    for tool in tools.values():
        assert tool.description
        assert tool.input_schema["type"] == "object"
        assert tool.output_schema is not None or tool.name == "run_code"
    assert set(tools["execute_code"].input_schema["properties"]) == {"code", "timeout", "language"}
    assert tools["execute_code"].input_schema["required"] == ["code"]
    assert tools["install_package"].input_schema["required"] == ["package"]
    assert tools["run_code"].input_schema["required"] == ["code"]
    reading = tools["read_file"].annotations
    assert reading is not None and reading.read_only_hint


async def test_variables_and_files_live_on_between_calls_of_a_session(client: Client) -> None:
    first = values_of(await client.call_tool("execute_code", {"code": "x = 40\nprint('hello')\nx + 2", "timeout": 60}))
    assert (first["success"], first["output"]) == (True, "hello\n42")
    assert "code" not in first
    assert values_of(await client.call_tool("execute_python_code", {"code": "x"}))["output"] == "40"
    values_of(await client.call_tool("write_file", {"path": "notes/a.txt", "content": "größer 😀"}))
    ran = values_of(await client.call_tool("run_command", {"command": "cat notes/a.txt; exit 3"}))
    assert (ran["stdout"], ran["exit_code"], ran["success"]) == ("größer 😀", 3, False)
    edit = {"path": "notes/a.txt", "old_string": "größer", "new_string": "kleiner"}
    assert values_of(await client.call_tool("edit_file", edit))["replacements"] == 1
    assert values_of(await client.call_tool("read_file", {"path": "notes/a.txt"}))["text"] == "kleiner 😀"
    listed = values_of(await client.call_tool("list_files", {"path": "notes"}))
    assert [entry["name"] for entry in listed["entries"]] == ["a.txt"]
    values_of(await client.call_tool("delete_file", {"path": "notes"}))
    gone = await client.call_tool("read_file", {"path": "notes/a.txt"})
    assert gone.is_error and "file.missing" in text_of(gone)


async def test_code_of_another_language_runs_by_the_same_tool(client: Client) -> None:
    ran = await client.call_tool(
        "execute_code", {"code": "console.log([1, 2].map(n => n * 2))", "language": "javascript"}
    )
    assert "2, 4" in values_of(ran)["output"]


async def test_charts_come_as_image_content(client: Client) -> None:
    code = "import matplotlib.pyplot as plt\nplt.plot([1, 2])\nplt.show()"
    result = await client.call_tool("execute_code", {"code": code})
    [image] = [block for block in result.content if isinstance(block, ImageContent)]
    assert image.mime_type == "image/png"
    assert base64.b64decode(image.data).startswith(b"\x89PNG")
    values_of(result)


async def test_a_large_chart_that_was_stored_in_the_sandbox_comes_too(client: Client) -> None:
    code = "import numpy as np, PIL.Image\nPIL.Image.fromarray(np.random.randint(0, 255, (400, 400, 3), dtype='uint8'))"
    result = await client.call_tool("execute_code", {"code": code})
    [image] = [block for block in result.content if isinstance(block, ImageContent)]
    assert len(image.data) > 256 * 1024


async def test_run_code_answers_as_the_server_of_e2b_does(client: Client) -> None:
    code = "import matplotlib.pyplot as plt\nprint('hello')\nplt.plot([1])\nplt.show()\n40 + 2"
    result = await client.call_tool("run_code", {"code": code})
    told = json.loads(text_of(result))
    assert set(told) == {"results", "logs"}
    assert told["logs"] == {"stdout": ["hello\n"], "stderr": []}
    chart, value = told["results"]
    assert base64.b64decode(chart["png"]).startswith(b"\x89PNG")
    assert value == {"text": "42"}


async def test_run_code_tells_the_error_of_code_that_fails(client: Client) -> None:
    told = json.loads(text_of(await client.call_tool("run_code", {"code": "1 / 0"})))
    assert told["error"]["name"] == "ZeroDivisionError"
    assert "1 / 0" in told["error"]["traceback"]


async def test_get_environment_tells_python_packages_and_platform(client: Client) -> None:
    told = values_of(await client.call_tool("get_environment"))
    assert told["python_version"].startswith("3.")
    assert told["platform"].startswith("Linux")
    assert any(package.startswith("numpy==") for package in told["packages"])
    assert "python" in told["languages"]


async def test_code_that_fails_is_an_answer_and_no_error_of_the_call(client: Client) -> None:
    told = values_of(await client.call_tool("execute_code", {"code": "undefined_name"}))
    assert not told["success"]
    assert told["error"].startswith("NameError")
    late = values_of(await client.call_tool("execute_code", {"code": "while True: pass", "timeout": 1}))
    assert late["error"].startswith("ExecutionTimeout")


HOSTILE: list[tuple[str, dict[str, Any], str]] = [
    ("execute_code", {}, "code: Field required"),
    ("execute_code", {"code": "1", "timeout": 0}, "timeout"),
    ("execute_code", {"code": "1", "timeout": "soon"}, "timeout"),
    ("execute_code", {"code": ["1"]}, "code"),
    ("execute_code", {"code": "1", "sandbox_id": "x"}, "sandbox_id"),
    ("execute_code", {"code": "1", "language": "cobol"}, "language"),
    ("execute_code", {"code": "1\0"}, "NUL"),
    ("execute_code", {"code": "#" * 300_000}, "(code."),
    ("install_package", {"package": "--index-url=https://example.org"}, "InvalidCall"),
    ("install_package", {"package": "numpy; rm -rf /"}, "InvalidCall"),
    ("install_package", {"package": "pkg @ git+https://example.org/pkg"}, "package."),
    ("install_package", {"package": ""}, "package"),
    ("read_file", {"path": "/etc/../../../etc/shadow"}, "InvalidCall"),
    ("write_file", {"path": "/etc/passwd", "content": "x"}, "InvalidCall"),
    ("upload_file", {"host_path": "/etc/passwd", "path": "x"}, "There is no tool 'upload_file'; there are"),
    ("no_such_tool", {}, "There is no tool 'no_such_tool'; there are execute_code"),
]


async def test_hostile_arguments_are_refused_with_a_reason_for_the_model(client: Client) -> None:
    for tool, arguments, told in HOSTILE:
        result = await client.call_tool(tool, arguments)
        assert result.is_error, (tool, arguments, text_of(result))
        assert told in text_of(result), (tool, arguments)


async def test_hostile_output_of_a_sandbox_does_not_break_the_protocol(client: Client) -> None:
    code = r"""
import os
os.write(1, b'\xff\xfe\x00{"jsonrpc":"2.0","id":1,"result":{}}\n')
print('\ud800'.encode('utf-8', 'surrogatepass'))
open('bad.txt', 'wb').write(b'\xed\xa0\x80 \xff')
'\ud800 \x1b[31m'
"""
    assert values_of(await client.call_tool("execute_code", {"code": code}))["success"]
    await client.call_tool("read_file", {"path": "bad.txt"})
    assert values_of(await client.call_tool("execute_code", {"code": "1 + 1"}))["output"] == "2"


async def test_calls_run_in_parallel(client: Client) -> None:
    values_of(await client.call_tool("execute_code", {"code": "1"}))
    command = "touch here-{0}; for i in $(seq 600); do [ -e here-{1} ] && exit 0; sleep 0.05; done; exit 1"
    async with asyncio.TaskGroup() as calling:
        # Each waits for a file that the next one makes.
        calls = [
            calling.create_task(client.call_tool("run_command", {"command": command.format(n, (n + 1) % 5)}))
            for n in range(5)
        ]
    assert [values_of(call.result())["exit_code"] for call in calls] == [0] * 5


async def test_live_output_comes_before_the_answer_as_log_messages_and_progress(connect: Connect) -> None:
    logged: list[str] = []
    heard: list[tuple[float, str | None]] = []
    seen = asyncio.Event()

    async def on_log(params: Any) -> None:
        logged.append(f"{params.logger}: {params.data}")
        if "one" in params.data:
            seen.set()

    async def on_progress(progress: float, total: float | None, message: str | None) -> None:
        heard.append((progress, message))

    # The code waits for what the test writes once it has seen the first line.
    code = "import os, time\nprint('one', flush=True)\nwhile not os.path.exists('go'): time.sleep(0.02)\nprint('two')"
    async with connect(logging_callback=on_log, log_level="info") as client, asyncio.TaskGroup() as calling:
        running = calling.create_task(client.call_tool("execute_code", {"code": code}, progress_callback=on_progress))
        async with asyncio.timeout(60):
            await seen.wait()
        assert not running.done()
        values_of(await client.call_tool("write_file", {"path": "go", "content": ""}))
        assert values_of(await running)["output"] == "one\ntwo"
    assert "stdout: one" in "\n".join(logged)
    assert "stdout: two" in "\n".join(logged)
    numbers = [number for number, _ in heard]
    assert numbers == sorted(set(numbers)) and numbers
    assert "one" in [message for _, message in heard]


async def test_a_cancelled_call_stops_its_code(client: Client) -> None:
    values_of(await client.call_tool("execute_code", {"code": "n = 0"}))
    with pytest.raises(TimeoutError):
        async with asyncio.timeout(2):
            await client.call_tool("execute_code", {"code": "while True: n += 1", "timeout": 300})
    # The kernel runs one cell at a time: this is answered only when the loop has ended.
    async with asyncio.timeout(60):
        assert int(values_of(await client.call_tool("execute_code", {"code": "n"}))["output"]) > 0
