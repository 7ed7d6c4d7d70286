"""How envd reads a path: absolute, `~`, or relative to the home folder."""

from __future__ import annotations

import errno
import os

from ..config import HOME
from . import errors

PATH_MAX_BYTES = 4095
"""Linux's PATH_MAX without its final NUL."""


def resolve(path: str) -> str:
    """Return the absolute path that a request means; symbolic links are the kernel's to follow.

    Raises:
        ConnectError: invalid argument, for NUL bytes, over-long paths, what UTF-8 cannot carry, and `~name`.
    """
    if "\0" in path:
        raise errors.invalid("a path cannot contain a NUL byte")
    try:
        size = len(path.encode())
    except UnicodeEncodeError as error:
        raise errors.invalid("a path must be valid UTF-8") from error
    if size > PATH_MAX_BYTES:
        raise errors.invalid(f"a path of {size} bytes is over the limit of {PATH_MAX_BYTES}")
    if path.startswith("~"):
        if len(path) > 1 and path[1] != "/":
            raise errors.invalid(f"cannot expand '{path}': only '~' itself, the home folder, is known")
        path = path[2:]
    if path.startswith("/"):
        return path
    return os.path.normpath(os.path.join(HOME, path))


def make_parents(path: str) -> None:
    """Make the folders above a path that are not there yet, mode 0755.

    Raises:
        OSError: a parent cannot be made, or is not a folder.
    """
    make_folders(os.path.dirname(path.rstrip("/")) or "/")


def make_folders(path: str) -> None:
    """Make a folder and those above it that are not there yet, mode 0755; an existing one is fine.

    Raises:
        OSError: one cannot be made, or is not a folder.
    """
    missing = []
    while not os.path.isdir(path):
        missing.append(path)
        path = os.path.dirname(path.rstrip("/"))
    for folder in reversed(missing):
        try:
            os.mkdir(folder, 0o755)
        except FileExistsError:
            if not os.path.isdir(folder):
                raise NotADirectoryError(errno.ENOTDIR, "Not a directory", folder) from None
