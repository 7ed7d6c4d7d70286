"""Files of a thread's sandbox. Only the sandbox itself follows their paths."""

from __future__ import annotations

import posixpath
from typing import Annotated
from urllib.parse import quote

from fastapi import APIRouter, Form, Query, Response, UploadFile

from agent_tools.results import FileResult, FolderResult

from . import callers
from .bodies import StrictRoute
from .callers import Current
from .code_models import (
    DEFAULT_THREAD,
    DeleteCall,
    ListCall,
    Path,
    ReadCall,
    ReadFile,
    RenameCall,
    ThreadId,
    WriteCall,
)
from .problems import described
from .services import Used

router = APIRouter(
    prefix="/code",
    tags=["files"],
    route_class=StrictRoute,
    dependencies=[callers.described],
    responses=described(400, 401, 403, 404, 413, 422, 429, 503),
)


@router.post("/write-file")
async def write_file(call: WriteCall, caller: Current, services: Used) -> FileResult:
    """Write a text file, replacing what it held and making its folders."""
    context = services.context(caller, call.thread_id, call.policy, approved=call.approved)
    return await services.executor.write_file(call.path, call.content, context)


@router.post("/read-file")
async def read_file(call: ReadCall, caller: Current, services: Used) -> ReadFile:
    """Read a text file or an image. Long text is shortened in the middle; a download has all of it."""
    context = services.context(caller, call.thread_id, call.policy)
    result = await services.executor.read_file(call.path, context, start_line=call.start_line, end_line=call.end_line)
    return ReadFile.of(result)


@router.post("/list-files")
async def list_files(call: ListCall, caller: Current, services: Used) -> FolderResult:
    """List a folder."""
    context = services.context(caller, call.thread_id, call.policy)
    return await services.executor.list_files(call.path, context, depth=call.depth)


@router.post("/delete-file")
async def delete_file(call: DeleteCall, caller: Current, services: Used) -> FileResult:
    """Delete a file, or a folder with all in it."""
    context = services.context(caller, call.thread_id, call.policy)
    return await services.executor.delete_file(call.path, context)


@router.post("/rename-file", responses=described(409))
async def rename_file(call: RenameCall, caller: Current, services: Used) -> FileResult:
    """Move a file or a folder. What is there already is not overwritten."""
    context = services.context(caller, call.thread_id, call.policy, approved=call.approved)
    return await services.executor.rename_file(call.path, call.new_path, context)


@router.post("/upload")
async def upload(
    caller: Current,
    services: Used,
    file: UploadFile,
    path: Annotated[str | None, Form(max_length=4096, description="Where to; by default its own name.")] = None,
    thread_id: Annotated[ThreadId, Form()] = DEFAULT_THREAD,
) -> FileResult:
    """Write a file of any kind, sent as multipart/form-data."""
    context = services.context(caller, thread_id)
    target = path or posixpath.basename((file.filename or "").replace("\\", "/")) or "upload"
    # One byte more than the policy allows is enough to be refused.
    data = await file.read(context.policy.max_file_bytes + 1)
    return await services.executor.write_file(target, data, context)


@router.get("/download", response_class=Response, responses={200: {"content": {"application/octet-stream": {}}}})
async def download(
    caller: Current,
    services: Used,
    path: Annotated[Path, Query()],
    thread_id: Annotated[ThreadId, Query()] = DEFAULT_THREAD,
) -> Response:
    """Return a file's bytes, always as a download: a browser shows nothing of it on this origin."""
    data = await services.executor.read_bytes(path, services.context(caller, thread_id))
    return attachment(data, posixpath.basename(path), "application/octet-stream")


def attachment(data: bytes, name: str, media_type: str) -> Response:
    """Return bytes as a file to be saved under a name, which may come from anywhere."""
    plain = "".join(ch if ch.isascii() and (ch.isalnum() or ch in "._-") else "_" for ch in name)[:100] or "file"
    encoded = quote(name[:200].encode(errors="replace"))
    disposition = f"attachment; filename=\"{plain}\"; filename*=UTF-8''{encoded}"
    return Response(data, media_type=media_type, headers={"content-disposition": disposition})
