"""The verbs of `process.Process`."""

from __future__ import annotations

import asyncio
import errno
import os
import signal
from collections.abc import AsyncGenerator, AsyncIterator
from contextlib import aclosing
from typing import Any

from connectrpc.code import Code
from connectrpc.errors import ConnectError
from e2b.envd.process import process_pb as pb
from e2b.envd.process.process_connect import Process
from protobuf import Oneof

from ...config import SandboxConfig
from ...processes import Processes
from .. import errors, paths, wire
from .running import Running
from .streams import Streams, open_pipes, open_terminal

TERMINAL = "xterm-256color"
_EXHAUSTED = {errno.EAGAIN, errno.ENOMEM, errno.EMFILE, errno.ENFILE}


class ProcessService(Process):
    """The processes that clients of this sandbox started, by pid."""

    def __init__(self, processes: Processes, config: SandboxConfig) -> None:
        self._processes = processes
        self._config = config
        self._running: dict[int, Running] = {}
        self._supervisors: set[asyncio.Task[None]] = set()

    async def list(self, request: pb.ListRequest, ctx: wire.Context, /) -> pb.ListResponse:
        """List what runs."""
        return pb.ListResponse(
            processes=[
                pb.ProcessInfo(config=running.config, pid=pid, tag=running.tag)
                for pid, running in self._running.items()
            ]
        )

    async def start(self, request: pb.StartRequest, ctx: wire.Context, /) -> AsyncGenerator[pb.StartResponse]:
        """Start a process and stream its events. It goes on when the client leaves, until the call's timeout."""
        timeout_s = wire.seconds_left(ctx)
        running = await self._start(request)
        self._supervise(running, timeout_s)
        async with aclosing(_events(running, ctx)) as events:
            async for event in events:
                if running.timed_out and isinstance(event.event, Oneof) and event.event.field == "end":
                    raise wire.deadline_exceeded()
                yield pb.StartResponse(event=event)

    async def connect(self, request: pb.ConnectRequest, ctx: wire.Context, /) -> AsyncGenerator[pb.ConnectResponse]:
        """Stream the events of a running process from now on; the call's timeout ends only the stream."""
        async with aclosing(_events(self._find(request.process), ctx)) as events:
            async for event in events:
                yield pb.ConnectResponse(event=event)

    async def send_input(self, request: pb.SendInputRequest, ctx: wire.Context, /) -> pb.SendInputResponse:
        """Write to stdin or to the terminal."""
        async with wire.time_limit(ctx):
            await _write(self._find(request.process), request.input)
        return pb.SendInputResponse()

    async def stream_input(
        self, request: AsyncIterator[pb.StreamInputRequest], ctx: wire.Context, /
    ) -> pb.StreamInputResponse:
        """Write a stream of data, in order, to the process that its first message names."""
        running: Running | None = None
        async with wire.time_limit(ctx):
            async for message in request:
                match message.event:
                    case Oneof(value=pb.StreamInputRequest.StartEvent() as start):
                        running = self._find(start.process)
                    case Oneof(value=pb.StreamInputRequest.DataEvent() as data):
                        if running is None:
                            raise errors.invalid("the first message of an input stream must name the process")
                        await _write(running, data.input)
        return pb.StreamInputResponse()

    async def close_stdin(self, request: pb.CloseStdinRequest, ctx: wire.Context, /) -> pb.CloseStdinResponse:
        """Close stdin: end-of-file for the process."""
        streams = self._find(request.process).streams
        if streams.terminal is not None:
            raise errors.invalid("cannot close stdin of a PTY process: send Ctrl+D (0x04) instead")
        if streams.input is not None:
            streams.input.close()
        return pb.CloseStdinResponse()

    async def send_signal(self, request: pb.SendSignalRequest, ctx: wire.Context, /) -> pb.SendSignalResponse:
        """Send SIGTERM to the process, or SIGKILL to its whole process group."""
        running = self._find(request.process)
        match request.signal:
            case pb.Signal.SIGKILL:
                found = await running.kill()
            case pb.Signal.SIGTERM:
                found = running.child.signal(signal.SIGTERM)
            case _:
                raise errors.invalid("the signal must be SIGNAL_SIGTERM or SIGNAL_SIGKILL")
        if not found:
            raise _not_found(request.process)
        return pb.SendSignalResponse()

    async def update(self, request: pb.UpdateRequest, ctx: wire.Context, /) -> pb.UpdateResponse:
        """Resize the terminal."""
        streams = self._find(request.process).streams
        if request.pty is not None:
            if streams.terminal is None:
                raise errors.invalid("the process has no PTY to resize")
            size = request.pty.size or pb.PTY.Size()
            streams.resize(size.cols, size.rows)
        return pb.UpdateResponse()

    def _find(self, selector: pb.ProcessSelector | None) -> Running:
        match selector and selector.selector:
            case Oneof(value=int() as pid):
                found = self._running.get(pid)
            case Oneof(value=str() as tag):
                found = next((running for running in self._running.values() if running.tag == tag), None)
            case _:
                raise errors.invalid("a process is selected by its pid or its tag")
        if found is None:
            raise _not_found(selector)
        return found

    async def _start(self, request: pb.StartRequest) -> Running:
        config = request.process or pb.ProcessConfig()
        cwd = _working_folder(config.cwd)
        env = self._config.base_env()
        if request.pty is not None:
            env["TERM"] = TERMINAL
        streams = _open_streams(request)
        try:
            child = await self._processes.exec(
                [config.cmd, *config.args],
                env=env | config.envs,
                cwd=cwd,
                fds=list(streams.theirs),
                tty=streams.terminal is not None,
            )
        except BaseException as error:
            streams.close()
            if isinstance(error, OSError) and error.errno not in _EXHAUSTED:
                reason = str(error.strerror).rpartition("] ")[2]
                raise errors.invalid(f"error starting process '{config.cmd}': {reason}") from error
            raise
        finally:
            streams.close_theirs()
        return Running(child, streams, config, request.tag if request.has_field("tag") else None)

    def _supervise(self, running: Running, timeout_s: float | None) -> None:
        self._running[running.pid] = running
        task = asyncio.create_task(self._see_out(running, timeout_s))
        self._supervisors.add(task)
        task.add_done_callback(self._supervisors.discard)

    async def _see_out(self, running: Running, timeout_s: float | None) -> None:
        timer = None
        if timeout_s is not None:
            timer = asyncio.get_running_loop().call_later(timeout_s, running.expire)
        await running.wait()
        if timer is not None:
            timer.cancel()
        del self._running[running.pid]
        await running.finish()


async def _events(running: Running, ctx: wire.Context) -> AsyncGenerator[pb.ProcessEvent]:
    """Stream a process: its pid, its output from now on, its end; keepalives when it is silent."""
    pulse = wire.Pulse(ctx)
    output = running.streams.output
    listener = output.attach()
    # Here and not when the process was started: its first words are for the one who started it.
    output.resume()
    try:
        yield pb.ProcessEvent(event=wire.one_of("start", pb.ProcessEvent.StartEvent(pid=running.pid)))
        while True:
            if not await pulse.wait(listener.ready()):
                yield pb.ProcessEvent(event=wire.one_of("keepalive", pb.ProcessEvent.KeepAlive()))
                continue
            if (chunk := listener.take()) is None:
                break
            yield pb.ProcessEvent(event=wire.one_of("data", pb.ProcessEvent.DataEvent(output=wire.one_of(*chunk))))
        yield pb.ProcessEvent(event=wire.one_of("end", running.end))
    finally:
        output.detach(listener)


async def _write(running: Running, data: pb.ProcessInput | None) -> None:
    streams = running.streams
    match data and data.input:
        case Oneof(field="pty", value=payload):
            if streams.terminal is None:
                raise errors.invalid("the process has no PTY: write to its stdin")
        case Oneof(field="stdin", value=payload):
            if streams.terminal is not None:
                raise errors.invalid("the process has a PTY: write to it, not to stdin")
        case _:
            raise errors.invalid("input is either 'stdin' or 'pty'")
    if streams.input is None:
        raise errors.invalid("stdin is not open: start the process with stdin enabled")
    await streams.input.write(payload)


def _working_folder(asked: str) -> str:
    path = paths.resolve(asked)
    if not os.path.isdir(path):
        raise errors.invalid(f"cwd '{path}' does not exist")
    return path


def _open_streams(request: pb.StartRequest) -> Streams:
    if request.pty is not None:
        size = request.pty.size or pb.PTY.Size()
        return open_terminal(size.cols, size.rows)
    # Absent means yes: clients from before the field existed.
    return open_pipes(stdin=request.stdin if request.has_field("stdin") else True)


def _not_found(selector: Any) -> ConnectError:
    chosen = selector.selector
    return ConnectError(Code.NOT_FOUND, f"process with {chosen.field} '{chosen.value}' not found")
