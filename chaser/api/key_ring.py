"""The keys that were asked for a moment ago, so that not every request has to read its own from the store."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from chaser.clock import Clock
from chaser.ids import KeyId
from chaser.keys import ApiKey, KeyStore

REMEMBERED_SECONDS = 0.1
"""How long a key that another process revokes may still open something: hardly noticed, and many requests at a full load."""


@dataclass(frozen=True, slots=True)
class _Known:
    key: ApiKey
    until: float


class KeyRing:
    """A `KeyStore` over another. What is revoked through it is forgotten at once."""

    def __init__(self, store: KeyStore, clock: Clock) -> None:
        self._store = store
        self._clock = clock
        self._known: dict[str, _Known] = {}
        self._revocations = 0

    async def add(self, key: ApiKey) -> None:
        await self._store.add(key)

    async def by_public(self, public: str) -> ApiKey | None:
        known = self._known.get(public)
        if known is not None and self._clock.monotonic() < known.until:
            return known.key
        revocations = self._revocations
        key = await self._store.by_public(public)
        # What was read while a key was revoked may be older than that.
        if key is not None and revocations == self._revocations:
            self._known[public] = _Known(key, self._clock.monotonic() + REMEMBERED_SECONDS)
        return key

    async def list(self) -> Sequence[ApiKey]:
        return await self._store.list()

    async def revoke(self, key_id: KeyId, at: datetime) -> ApiKey | None:
        try:
            return await self._store.revoke(key_id, at)
        finally:
            self._revocations += 1
            self._known.clear()
