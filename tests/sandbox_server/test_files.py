"""Files of a sandbox, through the SDK and as plain HTTP: what goes in comes out, and what cannot be says why."""

from __future__ import annotations

import asyncio
import gzip
import hashlib
import io
import os
import random
import threading
from collections.abc import Callable, Iterator

import httpx
import pytest
from e2b import (
    AuthenticationException,
    FileNotFoundException,
    FileType,
    InvalidArgumentException,
    NotEnoughSpaceException,
    SandboxException,
)
from e2b.sandbox.filesystem.filesystem import WriteEntry
from e2b_code_interpreter import AsyncSandbox, Sandbox

from .conftest import RunningServer
from .waiting import wait_until

MIB = 1024 * 1024
Headers = dict[str, str]


@pytest.fixture
def headers(sandbox: Sandbox) -> Headers:
    """What the SDK sends with a request for a file."""
    token = sandbox._envd_access_token
    assert token
    return {"E2b-Sandbox-Id": sandbox.sandbox_id, "X-Access-Token": token}


@pytest.fixture
def http(server: RunningServer, headers: Headers) -> Iterator[httpx.Client]:
    """A plain client for the sandbox's /files."""
    with httpx.Client(base_url=server.url, headers=headers, timeout=60, trust_env=False) as client:
        yield client


def noise(size: int, seed: int = 0) -> bytes:
    return random.Random(seed).randbytes(size)


@pytest.mark.parametrize("octets", [True, False], ids=["octet-stream", "multipart"])
@pytest.mark.parametrize("size", [0, 1, 65535, 65536, 65537, 10 * MIB])
def test_bytes_come_out_as_they_went_in(sandbox: Sandbox, size: int, octets: bool) -> None:
    data = noise(size)
    sandbox.files.write("data.bin", data, use_octet_stream=octets)
    assert sandbox.files.read("data.bin", format="bytes") == data
    assert sandbox.commands.run("sha256sum < data.bin").stdout.split()[0] == hashlib.sha256(data).hexdigest()


@pytest.mark.parametrize("text", ["", "plain", "line\r\nline\n", "żółć 🐍", "\ufeffwith a mark", "nul\0inside"])
def test_text_comes_out_as_it_went_in(sandbox: Sandbox, text: str) -> None:
    sandbox.files.write("note.txt", text)
    assert sandbox.files.read("note.txt") == text


def test_two_hundred_megabytes_are_streamed_both_ways(sandbox: Sandbox) -> None:
    piece = noise(MIB)
    expected = hashlib.sha256(piece * 200).hexdigest()
    sandbox.files.write("large.bin", (piece for _ in range(200)))
    digest = hashlib.sha256()
    for chunk in sandbox.files.read("large.bin", format="stream"):
        digest.update(chunk)
    assert digest.hexdigest() == expected
    assert sandbox.files.get_info("large.bin").size == 200 * MIB


@pytest.mark.parametrize(
    "data",
    [
        pytest.param(lambda: io.BytesIO(b"abc" * 1000), id="binary file"),
        pytest.param(lambda: io.StringIO("abc" * 1000), id="text file"),
        pytest.param(lambda: iter([b"abc"] * 1000), id="iterator"),
    ],
)
def test_whatever_can_be_read_can_be_written(sandbox: Sandbox, data: Callable[[], io.BytesIO]) -> None:
    sandbox.files.write("data", data())
    assert sandbox.files.read("data") == "abc" * 1000


@pytest.mark.parametrize("size", [0, 1000, 5 * MIB])
def test_gzip_is_undone_on_the_way_in_and_done_on_the_way_out(sandbox: Sandbox, size: int) -> None:
    data = noise(size // 2) + bytes(size - size // 2)
    sandbox.files.write("data.bin", data, gzip=True)
    assert sandbox.files.get_info("data.bin").size == size
    assert sandbox.files.read("data.bin", format="bytes", gzip=True) == data


def test_many_files_are_written_at_once_with_their_folders(sandbox: Sandbox) -> None:
    entries = [WriteEntry(path=f"a/{number}/b.txt", data=str(number)) for number in range(50)]
    written = sandbox.files.write_files(entries)
    assert [entry.path for entry in written] == [f"/home/user/a/{number}/b.txt" for number in range(50)]
    assert sandbox.commands.run("cat a/*/b.txt | wc -c").stdout.strip() == str(sum(len(str(n)) for n in range(50)))


def test_a_shorter_text_replaces_a_longer_one_and_links_stay(sandbox: Sandbox) -> None:
    sandbox.files.write("a", "something long")
    sandbox.commands.run("ln a hard; ln -s a soft; chmod 700 a")
    sandbox.files.write("soft", "short")
    assert sandbox.files.read("hard") == "short"
    assert sandbox.files.get_info("a").mode == 0o700


@pytest.mark.parametrize(
    "path",
    [
        "with space",
        "żółć/🐍.txt",
        "per%20cent",
        "plus+and&and=",
        "quote'\"",
        "semi;colon#hash?mark",
        "new\nline",
        "a" * 255,
    ],
)
def test_every_name_that_linux_takes_works(sandbox: Sandbox, path: str) -> None:
    sandbox.files.write(path, "here")
    assert sandbox.files.read(path) == "here"
    assert sandbox.files.exists(path)
    assert sandbox.files.get_info(path).path == f"/home/user/{path}"
    folder, _, name = path.rpartition("/")
    assert name in [entry.name for entry in sandbox.files.list(folder or "/home/user")]
    sandbox.files.remove(path)
    assert not sandbox.files.exists(path)


@pytest.mark.parametrize("path", ["~/a.txt", "./x/../a.txt", "/home/user/a.txt", "/home/user//a.txt"])
def test_a_path_is_absolute_or_relative_to_home(sandbox: Sandbox, path: str) -> None:
    sandbox.files.write("a.txt", "home")
    assert sandbox.files.read(path) == "home"


@pytest.mark.parametrize("path", ["a\0b", "x" * 5000, "~nobody/a"])
def test_a_path_that_cannot_be_is_an_error_that_says_so(sandbox: Sandbox, path: str) -> None:
    for call in (sandbox.files.read, sandbox.files.list, sandbox.files.remove, sandbox.files.make_dir):
        with pytest.raises(InvalidArgumentException):
            call(path)
    with pytest.raises(InvalidArgumentException):
        sandbox.files.write(path, "x")


def test_what_is_not_there_is_not_found_by_every_call(sandbox: Sandbox) -> None:
    for call in (sandbox.files.read, sandbox.files.get_info, sandbox.files.list):
        with pytest.raises(FileNotFoundException):
            call("missing")
    with pytest.raises(FileNotFoundException):
        sandbox.files.rename("missing", "other")
    assert not sandbox.files.exists("missing")


@pytest.mark.parametrize("path", ["/etc/passwd", "/usr/bin/env", "/new-folder/file", "/proc/sys/kernel/core_pattern"])
def test_the_system_is_read_only(sandbox: Sandbox, path: str) -> None:
    with pytest.raises(SandboxException):
        sandbox.files.write(path, "mine now")
    with pytest.raises(SandboxException):
        sandbox.files.rename(path, "stolen")


@pytest.mark.parametrize("path", ["/home/user", "/tmp"])
def test_a_folder_cannot_be_read_or_written_as_a_file(sandbox: Sandbox, path: str) -> None:
    with pytest.raises(InvalidArgumentException, match="directory"):
        sandbox.files.read(path)
    with pytest.raises(InvalidArgumentException, match="directory"):
        sandbox.files.write(path, "x")


def test_a_pipe_or_a_device_is_refused_and_never_waited_for(sandbox: Sandbox) -> None:
    sandbox.commands.run("mkfifo pipe")
    for path in ("pipe", "/dev/zero"):
        with pytest.raises(SandboxException):
            sandbox.files.read(path)
        with pytest.raises(SandboxException):
            sandbox.files.write(path, "x")


@pytest.mark.parametrize("user", ["root", "nobody"])
def test_files_of_another_user_are_refused(sandbox: Sandbox, user: str) -> None:
    for call in (sandbox.files.read, sandbox.files.list, sandbox.files.get_info, sandbox.files.remove):
        with pytest.raises(AuthenticationException, match="no root"):
            call("/home/user", user=user)
    with pytest.raises(AuthenticationException, match="no root"):
        sandbox.files.write("a", "x", user=user)


def test_a_full_home_is_an_error_that_says_so_and_deleting_helps(sandbox: Sandbox) -> None:
    sandbox.files.write("/tmp/keep", "kept")
    with pytest.raises(NotEnoughSpaceException):
        sandbox.files.write("/tmp/large", (bytes(MIB) for _ in range(400)))
    assert not sandbox.files.exists("/tmp/large")
    assert sandbox.files.read("/tmp/keep") == "kept"
    sandbox.files.write("/tmp/small", "fits")


def test_list_goes_as_deep_as_asked_and_follows_no_links(sandbox: Sandbox) -> None:
    sandbox.commands.run("mkdir -p top/a/b/c; touch top/1 top/a/2 top/a/b/3; ln -s .. top/a/up; ln -s nowhere top/lost")

    def names(depth: int) -> list[str]:
        return [entry.path.removeprefix("/home/user/top/") for entry in sandbox.files.list("top", depth=depth)]

    assert names(1) == ["1", "a", "lost"]
    assert names(2) == ["1", "a", "a/2", "a/b", "a/up", "lost"]
    assert names(9) == ["1", "a", "a/2", "a/b", "a/b/3", "a/b/c", "a/up", "lost"]
    types = {entry.name: entry.type for entry in sandbox.files.list("top", depth=2)}
    assert types == {
        "1": FileType.FILE,
        "a": FileType.DIR,
        "2": FileType.FILE,
        "b": FileType.DIR,
        "up": FileType.DIR,
        "lost": FileType.SYMLINK,
    }


@pytest.mark.parametrize("depth", [0, -1])
def test_a_depth_that_is_none_is_refused(sandbox: Sandbox, depth: int) -> None:
    with pytest.raises(InvalidArgumentException):
        sandbox.files.list("/home/user", depth=depth)


def test_info_tells_what_ls_tells(sandbox: Sandbox) -> None:
    sandbox.commands.run("printf 12345 > a; chmod 640 a; ln -s a link")
    info = sandbox.files.get_info("a")
    assert (info.name, info.path, info.type, info.size) == ("a", "/home/user/a", FileType.FILE, 5)
    assert (info.mode, info.permissions, info.owner, info.group) == (0o640, "-rw-r-----", "user", "user")
    assert abs(info.modified_time.timestamp() - float(sandbox.commands.run("stat -c %Y a").stdout)) < 1
    assert sandbox.files.get_info("link").symlink_target == "/home/user/a"


def test_make_dir_says_whether_it_made_one(sandbox: Sandbox) -> None:
    assert sandbox.files.make_dir("a/b/c")
    assert not sandbox.files.make_dir("a/b/c")
    sandbox.files.write("file", "x")
    with pytest.raises(InvalidArgumentException):
        sandbox.files.make_dir("file")


def test_rename_moves_files_and_folders_also_between_file_systems(sandbox: Sandbox) -> None:
    sandbox.files.write("folder/a.txt", "moved")
    assert sandbox.files.rename("folder", "/tmp/new/place").path == "/tmp/new/place"
    assert sandbox.files.read("/tmp/new/place/a.txt") == "moved"
    assert not sandbox.files.exists("folder")
    sandbox.files.write("b.txt", "other")
    sandbox.files.rename("/tmp/new/place/a.txt", "b.txt")
    assert sandbox.files.read("b.txt") == "moved"


def test_remove_takes_a_folder_with_all_in_it_but_not_what_a_link_leads_to(sandbox: Sandbox) -> None:
    sandbox.commands.run("mkdir -p kept gone/deep; touch kept/a gone/deep/b; ln -s ../kept gone/link")
    sandbox.files.remove("gone")
    assert not sandbox.files.exists("gone")
    assert sandbox.files.exists("kept/a")
    sandbox.files.remove("gone")


def test_metadata_is_kept_with_the_file_and_replaced_with_its_content(sandbox: Sandbox) -> None:
    sandbox.files.write("a", "1", metadata={"Origin": "upload", "x-y": "z w"})
    assert sandbox.files.get_info("a").metadata == {"origin": "upload", "x-y": "z w"}
    sandbox.files.rename("a", "b")
    assert sandbox.files.get_info("b").metadata == {"origin": "upload", "x-y": "z w"}
    sandbox.files.write("b", "2")
    assert not sandbox.files.get_info("b").metadata


@pytest.mark.parametrize(
    ("span", "status", "expected"),
    [
        ("bytes=0-0", 206, b"0"),
        ("bytes=2-4", 206, b"234"),
        ("bytes=7-", 206, b"789"),
        ("bytes=-3", 206, b"789"),
        ("bytes=5-100", 206, b"56789"),
        ("bytes=-100", 206, b"0123456789"),
        ("bytes=10-", 416, b""),
        ("bytes=4-2", 416, b""),
        ("bytes=-0", 416, b""),
        ("bytes=0-1,4-5", 200, b"0123456789"),
        ("lines=0-1", 200, b"0123456789"),
        ("bytes=٣-٤", 200, b"0123456789"),
    ],
)
def test_a_part_of_a_file_can_be_asked_for(
    sandbox: Sandbox, http: httpx.Client, span: str, status: int, expected: bytes
) -> None:
    sandbox.files.write("digits", "0123456789")
    answer = http.get("/files", params={"path": "digits"}, headers=[(b"range", span.encode())])
    assert (answer.status_code, answer.content) == (status, expected)


OCTETS = {"content-type": "application/octet-stream"}
FORM = {"content-type": "multipart/form-data; boundary=b"}
BROKEN_UPLOADS: dict[str, tuple[bytes, Headers]] = {
    "no gzip": (b"\x1f\x8b broken", OCTETS | {"content-encoding": "gzip"}),
    "half a gzip": (gzip.compress(b"x" * 1000)[:-6], OCTETS | {"content-encoding": "gzip"}),
    "unknown encoding": (b"x", OCTETS | {"content-encoding": "br"}),
    "unknown type": (b"x", {"content-type": "text/plain"}),
    "form without boundary": (b"x", {"content-type": "multipart/form-data"}),
    "no form": (b"not a form", FORM),
    "half a form": (b'--b\r\ncontent-disposition: form-data; name="file"\r\n\r\nhalf', FORM),
}


@pytest.mark.parametrize("case", BROKEN_UPLOADS)
def test_a_broken_upload_is_a_400_and_leaves_no_file(sandbox: Sandbox, http: httpx.Client, case: str) -> None:
    body, fields = BROKEN_UPLOADS[case]
    answer = http.post("/files", params={"path": "half"}, content=body, headers=fields)
    assert answer.status_code == 400
    assert answer.json()["message"]
    assert not sandbox.files.exists("half")


@pytest.mark.parametrize("size", [100, MIB, 20 * MIB])
def test_an_upload_that_is_refused_early_does_not_disturb_the_next_requests(
    sandbox: Sandbox, http: httpx.Client, size: int
) -> None:
    sandbox.files.write("small", "fine")
    for _ in range(10):
        # A refusal comes before the body was sent; a client may stop sending then.
        try:
            answer = http.post(
                "/files",
                params={"path": "/home/user"},
                content=bytes(size),
                headers={"content-type": "application/octet-stream"},
            )
            assert answer.status_code == 400
        except httpx.TransportError:
            assert size > MIB
        assert sandbox.files.read("small") == "fine"


def test_uploads_broken_off_by_their_clients_do_not_disturb_others(sandbox: Sandbox, http: httpx.Client) -> None:
    def breaks_off() -> Iterator[bytes]:
        yield bytes(100_000)
        raise ConnectionAbortedError

    sandbox.files.write("small", "fine")
    for number in range(20):
        with pytest.raises(ConnectionAbortedError):
            http.post(
                "/files",
                params={"path": f"partial-{number}"},
                content=breaks_off(),
                headers={"content-type": "application/octet-stream", "content-length": "1000000"},
            )
        assert sandbox.files.read("small") == "fine"
    wait_until(lambda: [entry.name for entry in sandbox.files.list(".") if entry.name.startswith("partial")] == [])


def test_downloads_broken_off_by_their_clients_do_not_disturb_others(sandbox: Sandbox, http: httpx.Client) -> None:
    sandbox.files.write("large", bytes(20 * MIB))
    sandbox.files.write("small", "fine")
    for _ in range(20):
        with http.stream("GET", "/files", params={"path": "large"}) as answer:
            assert next(answer.iter_raw())
        assert sandbox.files.read("small") == "fine"


def test_a_file_that_shrinks_while_it_is_read_breaks_off_instead_of_lying(sandbox: Sandbox, http: httpx.Client) -> None:
    sandbox.files.write("large", bytes(50 * MIB))
    with (
        pytest.raises(httpx.RemoteProtocolError),
        http.stream("GET", "/files", params={"path": "large"}) as answer,
    ):
        chunks = answer.iter_raw()
        next(chunks)
        sandbox.commands.run("truncate -s 1000 large")
        for _ in chunks:
            pass
    assert sandbox.files.get_info("large").size == 1000


def test_head_of_a_file_has_its_length_and_no_body(sandbox: Sandbox, http: httpx.Client) -> None:
    sandbox.files.write("a", "12345")
    for _ in range(3):
        answer = http.head("/files", params={"path": "a"})
        assert (answer.status_code, answer.headers["content-length"], answer.content) == (200, "5", b"")
    assert http.get("/files", params={"path": "a"}).text == "12345"


def test_expect_100_continue_is_answered_before_the_body(
    server: RunningServer, sandbox: Sandbox, headers: Headers
) -> None:
    url = httpx.URL(server.url)
    fields = {**headers, "Host": f"{url.host}:{url.port}", "Content-Type": "application/octet-stream"}
    fields |= {"Content-Length": "5", "Expect": "100-continue", "Connection": "close"}
    lines = ["POST /files?path=a HTTP/1.1", *(f"{name}: {value}" for name, value in fields.items())]

    async def upload() -> bytes:
        reader, writer = await asyncio.open_connection(url.host, url.port)
        writer.write("\r\n".join([*lines, "", ""]).encode())
        assert await reader.readuntil(b"\r\n\r\n") == b"HTTP/1.1 100 Continue\r\n\r\n"
        writer.write(b"hello")
        answer = await reader.read()
        writer.close()
        return answer

    assert asyncio.run(asyncio.wait_for(upload(), 20)).startswith(b"HTTP/1.1 200 ")
    assert sandbox.files.read("a") == "hello"


def test_a_mix_of_everything_at_once_is_answered_correctly(sandbox: Sandbox) -> None:
    """Connections into the guest are used again: none may carry over anything of another request."""
    failures: list[BaseException] = []

    def work(seed: int) -> None:
        chance = random.Random(seed)
        try:
            for step in range(40):
                size = chance.choice([0, 10, 70_000, 700_000])
                data = noise(size, seed * 1000 + step)
                match chance.randrange(5):
                    case 0 | 1:
                        sandbox.files.write(f"{seed}/data", data, gzip=chance.random() < 0.5)
                        assert sandbox.files.read(f"{seed}/data", format="bytes") == data
                    case 2:
                        with pytest.raises(InvalidArgumentException):
                            sandbox.files.write("/home/user", data, use_octet_stream=True)
                    case 3:
                        with pytest.raises(FileNotFoundException):
                            sandbox.files.read(f"{seed}/missing")
                    case 4:
                        assert sandbox.commands.run(f"echo {seed} {step}").stdout == f"{seed} {step}\n"
        except BaseException as error:
            failures.append(error)

    threads = [threading.Thread(target=work, args=(seed,)) for seed in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert failures == []


async def test_async_files_are_streamed_both_ways(async_sandbox: AsyncSandbox) -> None:
    data = noise(3 * MIB)

    async def pieces() -> object:
        for start in range(0, len(data), 100_000):
            yield data[start : start + 100_000]

    await async_sandbox.files.write("a", pieces())
    stream = await async_sandbox.files.read("a", format="stream")
    assert b"".join([chunk async for chunk in stream]) == data
    assert [entry.name for entry in await async_sandbox.files.list(".") if entry.name == "a"] == ["a"]


async def test_async_reads_and_writes_run_side_by_side(async_sandbox: AsyncSandbox) -> None:
    async with asyncio.TaskGroup() as group:
        for number in range(20):
            group.create_task(async_sandbox.files.write(f"f/{number}", os.fsencode(str(number)) * 50_000))
    async with asyncio.TaskGroup() as group:
        reads = [group.create_task(async_sandbox.files.read(f"f/{number}")) for number in range(20)]
    assert [read.result() for read in reads] == [str(number) * 50_000 for number in range(20)]
