"""Framing of the stream socket between the daemon and a Python kernel: four bytes of length, then a JSON object.

daemon → kernel  {"code": str, "env": {name: value}}
kernel → daemon  the events of `kernels.Event`, then {"type": "done"}
daemon → kernel  {} for an event with "wait": true, as soon as it is taken, together with the text before it
"""

from __future__ import annotations

import contextlib
import json
from typing import Any

MAX_FRAME_BYTES = 48 * 1024 * 1024
"""Bound of one message. A result is at most `display.MAX_RESULT_BYTES` of JSON, which leaves room for its envelope."""
_HEADER_BYTES = 4


class BrokenChannel(ValueError):
    """The peer sent what is no message; nothing after it can be read."""


def encode(message: dict[str, Any]) -> bytes:
    """Return the message as one frame.

    Raises:
        BrokenChannel: it is over `MAX_FRAME_BYTES`.
    """
    data = json.dumps(message, allow_nan=False).encode()
    if len(data) > MAX_FRAME_BYTES:
        raise BrokenChannel(f"a message of {len(data)} bytes is over {MAX_FRAME_BYTES}")
    return len(data).to_bytes(_HEADER_BYTES, "big") + data


def _no_number(name: str) -> None:
    """NaN and the infinities are not JSON."""


class Decoder:
    """Cuts a byte stream back into messages."""

    def __init__(self) -> None:
        self._buffer = bytearray()

    def feed(self, data: bytes) -> list[tuple[dict[str, Any], int]]:
        """Return the messages that are complete now, with their sizes in bytes; what is no JSON object is dropped.

        Raises:
            BrokenChannel: a frame announces more than `MAX_FRAME_BYTES`.
        """
        self._buffer += data
        messages = []
        start = 0
        while len(self._buffer) - start >= _HEADER_BYTES:
            body = start + _HEADER_BYTES
            size = int.from_bytes(self._buffer[start:body], "big")
            if size > MAX_FRAME_BYTES:
                raise BrokenChannel(f"a frame of {size} bytes is over {MAX_FRAME_BYTES}")
            if len(self._buffer) < body + size:
                break
            start = body + size
            with contextlib.suppress(ValueError, RecursionError):
                message = json.loads(self._buffer[body:start], parse_constant=_no_number)
                if isinstance(message, dict):
                    messages.append((message, size))
        del self._buffer[:start]
        return messages
