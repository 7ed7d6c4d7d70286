"""JSON Web Tokens: making one, and telling whether to believe one."""

from __future__ import annotations

import asyncio
import contextlib
import os
import secrets
import stat
import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
import jwt
import structlog

from ..places import data_folder
from ..sections import AuthSection
from ..settings import SettingsError

DEFAULT_SUBJECT = "local"
"""The owner of what the command line makes, so that the page shows the same threads."""
_KEY_FILE = "signing-key"
_LEAST_SECRET_BYTES = 32
_MOST_TOKEN_BYTES = 8192
_MOST_SUBJECT = 200
_REFETCH_SECONDS = 30
_log = structlog.get_logger(__name__)


class TokenRefused(Exception):
    """A token is not believed.

    Attributes:
        expired: it was good once.
    """

    def __init__(self, reason: str, *, expired: bool = False) -> None:
        super().__init__(reason)
        self.expired = expired


@dataclass(frozen=True, slots=True)
class Claims:
    """What a good token says; `expires` in seconds since 1970."""

    subject: str
    expires: int


def make(
    auth: AuthSection,
    *,
    subject: str = DEFAULT_SUBJECT,
    lifetime_s: int = 3600,
    environ: Mapping[str, str] = os.environ,
) -> str:
    """Make a token.

    Raises:
        SettingsError: there is no key to sign with, or the subject or the lifetime is none.
    """
    if not _is_subject(subject):
        raise SettingsError(f"a subject has 1 to {_MOST_SUBJECT} printable characters")
    if lifetime_s < 1:
        raise SettingsError("a token lives a second or longer")
    now = int(time.time())
    claims: dict[str, object] = {"sub": subject, "aud": auth.audience, "iat": now, "exp": now + lifetime_s}
    if auth.issuer:
        claims["iss"] = auth.issuer
    if auth.algorithm == "HS256":
        return jwt.encode(claims, secret(auth, environ), algorithm="HS256")
    if auth.private_key_file is None:
        raise SettingsError("to make RS256 tokens set auth.private_key_file; else get them from the issuer")
    try:
        return jwt.encode(claims, auth.private_key_file.read_text(), algorithm="RS256")
    except (OSError, ValueError, TypeError, jwt.InvalidKeyError) as error:
        raise SettingsError(f"auth.private_key_file cannot be used: {type(error).__name__}") from error


def secret(auth: AuthSection, environ: Mapping[str, str] = os.environ) -> str:
    """Return the secret of HS256 tokens, making the user's own on first use.

    Raises:
        SettingsError: it is too short, or its file is not the user's alone.
    """
    if configured := auth.secret.get_secret_value():
        if len(configured.encode()) < _LEAST_SECRET_BYTES:
            raise SettingsError(f"auth.secret must have {_LEAST_SECRET_BYTES} bytes or more")
        return configured
    file = key_file(environ)
    file.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    if not file.exists():
        _create(file)
    return _read(file)


def key_file(environ: Mapping[str, str] = os.environ) -> Path:
    """Return where the secret is kept that `serve` makes when none is configured."""
    return data_folder(environ) / _KEY_FILE


def _create(file: Path) -> None:
    # Written aside and linked: a process that comes at the same time finds no file, or a whole one.
    aside = file.with_name(f".{file.name}-{secrets.token_hex(8)}")
    descriptor = os.open(aside, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    try:
        with os.fdopen(descriptor, "w") as opened:
            opened.write(secrets.token_urlsafe(48))
        with contextlib.suppress(FileExistsError):
            os.link(aside, file)
    finally:
        aside.unlink()


def _read(file: Path) -> str:
    descriptor = os.open(file, os.O_RDONLY | os.O_NOFOLLOW)
    with os.fdopen(descriptor) as opened:
        about = os.fstat(descriptor)
        if about.st_uid != os.getuid() or stat.S_IMODE(about.st_mode) & 0o077:
            raise SettingsError(f"{file} must be yours and readable by nobody else: chmod 600, or delete it")
        found = opened.read().strip()
    if len(found.encode()) < _LEAST_SECRET_BYTES:
        raise SettingsError(f"{file} holds no secret; delete it, and a new one is made")
    return found


class Verifier:
    """Tells good tokens from others."""

    def __init__(self, auth: AuthSection, environ: Mapping[str, str] = os.environ) -> None:
        self._auth = auth
        self._keys: _PublishedKeys | None = None
        self._key: Any = None
        if auth.algorithm == "HS256":
            self._key = secret(auth, environ)
        elif auth.jwks_url:
            self._keys = _PublishedKeys(auth.jwks_url)
        elif auth.public_key_file is not None:
            self._key = _public_key(auth.public_key_file)
        else:
            raise SettingsError("RS256 needs auth.public_key_file or auth.jwks_url")

    async def verify(self, token: str) -> Claims:
        """Return what the token says.

        Raises:
            TokenRefused: it is not good; the reason is for the log only.
        """
        if len(token) > _MOST_TOKEN_BYTES:
            raise TokenRefused("too long")
        try:
            key = self._key if self._keys is None else await self._keys.key(jwt.get_unverified_header(token))
            claims = jwt.decode(
                token,
                key,
                algorithms=[self._auth.algorithm],
                audience=self._auth.audience,
                issuer=self._auth.issuer or None,
                options={"require": ["exp", "aud", "sub"], "strict_aud": False},
            )
        except jwt.ExpiredSignatureError as error:
            raise TokenRefused("expired", expired=True) from error
        except (jwt.InvalidTokenError, ValueError, TypeError, OverflowError) as error:
            # The messages of some of them quote the token.
            raise TokenRefused(type(error).__name__) from error
        subject = claims["sub"]
        if not isinstance(subject, str) or not _is_subject(subject):
            raise TokenRefused("subject")
        return Claims(subject, int(claims["exp"]))


def _is_subject(subject: str) -> bool:
    return 0 < len(subject) <= _MOST_SUBJECT and subject.isprintable() and subject.strip() == subject


def _public_key(file: Path) -> Any:
    try:
        key = jwt.get_algorithm_by_name("RS256").prepare_key(file.read_text())
    except (OSError, ValueError, TypeError, jwt.InvalidKeyError) as error:
        raise SettingsError(f"auth.public_key_file cannot be used: {type(error).__name__}") from error
    if hasattr(key, "private_numbers"):
        raise SettingsError("auth.public_key_file holds a private key; the server needs the public one only")
    return key


class _PublishedKeys:
    """The keys of an issuer, fetched when a token names one that is not known, but not more often than so."""

    def __init__(self, url: str) -> None:
        self._url = url
        self._found: dict[str, Any] = {}
        self._fetched = -float(_REFETCH_SECONDS)
        self._fetching = asyncio.Lock()

    async def key(self, header: Mapping[str, Any]) -> Any:
        name = header.get("kid")
        if not isinstance(name, str):
            raise TokenRefused("no key id")
        if name not in self._found:
            async with self._fetching:
                if name not in self._found and time.monotonic() - self._fetched >= _REFETCH_SECONDS:
                    self._fetched = time.monotonic()
                    await self._fetch()
        if name not in self._found:
            raise TokenRefused("unknown key id")
        return self._found[name]

    async def _fetch(self) -> None:
        try:
            async with httpx.AsyncClient(timeout=10) as client:
                answer = await client.get(self._url)
                keys = jwt.PyJWKSet.from_dict(answer.raise_for_status().json()).keys
        except (httpx.HTTPError, ValueError, TypeError, AttributeError, jwt.PyJWTError) as error:
            _log.warning("keys not fetched", url=self._url, error=type(error).__name__)
            return
        self._found = {key.key_id: key.key for key in keys if key.key_id and key.key_type == "RSA"}
