"""Output of unknown size in bounded memory: its beginning and its end."""

from __future__ import annotations

from collections import deque


class BoundedText:
    """Keeps the first and the last part of a text that arrives in pieces."""

    def __init__(self, max_bytes: int) -> None:
        """`max_bytes` of UTF-8 are kept, half for the beginning and half for the end."""
        self._head_room = self._tail_room = max_bytes // 2
        self._head: list[bytes] = []
        self._tail: deque[bytes] = deque()
        self._tail_bytes = 0
        self.total_bytes = 0
        """What was added, kept or not."""

    def add(self, piece: str) -> None:
        """Append a piece."""
        data = piece.encode(errors="replace")
        self.total_bytes += len(data)
        if self._head_room:
            self._head.append(data[: self._head_room])
            data = data[self._head_room :]
            self._head_room -= len(self._head[-1])
        # One piece alone may be larger than the whole tail.
        data = data[-self._tail_room :]
        if not data:
            return
        self._tail.append(data)
        self._tail_bytes += len(data)
        while self._tail_bytes - len(self._tail[0]) >= self._tail_room:
            self._tail_bytes -= len(self._tail.popleft())

    @property
    def left_out_bytes(self) -> int:
        """How much of the middle is not in `text`."""
        return self.total_bytes - sum(map(len, self._head)) - min(self._tail_bytes, self._tail_room)

    def text(self) -> str:
        """Return what was kept, with a line in the middle that says how much is missing."""
        head, tail = b"".join(self._head), b"".join(self._tail)[-self._tail_room :]
        if not self.left_out_bytes:
            return (head + tail).decode(errors="replace")
        # A character may have been cut in two at either edge.
        middle = f"\n[... {self.left_out_bytes} bytes left out ...]\n"
        return head.decode(errors="ignore") + middle + tail.decode(errors="ignore")
