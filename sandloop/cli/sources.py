"""What `execute` is given: a program, its language, a time limit, files to copy."""

from __future__ import annotations

import re
import sys
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

from .exits import Problem

HOME = "/home/user"

_DURATION = re.compile(r"(\d+(?:\.\d+)?)\s*(ms|s|m|h)?", re.ASCII)
_SECONDS = {"ms": 0.001, "s": 1.0, "m": 60.0, "h": 3600.0}


@dataclass(frozen=True, slots=True)
class Source:
    """A program.

    Attributes:
        name: of the files that come of it, without an ending.
        file: the path it was read from; "" for standard input and --code.
    """

    code: str
    name: str = "output"
    file: str = ""


def read(file: str | None, code: str | None) -> Source:
    """Return the program of a path, of `-` (standard input) or of the text itself."""
    if (file is None) == (code is None):
        raise Problem("give one of --file PATH, --code TEXT and - (standard input)")
    if code is not None:
        return Source(_not_empty(code, "the code"))
    assert file is not None
    if file == "-":
        return Source(_decoded(sys.stdin.buffer.read(), "standard input"))
    path = Path(file)
    try:
        data = path.read_bytes()
    except OSError as error:
        raise Problem(f"{file} cannot be read: {error.strerror}") from error
    return Source(_decoded(data, file), path.stem or "output", file)


def _decoded(data: bytes, name: str) -> str:
    try:
        return _not_empty(data.decode(), name)
    except UnicodeDecodeError:
        raise Problem(f"{name} is not text in UTF-8") from None


def _not_empty(code: str, name: str) -> str:
    if not code.strip():
        raise Problem(f"{name} is empty: there is nothing to run")
    return code


def language_of(source: Source, named: str | None, default: str) -> str:
    """Return the language's name: as named, by the file's ending, by the `#!` line, else the default.

    Raises:
        InvalidCall: there is no language of that name.
    """
    from agent_tools.languages import by_file_name, by_shebang, find

    guessed = by_file_name(source.file) or by_shebang(source.code)
    return find(named).name if named else guessed.name if guessed else default


def seconds(text: str) -> float:
    """Return a duration in seconds: `1500` are milliseconds, `30s`, `2m`, `1h`, `500ms` say their unit."""
    match = _DURATION.fullmatch(text.strip())
    value = float(match[1]) * _SECONDS[match[2] or "ms"] if match else 0.0
    if value <= 0:
        raise Problem(f"{text!r} is not a time: write milliseconds such as 30000, or 30s, or 2m")
    return value


@dataclass(frozen=True, slots=True)
class Transfer:
    """A file to copy: its path on this machine and its path in the sandbox."""

    here: Path
    there: str


def upload(text: str) -> Transfer:
    """Read `PATH` or `PATH:DEST`; the destination is a path in the sandbox, or a folder that ends with a slash."""
    path, _, destination = (text, "", "") if Path(text).is_file() else text.rpartition(":")
    here = Path(path or destination)
    if not here.is_file():
        raise Problem(f"there is no file {str(here)!r} to upload")
    there = destination if path and destination else here.name
    return Transfer(here, f"{there}{here.name}" if there.endswith("/") else there)


def download(text: str) -> Transfer:
    """Read `PATH` or `PATH:DEST`; the destination is a file or a folder of this machine."""
    path, _, destination = text.rpartition(":")
    there = path or destination
    name = PurePosixPath(there).name
    here = Path(destination) if path and destination else Path(name)
    if here.is_dir() or (path and destination.endswith("/")):
        here /= name
    if not name or not here.parent.is_dir():
        raise Problem(f"{text!r}: there is no folder {str(here.parent)!r} to download into")
    return Transfer(here, there)
