"""The proof: a server in this process, a sandbox on it, and code run in that."""

from __future__ import annotations

import asyncio
import http.client
import json
import secrets
import time
import urllib.parse
from collections.abc import Callable, Mapping

from ..errors import SandboxServerError
from ..server import Server
from ..settings import DEFAULT_TEMPLATE, Settings
from .finding import Finding, Level

_ANSWER_SECONDS = 60
_INTERPRETER_PORT = "49999"


def self_test(progress: Callable[[str], None]) -> Finding:
    """Run 1+1 in a sandbox, over HTTP, as a client would."""
    return asyncio.run(_self_test(progress))


async def _self_test(progress: Callable[[str], None]) -> Finding:
    key = secrets.token_hex(16)
    server = Server(Settings(api_key=key), progress=progress)
    try:
        url = await server.start()
        try:
            began = time.monotonic()
            answer = await asyncio.to_thread(_one_plus_one, url, key)
            took = time.monotonic() - began
        finally:
            await server.close()
    except (SandboxServerError, OSError, http.client.HTTPException, ValueError) as error:
        return Finding("self-test", Level.FAIL, "no sandbox could be run", str(error))
    if answer != "2":
        return Finding("self-test", Level.FAIL, f"1+1 was answered by {answer!r}", "read the server's log")
    return Finding("self-test", Level.OK, f"a sandbox was made and ran 1+1 in {took * 1000:.0f} ms")


def _one_plus_one(url: str, key: str) -> str | None:
    """Return the text of the result, None when there is none."""
    # Not by urllib: it follows the proxies of the environment, and sends header names in a spelling of its own.
    connection = http.client.HTTPConnection(urllib.parse.urlsplit(url).netloc, timeout=_ANSWER_SECONDS)
    try:
        created = json.loads(_post(connection, "/v2/sandboxes", {"X-API-Key": key}, {"templateID": DEFAULT_TEMPLATE}))
        headers = {
            "E2b-Sandbox-Id": created["sandboxID"],
            "E2b-Sandbox-Port": _INTERPRETER_PORT,
            "X-Access-Token": created["envdAccessToken"],
        }
        lines = _post(connection, "/execute", headers, {"code": "1+1"}).splitlines()
    except KeyError as error:
        raise ValueError(f"the answer has no {error}") from error
    finally:
        connection.close()
    events = [json.loads(line) for line in lines if line.strip()]
    return next((event["text"] for event in events if event.get("type") == "result"), None)


def _post(connection: http.client.HTTPConnection, path: str, headers: Mapping[str, str], body: object) -> bytes:
    connection.request("POST", path, json.dumps(body), {"Content-Type": "application/json", **headers})
    answer = connection.getresponse()
    data = answer.read()
    if answer.status >= 300:
        raise ValueError(f"{path} was answered by {answer.status}: {data[:500].decode(errors='replace')}")
    return data
