import asyncio
import socket
from collections.abc import Awaitable, Callable

import pytest

from sandbox_server.egress import EgressLimits, EgressPolicy, EgressProxy, HostProxies, Registries
from sandbox_server.egress.streams import CHUNK_BYTES, pump
from tests.sandbox_server.egress.inside import Handler, Sandbox, mirror_policy

Serve = Callable[[Handler], Awaitable[int]]
OPEN = EgressPolicy.from_e2b(None, [], [], Registries())


async def head_of(reader: asyncio.StreamReader) -> bytes:
    return await reader.readuntil(b"\r\n\r\n")


async def upper(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """Answer in capitals, only after the other side has finished sending."""
    writer.write((await reader.read()).upper())
    await writer.drain()


async def tunnel(sandbox: Sandbox, port: int, early: bytes = b"") -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
    sandbox.names.table["mirror.test"] = ["127.0.0.1"]
    reader, writer = await asyncio.open_connection(sock=sandbox.open(mirror_policy(port)))
    writer.write(b"CONNECT mirror.test:%d HTTP/1.1\r\nHost: x\r\n\r\n" % port + early)
    assert (await head_of(reader)).startswith(b"HTTP/1.1 200 ")
    return reader, writer


async def test_connect_carries_bytes_both_ways_and_half_closes(sandbox: Sandbox, serve: Serve) -> None:
    reader, writer = await tunnel(sandbox, await serve(upper))
    writer.write(b"hello")
    writer.write_eof()
    assert await reader.read() == b"HELLO"
    writer.close()


async def test_bytes_sent_along_with_connect_are_not_lost(sandbox: Sandbox, serve: Serve) -> None:
    reader, writer = await tunnel(sandbox, await serve(upper), early=b"early ")
    writer.write(b"late")
    writer.write_eof()
    assert await reader.read() == b"EARLY LATE"
    writer.close()


async def test_a_large_transfer_arrives_whole(sandbox: Sandbox, serve: Serve) -> None:
    payload = bytes(range(256)) * 40_000
    reader, writer = await tunnel(sandbox, await serve(upper))
    writer.write(payload)
    writer.write_eof()
    assert await reader.read() == payload.upper()
    writer.close()


async def test_a_transfer_that_never_waits_lets_others_run() -> None:
    source, inside = socket.socketpair()
    outside, target = socket.socketpair()
    inside.send(bytes(3 * CHUNK_BYTES), socket.MSG_DONTWAIT)  # all there before, so no read of it has to wait
    inside.close()
    others: list[None] = []
    asyncio.get_running_loop().call_soon(others.append, None)
    others_at_each_chunk: list[int] = []
    await pump(source, outside, lambda: others_at_each_chunk.append(len(others)))
    assert others_at_each_chunk[:2] == [0, 1]
    for sock in (source, outside, target):
        sock.close()


async def test_plain_http_is_forwarded_without_proxy_and_hop_headers(sandbox: Sandbox, serve: Serve) -> None:
    async def echo(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        head = await head_of(reader)
        writer.write(b"HTTP/1.1 200 OK\r\nConnection: close\r\n\r\n" + head)

    port = await serve(echo)
    sandbox.names.table["mirror.test"] = ["127.0.0.1"]
    request = (
        f"GET http://mirror.test:{port}/a?b=c HTTP/1.1\r\nHost: evil.test\r\nProxy-Authorization: secret\r\n"
        "Proxy-Connection: keep-alive\r\nConnection: keep-alive, X-Hop\r\nX-Hop: 1\r\nX-End: 2\r\n"
        "Upgrade: h2c\r\n\r\n"
    )
    answer = await sandbox.ask(request.encode(), mirror_policy(port))
    _, _, seen = answer.partition(b"\r\n\r\n")
    assert seen.decode().split("\r\n") == [
        "GET /a?b=c HTTP/1.1",
        f"Host: mirror.test:{port}",
        "X-End: 2",
        "Connection: close",
        "",
        "",
    ]


@pytest.mark.parametrize(
    ("framing", "body"),
    [
        (b"Content-Length: 11", b"hello world"),
        (b"Transfer-Encoding: chunked", b"5\r\nhello\r\n6\r\n world\r\n0\r\n\r\n"),
    ],
    ids=["length", "chunked"],
)
async def test_bodies_are_forwarded(sandbox: Sandbox, serve: Serve, framing: bytes, body: bytes) -> None:
    async def take(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await head_of(reader)
        writer.write(b"HTTP/1.1 200 OK\r\n\r\n" + await reader.readexactly(len(body)))

    port = await serve(take)
    sandbox.names.table["mirror.test"] = ["127.0.0.1"]
    request = b"POST http://mirror.test:%d/ HTTP/1.1\r\n%b\r\n\r\n%b" % (port, framing, body)
    assert (await sandbox.ask(request, mirror_policy(port))).endswith(body)


async def test_refusal_has_its_reason_in_the_reason_phrase_and_the_body(sandbox: Sandbox) -> None:
    policy = EgressPolicy.from_e2b(False, ["example.com"], [], Registries())
    answer = await sandbox.ask(b"CONNECT example.org:443 HTTP/1.1\r\n\r\n", policy)
    reason = b"Sandbox network policy: host 'example.org' is not allowed (allowed: example.com)"
    assert answer.startswith(b"HTTP/1.1 403 " + reason + b"\r\n")
    assert answer.endswith(b"\r\n\r\n" + reason + b"\n")


async def test_a_refused_upload_still_reads_its_refusal(sandbox: Sandbox) -> None:
    request = b"POST http://127.0.0.1/ HTTP/1.1\r\nContent-Length: 1000000\r\n\r\n" + bytes(1_000_000)
    assert (await sandbox.ask(request, OPEN)).startswith(b"HTTP/1.1 403 ")


async def test_a_name_without_addresses_is_502(sandbox: Sandbox) -> None:
    answer = await sandbox.ask(b"CONNECT nowhere.example:443 HTTP/1.1\r\n\r\n", OPEN)
    assert answer.startswith(b"HTTP/1.1 502 Cannot resolve host 'nowhere.example'\r\n")


async def test_a_closed_port_is_502(sandbox: Sandbox) -> None:
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))
        port = unused.getsockname()[1]
        sandbox.names.table["mirror.test"] = ["127.0.0.1"]
        request = b"CONNECT mirror.test:%d HTTP/1.1\r\n\r\n" % port
        answer = await sandbox.ask(request, mirror_policy(port))
    assert answer.startswith(b"HTTP/1.1 502 Cannot reach host 'mirror.test': Connection refused\r\n")


async def test_a_name_that_never_resolves_is_504(sandbox: Sandbox) -> None:
    async def never(name: str) -> list[object]:
        return await asyncio.Future()

    proxy = EgressProxy("sbx", never, limits=EgressLimits(resolve_s=0.05))  # type: ignore[arg-type]
    answer = await sandbox.ask(b"CONNECT slow.example:443 HTTP/1.1\r\n\r\n", OPEN, proxy=proxy)
    assert answer.startswith(b"HTTP/1.1 504 Resolving host 'slow.example' timed out\r\n")


async def test_an_idle_tunnel_is_closed(sandbox: Sandbox, serve: Serve) -> None:
    port = await serve(upper)
    sandbox.names.table["mirror.test"] = ["127.0.0.1"]
    request = b"CONNECT mirror.test:%d HTTP/1.1\r\n\r\n" % port
    answer = await sandbox.ask(request, mirror_policy(port), limits=EgressLimits(idle_s=0.05))
    assert answer == b"HTTP/1.1 200 Connection established\r\n\r\n"


async def test_cancelling_closes_both_ends(serve: Serve) -> None:
    gone = asyncio.Event()

    async def wait(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        assert await reader.read() == b""
        gone.set()

    port = await serve(wait)
    async with asyncio.timeout(60), asyncio.TaskGroup() as tasks:
        sandbox = Sandbox(tasks)
        reader, writer = await tunnel(sandbox, port)
        for task in sandbox.served:
            task.cancel()
        assert await reader.read() == b""
        await gone.wait()
        writer.close()


async def test_host_proxy_is_used_for_tunnels_and_for_plain_http(sandbox: Sandbox, serve: Serve) -> None:
    async def corporate(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        head = await head_of(reader)
        writer.write(b"HTTP/1.1 200 OK\r\n\r\n" + head)

    port = await serve(corporate)
    environment = dict.fromkeys(("http_proxy", "HTTPS_PROXY"), f"http://user:p%40ss@127.0.0.1:{port}")
    proxies = HostProxies.from_environment(environment | {"NO_PROXY": "direct.example"})
    assert "p@ss" not in repr(proxies) and "dXNlcjpwQHNz" not in repr(proxies)
    for request, seen in (
        (b"CONNECT example.com:443 HTTP/1.1\r\n\r\n", b"CONNECT example.com:443 HTTP/1.1\r\n"),
        (b"GET http://example.com/a HTTP/1.1\r\n\r\n", b"GET http://example.com/a HTTP/1.1\r\n"),
    ):
        answer = await sandbox.ask(request, OPEN, host_proxies=proxies)
        assert seen in answer
        assert b"Proxy-Authorization: Basic dXNlcjpwQHNz\r\n" in answer
    assert sandbox.names.asked == []
    assert b" 502 " in await sandbox.ask(b"CONNECT direct.example:443 HTTP/1.1\r\n\r\n", OPEN, host_proxies=proxies)
    assert sandbox.names.asked == ["direct.example"]


async def test_a_host_proxy_that_refuses_is_502(sandbox: Sandbox, serve: Serve) -> None:
    async def refuse(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await head_of(reader)
        writer.write(b"HTTP/1.1 407 Proxy Authentication Required\r\n\r\n")

    proxies = HostProxies.from_environment({"HTTPS_PROXY": f"http://127.0.0.1:{await serve(refuse)}"})
    answer = await sandbox.ask(b"CONNECT example.com:443 HTTP/1.1\r\n\r\n", OPEN, host_proxies=proxies)
    assert answer.startswith(b"HTTP/1.1 502 The host's own proxy answered 407 for host 'example.com'\r\n")
