"""A person at a terminal: a command on a pseudo-terminal, what it shows, and keys."""

from __future__ import annotations

import fcntl
import os
import pty
import struct
import subprocess
import termios
import threading
from collections.abc import Mapping, Sequence
from pathlib import Path

from tests.sandbox_server.waiting import wait_until

SECONDS = 100


class Terminal:
    """Runs a command on a terminal of 100 columns. Use it as `with`; `text` is all that came so far."""

    def __init__(self, command: Sequence[str], environ: Mapping[str, str], cwd: Path) -> None:
        self._master, slave = pty.openpty()
        fcntl.ioctl(slave, termios.TIOCSWINSZ, struct.pack("HHHH", 50, 100, 0, 0))
        self.process = subprocess.Popen(
            command,
            env={"TERM": "xterm-256color", **environ},
            cwd=cwd,
            stdin=slave,
            stdout=slave,
            stderr=slave,
            start_new_session=True,
            # So that a key such as Ctrl-C reaches it.
            preexec_fn=lambda: fcntl.ioctl(0, termios.TIOCSCTTY, 0) and None,
        )
        os.close(slave)
        self._pieces: list[bytes] = []
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()

    def _read(self) -> None:
        while True:
            try:
                piece = os.read(self._master, 65536)
            except OSError:  # nobody has the other end open any more
                return
            if not piece:
                return
            self._pieces.append(piece)

    @property
    def raw(self) -> bytes:
        return b"".join(self._pieces)

    @property
    def text(self) -> str:
        return self.raw.decode(errors="replace")

    def wait_for(self, text: str, times: int = 1) -> None:
        """Return when the text has been shown so often."""
        try:
            wait_until(lambda: self.text.count(text) >= times or not self._reader.is_alive(), SECONDS)
            assert self.text.count(text) >= times
        except AssertionError:
            raise AssertionError(f"{text!r} was not shown; this was: {self.text[-3000:]}") from None

    def type(self, keys: str) -> None:
        os.write(self._master, keys.encode())

    def end(self) -> int:
        """Wait for the command's end and return its exit code."""
        code = self.process.wait(SECONDS)
        self._reader.join(SECONDS)
        return code

    def __enter__(self) -> Terminal:
        return self

    def __exit__(self, *_: object) -> None:
        if self.process.poll() is None:
            self.process.kill()
            self.process.wait()
        self._reader.join(SECONDS)
        os.close(self._master)
