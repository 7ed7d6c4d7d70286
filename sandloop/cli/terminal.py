"""What a sandbox or a model says, on a terminal: nothing of it may move the cursor, ring, or hide."""

from __future__ import annotations

import re
import sys
from typing import TextIO

from agent_tools.output import readable

_OPEN_ESCAPE = re.compile(r"\x1b(?:\[[0-?]*[ -/]*|\][^\x07\x1b]*\x1b?)?\Z")
_MAX_HELD = 4096
# Control characters but for tab and line feed, what has no width or turns the reading direction, lone surrogates.
_UNSEEN = re.compile(
    "[\x00-\x08\x0b-\x1f\x7f-\x9f\xad\u061c\u180e\u200b-\u200f\u2028-\u202e\u2060-\u206f\ufeff\ud800-\udfff\U000e0000-\U000e007f]"
)


class Filter:
    """Takes escape sequences and control characters out of a stream whose pieces may end anywhere.

    Carriage returns stay, so that progress bars move.
    """

    def __init__(self) -> None:
        self._held = ""

    def take(self, piece: str) -> str:
        """Return what of the stream so far can be shown and has not been."""
        text = self._held + piece
        self._held = ""
        if (open_escape := _OPEN_ESCAPE.search(text)) and len(open_escape[0]) <= _MAX_HELD:
            self._held = open_escape[0]
            text = text[: open_escape.start()]
        return "\r".join(map(readable, text.split("\r")))


class Stream:
    """A standard stream: to a terminal goes what is safe there, to a file or a pipe goes exactly what came."""

    def __init__(self, file: TextIO) -> None:
        self._file = file
        self._filter = Filter() if file.isatty() else None
        self._at_line_start = True

    def write(self, text: str) -> None:
        """Write and flush.

        Raises:
            BrokenPipeError: nobody reads it.
        """
        shown = self._filter.take(text) if self._filter else text
        if not shown:
            return
        self._at_line_start = shown.endswith(("\n", "\r"))
        self._file.buffer.write(shown.encode(errors="replace"))
        self._file.flush()

    def line(self, text: str) -> None:
        """Write a line of its own."""
        self.write(text if self._at_line_start else f"\n{text}")
        if not text.endswith("\n"):
            self.write("\n")


def say(text: str) -> None:
    """Tell the person something about what goes on: one line on stderr, dim where that is a terminal."""
    text = readable(text).rstrip("\n")
    print(f"\x1b[2m{text}\x1b[0m" if sys.stderr.isatty() else text, file=sys.stderr, flush=True)  # noqa: T201


def visible(text: str) -> str:
    """Return text that somebody else chose with nothing hidden: what would not be seen is written as an escape.

    For what a person has to judge: code before it runs, names of files.
    """
    return _UNSEEN.sub(lambda match: match[0].encode("unicode_escape").decode(), text)


def visible_line(text: str) -> str:
    """Return it in one line."""
    return visible(text).replace("\n", "\\n").replace("\t", "\\t")
