"""A program of its own: runs one Jupyter kernel and translates between its messages and `program`'s protocol.

    python -I jupyter_bridge.py LANGUAGE INTERRUPT_MODE ARGV...     (the channel's descriptor is in SANDLOOP_FDS)

It is not part of the guest daemon, which has no ZeroMQ. The kernel talks TCP on the sandbox's own loopback.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import queue
import signal
import socket
import sys
import tempfile
import time
from asyncio.subprocess import Process
from collections.abc import Callable
from typing import Any, NoReturn

from jupyter_client.asynchronous.client import AsyncKernelClient
from jupyter_client.connect import write_connection_file

MAX_REQUEST_BYTES = 64 * 1024 * 1024
_SUBSCRIBED_SECONDS = 0.2
_FIELDS = {
    "text/plain": "text",
    "text/html": "html",
    "text/markdown": "markdown",
    "image/svg+xml": "svg",
    "image/png": "png",
    "image/jpeg": "jpeg",
    "application/pdf": "pdf",
    "text/latex": "latex",
    "application/json": "json",
    "application/javascript": "javascript",
}
"""MIME types to the field names of E2B's results; others go into "extra"."""

_ENVIRONMENT: dict[str, tuple[Callable[[str, str], str], Callable[[str], str]]] = {
    "r": (lambda name, value: f"Sys.setenv({name}={value})", lambda name: f'Sys.unsetenv("{name}")'),
    "java": (
        lambda name, value: f'System.setProperty("{name}", {value});',
        lambda name: f'System.clearProperty("{name}");',
    ),
}
"""Code that sets a variable for one execution, and code that removes it. The value is given as a string literal, whose
JSON form both languages read. Java has no way to change its environment: E2B uses system properties."""


class Bridge:
    """One kernel and one channel."""

    def __init__(
        self,
        language: str,
        interrupt_mode: str,
        client: AsyncKernelClient,
        kernel: Process,
        writer: asyncio.StreamWriter,
    ) -> None:
        self._set_variable, self._unset_variable = _ENVIRONMENT[language]
        self._interrupt_mode = interrupt_mode
        self._client = client
        self._kernel = kernel
        self._writer = writer
        self._failed = False
        self._interrupted = False

    def send(self, message: dict[str, Any]) -> None:
        """Send one message to the guest daemon."""
        self._failed |= message["type"] == "error"
        self._writer.write(json.dumps(message).encode() + b"\n")

    async def execute(self, request: dict[str, Any]) -> None:
        """Run one request's code and send its events, and "done"."""
        self._failed = self._interrupted = False
        env: dict[str, str] = {name: value for name, value in request["env"].items() if name.isidentifier()}
        if env:
            await self._run("\n".join(self._set_variable(k, json.dumps(v)) for k, v in env.items()), silent=True)
        await self._run(request["code"], silent=False)
        if env:
            back = [
                self._set_variable(name, json.dumps(os.environ[name]))
                if name in os.environ
                else self._unset_variable(name)
                for name in env
            ]
            await self._run("\n".join(back), silent=True)
        if self._interrupted and not self._failed:  # IRkernel says nothing.
            self.send(
                {"type": "error", "name": "Interrupted", "value": "the execution was interrupted", "traceback": ""}
            )
        self.send({"type": "done", "id": request["id"]})

    async def interrupt(self) -> None:
        """Interrupt as the kernel's specification says."""
        self._interrupted = True
        if self._interrupt_mode == "signal":
            os.killpg(self._kernel.pid, signal.SIGINT)
        else:
            channel = self._client.control_channel
            channel.send(self._client.session.msg("interrupt_request", {}))
            await channel.get_msg()

    async def answer_questions(self) -> None:
        """Answer every request for input with an empty line: IRkernel asks even when told that nobody is there."""
        while True:
            await self._client.get_stdin_msg()
            self._client.input("")

    async def _run(self, code: str, *, silent: bool) -> None:
        """Run code until the kernel is idle again and has replied; send its events unless it runs silently."""
        request = self._client.execute(code, silent=silent, store_history=not silent, allow_stdin=False)
        while True:
            message = await self._client.get_iopub_msg()
            if message["parent_header"].get("msg_id") != request:
                continue
            kind, content = message["header"]["msg_type"], message["content"]
            if kind == "status" and content["execution_state"] == "idle":
                break
            event = _event(kind, content)
            if event is not None and not silent:
                self.send(event)
        reply = await self._client.get_shell_msg()
        while reply["parent_header"].get("msg_id") != request:
            reply = await self._client.get_shell_msg()
        # R's quit() only asks the front end to end the kernel.
        if any(payload["source"] == "ask_exit" for payload in reply["content"].get("payload", ())):
            os._exit(0)  # The daemon ends the rest of our session.


def _event(kind: str, content: dict[str, Any]) -> dict[str, Any] | None:
    if kind == "stream":
        return {"type": content["name"], "text": content["text"], "timestamp": time.time_ns()}
    if kind in ("execute_result", "display_data"):
        # IRkernel publishes a cell's values as display_data.
        return _result(content["data"], main=kind == "execute_result")
    if kind == "error":
        lines = "\n".join(content["traceback"])
        return {"type": "error", "name": content["ename"], "value": content["evalue"], "traceback": lines}
    return None


def _result(data: dict[str, Any], *, main: bool) -> dict[str, Any]:
    fields = {_FIELDS[mime]: value for mime, value in data.items() if mime in _FIELDS}
    text = fields.get("text")
    # E2B takes the quotes off a string that is the whole result.
    if isinstance(text, str) and len(text) > 1 and text[0] == text[-1] and text[0] in "'\"":
        fields["text"] = text[1:-1]
    extra = {mime: value for mime, value in data.items() if mime not in _FIELDS}
    return {"type": "result", "is_main_result": main, **fields, **({"extra": extra} if extra else {})}


async def serve(channel: socket.socket, language: str, interrupt_mode: str, argv: list[str]) -> None:
    """Start the kernel and serve requests until it or the channel ends."""
    folder = tempfile.mkdtemp(prefix="jupyter-")
    file, _ = write_connection_file(os.path.join(folder, "kernel.json"))
    # Not by jupyter_client's manager, which would put the kernel into a session of its own: see the module `session`.
    # Its own group within ours is what an interrupt goes to.
    kernel = await asyncio.create_subprocess_exec(
        *(argument.replace("{connection_file}", file) for argument in argv), process_group=0
    )
    async with asyncio.TaskGroup() as tasks:
        tasks.create_task(_end_with(kernel))
        client = AsyncKernelClient(connection_file=file)
        client.load_connection_file()
        client.start_channels(hb=False)
        await _until_ready(client)
        reader, writer = await asyncio.open_connection(sock=channel, limit=MAX_REQUEST_BYTES)
        bridge = Bridge(language, interrupt_mode, client, kernel, writer)
        tasks.create_task(bridge.answer_questions())
        bridge.send({"type": "ready"})
        while line := await reader.readline():
            request = json.loads(line)
            tasks.create_task(bridge.interrupt() if request["op"] == "interrupt" else bridge.execute(request))
        kernel.kill()


async def _until_ready(client: AsyncKernelClient) -> None:
    client.kernel_info()
    await client.get_shell_msg()  # ZeroMQ keeps the request until the kernel listens.
    # What the kernel publishes before our subscription has reached it is lost.
    while True:
        client.kernel_info()
        with contextlib.suppress(queue.Empty):
            await client.get_iopub_msg(timeout=_SUBSCRIBED_SECONDS)
            return


async def _end_with(kernel: Process) -> NoReturn:
    """End this process as the kernel ends."""
    code = await kernel.wait()
    if code < 0:
        os.kill(os.getpid(), -code)
    os._exit(max(code, 0))


def main() -> None:
    """Run with this process's arguments."""
    language, interrupt_mode, *argv = sys.argv[1:]
    channel = socket.socket(fileno=int(os.environ.pop("SANDLOOP_FDS")))
    channel.setblocking(False)
    channel.set_inheritable(False)
    asyncio.run(serve(channel, language, interrupt_mode, argv))


if __name__ == "__main__":
    main()
