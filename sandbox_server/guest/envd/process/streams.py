"""The descriptors of a new process: pipes, or a terminal."""

from __future__ import annotations

import fcntl
import os
import struct
import termios
from dataclasses import dataclass

from .input import Input
from .output import Output

MAX_TERMINAL_SIDE = 0xFFFF
"""The kernel keeps columns and rows in 16 bits."""


@dataclass(frozen=True, slots=True)
class Streams:
    """Our side of a process's stdin, stdout and stderr, and its side while it is being started."""

    output: Output
    input: Input | None
    """None: the process reads /dev/null."""
    theirs: tuple[int, int, int]
    terminal: int | None = None
    """A descriptor of the terminal, which `input` owns."""

    def close_theirs(self) -> None:
        """Close the process's side, so that its own end is the last one."""
        for fd in set(self.theirs):
            os.close(fd)

    def close(self) -> None:
        """Close our side of a process that never started."""
        self.output.close()
        if self.input is not None:
            self.input.close()

    def resize(self, columns: int, rows: int) -> None:
        """Set the terminal's size; its foreground process gets SIGWINCH. Raises OSError."""
        if self.terminal is not None:
            sides = (min(rows, MAX_TERMINAL_SIDE), min(columns, MAX_TERMINAL_SIDE), 0, 0)
            fcntl.ioctl(self.terminal, termios.TIOCSWINSZ, struct.pack("HHHH", *sides))


def open_pipes(*, stdin: bool) -> Streams:
    """Open a pipe for each of stdout and stderr, and for stdin when it is wanted. Raises OSError."""
    opened: list[int] = []
    try:
        opened += os.pipe() if stdin else (os.open(os.devnull, os.O_RDONLY),)
        opened += os.pipe()
        opened += os.pipe()
    except OSError:
        for fd in opened:
            os.close(fd)
        raise
    *stdin_ends, stdout, stdout_writer, stderr, stderr_writer = opened
    for fd in (*stdin_ends[1:], stdout, stderr):
        os.set_blocking(fd, False)
    return Streams(
        output=Output({stdout: "stdout", stderr: "stderr"}),
        input=Input(stdin_ends[1]) if stdin else None,
        theirs=(stdin_ends[0], stdout_writer, stderr_writer),
    )


def open_terminal(columns: int, rows: int) -> Streams:
    """Open a pseudo-terminal of that size. Raises OSError."""
    ours, theirs = os.openpty()
    try:
        os.set_blocking(ours, False)
        # A descriptor of its own for writing: reading ends with the process, writing with the request to it.
        writer = os.dup(ours)
    except OSError:
        os.close(ours)
        os.close(theirs)
        raise
    streams = Streams(Output({ours: "pty"}), Input(writer), (theirs, theirs, theirs), terminal=writer)
    streams.resize(columns, rows)
    return streams
