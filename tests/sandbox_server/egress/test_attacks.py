"""What code in a sandbox tries in order to get past the proxy, or to bring it down."""

import asyncio
import fcntl
import os
import socket
import struct
from collections.abc import Awaitable, Callable
from ipaddress import IPv4Address, IPv6Address

import pytest

from sandbox_server.egress import EgressLimits, EgressPolicy, EgressProxy, Registries, SystemResolver
from sandbox_server.egress.addresses import Destination, IPAddress
from tests.sandbox_server.egress.inside import Handler, Sandbox, mirror_policy

Serve = Callable[[Handler], Awaitable[int]]
OPEN = EgressPolicy.from_e2b(None, [], [], Registries())
OPEN_BY_RULE = EgressPolicy.from_e2b(False, ["0.0.0.0/0"], [], Registries())
LISTED = EgressPolicy.from_e2b(False, ["example.com", "8.8.8.8"], [], Registries())


async def nobody(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    raise AssertionError("the canary was reached")


NEVER = [
    "127.0.0.1", "127.8.8.8", "0.0.0.0", "10.1.2.3", "172.16.0.1", "172.31.255.1", "192.168.1.1", "169.254.169.254",
    "100.64.0.1", "224.0.0.1", "255.255.255.255", "[::1]", "[::]", "[fd00:ec2::254]", "[fe80::1]", "[ff02::1]",
    "[::ffff:127.0.0.1]", "[::ffff:8.8.8.8]", "[::127.0.0.1]", "[64:ff9b::7f00:1]", "[64:ff9b::a9fe:a9fe]",
    "[64:ff9b:1::1]", "[2002:7f00:1::1]", "[2001:0:7f00:1::]",
]  # fmt: skip


@pytest.mark.parametrize("policy", [OPEN, OPEN_BY_RULE], ids=["open", "allow all"])
@pytest.mark.parametrize("host", NEVER)
async def test_special_addresses_are_refused_in_an_open_network(
    sandbox: Sandbox, host: str, policy: EgressPolicy
) -> None:
    assert b" 403 " in await sandbox.ask(f"CONNECT {host}:443 HTTP/1.1\r\n\r\n".encode(), policy)
    assert b" 403 " in await sandbox.ask(f"GET http://{host}/ HTTP/1.1\r\n\r\n".encode(), policy)


async def test_the_hosts_own_address_is_refused(sandbox: Sandbox) -> None:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        probe.connect(("198.51.100.1", 9))  # sends nothing: the kernel picks the address of the outward interface
        own = probe.getsockname()[0]
    assert b" 403 " in await sandbox.ask(f"CONNECT {own}:443 HTTP/1.1\r\n\r\n".encode(), OPEN)


async def test_dns_rebinding_cannot_reach_loopback(sandbox: Sandbox, serve: Serve) -> None:
    port = await serve(nobody)
    sandbox.names.table["rebind.example"] = ["127.0.0.1"]
    answer = await sandbox.ask(b"CONNECT rebind.example:%d HTTP/1.1\r\n\r\n" % port, OPEN)
    assert b" 403 Sandbox network policy: host 'rebind.example' is not allowed: it is a loopback address" in answer


async def test_a_name_is_resolved_once_and_its_checked_address_is_connected_to(sandbox: Sandbox, serve: Serve) -> None:
    async def say(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(b"first answer")

    port = await serve(say)
    answers = [["127.0.0.1"], ["127.0.0.2"], ["127.0.0.2"]]

    async def changing(name: str) -> list[object]:
        sandbox.names.table[name] = answers.pop(0)
        return await sandbox.names(name)  # type: ignore[return-value]

    proxy = EgressProxy("sbx", changing)  # type: ignore[arg-type]
    request = b"CONNECT mirror.test:%d HTTP/1.1\r\n\r\n" % port
    assert (await sandbox.ask(request, mirror_policy(port), proxy=proxy)).endswith(b"first answer")
    assert sandbox.names.asked == ["mirror.test"]


def test_private_addresses_of_a_name_are_dropped_from_those_connected_to() -> None:
    mixed: list[IPAddress] = [IPv4Address("127.0.0.1"), IPv4Address("8.8.8.8"), IPv6Address("::1")]
    assert OPEN.checked(Destination("mixed.example", 443), mixed) == [IPv4Address("8.8.8.8")]


@pytest.mark.parametrize(
    "name", ["localhost", "LOCALHOST.", "a.localhost", "metadata.google.internal", "printer.local"]
)
async def test_local_names_are_refused_without_a_lookup(sandbox: Sandbox, name: str) -> None:
    assert b" 403 " in await sandbox.ask(f"CONNECT {name}:443 HTTP/1.1\r\n\r\n".encode(), OPEN)
    assert sandbox.names.asked == []


@pytest.mark.parametrize("spelling", ["2130706433", "127.1", "0x7f.0.0.1", "0x7f000001", "0177.0.0.1", "127.0.0.0x1"])
async def test_numbers_that_the_c_library_reads_as_addresses_are_no_names(sandbox: Sandbox, spelling: str) -> None:
    assert b" 400 " in await sandbox.ask(f"CONNECT {spelling}:443 HTTP/1.1\r\n\r\n".encode(), OPEN)
    assert sandbox.names.asked == []


@pytest.mark.parametrize("host", ["notexample.com", "example.com.evil.org", "www.example.com", "example.co", "1.1.1.1"])
async def test_lookalikes_of_an_allowed_host_are_refused_without_a_lookup(sandbox: Sandbox, host: str) -> None:
    assert b" 403 " in await sandbox.ask(f"CONNECT {host}:443 HTTP/1.1\r\n\r\n".encode(), LISTED)
    assert sandbox.names.asked == []


async def test_ssh_port_of_an_allowed_host_is_refused(sandbox: Sandbox) -> None:
    assert b" 403 " in await sandbox.ask(b"CONNECT example.com:22 HTTP/1.1\r\n\r\n", LISTED)


@pytest.mark.parametrize(
    "target",
    [
        "CONNECT example.com@evil.org:443", "CONNECT example.com:443@evil.org:443", "CONNECT example.com",
        "CONNECT example.com:0", "CONNECT example.com:65536", "CONNECT example.com:+443", "CONNECT :443",
        "CONNECT [fe80::1%25eth0]:443", "CONNECT exam%70le.com:443", "GET http://example.com@evil.org/",
        "GET http://example.com\\@evil.org/", "GET https://example.com/", "GET ftp://example.com/", "GET /",
        "GET http:///", "OPTIONS *",
    ],
)  # fmt: skip
async def test_tricky_targets_are_bad_requests(sandbox: Sandbox, target: str) -> None:
    assert b" 400 " in (await sandbox.ask(f"{target} HTTP/1.1\r\n\r\n".encode(), LISTED))[:14]
    assert sandbox.names.asked == []


async def test_host_names_cannot_inject_into_the_refusal(sandbox: Sandbox) -> None:
    for target in (b"a\rSet-Cookie: x", b"a\nb", b"a\x00b", b"'a'", b"<script>", "bü".encode(), b"a" * 300):
        answer = await sandbox.ask(b"CONNECT " + target + b":443 HTTP/1.1\r\n\r\n", OPEN)
        assert answer[9:12] in (b"400", b"505")
        assert answer.isascii()
        assert b"Cookie" not in answer and b"script" not in answer


@pytest.mark.parametrize(
    "framing",
    [
        "Content-Length: 4\r\nTransfer-Encoding: chunked", "Transfer-Encoding: chunked\r\nContent-Length: 4",
        "Content-Length: 4\r\nContent-Length: 5", "Content-Length: 4, 4", "Content-Length: +4", "Content-Length: -1",
        "Transfer-Encoding: gzip, chunked", "Transfer-Encoding: chunked, gzip", "Transfer-Encoding: xchunked",
        "Transfer-Encoding : chunked", "Content-Length: 4\r\n folded", "Content-Length: 4\nTransfer-Encoding: chunked",
    ],
)  # fmt: skip
async def test_ambiguous_lengths_are_refused_before_anything_is_sent(
    sandbox: Sandbox, serve: Serve, framing: str
) -> None:
    port = await serve(nobody)
    sandbox.names.table["mirror.test"] = ["127.0.0.1"]
    request = f"POST http://mirror.test:{port}/ HTTP/1.1\r\n{framing}\r\n\r\n0\r\n\r\n"
    answer = await sandbox.ask(request.encode(), mirror_policy(port))
    assert answer[9:12] in (b"400", b"501")


@pytest.mark.parametrize(
    "first",
    [b"HTTP/1.1\r\n\r\n", b"HTTP/1.1\r\nContent-Length: 2\r\n\r\nok", b"HTTP/1.1\r\nConnection: keep-alive\r\n\r\n"],
)
async def test_a_second_request_on_the_connection_is_not_forwarded(
    sandbox: Sandbox, serve: Serve, first: bytes
) -> None:
    seen: asyncio.Future[bytes] = asyncio.get_running_loop().create_future()

    async def record(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(b"HTTP/1.1 200 OK\r\n\r\ndone")
        writer.write_eof()
        seen.set_result(await reader.read())

    port = await serve(record)
    sandbox.names.table["mirror.test"] = ["127.0.0.1"]
    start = b"POST http://mirror.test:%d/ " % port
    second = b"GET http://evil.example/ HTTP/1.1\r\n\r\n"
    assert (await sandbox.ask(start + first + second, mirror_policy(port))).endswith(b"done")
    received = await seen
    assert received.startswith(b"POST / HTTP/1.1\r\n")
    assert b"evil" not in received


async def test_huge_connect_line_is_431(sandbox: Sandbox) -> None:
    answer = await sandbox.ask(b"CONNECT " + b"a" * 40_000 + b":443 HTTP/1.1\r\n\r\n", OPEN)
    assert answer.startswith(b"HTTP/1.1 431 ")


async def test_endless_headers_are_431(sandbox: Sandbox) -> None:
    answer = await sandbox.ask(b"GET http://example.com/ HTTP/1.1\r\n" + b"X: y\r\n" * 5_000, OPEN)
    assert answer.startswith(b"HTTP/1.1 431 ")


async def test_a_head_that_never_ends_times_out(sandbox: Sandbox) -> None:
    answer = await sandbox.ask(b"CONNECT example.com:443 HT", OPEN, limits=EgressLimits(head_s=0.05))
    assert answer.startswith(b"HTTP/1.1 408 ")


async def test_garbage_is_a_bad_request(sandbox: Sandbox) -> None:
    assert (await sandbox.ask(b"\x16\x03\x01\x00\r\n\r\n", OPEN)).startswith(b"HTTP/1.1 400 ")


async def test_connections_beyond_the_limit_are_told_so(sandbox: Sandbox) -> None:
    proxy = EgressProxy("sbx", sandbox.names, limits=EgressLimits(connections=2))
    waiting = [sandbox.open(OPEN, proxy) for _ in range(2)]
    await asyncio.sleep(0)
    assert (await sandbox.ask(b"", OPEN, proxy=proxy)).startswith(b"HTTP/1.1 503 ")
    for sock in waiting:
        sock.close()


async def test_slow_names_of_one_sandbox_leave_the_resolver_to_others(sandbox: Sandbox) -> None:
    asked = 0

    async def never(name: str) -> list[object]:
        nonlocal asked
        asked += 1
        return await asyncio.Future()

    proxy = EgressProxy("sbx", never, limits=EgressLimits(resolve_s=0.1))  # type: ignore[arg-type]
    async with asyncio.TaskGroup() as clients:
        for i in range(20):
            clients.create_task(sandbox.ask(f"CONNECT n{i}.example:443 HTTP/1.1\r\n\r\n".encode(), OPEN, proxy=proxy))
    assert asked == 4


@pytest.mark.parametrize("direction", ["reading", "writing"])
async def test_clearing_nonblock_on_the_shared_socket_does_not_block_the_server(
    sandbox: Sandbox, serve: Serve, direction: str
) -> None:
    async def flood(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while True:
            writer.write(bytes(1 << 20))
            await writer.drain()

    port = await serve(flood)
    sandbox.names.table["mirror.test"] = ["127.0.0.1"]
    inside, outside = socket.socketpair()
    kept = outside.dup()  # what a sandbox keeps of a descriptor it has passed on
    task = sandbox.tasks.create_task(EgressProxy("sbx", sandbox.names).serve(outside, mirror_policy(port)))
    await asyncio.sleep(0)
    fcntl.fcntl(kept, fcntl.F_SETFL, fcntl.fcntl(kept, fcntl.F_GETFL) & ~os.O_NONBLOCK)
    if direction == "writing":
        inside.send(b"CONNECT mirror.test:%d HTTP/1.1\r\n\r\n" % port)
    # The loop is alive when another connection is answered; the whole test hangs when it is not.
    for _ in range(3):
        assert b" 403 " in await sandbox.ask(b"CONNECT 127.0.0.1:80 HTTP/1.1\r\n\r\n", OPEN)
    task.cancel()
    inside.close()
    kept.close()


async def test_lingering_close_does_not_block_the_server(sandbox: Sandbox) -> None:
    listener = socket.create_server(("127.0.0.1", 0))
    inside = socket.create_connection(listener.getsockname())
    inside.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 1024)
    outside, _ = listener.accept()
    outside.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 3600))
    outside.setblocking(False)
    while True:
        try:
            outside.send(bytes(65536))
        except BlockingIOError:
            break
    inside.send(b"garbage\r\n\r\n")
    limits = EgressLimits(farewell_s=0.05)
    async with asyncio.timeout(60):
        await EgressProxy("sbx", sandbox.names, limits=limits).serve(outside, OPEN)
    inside.close()
    listener.close()


async def test_descriptors_that_are_no_connection_are_closed(sandbox: Sandbox) -> None:
    for sock in (socket.socket(), socket.create_server(("127.0.0.1", 0)), socket.socket(type=socket.SOCK_DGRAM)):
        async with asyncio.timeout(60):
            proxy = EgressProxy("sbx", sandbox.names, limits=EgressLimits(head_s=0.05, farewell_s=0.05))
            await proxy.serve(sock, OPEN)
        assert sock.fileno() == -1


async def test_system_resolver_gives_loopback_for_localhost() -> None:
    resolver = SystemResolver(threads=1)
    assert "127.0.0.1" in [str(address) for address in await resolver("localhost")]
    resolver.close()
