"""From a command's coroutine to an exit code: signals, errors, the end of the output pipe."""

from __future__ import annotations

import asyncio
import functools
import os
import signal
import sys
from collections.abc import Callable, Coroutine
from typing import Any, NoReturn, ParamSpec, TypeVar

import typer

from .exits import ExitCode, code_of

Done = TypeVar("Done")
Parameters = ParamSpec("Parameters")

_SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


class Interrupted(BaseException):
    """A signal has ended the work, which has cleaned up after itself."""

    def __init__(self, number: signal.Signals) -> None:
        super().__init__(number.name)
        self.number = number


def run(work: Coroutine[Any, Any, int], *, interrupts: bool = True) -> NoReturn:
    """Run a command to its end and leave with its exit code. Errors become one line on stderr.

    Args:
        work: the command.
        interrupts: signals cancel it; False when it sees to that itself.
    """
    try:
        code = asyncio.run(interruptible(work) if interrupts else work)
        sys.stdout.flush()
    except Interrupted as stop:
        code = 128 + stop.number
    except KeyboardInterrupt:
        code = ExitCode.INTERRUPTED
    except BrokenPipeError:
        # What is still buffered would fail again when the interpreter ends.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        code = ExitCode.BROKEN_PIPE
    except Exception as error:
        code = told(error)
    raise typer.Exit(code)


def guarded(command: Callable[Parameters, None]) -> Callable[Parameters, None]:
    """Make the errors of a command that is no coroutine one line on stderr, too."""

    @functools.wraps(command)
    def call(*args: Parameters.args, **kwargs: Parameters.kwargs) -> None:
        try:
            command(*args, **kwargs)
        except Exception as error:
            if isinstance(error, typer.Exit):
                raise
            raise typer.Exit(told(error)) from None

    return call


def told(error: Exception) -> int:
    """Say what went wrong and return the exit code."""
    from agent_tools.output import readable

    from .logs import verbose

    code = code_of(error)
    if code is None:
        if verbose():
            raise error
        message = f"unexpected {type(error).__name__}: {error} (SANDLOOP_LOG_LEVEL=debug shows where)"
        code = ExitCode.FAILED
    else:
        message = str(error)
    print(f"sandloop: {readable(message)}", file=sys.stderr)  # noqa: T201
    return code


async def interruptible(work: Coroutine[Any, Any, Done]) -> Done:
    """Await the work; SIGINT, SIGTERM and SIGHUP cancel it. A second signal does what it usually does.

    Raises:
        Interrupted: one came.
    """
    loop = asyncio.get_running_loop()
    task = asyncio.ensure_future(work)
    came: list[signal.Signals] = []

    def stop(number: signal.Signals) -> None:
        came.append(number)
        task.cancel()
        for each in _SIGNALS:
            loop.remove_signal_handler(each)

    for number in _SIGNALS:
        # What is ignored, as under nohup, stays so.
        if signal.getsignal(number) is not signal.SIG_IGN:
            loop.add_signal_handler(number, stop, number)
    try:
        return await task
    except asyncio.CancelledError:
        if came:
            raise Interrupted(came[0]) from None
        raise
    finally:
        for number in _SIGNALS:
            loop.remove_signal_handler(number)


def asked(prompt: str) -> str:
    """Ask on the terminal, between two pieces of work: nothing else of this loop goes on meanwhile.

    Raises:
        EOFError: the end of the input (Ctrl-D).
        Interrupted: Ctrl-C.
    """
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    try:
        return input(prompt)
    except KeyboardInterrupt:
        raise Interrupted(signal.SIGINT) from None
    finally:
        signal.signal(signal.SIGINT, before)
