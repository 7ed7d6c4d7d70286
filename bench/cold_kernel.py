"""The alternative without a warm process to fork: a fresh ipykernel in bubblewrap for each sandbox.

A program of its own, since jupyter_client is not in the server's environment but in the sandbox template's:

    TEMPLATE/bin/python -m bench.cold_kernel --rounds 10

It prints its figures as JSON. Where there was a choice, the cold kernel got the faster one: unix sockets, no wait for
its heart to beat, no HTTP in between.
"""

from __future__ import annotations

import argparse
import dataclasses
import json
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

from jupyter_client.blocking.client import BlockingKernelClient
from jupyter_client.manager import KernelManager

from . import memory
from .figures import (
    CREATE_AND_RUN_P50,
    CREATE_AND_RUN_P99,
    IMPORTS,
    RUN_P50,
    RUN_P99,
    Figure,
    median,
    milliseconds,
    percentile,
)

_ANSWER_SECONDS = 60
_WARM_PER_ROUND = 20
_IMPORT_CELL = Path(__file__).with_name("import_cell.py")


class Kernel:
    """One kernel in a sandbox of its own: nothing of the host to write to but its sockets' folder, and no network."""

    def __init__(self, folder: str) -> None:
        self._folder = tempfile.mkdtemp(dir=folder)
        self._manager = KernelManager(
            transport="ipc",
            ip=f"{self._folder}/socket",
            connection_file=f"{self._folder}/connection.json",
        )
        self._manager.kernel_spec.argv = [*_bubblewrap(self._folder), sys.executable, "-m", "ipykernel_launcher"]
        self._manager.kernel_spec.argv += ["-f", "{connection_file}"]
        environ = {"PATH": os.environ["PATH"], "HOME": "/tmp", "LANG": "C.UTF-8"}
        self._manager.start_kernel(env=environ, stdout=subprocess.DEVNULL)
        self._client: BlockingKernelClient = self._manager.client()
        self._client.start_channels(hb=False, stdin=False)

    def first_run(self) -> None:
        """Run something as soon as the kernel takes it."""
        self._reply_to(self._client.execute("1+1"))

    def run(self, code: str) -> str:
        """Return the value of a cell's last line."""
        request = self._client.execute(code)
        value = ""
        while True:
            message = self._client.get_iopub_msg(timeout=_ANSWER_SECONDS)
            if message["parent_header"].get("msg_id") != request:
                continue
            if message["msg_type"] == "execute_result":
                value = str(message["content"]["data"]["text/plain"])
            elif message["msg_type"] == "status" and message["content"]["execution_state"] == "idle":
                self._reply_to(request)
                return value

    def kill(self) -> None:
        self._client.stop_channels()
        self._manager.shutdown_kernel(now=True)

    def _reply_to(self, request: str) -> None:
        while True:
            message: dict[str, Any] = self._client.get_shell_msg(timeout=_ANSWER_SECONDS)
            if message["parent_header"].get("msg_id") == request:
                if message["content"]["status"] != "ok":
                    raise RuntimeError(str(message["content"]))
                return


def _bubblewrap(folder: str) -> list[str]:
    # ipykernel ends when the parent that this variable names is not its own: in here that is another process's number.
    return [
        *("bwrap", "--unshare-all", "--die-with-parent", "--new-session", "--cap-drop", "ALL"),
        *("--unsetenv", "JPY_PARENT_PID"),
        *("--ro-bind", "/", "/", "--proc", "/proc", "--dev", "/dev", "--tmpfs", "/tmp", "--bind", folder, folder),
    ]


def measure(rounds: int, folder: str) -> list[Figure]:
    """Measure kernels one after the other, then as many at once."""
    starts, runs, imports = [], [], []
    for _ in range(rounds):
        start = time.perf_counter()
        kernel = Kernel(folder)
        kernel.first_run()
        starts.append(time.perf_counter() - start)
        imports.append(float(kernel.run(_IMPORT_CELL.read_text())))
        for _ in range(_WARM_PER_ROUND):
            start = time.perf_counter()
            kernel.run("1+1")
            runs.append(time.perf_counter() - start)
        kernel.kill()
    return [
        milliseconds(CREATE_AND_RUN_P50, median(starts)),
        milliseconds(CREATE_AND_RUN_P99, percentile(starts, 99)),
        milliseconds(RUN_P50, median(runs)),
        milliseconds(RUN_P99, percentile(runs, 99)),
        milliseconds(IMPORTS, median(imports)),
        *_idle(rounds, folder),
    ]


def _idle(count: int, folder: str) -> list[Figure]:
    before = memory.usage(os.getpid())
    kernels = [Kernel(folder) for _ in range(count)]
    for kernel in kernels:
        kernel.first_run()
    found = before.added(memory.usage(os.getpid()), count)
    for kernel in kernels:
        kernel.kill()
    return found


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--rounds", type=int, default=10)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        figures = measure(options.rounds, folder)
    json.dump([dataclasses.asdict(figure) for figure in figures], sys.stdout)


if __name__ == "__main__":
    main()
