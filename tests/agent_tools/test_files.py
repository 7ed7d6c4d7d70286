"""Files of a sandbox, and between it and the host's allowed folders."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from agent_tools import CallContext, CallRefused, InvalidCall, PolicyRefusal, ToolExecutor

from .conftest import Contexts

PNG = bytes.fromhex("89504e470d0a1a0a")


async def test_a_file_is_written_read_and_replaced_with_its_folders_made(executor: ToolExecutor, context: CallContext):
    written = await executor.write_file("a/b/c.txt", "eins\nzwei\n", context)
    assert (written.path, written.size) == ("/home/user/a/b/c.txt", 10)
    read = await executor.read_file("/home/user/a/b/c.txt", context)
    assert (read.text, read.start_line, read.end_line, read.total_lines, read.size) == ("eins\nzwei\n", 1, 2, 2, 10)
    await executor.write_file("a/b/c.txt", "drei", context)
    assert (await executor.read_file("a/b/c.txt", context)).text == "drei"
    assert (await executor.execute_code("open('a/b/c.txt').read()", "python", context)).output == "drei"


async def test_lines_of_a_file_are_read(executor: ToolExecutor, context: CallContext):
    await executor.write_file("n.txt", "".join(f"{number}\n" for number in range(1, 101)), context)
    part = await executor.read_file("n.txt", context, start_line=10, end_line=12)
    assert (part.text, part.start_line, part.end_line, part.total_lines) == ("10\n11\n12\n", 10, 12, 100)
    assert (await executor.read_file("n.txt", context, start_line=99)).text == "99\n100\n"
    assert (await executor.read_file("n.txt", context, start_line=99, end_line=500)).end_line == 100
    for start, end in ((0, None), (5, 4), (-1, 2)):
        with pytest.raises(InvalidCall, match="lines count from 1"):
            await executor.read_file("n.txt", context, start_line=start, end_line=end)
    with pytest.raises(InvalidCall, match="has 100 lines"):
        await executor.read_file("n.txt", context, start_line=101)


async def test_a_long_file_is_cut_and_the_result_says_how_to_read_on(executor: ToolExecutor, new_context: Contexts):
    context = new_context(max_output_bytes=1024)
    await executor.write_file("long.txt", "x" * 5000, context)
    result = await executor.read_file("long.txt", context)
    assert result.text is not None and len(result.text) < 1100 and "bytes left out" in result.text
    assert result.notes and "start_line" in result.notes[0]


async def test_an_empty_file_and_an_image_and_bytes(executor: ToolExecutor, context: CallContext):
    await executor.write_file("empty.txt", "", context)
    empty = await executor.read_file("empty.txt", context)
    assert empty.success and empty.text == "" and empty.total_lines == 0
    await executor.write_file("p.PNG", PNG, context)
    image = await executor.read_file("p.PNG", context)
    assert (image.mime_type, image.image, image.text) == ("image/png", "iVBORw0KGgo=", None)
    await executor.write_file("b.bin", b"\xff\xfe\x00", context)
    with pytest.raises(InvalidCall, match=r"b.bin is not text \(3 bytes\)"):
        await executor.read_file("b.bin", context)
    assert await executor.read_bytes("b.bin", context) == b"\xff\xfe\x00"


async def test_an_edit_replaces_an_exact_string_that_is_there_once_or_everywhere(
    executor: ToolExecutor, context: CallContext
):
    await executor.write_file("e.py", "a = 1\nb = 1\n", context)
    assert (await executor.edit_file("e.py", "a = 1", "a = 2", context)).replacements == 1
    with pytest.raises(InvalidCall, match="old_string is 2 times"):
        await executor.edit_file("e.py", " = ", " == ", context)
    assert (await executor.edit_file("e.py", " = ", " == ", context, replace_all=True)).replacements == 2
    assert (await executor.read_file("e.py", context)).text == "a == 2\nb == 1\n"
    with pytest.raises(InvalidCall, match="old_string is not in"):
        await executor.edit_file("e.py", "nowhere", "x", context)
    for old, new in (("", "x"), ("a", "a")):
        with pytest.raises(InvalidCall, match="empty or the same"):
            await executor.edit_file("e.py", old, new, context)


async def test_a_folder_is_listed_with_sizes_and_depth(executor: ToolExecutor, context: CallContext):
    await executor.write_file("d/one.txt", "1", context)
    await executor.write_file("d/deep/two.txt", "22", context)
    flat = await executor.list_files("d", context)
    assert [(entry.name, entry.type, entry.size) for entry in flat.entries if entry.type == "file"] == [
        ("one.txt", "file", 1)
    ]
    deep = await executor.list_files("d", context, depth=2)
    assert "/home/user/d/deep/two.txt" in [entry.path for entry in deep.entries]
    assert not deep.truncated and deep.entries[0].modified.startswith("20")
    await executor.run_command("mkdir many && cd many && touch $(seq 1100)", context)
    many = await executor.list_files("many", context)
    assert len(many.entries) == 1000 and many.truncated


async def test_files_and_folders_are_deleted_and_moved(executor: ToolExecutor, context: CallContext):
    await executor.write_file("d/a", "1", context)
    await executor.write_file("b", "2", context)
    assert (await executor.rename_file("b", "d/b", context)).path == "/home/user/d/b"
    with pytest.raises(InvalidCall, match="already"):
        await executor.rename_file("d/a", "d/b", context)
    await executor.delete_file("d", context)
    with pytest.raises(InvalidCall, match="there is no /home/user/d"):
        await executor.delete_file("d", context)
    with pytest.raises(InvalidCall, match="itself cannot be deleted"):
        await executor.delete_file("/home/user", context)


@pytest.mark.parametrize(
    "path", ["/etc/passwd", "../../etc/passwd", "/proc/1/environ", "a\0b", "x" * 5000, "", "~root"]
)
async def test_paths_outside_are_refused_before_anything_is_made(
    executor: ToolExecutor, context: CallContext, path: str
):
    calls = [
        executor.read_file(path, context),
        executor.write_file(path, "x", context),
        executor.edit_file(path, "a", "b", context),
        executor.delete_file(path, context),
        executor.read_bytes(path, context),
    ]
    outcomes = []
    for call in calls:
        try:
            outcomes.append(await call)
        except CallRefused as refusal:
            outcomes.append(refusal.rule)
    assert all(isinstance(outcome, str) for outcome in outcomes) or path in ("~root",)


async def test_what_is_missing_or_a_folder_is_told(executor: ToolExecutor, context: CallContext):
    with pytest.raises(InvalidCall, match="there is no /home/user/nothing"):
        await executor.read_file("nothing", context)
    with pytest.raises(InvalidCall, match="list it with list_files"):
        await executor.read_file("/tmp", context)
    with pytest.raises(InvalidCall):
        await executor.list_files("nothing", context)
    await executor.write_file("f", "x", context)
    with pytest.raises(InvalidCall):
        await executor.write_file("f/below", "x", context)


async def test_a_link_out_of_the_home_shows_the_sandbox_s_own_files_only(executor: ToolExecutor, context: CallContext):
    await executor.run_command("ln -s /etc/passwd link; ln -s / root", context)
    host = Path("/etc/passwd").read_text()
    try:
        text = (await executor.read_file("link", context)).text
    except CallRefused:
        text = None
    assert text != host


async def test_a_file_over_the_policy_s_size_is_refused_either_way(executor: ToolExecutor, new_context: Contexts):
    context = new_context(max_file_bytes=1024)
    with pytest.raises(PolicyRefusal, match="has 2000 bytes"):
        await executor.write_file("big", "x" * 2000, context)
    await executor.run_command("head -c 2000 /dev/zero > big", context)
    for call in (executor.read_file("big", context), executor.read_bytes("big", context)):
        with pytest.raises(PolicyRefusal, match="has 2000 bytes"):
            await call
    with pytest.raises(PolicyRefusal):
        await executor.edit_file("big", "\0", "x" * 1024, context, replace_all=True)


async def test_without_a_file_system_there_are_no_file_tools(executor: ToolExecutor, new_context: Contexts):
    with pytest.raises(PolicyRefusal) as refusal:
        await executor.read_file("a", new_context(enable_file_system=False))
    assert refusal.value.rule == "files.off"


async def test_a_full_disk_is_told(executor: ToolExecutor, new_context: Contexts):
    context = new_context()
    await executor.run_command("head -c 10G /dev/zero > /tmp/fill", context)
    with pytest.raises(InvalidCall, match="disk is full"):
        await executor.write_file("/tmp/more", "x" * 1_000_000, context)
    assert (await executor.execute_code("1", "python", context)).success


# --- the host


async def test_files_go_between_the_host_s_folder_and_the_sandbox(
    executor: ToolExecutor, new_context: Contexts, tmp_path: Path
):
    context = new_context(host_directories=(str(tmp_path),))
    (tmp_path / "in.bin").write_bytes(b"\0\xff")
    uploaded = await executor.upload_file(str(tmp_path / "in.bin"), "in.bin", context)
    assert uploaded.path == "/home/user/in.bin"
    downloaded = await executor.download_file("in.bin", str(tmp_path / "out.bin"), context)
    assert (tmp_path / "out.bin").read_bytes() == b"\0\xff"
    assert downloaded.sandbox_id == uploaded.sandbox_id
    with pytest.raises(InvalidCall, match="exists"):
        await executor.download_file("in.bin", str(tmp_path / "out.bin"), context)
    with pytest.raises(InvalidCall):
        await executor.upload_file(str(tmp_path / "nothing"), "x", context)


async def test_no_way_leads_out_of_the_host_s_folder(executor: ToolExecutor, new_context: Contexts, tmp_path: Path):
    shared, secret = tmp_path / "shared", tmp_path / "secret"
    shared.mkdir()
    secret.write_text("secret")
    (shared / "link").symlink_to(secret)
    (shared / "folder").symlink_to(tmp_path)
    os.mkfifo(shared / "fifo")
    context = new_context(host_directories=(str(shared),))
    names = ("link", "folder/secret", "../secret", "fifo")
    for path in (*(str(shared / name) for name in names), str(secret), "/etc/passwd"):
        with pytest.raises(CallRefused):
            await executor.upload_file(path, "x", context)
    await executor.write_file("y", "y", context)
    (shared / "dangling").symlink_to(tmp_path / "new")
    for path in (str(shared / "dangling"), str(shared / "folder" / "new"), str(tmp_path / "new")):
        with pytest.raises(CallRefused):
            await executor.download_file("y", path, context)
    assert not (tmp_path / "new").exists()
    with pytest.raises(PolicyRefusal):
        await executor.upload_file(str(shared / "x"), "x", new_context())


async def test_an_edit_that_would_make_a_file_too_large_is_refused_before_it_is_made(
    executor: ToolExecutor, new_context: Contexts
):
    context = new_context(max_file_bytes=1024 * 1024)
    await executor.write_file("a.txt", "a" * 1_000_000, context)
    with pytest.raises(CallRefused) as refused:
        # Made first, it would be a terabyte.
        await executor.edit_file("a.txt", "a", "b" * 1_000_000, context, replace_all=True)
    assert refused.value.rule == "file.size"
    with pytest.raises(InvalidCall, match="lone surrogates"):
        await executor.edit_file("a.txt", "a", "\ud800", context, replace_all=True)


async def test_a_file_that_becomes_another_while_it_is_read_is_no_larger_than_the_policy_allows(
    executor: ToolExecutor, new_context: Contexts
):
    context = new_context(max_file_bytes=1024 * 1024)
    swap = "ln -sfn small link; ln -sfn large link"
    await executor.run_command(
        f"echo x > small; truncate -s 64M large; ln -s small link; while true; do {swap}; done",
        context,
        background=True,
    )
    # Sooner or later a look at one file is followed by a read of the other.
    for _ in range(60):
        try:
            assert len(await executor.read_bytes("link", context)) <= 1024 * 1024
        except CallRefused as refused:
            assert refused.rule in ("file.size", "file.missing", "file.folder")
