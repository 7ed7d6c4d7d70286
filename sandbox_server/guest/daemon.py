"""The guest daemon: serves envd and the code interpreter to the server, over descriptors that the server hands in.

The control channel (`messages`) is the only way in and out of a sandbox:

    server → guest  {"serve": true}          fd: a stream socket; HTTP is served on it
    server → guest  {"dial": 3000, "id": 7}  fd: a stream socket; joined to port 3000 in here, and answered
                                             {"id": 7} or {"id": 7, "error": "refused"}
    server → guest  {"freeze": true}         stops (or, false, continues) every other process; for hosts without a
                                             freezer group; answered {"frozen": true}
    guest → server  {"egress": true}         fd: a TCP connection that an HTTP client in here made to the proxy port

A TCP socket carries its network namespace with it: what goes out need not be copied through this process.
"""

from __future__ import annotations

import asyncio
import contextlib
import gc
import importlib
import socket
from collections.abc import Awaitable, Callable
from signal import Signals
from typing import Any

import uvloop
from uvicorn.config import Config
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol
from uvicorn.server import ServerState

from . import messages, splice, watchdog
from .config import HOME, PROXY_PORT, SandboxConfig
from .envd import app as envd
from .interpreter import app as interpreter
from .kernels import python, python_main
from .processes import Processes, signal_all

INTERPRETER_PORT = b"49999"
PORT_HEADER = b"e2b-sandbox-port"
_DIAL_SECONDS = 5
_RETRY_SECONDS = 0.02

ASGIApp = Callable[[Any, Any, Any], Awaitable[None]]


def warm() -> None:
    """Import in the template what every daemon would import first."""
    _http_config(_no_app).load()
    importlib.import_module("anyio._backends._asyncio")  # starlette does so when it first sends a file: 60 ms


def rehearse() -> None:
    """Do in the template what every daemon does first."""
    config = SandboxConfig("", "")
    processes = Processes({}, -1)
    envd.create(processes, config)
    interpreter.create(processes, config, None)  # type: ignore[arg-type]  # nobody asks it to run anything
    _http_config(_no_app).load()
    uvloop.run(_nothing())


async def _nothing() -> None:
    """Only there to be run."""


def run(control: socket.socket, config: SandboxConfig, proc_fd: int) -> None:
    """Serve until the server closes the control channel. `proc_fd`: see `processes.Processes`."""
    gc.enable()
    processes = Processes({"python": python_main.main}, proc_fd)
    # First of all: what the daemon touches from now on, the kernel would have to copy.
    first = python.fork(processes, config, HOME)
    uvloop.run(_Daemon(control, config).serve(processes, first))


class _Daemon:
    def __init__(self, control: socket.socket, config: SandboxConfig) -> None:
        self._control = control
        self._config = config
        self._tasks: set[asyncio.Task[None]] = set()
        self._closed: asyncio.Future[None]

    async def serve(self, processes: Processes, first: python.Started) -> None:
        loop = asyncio.get_running_loop()
        self._closed = loop.create_future()
        processes.watch()
        kernel = python.PythonKernel(first)
        self._http = _http_config(
            _by_port(
                envd.create(processes, self._config),
                interpreter.create(processes, self._config, kernel),
            )
        )
        self._http.load()
        self._state = ServerState()
        self._control.setblocking(False)
        loop.add_reader(self._control.fileno(), self._on_message)
        self._spawn(self._accept_egress())
        if self._config.watchdog:
            self._spawn(watchdog.watch(self._config.limits.memory_bytes))
        await self._closed

    def _on_message(self) -> None:
        with contextlib.suppress(BlockingIOError):
            while (received := messages.receive(self._control)) is not None:
                message, fds = received
                if "serve" in message:
                    self._spawn(self._serve_http(socket.socket(fileno=fds[0])))
                elif "dial" in message:
                    self._spawn(self._dial(socket.socket(fileno=fds[0]), message["dial"], message["id"]))
                elif "freeze" in message:
                    signal_all(Signals.SIGSTOP if message["freeze"] else Signals.SIGCONT)
                    messages.send(self._control, {"frozen": message["freeze"]})
            asyncio.get_running_loop().remove_reader(self._control.fileno())
            self._closed.set_result(None)

    def _spawn(self, work: Awaitable[None]) -> None:
        task = asyncio.ensure_future(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _serve_http(self, stream: socket.socket) -> None:
        stream.setblocking(False)
        await asyncio.get_running_loop().connect_accepted_socket(
            lambda: HttpToolsProtocol(self._http, self._state, {}), stream
        )

    async def _dial(self, stream: socket.socket, port: int, request: int) -> None:
        stream.setblocking(False)
        loop = asyncio.get_running_loop()
        for host in ("127.0.0.1", "::1"):
            try:
                async with asyncio.timeout(_DIAL_SECONDS):
                    far, far_side = await loop.create_connection(splice.Side, host, port)
            except (OSError, TimeoutError):
                continue
            near, near_side = await loop.create_connection(splice.Side, sock=stream)
            splice.join(near, near_side, far, far_side)
            return await self._tell({"id": request})
        stream.close()
        await self._tell({"id": request, "error": "refused"})

    async def _accept_egress(self) -> None:
        loop = asyncio.get_running_loop()
        with socket.create_server(("127.0.0.1", PROXY_PORT), backlog=64) as listener:
            listener.setblocking(False)
            while True:
                try:
                    connection, _ = await loop.sock_accept(listener)
                except OSError:  # No descriptor is free for it.
                    await asyncio.sleep(_RETRY_SECONDS)
                    continue
                with connection:
                    await self._tell({"egress": True}, [connection.fileno()])

    async def _tell(self, message: dict[str, Any], fds: list[int] | None = None) -> None:
        """Send to the server; wait while it is behind, or while too many descriptors of this user are on their way."""
        while not self._closed.done():
            try:
                return messages.send(self._control, message, fds)
            except OSError:
                await asyncio.sleep(_RETRY_SECONDS)


def _http_config(app: ASGIApp) -> Config:
    return Config(
        app,
        loop="none",
        lifespan="off",
        ws="none",
        log_config=None,
        access_log=False,
        proxy_headers=False,
        server_header=False,
        date_header=False,
        # The gateway closes what it does not need. Closing here could meet its next request, and would after a pause.
        timeout_keep_alive=10**7,
    )


def _by_port(envd_app: ASGIApp, interpreter_app: ASGIApp) -> ASGIApp:
    """Route by E2B's port number, which the gateway passes on as a header."""

    async def app(scope: Any, receive: Any, send: Any) -> None:
        port = next((value for name, value in scope["headers"] if name == PORT_HEADER), b"")
        await (interpreter_app if port == INTERPRETER_PORT else envd_app)(scope, receive, send)

    return app


async def _no_app(scope: Any, receive: Any, send: Any) -> None:
    raise AssertionError("only there to be loaded")
