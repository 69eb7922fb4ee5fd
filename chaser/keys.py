"""API keys: what they look like, what they allow, and where they are kept (a Protocol; `chaser.store` implements it).

A key is `sk_` + an 8-character public part + 32 secret characters + a 6-character checksum, all of base 62. The
checksum tells a typing error from a wrong key without asking the database. Only the SHA-256 of the whole is stored:
the secret part has 190 random bits, so a slow hash would add nothing.
"""

import hashlib
import hmac
import secrets
import zlib
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Protocol

from chaser.ids import KeyId

_BASE62 = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"
_PUBLIC, _SECRET, _CHECK = 8, 32, 6


class Scope(StrEnum):
    EXEC_WRITE = "exec.write"
    JOBS_READ = "jobs.read"
    JOBS_WRITE = "jobs.write"
    WORKSPACES_READ = "workspaces.read"
    WORKSPACES_WRITE = "workspaces.write"
    FILES_READ = "files.read"
    FILES_WRITE = "files.write"
    SESSIONS_READ = "sessions.read"
    SESSIONS_WRITE = "sessions.write"
    RUNNERS_READ = "runners.read"
    RUNNERS_WRITE = "runners.write"
    KEYS_READ = "keys.read"
    KEYS_WRITE = "keys.write"


ALL_SCOPES = frozenset(Scope)


@dataclass(frozen=True, slots=True)
class KeySecret:
    """A whole key, shown once. Its repr hides it."""

    text: str

    def __repr__(self) -> str:
        return "KeySecret(…)"

    @property
    def public(self) -> str:
        return self.text[3 : 3 + _PUBLIC]

    @property
    def digest(self) -> bytes:
        return hashlib.sha256(self.text.encode()).digest()


@dataclass(frozen=True, slots=True)
class ApiKey:
    """A key as it is stored: never the key itself."""

    id: KeyId
    name: str
    public: str
    digest: bytes
    scopes: frozenset[Scope]
    created_at: datetime
    profiles: frozenset[str] | None = None
    """Profiles that it may use; none: all."""
    max_running: int | None = None
    own_jobs: bool = False
    """Whether it sees only the jobs that it made."""
    expires_at: datetime | None = None
    revoked_at: datetime | None = None
    workspace_prefix: str | None = None
    """It sees and uses only workspaces whose name begins so, whatever the case; none: all."""

    def valid_at(self, now: datetime) -> bool:
        return self.revoked_at is None and (self.expires_at is None or now < self.expires_at)

    def opened_by(self, secret: KeySecret) -> bool:
        """Whether `secret` is this key, compared in constant time."""
        return hmac.compare_digest(self.digest, secret.digest)


class KeyStore(Protocol):
    async def add(self, key: ApiKey) -> None: ...

    async def by_public(self, public: str) -> ApiKey | None: ...

    async def list(self) -> Sequence[ApiKey]: ...

    async def revoke(self, key_id: KeyId, at: datetime) -> ApiKey | None:
        """Revoke it, if not revoked already; returns it as it is afterwards, none if there is no such key."""
        ...


def generate() -> KeySecret:
    body = "".join(secrets.choice(_BASE62) for _ in range(_PUBLIC + _SECRET))
    return KeySecret(f"sk_{body}{_checksum(body)}")


def parse(text: str) -> KeySecret | None:
    """The key in `text`; none if it cannot be one (wrong prefix, length, alphabet or checksum)."""
    body, check = text[3:-_CHECK], text[-_CHECK:]
    whole = len(text) == 3 + _PUBLIC + _SECRET + _CHECK and text.startswith("sk_") and text.isascii()
    return KeySecret(text) if whole and hmac.compare_digest(_checksum(body), check) else None


def _checksum(body: str) -> str:
    number = zlib.crc32(body.encode())
    digits = ""
    for _ in range(_CHECK):
        number, rest = divmod(number, 62)
        digits = _BASE62[rest] + digits
    return digits
