"""What a sandbox uses now, asked of its guest: only the guest sees its own file systems."""

from __future__ import annotations

import asyncio
import json
import math
import time
from contextlib import suppress
from typing import Any

from ..sandboxes.sandbox import Sandbox, State, now
from .access import ENVD_PORT
from .proxy import Gateway, Refused
from .upstream import UpstreamError

_MAX_BYTES = 64 * 1024
_SECONDS = 3
_MALFORMED = (ValueError, TypeError, KeyError, OverflowError, RecursionError)
"""What parsing and converting raise for an answer that is not what envd sends."""


async def sample(gateway: Gateway, sandbox: Sandbox) -> None:
    """Add a sample to the sandbox's own; none when it is paused or does not answer in time."""
    if sandbox.state is State.PAUSED:
        return
    with suppress(Refused, UpstreamError, TimeoutError, *_MALFORMED):
        async with asyncio.timeout(_SECONDS):
            sandbox.samples.append(_entry(json.loads(await _get(gateway, sandbox))))


async def _get(gateway: Gateway, sandbox: Sandbox) -> bytes:
    connection = await gateway.connect(sandbox, ENVD_PORT)
    try:
        connection.start(b"GET /metrics HTTP/1.1\r\nhost: sandbox\r\n\r\n")
        await connection.head()
        data = b""
        async for chunk in connection.body():
            data += chunk
            if len(data) > _MAX_BYTES:
                raise UpstreamError("too much")
        return data
    finally:
        connection.close()


def _entry(metrics: dict[str, Any]) -> dict[str, Any]:
    """Return envd's metrics in the control plane's form; numbers only, since the guest may send anything."""
    cpu_used = float(metrics["cpu_used_pct"])
    if not math.isfinite(cpu_used):
        raise ValueError("JSON has no such number")
    return {
        "timestamp": now().isoformat().replace("+00:00", "Z"),
        "timestampUnix": int(time.time()),
        "cpuCount": int(metrics["cpu_count"]),
        "cpuUsedPct": cpu_used,
        "memUsed": int(metrics["mem_used"]),
        "memTotal": int(metrics["mem_total"]),
        "memCache": int(metrics.get("mem_cache", 0)),
        "diskUsed": int(metrics["disk_used"]),
        "diskTotal": int(metrics["disk_total"]),
    }
