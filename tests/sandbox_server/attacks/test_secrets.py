"""The server's secrets: not in a sandbox, not in logs, not by what a sandbox sends back."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import httpx
import pytest
from e2b_code_interpreter import Sandbox

from ..conftest import API_KEY, RunningServer
from .attacker import ENVD, probe, raw, to_sandbox, token_of

NewSandbox = Callable[..., Sandbox]
CANARY = "canary-of-the-host-environment"


@pytest.fixture
def logging_server(tmp_path: Path) -> Iterator[tuple[RunningServer, Path]]:
    """A server with a secret in its environment and a log to look at."""
    log = tmp_path / "log"
    command = [sys.executable, "-m", "sandbox_server", "serve", "--port", "0", "--api-key", API_KEY]
    environ = {**os.environ, "XDG_RUNTIME_DIR": str(tmp_path), "OPENAI_API_KEY": CANARY}
    with log.open("w") as stderr:
        process = subprocess.Popen(command, env=environ, stdout=subprocess.PIPE, stderr=stderr, text=True)
    assert process.stdout is not None
    yield RunningServer(process.stdout.readline().split()[-1], process), log
    process.send_signal(signal.SIGTERM)
    process.wait(60)
    process.stdout.close()


def test_no_secret_of_the_server_is_in_a_sandbox(logging_server: tuple[RunningServer, Path]) -> None:
    server, _ = logging_server
    sandbox = Sandbox.create(timeout=300, **server.options)
    other = Sandbox.create(timeout=300, **server.options)
    sandbox.run_code("x = 1")
    sandbox.create_code_context()
    words = [CANARY, API_KEY + "=never", token_of(sandbox), token_of(other), other.sandbox_id]
    assert probe(sandbox, "search", *(f"'{word[::-1]}'" for word in words)) == []


def test_no_secret_is_written_to_the_log(logging_server: tuple[RunningServer, Path]) -> None:
    server, log = logging_server
    sandbox = Sandbox.create(timeout=300, envs={"SECRET": "canary-of-the-envs"}, **server.options)
    sandbox.run_code("import os; os.write(2, b'out'); 1/0")
    for path in ("/files?path=%00", "/process.Process/Start", "/execute", "/nowhere"):
        for port in (ENVD, 49999, 8000):
            with contextlib.suppress(httpx.HTTPError):
                headers = {**to_sandbox(sandbox, port), "Authorization": "Bearer canary-bearer"}
                httpx.post(server.url + path, headers=headers, content=b"\xff{", timeout=60)
    raw(server, b"GET / HTTP/1.1\r\nHost: localhost\r\nX-API-Key: canary-raw\r\nHost: x\r\n\r\n")
    sandbox.commands.run("kill -9 -1")
    sandbox.kill()
    text = log.read_text()
    assert API_KEY not in text.replace("--api-key", "")
    for secret in (token_of(sandbox), "canary", CANARY):
        assert secret not in text


def test_objects_from_a_sandbox_are_never_unpickled(sandbox: Sandbox, tmp_path: Path) -> None:
    canary = tmp_path / "canary"
    code = f"""
import os
class Evil:
    def __reduce__(self): return (os.system, ("touch {canary}",))
    def __repr__(self): return "evil"
    def _repr_mimebundle_(self, **_):
        return {{"text/plain": "evil", "application/x-python-pickle": "gASV", "\\r\\nx": "y"}}
Evil()
"""
    assert sandbox.run_code(code).text == "evil"
    assert not canary.exists()


@pytest.mark.parametrize(
    "body",
    [
        "def __repr__(self): raise SystemExit",
        "def __repr__(self): return 'x' * (1 << 28)",
        "def __repr__(self): return '\\ud800'",
        "def _repr_html_(self): return 1",
        "def _repr_json_(self): return {'a': float('nan')}",
        "def _repr_json_(self): a = []; a.append(a); return a",
        "def _repr_png_(self): return 'not base64'",
        "def _repr_mimebundle_(self, **_): return [1]",
        "def __getattr__(self, name): raise KeyboardInterrupt",
        "__class__ = property(lambda self: 1 / 0)",
    ],
)
def test_a_malicious_result_harms_nothing(sandbox: Sandbox, body: str) -> None:
    sandbox.run_code(f"class Evil:\n    {body}\nEvil()", timeout=60)
    assert sandbox.run_code("1 + 1").text == "2"


def test_output_that_looks_like_the_protocol_stays_output(sandbox: Sandbox) -> None:
    forged = '{"type": "result", "text": "forged", "is_main_result": true}\\n{"type": "end_of_execution"}\\n'
    execution = sandbox.run_code(f"import os; os.write(1, b'''{forged}'''); 5")
    assert execution.text == "5"
    assert "forged" in "".join(execution.logs.stdout)


def test_a_kernel_that_writes_to_every_descriptor_fools_nobody_else(new_sandbox: NewSandbox) -> None:
    victim, other = new_sandbox(), new_sandbox()
    code = "import os\nfor fd in range(3, 64):\n    try: os.write(fd, b'\\xff\\x00{}' * 1000)\n    except OSError: pass"
    with contextlib.suppress(Exception):
        victim.run_code(code, timeout=5)
    assert other.run_code("1 + 1").text == "2"
    assert victim.commands.run("echo fine").stdout == "fine\n"
