"""The model's words, cut into paragraphs of Markdown while they come."""

from __future__ import annotations

import re

_FENCE = re.compile(r"^ {0,3}(`{3,}|~{3,})", re.MULTILINE)
_MAX_REST = 20_000


class Paragraphs:
    """Collects text and gives back each paragraph when it is complete; a block of code is one paragraph."""

    def __init__(self) -> None:
        self.rest = ""
        """What is not complete yet."""

    def add(self, text: str) -> list[str]:
        """Return the paragraphs that this piece completes."""
        self.rest += text
        done: list[str] = []
        while (end := self._end()) is not None:
            paragraph, self.rest = self.rest[:end], self.rest[end:].lstrip("\n")
            if paragraph.strip():
                done.append(paragraph)
        return done

    def finish(self) -> str:
        """Return what is left, and start anew."""
        rest, self.rest = self.rest, ""
        return rest if rest.strip() else ""

    def _end(self) -> int | None:
        position = 0
        while (gap := self.rest.find("\n\n", position)) >= 0:
            if len(_FENCE.findall(self.rest[:gap])) % 2 == 0:
                return gap
            position = gap + 2
        return _MAX_REST if len(self.rest) > _MAX_REST else None
