"""Who may reach what in a sandbox. Facts from E2B's SDK: `e2b/sandbox/signature.py`, `e2b/api/__init__.py`."""

from __future__ import annotations

import base64
import hashlib
import hmac
import re
import time
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from urllib.parse import parse_qs

from ..sandboxes.sandbox import Access

ENVD_PORT = 49983
INTERPRETER_PORT = 49999
_HOST = re.compile(r"(\d{1,5})-([0-9a-z]+)\.", re.ASCII)
_ID = re.compile(r"[0-9a-z]{1,64}", re.ASCII)


@dataclass(frozen=True, slots=True)
class Target:
    """A port of a sandbox."""

    sandbox_id: str
    port: int


class BadTarget(ValueError):
    """The request names a sandbox or a port in a form that none can have."""


def find_target(headers: Mapping[bytes, bytes]) -> Target | None:
    """Read which sandbox a request is for: E2b-Sandbox-Id and -Port, else the host name "PORT-ID.anything".

    None: it is not for a sandbox. Raises BadTarget.
    """
    if (sandbox_id := headers.get(b"e2b-sandbox-id")) is not None:
        port = headers.get(b"e2b-sandbox-port", b"%d" % ENVD_PORT)
        return _target(sandbox_id.decode("latin-1"), port.decode("latin-1"))
    if match := _HOST.match(headers.get(b"host", b"").decode("latin-1")):
        return _target(match[2], match[1])
    return None


def _target(sandbox_id: str, port: str) -> Target:
    if not _ID.fullmatch(sandbox_id):
        raise BadTarget("not a sandbox id")
    if not (port.isascii() and port.isdigit() and 0 < int(port[:6]) < 65536):
        raise BadTarget("not a port number")
    return Target(sandbox_id, int(port))


class Denied(PermissionError):
    """The request may not pass; the message is E2B's."""


def check(access: Access, port: int, method: str, path: str, headers: Mapping[bytes, bytes], query: bytes) -> None:
    """Let a request pass, or raise Denied.

    envd asks for its token (or a signature, for one file); so does running code. The interpreter's other routes do
    not: the SDK sends no token there, and an id of 125 random bits is the secret, as on E2B.
    """
    if port == ENVD_PORT:
        if path == "/files" and b"x-access-token" not in headers:
            _check_signature(access.envd_token, method, query)
        elif path != "/health":
            _check_token(headers.get(b"x-access-token"), access.envd_token)
        return
    if access.traffic_token is not None:
        _check_token(headers.get(b"e2b-traffic-access-token"), access.traffic_token)
    if port == INTERPRETER_PORT and path == "/execute":
        _check_token(headers.get(b"x-access-token"), access.envd_token)


def _check_token(given: bytes | None, wanted: str) -> None:
    if given is None or not hmac.compare_digest(given, wanted.encode()):
        raise Denied("missing or wrong access token for this sandbox")


def _check_signature(token: str, method: str, query: bytes) -> None:
    fields = _fields(query)
    if not _is_signed_with(token, method, fields):
        raise Denied("missing or wrong signature for this file")
    expiration = fields.get("signature_expiration", "")
    if expiration and not (expiration.isascii() and expiration.isdigit() and int(expiration[:15]) >= time.time()):
        raise Denied("signature is already expired")


def signed_with(tokens: Iterable[tuple[str, str]], method: str, query: bytes) -> str | None:
    """Return whose token signed a /files URL, given (sandbox id, token) pairs.

    The SDK's download and upload URLs carry no sandbox id when E2B_SANDBOX_URL is set; the signature alone tells.
    """
    fields = _fields(query)
    if "signature" not in fields:
        return None
    return next((owner for owner, token in tokens if _is_signed_with(token, method, fields)), None)


def _fields(query: bytes) -> dict[str, str]:
    return {name: values[-1] for name, values in parse_qs(query.decode("latin-1"), keep_blank_values=True).items()}


def _is_signed_with(token: str, method: str, fields: Mapping[str, str]) -> bool:
    """Check "v1_" + base64(sha256("path:operation:user:token[:expiration]"))."""
    operation = {"GET": "read", "POST": "write"}.get(method)
    if operation is None:
        return False
    parts = [fields.get("path", ""), operation, fields.get("username", ""), token]
    if expiration := fields.get("signature_expiration"):
        parts.append(expiration)
    digest = hashlib.sha256(":".join(parts).encode("utf-8", "replace")).digest()
    wanted = "v1_" + base64.b64encode(digest).decode().rstrip("=")
    return hmac.compare_digest(fields.get("signature", "").encode("utf-8", "replace"), wanted.encode())
