"""A sandbox server of the benchmark's own, and the SDK's way to it."""

from __future__ import annotations

import os
import secrets
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from typing import Any

from e2b_code_interpreter import Sandbox

_STOP_SECONDS = 60
_REQUEST_SECONDS = 60
_LIFETIME_SECONDS = 900


@dataclass(frozen=True, slots=True)
class RunningServer:
    """Its process, and what a client needs to know; plain enough to be sent to other processes."""

    pid: int
    url: str
    api_key: str

    def create(self) -> Any:
        """Make a sandbox through the SDK."""
        return Sandbox.create(
            timeout=_LIFETIME_SECONDS,
            api_url=self.url,
            sandbox_url=self.url,
            api_key=self.api_key,
            request_timeout=_REQUEST_SECONDS,
        )

    @contextmanager
    def sandbox(self) -> Iterator[Any]:
        """Make a sandbox for the length of the block; its Python kernel has run something."""
        sandbox = self.create()
        try:
            sandbox.run_code("1+1")
            yield sandbox
        finally:
            sandbox.kill()

    @contextmanager
    def sandboxes(self) -> Iterator[Callable[[], Any]]:
        """Return a function that makes sandboxes which end with the block."""
        with ExitStack() as ending:

            def create() -> Any:
                sandbox = self.create()
                ending.callback(sandbox.kill)
                return sandbox

            yield create


@contextmanager
def running() -> Iterator[RunningServer]:
    """Start a server on a free port, warm, and stop it in the end. Raises RuntimeError when it does not start."""
    api_key = secrets.token_hex(16)
    command = [sys.executable, "-m", "sandbox_server", "serve", "--port", "0", "--api-key", api_key]
    with tempfile.TemporaryDirectory() as folder:
        # A state file of its own: the user's resident server keeps running.
        environ = {**os.environ, "XDG_RUNTIME_DIR": folder}
        process = subprocess.Popen(command, env=environ, stdout=subprocess.PIPE, text=True)
        try:
            assert process.stdout is not None
            line = process.stdout.readline()
            if not line:
                raise RuntimeError("the sandbox server did not start; what it said is above")
            yield RunningServer(process.pid, line.split()[-1], api_key)
        finally:
            process.terminate()
            process.wait(_STOP_SECONDS)
