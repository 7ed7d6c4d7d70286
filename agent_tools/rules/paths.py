"""Paths in the sandbox: text in, normal text out. Nobody looks at a disk here.

A link inside the sandbox may still lead anywhere inside the sandbox: these rules keep a model's calls tidy, and the
sandbox keeps everything else.
"""

from __future__ import annotations

import posixpath
import unicodedata
from typing import Final

from ..errors import InvalidCall, PolicyRefusal
from ..policy import SandboxPolicy
from .verdicts import Findings, Verdict

HOME: Final = "/home/user"
ROOTS: Final = (HOME, "/tmp")

MAX_PATH_BYTES: Final = 4095
"""Linux's PATH_MAX without its final NUL."""
MAX_NAME_BYTES: Final = 255
"""The longest name of a file on common file systems."""

_BIDI: Final = frozenset("\u061c\u200e\u200f\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069")
"""Characters that show a name in another order than it has."""


def check_path(policy: SandboxPolicy, path: str, *, cwd: str = HOME) -> str:
    """The normal, absolute form of a path that lies in the home, in /tmp or in the working directory.

    Args:
        policy: the rules.
        path: absolute, relative to `cwd`, or below the home after `~/`.
        cwd: the working directory, absolute; it is trusted.

    Raises:
        InvalidCall: the path is malformed (`path.empty`, `path.encoding`, `path.characters`, `path.length`), or leads
            out (`path.outside`).
        PolicyRefusal: the policy has no file tools (`path.disabled`).
    """
    if not policy.enable_file_system:
        raise PolicyRefusal(f"The policy {policy.name!r} has no tools for files.", rule="path.disabled")
    _check_text(path)
    if path == "~" or path.startswith("~/"):
        path = HOME + path[1:]
    cwd = _normal(cwd)
    absolute = _normal(posixpath.join(cwd, path))
    if not any(_is_below(absolute, root) for root in (*ROOTS, cwd)):
        places = ", ".join(dict.fromkeys((*ROOTS, cwd)))
        raise InvalidCall(
            f"{_shown(path)} leads to {_shown(absolute)}, outside of the places for files. Use a path in: {places}.",
            rule="path.outside",
        )
    _check_length(absolute)
    return absolute


def check_file_name(policy: SandboxPolicy, path: str) -> Verdict:
    """What the policy says about writing, or copying out, a file of this name.

    Raises:
        PolicyRefusal: its ending is suspicious, and the policy blocks that (`file.suspicious`).
    """
    findings = Findings()
    name = posixpath.basename(path).rstrip(". ").lower()
    ending = next((ending for ending in policy.suspicious_file_endings if name.endswith(ending)), None)
    if ending is not None:
        findings.note(
            policy.suspicious_file_action,
            rule="file.suspicious",
            subject=posixpath.basename(path),
            reason=f"A file ending in {ending!r} can do harm when somebody opens it on a desktop.",
        )
    return findings.verdict()


def _check_text(path: str) -> None:
    if not path.strip():
        raise InvalidCall("The path is empty. Name a file or a folder.", rule="path.empty")
    if len(path) > MAX_PATH_BYTES:
        raise InvalidCall(f"The path is longer than {MAX_PATH_BYTES} bytes.", rule="path.length")
    try:
        path.encode()
    except UnicodeEncodeError as error:
        raise InvalidCall(f"{_shown(path)} cannot be written in UTF-8.", rule="path.encoding") from error
    for character in path:
        if unicodedata.category(character) in ("Cc", "Zl", "Zp") or character in _BIDI:
            raise InvalidCall(
                f"{_shown(path)} holds the character U+{ord(character):04X}, which no path here may hold. Remove it.",
                rule="path.characters",
            )


def _check_length(absolute: str) -> None:
    if len(absolute.encode()) > MAX_PATH_BYTES:
        raise InvalidCall(f"The path is longer than {MAX_PATH_BYTES} bytes.", rule="path.length")
    longest = max(absolute.split("/"), key=lambda name: len(name.encode()))
    if len(longest.encode()) > MAX_NAME_BYTES:
        raise InvalidCall(f"{_shown(longest)} is longer than {MAX_NAME_BYTES} bytes.", rule="path.length")


def _normal(path: str) -> str:
    """Without `.`, `..` and repeated slashes; `normpath` alone keeps two leading ones."""
    return posixpath.normpath("/" + path.lstrip("/"))


def _is_below(path: str, root: str) -> bool:
    return path == root or path.startswith(root.rstrip("/") + "/")


def _shown(path: str) -> str:
    return ascii(path if len(path) <= 80 else f"{path[:80]}…")
