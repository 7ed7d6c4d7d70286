"""The files in a sandbox's home, carried out within bounds, and names for them that no archive program trips over.

What a sandbox says is not to be trusted: sizes are counted as bytes come, links are left out, and a name is only text.
"""

from __future__ import annotations

import posixpath
import re
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Final

import e2b
from e2b import EntryInfo, FileType
from e2b_code_interpreter import AsyncSandbox

from .context import CallContext
from .execution import OUTPUT_FOLDER
from .files import bounded
from .loop import on_sandbox_loop
from .rules.paths import HOME
from .sandboxes import Lease, Sandboxes

MAX_FILES: Final = 500
MAX_BYTES: Final = 100 * 1024 * 1024
"""Of all files together; they are in memory while an archive is made."""
_MAX_FOLDERS: Final = 500
_MAX_LEFT_OUT: Final = 200
_MAX_NAME_BYTES: Final = 150
_MADE_BY_TOOLS: Final = frozenset({"__pycache__", "node_modules"})

_NOT_IN_NAMES: Final = re.compile(
    r'[\x00-\x1f\x7f-\x9f<>:"\\|?*\u061c\u200e\u200f\u202a-\u202e\u2066-\u2069\ud800-\udfff\ufffd]'
)
"""Control characters, what Windows refuses or reads as a path, and what shows a name in another order than it has."""
_WINDOWS_DEVICES: Final = re.compile(r"(con|prn|aux|nul|com\d|lpt\d)(\..*)?", re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class HomeFile:
    """A file; its path is below the home."""

    path: str
    data: bytes


@dataclass(frozen=True, slots=True)
class HomeFiles:
    """The files, sorted by path, and one line for each that was left out, with the reason."""

    files: tuple[HomeFile, ...] = ()
    left_out: tuple[str, ...] = ()


@on_sandbox_loop
async def home_files(sandboxes: Sandboxes, context: CallContext) -> HomeFiles:
    """Return the files in the home of the caller's sandbox; none when there is no sandbox, and none is created.

    Hidden files are the tools' own and are left out, but for large results that are kept in files.

    Raises:
        SandboxUnavailable: the sandbox does not answer.
    """
    if await sandboxes.find(context) is None:
        return HomeFiles()

    async def work(lease: Lease) -> HomeFiles:
        # Reading has no words for the model.
        return await _Collector(lease.sandbox).collected()

    return await sandboxes.run(context, work)


class _Collector:
    def __init__(self, sandbox: AsyncSandbox) -> None:
        self._sandbox = sandbox
        self._files: list[HomeFile] = []
        self._left_out: list[str] = []
        self._more_left_out = 0
        self._bytes_left = MAX_BYTES

    async def collected(self) -> HomeFiles:
        for entry in await self._entries():
            await self._take(entry)
        more = (f"and {self._more_left_out} more",) if self._more_left_out else ()
        return HomeFiles(tuple(sorted(self._files, key=lambda file: file.path)), (*self._left_out, *more))

    def _leave(self, path: str, reason: str) -> None:
        if len(self._left_out) == _MAX_LEFT_OUT:
            self._more_left_out += 1
        else:
            self._left_out.append(f"{path[:500]!a}: {reason}")

    async def _entries(self) -> list[EntryInfo]:
        """Return the files to take, those of upper folders first."""
        folders = [HOME, OUTPUT_FOLDER]
        found: list[EntryInfo] = []
        for number, folder in enumerate(folders):
            if number == _MAX_FOLDERS:
                self._leave(folder, f"there are more than {_MAX_FOLDERS} folders; it and others were not looked into")
                break
            for entry in await self._listed(folder):
                # Of a link, `type` is what it leads to with some servers.
                kind = FileType.SYMLINK if entry.symlink_target is not None else entry.type
                if kind is FileType.DIR:
                    folders.append(entry.path)
                elif kind is not FileType.FILE:
                    self._leave(entry.path, "a link, or no file")
                elif len(found) == MAX_FILES:
                    self._leave(entry.path, f"there are {MAX_FILES} files already")
                else:
                    found.append(entry)
        return found

    async def _listed(self, folder: str) -> list[EntryInfo]:
        try:
            entries = await self._sandbox.files.list(folder, depth=1)
        except e2b.SandboxException as error:
            if not _is_about_the_file(error):
                raise
            return []
        shown = []
        for entry in sorted(entries, key=lambda entry: entry.name):
            # Where it says it is counts for nothing: it is in the folder that was listed.
            entry.path = f"{folder}/{entry.name}"
            if "/" in entry.name or not entry.name:
                self._leave(entry.path, "not a name")
            elif not entry.name.startswith(".") and entry.name not in _MADE_BY_TOOLS:
                shown.append(entry)
        return shown

    async def _take(self, entry: EntryInfo) -> None:
        if entry.size > self._bytes_left:
            self._leave(entry.path, f"{entry.size} bytes are more than there is room for")
            return
        try:
            data = await bounded(self._sandbox, entry.path, self._bytes_left)
        except e2b.SandboxException as error:
            if not _is_about_the_file(error):
                raise
            self._leave(entry.path, str(error)[:200])
            return
        if data is None:
            self._leave(entry.path, "larger than it said")
            return
        self._bytes_left -= len(data)
        self._files.append(HomeFile(entry.path.removeprefix(f"{HOME}/"), data))


def _is_about_the_file(error: e2b.SandboxException) -> bool:
    """True when it is missing or not to be read, and the sandbox is well; the SDK has no class for "denied"."""
    return type(error) in (e2b.FileNotFoundException, e2b.InvalidArgumentException, e2b.SandboxException)


def zip_names(paths: Iterable[str]) -> list[str]:
    """Return a relative name for each path, which is one on every system and leads nowhere else; no two are alike."""
    taken: set[str] = set()
    names = []
    for path in paths:
        name = safe = "/".join(map(_safe_part, path.strip("/").split("/")))
        number = 1
        while name.casefold() in taken:
            number += 1
            stem, ending = posixpath.splitext(safe)
            name = f"{stem} ({number}){ending}"
        taken.add(name.casefold())
        names.append(name)
    return names


def _safe_part(part: str) -> str:
    part = _NOT_IN_NAMES.sub("_", part).rstrip(" .")
    if len(part.encode()) > _MAX_NAME_BYTES:
        stem, ending = posixpath.splitext(part)
        ending = ending[:20]
        part = stem.encode()[: _MAX_NAME_BYTES - len(ending.encode())].decode(errors="ignore") + ending
    if not part or _WINDOWS_DEVICES.fullmatch(part):
        part = f"_{part}"
    return part
