"""What connects a kernel process with the daemon: stdout and stderr, and a channel for all else."""

from __future__ import annotations

import contextlib
import os
import socket
from collections.abc import Iterator
from dataclasses import dataclass

from ..config import SandboxConfig
from .output import OutputPipes


@dataclass(frozen=True, slots=True)
class Wires:
    """Both sides' ends, while a process is being started."""

    output: OutputPipes
    channel: socket.socket
    """The daemon's end of a stream socket pair."""
    far_channel: int
    """The process's end of it, a descriptor."""
    null: int
    """/dev/null: stdin, for a process that is to find it empty."""


@contextlib.contextmanager
def laid(config: SandboxConfig) -> Iterator[Wires]:
    """Start a process in the block: its ends are closed after it, and the daemon's as well if the block fails."""
    output = OutputPipes(config.max_output_bytes)
    ours, theirs = socket.socketpair()
    null = os.open(os.devnull, os.O_RDWR | os.O_CLOEXEC)
    try:
        yield Wires(output, ours, theirs.fileno(), null)
    except BaseException:
        ours.close()
        output.close()
        raise
    finally:
        os.close(null)
        theirs.close()
        output.close_write_ends()
