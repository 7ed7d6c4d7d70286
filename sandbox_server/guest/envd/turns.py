"""Long work in the daemon's one thread, in turns with everything else.

Not in other threads: kernels are forks of this process, which a second thread could have caught with a lock taken, and
at the sandbox's process limit no thread can start.
"""

from __future__ import annotations

import asyncio
import os
import shutil
import stat
from collections.abc import Generator
from typing import TypeVar

from . import errors

_Result = TypeVar("_Result")
Steps = Generator[None, None, _Result]
"""Work that yields where others may have a turn: after a millisecond or so."""
COPY_BYTES = 8 * 1024 * 1024


async def take(steps: Steps[_Result]) -> _Result:
    """Do the work and return its result; raises what it raises."""
    while True:
        try:
            next(steps)
        except StopIteration as done:
            result: _Result = done.value
            return result
        await asyncio.sleep(0)


def copy_bytes(source: int, target: int) -> Steps[None]:
    """Copy what is left of one open file to the end of another, also between file systems."""
    while os.sendfile(target, source, None, COPY_BYTES):
        yield


def copy(source: str, destination: str) -> Steps[None]:
    """Copy a file, a link or a folder with all in it, with modes and times; `destination` must not be there.

    Raises:
        OSError: something cannot be read or written.
        ConnectError: something is neither file, folder nor link.
    """
    mode = os.lstat(source).st_mode
    if stat.S_ISLNK(mode):
        os.symlink(os.readlink(source), destination)
        return
    if stat.S_ISDIR(mode):
        os.mkdir(destination)
        for name in os.listdir(source):
            yield from copy(f"{source}/{name}", f"{destination}/{name}")
    elif stat.S_ISREG(mode):
        with open(source, "rb") as source_file, open(destination, "xb") as target_file:
            yield from copy_bytes(source_file.fileno(), target_file.fileno())
    else:
        raise errors.invalid(f"{source} is neither file, folder nor link")
    shutil.copystat(source, destination)
    yield


def remove(path: str) -> Steps[None]:
    """Remove a file or a link, or a folder with all in it. Raises OSError."""
    if stat.S_ISDIR(os.lstat(path).st_mode):
        for name in os.listdir(path):
            yield from remove(f"{path}/{name}")
        os.rmdir(path)
    else:
        os.unlink(path)
    yield
