"""Text that comes out of a sandbox: kept within bounds, made safe to read, shortened for a model."""

from __future__ import annotations

import re
from collections.abc import Callable

from .context import CallContext, LiveOutput, ignore
from .languages.bounded import BoundedText

KEPT_BYTES = 8 * 1024 * 1024
"""Of each stream of a call. What is beyond, in the middle, is gone."""

_RICH_SHARE = 4
"""How much larger rich results may be than text: one interactive chart has 5 MB."""

LIVE_CHARACTERS = 1024 * 1024
"""Of a call's output that are shown while it runs."""

# CSI and OSC sequences and other escapes, then control characters other than tab and line feed, then the bidirectional
# controls, with which text can be made to look like other text, and halves of surrogate pairs, which are no text.
_ESCAPES = re.compile(r"\x1b(?:\[[0-?]*[ -/]*[@-~]|\][^\x07\x1b]*(?:\x07|\x1b\\)|[@-Z\\-_])")
_NEVER = "\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f\u200e\u200f\u202a-\u202e\u2066-\u2069\ud800-\udfff"
_CONTROLS = re.compile(f"[{_NEVER}\r]")
_LIVE_CONTROLS = re.compile(f"[{_NEVER}]")


class Flooded(Exception):
    """A call has printed more than the limit; raised from the callback, which ends the request and stops the code."""


class Captured:
    """The streams of one call: passed on live, and kept within bounds."""

    def __init__(self, context: CallContext, limit_bytes: int) -> None:
        self._on_output = context.on_output
        self._left = limit_bytes
        self._rich_left = limit_bytes * _RICH_SHARE
        self.stdout = BoundedText(KEPT_BYTES)
        self.stderr = BoundedText(KEPT_BYTES)

    def add(self, piece: LiveOutput) -> None:
        """Take one piece.

        Raises:
            Flooded: that was too much.
        """
        (self.stderr if piece.stream == "stderr" else self.stdout).add(piece.text)
        self._on_output(piece)
        self._left -= len(piece.text)
        if self._left < 0:
            raise Flooded

    def add_rich(self, characters: int) -> None:
        """Count a rich result: a loop can display pictures as well as print.

        Raises:
            Flooded: that was too much.
        """
        self._rich_left -= characters
        if self._rich_left < 0:
            raise Flooded

    @property
    def is_empty(self) -> bool:
        """True when no text has come."""
        return not (self.stdout.total_bytes or self.stderr.total_bytes)


def live(context: CallContext) -> Callable[[LiveOutput], None]:
    """Return a sink for one call's live output that passes on what is safe to show, and not without end."""
    on_output = context.on_output
    if on_output is ignore or context.raw_output:
        return on_output
    left = LIVE_CHARACTERS

    def show(piece: LiveOutput) -> None:
        nonlocal left
        if left < 0:
            return
        text = _LIVE_CONTROLS.sub("", _ESCAPES.sub("", piece.text))[:left]
        if text:
            on_output(LiveOutput(piece.stream, text))
        left -= len(piece.text)
        if left < 0:
            on_output(LiveOutput("status", "\n[more output follows, which is not shown live]\n"))

    return show


def readable(text: str) -> str:
    """Return the text as a terminal would leave it: no escape sequences, a line's last state after carriage returns."""
    text = _ESCAPES.sub("", text)
    if "\r" in text:
        text = "\n".join(line.rstrip("\r").rpartition("\r")[2] for line in text.split("\n"))
    return _CONTROLS.sub("", text)


def shortened(text: str, max_bytes: int) -> tuple[str, bool]:
    """Return the beginning and the end of the text with the number of bytes between, and whether it was cut."""
    bounded = BoundedText(max_bytes)
    bounded.add(text)
    return bounded.text(), bool(bounded.left_out_bytes)
