"""A handle on a sandbox for those who only look.

The SDK's `connect` renews the time that a sandbox has left, and resumes a paused one. What it needs to know is in the
answer to `get_info`, too; only the SDK's own type for that leaves it out.
"""

from __future__ import annotations

from e2b import ConnectionConfig, SandboxException, SandboxNotFoundException
from e2b.api import handle_api_exception
from e2b.api.client.api.sandboxes import get_sandboxes_sandbox_id
from e2b.api.client.models import SandboxDetail
from e2b.api.client_async import get_api_client
from e2b_code_interpreter import AsyncSandbox
from packaging.version import Version

from .service import Connection


async def handle_on(sandbox_id: str, connection: Connection) -> AsyncSandbox:
    """Return a handle on a running sandbox, and leave its time as it is.

    Raises:
        e2b's errors: there is no such sandbox, or the service does not answer.
    """
    client = get_api_client(ConnectionConfig(**connection))
    answer = await get_sandboxes_sandbox_id.asyncio_detailed(sandbox_id, client=client)
    if answer.status_code == 404:
        raise SandboxNotFoundException(f"Sandbox {sandbox_id} not found")
    if answer.status_code >= 300:
        raise handle_api_exception(answer)
    detail = answer.parsed
    if not isinstance(detail, SandboxDetail):
        raise SandboxException(f"the service did not describe the sandbox {sandbox_id}")
    headers = {"E2b-Sandbox-Id": sandbox_id, "E2b-Sandbox-Port": str(ConnectionConfig.envd_port)}
    if token := detail.envd_access_token or None:
        headers["X-Access-Token"] = token
    return AsyncSandbox(
        sandbox_id=sandbox_id,
        sandbox_domain=detail.domain or None,
        envd_version=Version(detail.envd_version),
        envd_access_token=token,
        traffic_access_token=None,
        connection_config=ConnectionConfig(extra_sandbox_headers=headers, **connection),
    )
