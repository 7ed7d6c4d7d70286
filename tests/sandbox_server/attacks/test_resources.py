"""Bombs: memory, files, output, time. Each ends at its limit, and the server's own memory stays small."""

from __future__ import annotations

import contextlib
import socket
import time
import zlib
from collections.abc import Callable
from urllib.parse import urlsplit

import pytest
from e2b import SandboxException
from e2b_code_interpreter import Sandbox

from ..conftest import RunningServer
from ..waiting import wait_until
from .attacker import MIB, exit_code, head, open_files, raw, rss_bytes, status, to_sandbox, upload

NewSandbox = Callable[..., Sandbox]
BOUND = 64 * MIB


@contextlib.contextmanager
def bounded_memory(server: RunningServer):
    """Fail when the server has grown by more than `BOUND` at the end of the block."""
    before = rss_bytes(server.process.pid)
    yield
    assert rss_bytes(server.process.pid) - before < BOUND


@pytest.mark.parametrize("way", ["objects", "forks", "memfd", "shared", "hidden"])
def test_a_memory_bomb_ends_at_the_limit_and_the_sandbox_goes_on(new_sandbox: NewSandbox, way: str) -> None:
    bomb, other = new_sandbox(), new_sandbox()
    other.run_code("x = 1")
    assert exit_code(bomb, f"python {upload(bomb, 'memory')} {way}") != 0
    assert bomb.commands.run("echo fine").stdout == "fine\n"
    assert other.run_code("x").text == "1"


def test_a_kernel_that_takes_all_memory_is_told_so_and_replaced(sandbox: Sandbox) -> None:
    execution = sandbox.run_code("kept = [bytearray(b'x' * 10**7) for _ in range(500)]")
    assert execution.error is not None
    assert sandbox.run_code("1 + 1").text == "2"


@pytest.mark.parametrize(("folder", "mebibytes"), [("/tmp", 256), ("/dev/shm", 64), ("/run", 1)])
def test_a_folder_is_full_at_its_size(sandbox: Sandbox, folder: str, mebibytes: int) -> None:
    assert exit_code(sandbox, f"head -c {2 * mebibytes}M /dev/zero > {folder}/bomb") != 0
    size = int(sandbox.commands.run(f"stat -c %s {folder}/bomb").stdout)
    assert size <= mebibytes * MIB
    assert sandbox.run_code("1 + 1").text == "2"


def test_the_home_is_full_at_its_size_and_nobody_is_killed(sandbox: Sandbox) -> None:
    sandbox.run_code("x = 1")
    assert exit_code(sandbox, "fallocate -l 1500M a") == 0
    assert exit_code(sandbox, "fallocate -l 1500M b") != 0
    with pytest.raises(SandboxException, match="space"):
        sandbox.commands.run("head -c 2G /dev/zero > c || true")
        sandbox.files.write("d", b"x" * MIB)
    assert sandbox.run_code("x").text == "1"


def test_a_file_has_a_largest_size(sandbox: Sandbox) -> None:
    assert exit_code(sandbox, "truncate -s 2049M huge") != 0


@pytest.mark.parametrize("folder", ["/dev/shm", "/run"])
def test_an_inode_bomb_stops_at_the_limit(sandbox: Sandbox, folder: str) -> None:
    code = f"for n in range(20000): open(f'{folder}/{{n}}', 'w').close()"
    error = sandbox.run_code(code).error
    assert error is not None and "No space left" in error.value


def test_open_files_have_a_limit(sandbox: Sandbox) -> None:
    error = sandbox.run_code("import os; kept = [os.dup(0) for _ in range(100000)]").error
    assert error is not None and "Too many open files" in error.value
    assert sandbox.commands.run("echo fine").stdout == "fine\n"


@pytest.mark.parametrize("code", ["while True: pass", "import time; time.sleep(1e9)", "9**9**9**9"])
def test_code_that_never_ends_ends_with_its_caller(sandbox: Sandbox, code: str) -> None:
    sandbox.run_code("x = 1")
    with pytest.raises(SandboxException):
        sandbox.run_code(code, timeout=1)
    assert sandbox.run_code("1 + 1", timeout=60).text == "2"


def test_spinning_in_one_sandbox_leaves_others_their_share(new_sandbox: NewSandbox) -> None:
    spinner, other = new_sandbox(), new_sandbox()
    spinner.commands.run("for i in 1 2 3 4 5 6 7 8; do while :; do :; done & done", background=True)
    assert other.run_code("sum(range(1000))", timeout=60, request_timeout=60).text == "499500"


def test_endless_output_of_code_is_cut_at_the_limit(server: RunningServer, sandbox: Sandbox) -> None:
    with bounded_memory(server):
        printed = 0

        def count(message: object) -> None:
            nonlocal printed
            printed += len(str(message))

        with contextlib.suppress(SandboxException):
            sandbox.run_code("while True: print('x' * 1000)", timeout=5, on_stdout=count)
        assert printed < 2 * 64 * MIB
    assert sandbox.run_code("1 + 1").text == "2"


@pytest.mark.parametrize("command", ["yes", "cat /dev/zero", "tr '\\0' x < /dev/zero"])
def test_a_client_that_does_not_read_a_flood_costs_the_server_no_memory(
    server: RunningServer, sandbox: Sandbox, command: str
) -> None:
    body = b'{"process":{"cmd":"/bin/sh","args":["-c","%s"]}}' % command.replace("\\", "\\\\").encode()
    frame = b"\0" + len(body).to_bytes(4, "big") + body
    headers = {
        **to_sandbox(sandbox),
        "Host": "localhost",
        "Content-Type": "application/connect+json",
        "Connect-Protocol-Version": "1",
        "Content-Length": str(len(frame)),
    }
    request = head("POST /process.Process/Start", *(f"{name}: {value}" for name, value in headers.items())) + frame
    address = urlsplit(server.url)
    with bounded_memory(server), socket.create_connection((address.hostname, address.port or 0)) as connection:
        connection.sendall(request)
        connection.settimeout(60)
        connection.recv(1024)
        # What can be buffered is full when the program has not got any further for a while.
        before = -1
        deadline = time.monotonic() + 10
        while (now := rss_bytes(server.process.pid)) != before and time.monotonic() < deadline:
            before = now
            sandbox.commands.run("sleep 0.3")
    assert sandbox.commands.run("echo fine").stdout == "fine\n"


def test_a_result_of_many_megabytes_is_bounded(server: RunningServer, sandbox: Sandbox) -> None:
    with bounded_memory(server), contextlib.suppress(SandboxException):
        sandbox.run_code("'x' * (400 << 20)", timeout=60)
    assert sandbox.run_code("1 + 1").text == "2"


def test_a_gzip_bomb_is_refused_and_leaves_nothing(server: RunningServer, sandbox: Sandbox) -> None:
    compressor = zlib.compressobj(9, wbits=31)
    member = compressor.compress(bytes(64 * MIB)) + compressor.flush()
    with server.client() as client, bounded_memory(server):
        answer = client.post(
            "/files?path=bomb",
            headers={**to_sandbox(sandbox), "Content-Type": "application/octet-stream", "Content-Encoding": "gzip"},
            content=member * 20,
        )
    assert answer.status_code == 413
    assert not sandbox.files.exists("bomb")


def test_a_flood_of_connections_to_the_proxy_stays_in_its_sandbox(
    server: RunningServer, new_sandbox: NewSandbox
) -> None:
    flooder, other = new_sandbox(), new_sandbox()
    before = open_files(server.process.pid)
    flood = (
        "import socket\n"
        "kept = []\n"
        "for _ in range(1500):\n"
        "    sock = socket.socket(); sock.setblocking(False); kept.append(sock)\n"
        "    try: sock.connect(('127.0.0.1', 3128))\n"
        "    except BlockingIOError: pass\n"
    )
    with bounded_memory(server):
        flooder.run_code(flood)
        assert open_files(server.process.pid) - before < 300
    assert other.commands.run("echo fine").stdout == "fine\n"
    flooder.run_code("for sock in kept: sock.close()")
    # The way out is still there: a refusal by the proxy is an answer of it.
    wait_until(lambda: "403" in _through_proxy(flooder))


def _through_proxy(sandbox: Sandbox) -> str:
    command = "curl -s -o /dev/null -w '%{http_code}' -x http://127.0.0.1:3128 http://169.254.169.254/ || true"
    return str(sandbox.commands.run(command).stdout)


def test_at_the_process_limit_the_api_refuses_readably(server: RunningServer, sandbox: Sandbox) -> None:
    bomb = sandbox.commands.run(f"python {upload(sandbox, 'forks')} stay", background=True)
    assert next(iter(bomb))[0]
    with server.client() as client:
        for path, body in (("/process.Process/List", "{}"), ("/filesystem.Filesystem/ListDir", '{"path":"/"}')):
            headers = {**to_sandbox(sandbox), "Content-Type": "application/json"}
            assert client.post(path, headers=headers, content=body).status_code in (200, 429), path
        assert client.get("/files?path=/etc/passwd", headers=to_sandbox(sandbox)).status_code == 200
        assert client.get(f"/sandboxes/{sandbox.sandbox_id}/metrics").status_code == 200
    with pytest.raises(SandboxException):
        sandbox.commands.run("true", request_timeout=60)
    bomb.kill()
    assert sandbox.commands.run("echo fine").stdout == "fine\n"


def test_an_upload_larger_than_the_home_is_refused(server: RunningServer, sandbox: Sandbox) -> None:
    sandbox.commands.run("fallocate -l 2000M full || true")
    with bounded_memory(server), pytest.raises(SandboxException, match="space"):
        sandbox.files.write("more", bytes(100 * MIB))


def test_a_head_without_end_is_refused(server: RunningServer) -> None:
    with bounded_memory(server):
        answer = raw(server, b"GET / HTTP/1.1\r\nHost: localhost\r\nX: ", *[b"a" * MIB] * 8)
    assert status(answer) in (431, 0)
