from __future__ import annotations

import asyncio
import os
import subprocess
import sys
from pathlib import Path

from agent_tools import SandboxSettings

from .asking import all_of, python, response, tool_messages
from .conftest import OpenService
from .openai_server import OpenAIServer, Reply

ROOT = Path(__file__).parents[2]
COUNT = "import time\nn = globals().get('n', 0) + 1\nprint('on', flush=True)\ntime.sleep(60 if n == 1 else 0)"


async def test_a_call_that_a_crash_interrupted_is_marked_and_not_repeated(
    open_service: OpenService,
    sandbox_settings: SandboxSettings,
    model_env: dict[str, str],
    openai: OpenAIServer,
    tmp_path: Path,
) -> None:
    openai.replies(python("before = 'kept'"), python(COUNT), python("print(n, before)"), Reply("Once."))
    environ = {
        **os.environ,
        **model_env,
        "E2B_API_KEY": sandbox_settings.api_key,
        "E2B_API_URL": sandbox_settings.api_url,
        "E2B_SANDBOX_URL": sandbox_settings.sandbox_url,
    }
    await asyncio.to_thread(_killed_in_its_call, str(tmp_path / "threads.sqlite"), environ)

    service = await open_service()
    assert (await service.threads())[0].interrupted
    answer = response(await all_of(service.resume("t")))
    assert answer.stopped_because == "answered"
    assert "Interrupted" in answer.steps[0].content["error"]
    assert answer.steps[1].content["output"] == "1 kept"
    assert len(tool_messages(openai.requests[-1])) == 3
    await service.delete_thread("t")


def _killed_in_its_call(database: str, environ: dict[str, str]) -> None:
    command = [sys.executable, "-m", "tests.graphs.crashing", database]
    with subprocess.Popen(command, cwd=ROOT, env=environ, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        assert "in the call\n" in process.stdout  # reads up to it
        process.kill()
