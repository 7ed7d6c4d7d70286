"""Files of a caller's sandbox. Paths have passed the policy's checks; only the sandbox itself follows them."""

from __future__ import annotations

import asyncio
import base64
import posixpath
import re
from collections.abc import Awaitable, Callable
from typing import TypeVar

import e2b
from e2b import EntryInfo, FileType
from e2b_code_interpreter import AsyncSandbox

from .checking import checking, passed
from .context import CallContext
from .errors import InvalidCall, PolicyRefusal
from .output import shortened
from .results import FileEntry, FileResult, FolderResult, Result
from .rules.bounds import check_file_size
from .rules.host import check_host_path
from .rules.paths import check_file_name, check_path
from .sandboxes import Lease, Sandboxes

Done = TypeVar("Done")

MAX_ENTRIES = 1000
IMAGE_TYPES = {
    ".png": "image/png",
    ".jpg": "image/jpeg",
    ".jpeg": "image/jpeg",
    ".gif": "image/gif",
    ".webp": "image/webp",
}
MAX_IMAGE_BYTES = 4 * 1024 * 1024
"""What providers take of one image."""
_DENIED = re.compile(r"403: |(Code\.)?permission_denied: ", re.IGNORECASE)
"""The SDK has no class for it, only the status of HTTP or the code of Connect."""


async def read(
    sandboxes: Sandboxes, context: CallContext, file_path: str, start_line: int | None, end_line: int | None
) -> FileResult:
    """Read a text file, whole or some of its lines (from 1, both included), or an image.

    Raises:
        CallRefused: the path is not allowed, is no file, or holds neither text nor an image.
    """
    path = _checked(context, file_path)
    if (start_line is not None and start_line < 1) or (end_line is not None and end_line < (start_line or 1)):
        raise InvalidCall("lines count from 1, and the last one does not come before the first", rule="file.lines")

    async def work(lease: Lease) -> FileResult:
        data = await _bytes(lease.sandbox, path, context)
        ending = posixpath.splitext(path)[1].lower()
        if ending in IMAGE_TYPES:
            return _image(lease, path, data, IMAGE_TYPES[ending])
        try:
            text = data.decode()
        except UnicodeDecodeError:
            raise InvalidCall(
                f"{path} is not text ({len(data)} bytes); read it with code in the sandbox", rule="file.binary"
            ) from None
        lines = text.splitlines(keepends=True)
        first, last = start_line or 1, min(end_line or len(lines), len(lines))
        if first > max(1, len(lines)):
            raise InvalidCall(f"{path} has {len(lines)} lines", rule="file.lines")
        shown, cut = shortened("".join(lines[first - 1 : last]), context.policy.max_output_bytes)
        notes = ("only its beginning and end are shown; read it in parts with start_line and end_line",) if cut else ()
        return FileResult(
            success=True,
            path=path,
            sandbox_id=lease.id,
            text=shown,
            start_line=first if lines else None,
            end_line=last if lines else None,
            total_lines=len(lines),
            size=len(data),
            notes=notes,
        )

    return await _run(sandboxes, context, work, path)


def _image(lease: Lease, path: str, data: bytes, mime_type: str) -> FileResult:
    if len(data) > MAX_IMAGE_BYTES:
        raise InvalidCall(
            f"{path} is an image of {len(data)} bytes; make it smaller than {MAX_IMAGE_BYTES // 2**20} MiB first",
            rule="file.size",
        )
    return FileResult(
        success=True,
        path=path,
        sandbox_id=lease.id,
        size=len(data),
        mime_type=mime_type,
        image=base64.b64encode(data).decode(),
    )


async def read_bytes(sandboxes: Sandboxes, context: CallContext, file_path: str) -> bytes:
    """Return a file's bytes, up to the policy's `max_file_bytes`.

    Raises:
        CallRefused: the path is not allowed, is no file, or the file is too large.
    """
    path = _checked(context, file_path)
    return await _run(sandboxes, context, lambda lease: _bytes(lease.sandbox, path, context), path)


async def write(sandboxes: Sandboxes, context: CallContext, file_path: str, content: str | bytes) -> FileResult:
    """Write a file, replacing what it held and making its folders.

    Raises:
        CallRefused: the path, the name or the size is not allowed.
    """
    path = _checked(context, file_path)
    try:
        data = content if isinstance(content, bytes) else content.encode()
    except UnicodeEncodeError:
        raise InvalidCall("the content holds lone surrogates, which are no text", rule="file.text") from None
    with checking(context, "write_file", names=(path,)):
        warnings = passed(context, check_file_name(context.policy, path), "write_file", names=(path,))
        check_file_size(context.policy, len(data), path)

    async def work(lease: Lease) -> FileResult:
        await lease.sandbox.files.write(path, data)
        return FileResult(success=True, path=path, sandbox_id=lease.id, size=len(data), notes=warnings)

    return await _run(sandboxes, context, work, path)


async def edit(
    sandboxes: Sandboxes, context: CallContext, file_path: str, old: str, new: str, *, replace_all: bool
) -> FileResult:
    """Replace `old`, which must be there exactly once, or everywhere.

    Raises:
        CallRefused: `old` is not there, or more than once; the path is not allowed.
    """
    path = _checked(context, file_path)
    if not old or old == new:
        raise InvalidCall("old_string is empty or the same as new_string", rule="edit.nothing")

    try:
        growth = len(new.encode()) - len(old.encode())
    except UnicodeEncodeError:
        raise InvalidCall("the strings hold lone surrogates, which are no text", rule="file.text") from None

    async def work(lease: Lease) -> FileResult:
        before = await _bytes(lease.sandbox, path, context)
        try:
            text = before.decode()
        except UnicodeDecodeError:
            raise InvalidCall(f"{path} is not text", rule="file.binary") from None
        count = text.count(old)
        if count == 0:
            raise InvalidCall(
                f"old_string is not in {path}; read the file, and copy the text with its spaces and line breaks",
                rule="edit.not_found",
            )
        if count > 1 and not replace_all:
            raise InvalidCall(
                f"old_string is {count} times in {path}; give more of the lines around it, or set replace_all",
                rule="edit.not_unique",
            )
        # Before it is made: a long string in the place of each letter would take all memory.
        check_file_size(context.policy, len(before) + count * growth, path)
        data = text.replace(old, new).encode()
        await lease.sandbox.files.write(path, data)
        return FileResult(success=True, path=path, sandbox_id=lease.id, size=len(data), replacements=count)

    return await _run(sandboxes, context, work, path)


async def entries(sandboxes: Sandboxes, context: CallContext, folder: str, depth: int) -> FolderResult:
    """List a folder, `depth` levels deep.

    Raises:
        CallRefused: the path is not allowed or is no folder.
    """
    path = _checked(context, folder)
    if not 1 <= depth <= 10:
        raise InvalidCall("depth is between 1 and 10", rule="list.depth")

    async def work(lease: Lease) -> FolderResult:
        found = sorted(await lease.sandbox.files.list(path, depth=depth), key=lambda entry: entry.path)
        return FolderResult(
            success=True,
            path=path,
            sandbox_id=lease.id,
            entries=tuple(map(_entry, found[:MAX_ENTRIES])),
            truncated=len(found) > MAX_ENTRIES,
        )

    return await _run(sandboxes, context, work, path)


def _entry(info: EntryInfo) -> FileEntry:
    return FileEntry(
        name=info.name,
        path=info.path,
        type="directory" if info.type is FileType.DIR else "file" if info.type is FileType.FILE else "other",
        size=info.size,
        modified=info.modified_time.isoformat(timespec="seconds") if info.modified_time else "",
    )


async def delete(sandboxes: Sandboxes, context: CallContext, file_path: str) -> FileResult:
    """Delete a file, or a folder with all in it.

    Raises:
        CallRefused: there is none, or the path is not allowed.
    """
    path = _checked(context, file_path)
    if path in ("/home/user", "/tmp"):
        raise InvalidCall(f"{path} itself cannot be deleted; name what is in it", rule="path.root")

    async def work(lease: Lease) -> FileResult:
        if not await lease.sandbox.files.exists(path):
            raise InvalidCall(f"there is no {path}", rule="file.missing")
        await lease.sandbox.files.remove(path)
        return FileResult(success=True, path=path, sandbox_id=lease.id)

    return await _run(sandboxes, context, work, path)


async def rename(sandboxes: Sandboxes, context: CallContext, file_path: str, new_path: str) -> FileResult:
    """Move a file or a folder; what is at the new path already is not overwritten.

    Raises:
        CallRefused: there is none, there is one at the new path, or a path is not allowed.
    """
    source, target = _checked(context, file_path), _checked(context, new_path)
    if source in ("/home/user", "/tmp"):
        raise InvalidCall(f"{source} itself cannot be moved; name what is in it", rule="path.root")
    with checking(context, "rename_file", names=(source, target)):
        warnings = passed(context, check_file_name(context.policy, target), "rename_file", names=(target,))

    async def work(lease: Lease) -> FileResult:
        if await lease.sandbox.files.exists(target):
            raise InvalidCall(f"there is a {target} already; delete it first", rule="file.exists")
        await lease.sandbox.files.rename(source, target)
        return FileResult(success=True, path=target, sandbox_id=lease.id, notes=warnings)

    return await _run(sandboxes, context, work, source)


async def upload(sandboxes: Sandboxes, context: CallContext, host_path: str, file_path: str) -> FileResult:
    """Copy a file of the host's allowed folders into the sandbox.

    Raises:
        CallRefused: the policy allows no host folder, or not this one; there is no such file.
    """
    with checking(context, "upload_file", names=(host_path,)):
        source = check_host_path(context.policy, host_path)
    try:
        size = await asyncio.to_thread(lambda: source.stat().st_size)
        check_file_size(context.policy, size, host_path)
        data = await asyncio.to_thread(source.read_bytes)
    except OSError as error:
        raise InvalidCall(f"{host_path} cannot be read: {error.strerror}", rule="host.read") from error
    return await write(sandboxes, context, file_path, data)


async def download(sandboxes: Sandboxes, context: CallContext, file_path: str, host_path: str) -> FileResult:
    """Copy a file of the sandbox into the host's allowed folders; an existing file is not overwritten.

    Raises:
        CallRefused: the policy allows no host folder, or not this one; there is no such file, or one there already.
    """
    with checking(context, "download_file", names=(host_path,)):
        target = check_host_path(context.policy, host_path)
        passed(context, check_file_name(context.policy, host_path), "download_file", names=(host_path,))
    data = await read_bytes(sandboxes, context, file_path)

    def store() -> None:
        with open(target, "xb") as file:
            file.write(data)

    try:
        await asyncio.to_thread(store)
    except OSError as error:
        raise InvalidCall(f"{host_path} cannot be written: {error.strerror}", rule="host.write") from error
    found = await sandboxes.find(context)
    return FileResult(success=True, path=host_path, size=len(data), sandbox_id=found.sandbox_id if found else "")


def _checked(context: CallContext, path: str) -> str:
    with checking(context, "files", names=(path,)):
        if not context.policy.enable_file_system:
            raise PolicyRefusal("the policy allows no file tools (enableFileSystem)", rule="files.off")
        return check_path(context.policy, path)


async def _bytes(sandbox: AsyncSandbox, path: str, context: CallContext) -> bytes:
    info = await sandbox.files.get_info(path)
    if info.type is not FileType.FILE:
        raise InvalidCall(f"{path} is a folder; list it with list_files", rule="file.folder")
    check_file_size(context.policy, info.size, path)
    data = await bounded(sandbox, path, context.policy.max_file_bytes)
    if data is None:
        raise InvalidCall(f"{path} is larger now than it was a moment ago; read it again", rule="file.size")
    return data


async def bounded(sandbox: AsyncSandbox, path: str, most_bytes: int) -> bytes | None:
    """Return a file's bytes; None as soon as there are more. The size that a sandbox says is only a word."""
    data = bytearray()
    async with await sandbox.files.read(path, format="stream") as pieces:
        async for piece in pieces:
            data += piece
            if len(data) > most_bytes:
                return None
    return bytes(data)


async def _run(sandboxes: Sandboxes, context: CallContext, work: Callable[[Lease], Awaitable[Done]], path: str) -> Done:
    """Run in the sandbox; what the file system refuses is told to the model, and that an earlier sandbox was lost."""

    async def told(lease: Lease) -> Done:
        try:
            done = await refused(lease)
        except InvalidCall as refusal:
            # A file is missing because the sandbox that had it is gone.
            if (loss := lease.loss()) is None:
                raise
            raise InvalidCall(f"{refusal} ({loss})", rule=refusal.rule) from refusal
        return lease.telling_loss(done) if isinstance(done, Result) else done

    async def refused(lease: Lease) -> Done:
        try:
            return await work(lease)
        except e2b.FileNotFoundException:
            raise InvalidCall(f"there is no {path}", rule="file.missing") from None
        except e2b.InvalidArgumentException as error:
            raise InvalidCall(f"{path}: {error}", rule="file.invalid") from error
        except e2b.NotEnoughSpaceException:
            raise InvalidCall(
                "the sandbox's disk is full; delete files that are not needed", rule="disk.full"
            ) from None
        except e2b.SandboxException as error:
            if not _DENIED.match(str(error)):
                raise
            raise InvalidCall(f"{path}: permission denied", rule="file.permission") from error

    return await sandboxes.run(context, told)
