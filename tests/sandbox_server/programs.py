"""Runs the command line for tests, each with a runtime folder of its own and the template that all share."""

import contextlib
import json
import os
import signal
import subprocess
import sys
import time
import urllib.request
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

START_SECONDS = 100


def environment(runtime: Path, **more: str) -> dict[str, str]:
    inherited = {name: value for name, value in os.environ.items() if not name.startswith("E2B_")}
    return {**inherited, "XDG_RUNTIME_DIR": str(runtime), **more}


def run(runtime: Path, *arguments: str, **more: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "sandbox_server", *arguments]
    return subprocess.run(
        command, env=environment(runtime, **more), capture_output=True, text=True, timeout=START_SECONDS, check=False
    )


@dataclass
class Serving:
    """A server in the foreground of another process."""

    process: subprocess.Popen[str]
    url: str
    api_key: str

    def create(self) -> str:
        body = json.dumps({"templateID": "base", "timeout": 300}).encode()
        return str(json.loads(ask(self.url, self.api_key, "POST", "/v2/sandboxes", body))["sandboxID"])

    def end(self, number: int = signal.SIGTERM) -> tuple[int, str, str]:
        """Send a signal; return the exit code and the rest of stdout and stderr."""
        self.process.send_signal(number)
        out, err = self.process.communicate(timeout=START_SECONDS)
        return self.process.returncode, out, err


def start(runtime: Path, *options: str, **more: str) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-m", "sandbox_server", "serve", "--port", "0", *options],
        env=environment(runtime, **more),
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        # Ignored where the tests run under nohup, and the server would rightly leave it so.
        preexec_fn=lambda: signal.signal(signal.SIGHUP, signal.SIG_DFL),
    )


@contextlib.contextmanager
def serving(runtime: Path, *options: str, **more: str) -> Iterator[Serving]:
    process = start(runtime, *options, **more)
    try:
        assert process.stdout
        line = process.stdout.readline()
        assert line.startswith("listening on http://"), process.communicate()[1]
        key = options[options.index("--api-key") + 1] if "--api-key" in options else state(runtime)["api_key"]
        yield Serving(process, line.split()[-1], key)
    finally:
        # Not by SIGKILL: it would leave control groups.
        process.terminate()
        process.communicate(timeout=START_SECONDS)


def state(runtime: Path) -> dict[str, str]:
    return dict(json.loads((runtime / "sandloop/server.json").read_text()))


def ask(url: str, api_key: str, method: str, path: str, body: bytes | None = None) -> bytes:
    headers = {"X-API-Key": api_key, "Content-Type": "application/json"}
    request = urllib.request.Request(url + path, body, headers, method=method)
    with urllib.request.build_opener(urllib.request.ProxyHandler({})).open(request, timeout=60) as answer:
        return bytes(answer.read())


def descendants(pid: int) -> set[int]:
    """The processes that a process started, and those that they did."""
    parents = {}
    for stat in Path("/proc").glob("[0-9]*/stat"):
        with contextlib.suppress(OSError):
            parents[int(stat.parent.name)] = int(stat.read_text(errors="replace").rpartition(")")[2].split()[1])
    found = {pid}
    while more := {child for child, parent in parents.items() if parent in found} - found:
        found |= more
    return found - {pid}


def running(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text(errors="replace").rpartition(")")[2].split()[0] not in "ZX"
    except OSError:
        return False


def until(holds: Callable[[], bool], seconds: float = 60) -> None:
    deadline = time.monotonic() + seconds
    while not holds():
        assert time.monotonic() < deadline
        time.sleep(0.02)
