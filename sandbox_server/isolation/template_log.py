"""What a template process and its sandboxes' own daemons print: kept in a file of bounded size.

It reaches the server over a socket and never as an open file: a guest daemon that is asked for /proc/self/fd/1 would
open that file anew, and with it something of the host's that all sandboxes share. A socket cannot be opened by a path.
"""

from __future__ import annotations

import asyncio
import socket
from pathlib import Path

_MAX_BYTES = 1024 * 1024
_CHUNK_BYTES = 64 * 1024


class TemplateLog:
    """The reading end. Made on the loop that will read it."""

    def __init__(self, path: Path) -> None:
        """`path` is the file, begun anew here and whenever it is full."""
        self._file = path.open("w+b", buffering=0)
        self._ours, self._theirs = socket.socketpair()
        self._ours.setblocking(False)
        self._loop = asyncio.get_running_loop()
        self._loop.add_reader(self._ours.fileno(), self._take)

    @property
    def writer(self) -> socket.socket:
        """The end to give to the new process; `started` closes it here."""
        return self._theirs

    def started(self) -> None:
        """Let go of the writing end: the process has its own copy."""
        self._theirs.close()

    def last_words(self, lines: int = 5) -> str:
        """Return the last lines, on one."""
        while self._take():
            pass
        self._file.seek(0)  # Reading on to the end leaves the place to write where it was.
        text = self._file.read().decode(errors="replace")
        return " / ".join(text.strip().splitlines()[-lines:])

    def close(self) -> None:
        """Stop reading."""
        self._loop.remove_reader(self._ours.fileno())
        self._ours.close()
        self._theirs.close()
        self._file.close()

    def _take(self) -> bool:
        """Copy what has come; False at the end."""
        try:
            data = self._ours.recv(_CHUNK_BYTES)
        except BlockingIOError:
            return False
        except OSError:
            data = b""
        if not data:
            self._loop.remove_reader(self._ours.fileno())
            return False
        if self._file.tell() > _MAX_BYTES:
            self._file.seek(0)
            self._file.truncate()
        self._file.write(data)
        return True
