"""Images in the terminal, where it is one that shows them."""

from __future__ import annotations

import base64
import os
from collections.abc import Iterator, Mapping
from typing import Literal

Protocol = Literal["kitty", "iterm2"]

_PNG = b"\x89PNG\r\n\x1a\n"
_JPEG = b"\xff\xd8\xff"
_MAX_BYTES = 8 * 1024 * 1024
_CHUNK = 4096
"""The kitty protocol's limit for one escape sequence."""


def protocol(environ: Mapping[str, str] = os.environ) -> Protocol | None:
    """Return how this terminal takes images; None when it does not, as far as its variables say."""
    if environ.get("TMUX") or environ.get("STY"):
        return None  # they pass only text on
    program = environ.get("TERM_PROGRAM", "")
    if environ.get("KITTY_WINDOW_ID") or environ.get("TERM") == "xterm-kitty" or program == "ghostty":
        return "kitty"
    if program in ("iTerm.app", "WezTerm") or environ.get("LC_TERMINAL") == "iTerm2":
        return "iterm2"
    return None


def shown(data: bytes, how: Protocol) -> str | None:
    """Return what makes the terminal show a PNG (or, on iTerm2, a JPEG); None for what is no such image."""
    is_png = data.startswith(_PNG)
    if len(data) > _MAX_BYTES or not (is_png or (how == "iterm2" and data.startswith(_JPEG))):
        return None
    if how == "iterm2":
        return f"\x1b]1337;File=inline=1;size={len(data)}:{base64.b64encode(data).decode()}\x07\n"
    return "".join(_kitty(base64.b64encode(data).decode())) + "\n"


def _kitty(encoded: str) -> Iterator[str]:
    for start in range(0, len(encoded), _CHUNK):
        more = int(start + _CHUNK < len(encoded))
        first = "f=100,a=T,q=2," if start == 0 else ""
        yield f"\x1b_G{first}m={more};{encoded[start : start + _CHUNK]}\x1b\\"
