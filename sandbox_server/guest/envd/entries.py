"""What envd tells about a file or folder."""

from __future__ import annotations

import functools
import grp
import os
import pwd
import stat

from e2b.envd.filesystem.filesystem_pb import EntryInfo, FileType
from protobuf.wkt import Timestamp

from . import errors, metadata


def describe(path: str, shown_path: str | None = None) -> EntryInfo:
    """Return the entry at a path, under the path it was asked for by.

    A symbolic link keeps its own size, owner and times, and has its target's type and mode: SDKs list it as what it
    leads to. One that leads nowhere has the type SYMLINK.

    Raises:
        OSError: there is nothing at the path.
    """
    status = os.lstat(path)
    target: str | None = None
    led_to = status
    kept: dict[str, str] = {}
    if stat.S_ISLNK(status.st_mode):
        target = os.path.realpath(path)
        try:
            led_to = os.stat(path)
        except OSError:
            led_to = status
    else:
        kept = metadata.read(path)
    shown = shown_path or path
    return EntryInfo(
        name=errors.printable(os.path.basename(shown.rstrip("/")) or "/"),
        type=_file_type(led_to.st_mode),
        path=errors.printable(shown),
        size=status.st_size,
        mode=stat.S_IMODE(led_to.st_mode) & 0o777,
        permissions=stat.filemode(status.st_mode),
        owner=_user_name(status.st_uid),
        group=_group_name(status.st_gid),
        modified_time=Timestamp.from_nanos(status.st_mtime_ns),
        symlink_target=None if target is None else errors.printable(target),
        metadata=kept,
    )


def _file_type(mode: int) -> FileType:
    if stat.S_ISREG(mode):
        return FileType.FILE
    if stat.S_ISDIR(mode):
        return FileType.DIRECTORY
    if stat.S_ISLNK(mode):
        return FileType.SYMLINK
    return FileType.UNSPECIFIED


@functools.lru_cache(maxsize=64)
def _user_name(uid: int) -> str:
    try:
        return pwd.getpwuid(uid).pw_name
    except KeyError:
        return str(uid)


@functools.lru_cache(maxsize=64)
def _group_name(gid: int) -> str:
    try:
        return grp.getgrgid(gid).gr_name
    except KeyError:
        return str(gid)
