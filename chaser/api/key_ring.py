"""The keys that were asked for a moment ago, so that not every request has to read its own from the store."""

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from chaser.clock import Clock
from chaser.errors import Unavailable
from chaser.ids import KeyId
from chaser.keys import ApiKey, KeyStore

REMEMBERED_SECONDS = 0.1
"""How long a key that another process revokes may still open something: hardly noticed, and many requests at a full load."""
RENEWED_SECONDS = REMEMBERED_SECONDS / 2
"""From this age on, a key in use is read again beside the requests, so that under load none of them waits for that."""


@dataclass(frozen=True, slots=True)
class _Known:
    key: ApiKey
    read_at: float


class KeyRing:
    """A `KeyStore` over another. What is revoked through it is forgotten at once."""

    def __init__(self, store: KeyStore, clock: Clock) -> None:
        self._store = store
        self._clock = clock
        self._known: dict[str, _Known] = {}
        self._revocations = 0
        self._reading: dict[str, asyncio.Task[None]] = {}

    async def add(self, key: ApiKey) -> None:
        await self._store.add(key)

    async def by_public(self, public: str) -> ApiKey | None:
        known = self._known.get(public)
        age = REMEMBERED_SECONDS if known is None else self._clock.monotonic() - known.read_at
        if known is None or age >= REMEMBERED_SECONDS:
            return await self._read(public)
        if age >= RENEWED_SECONDS and public not in self._reading:
            self._reading[public] = asyncio.create_task(self._renew(public))
        return known.key

    async def _renew(self, public: str) -> None:
        try:
            await self._read(public)
        except Unavailable:
            self._known.pop(public, None)  # whoever asks next is told
        finally:
            del self._reading[public]

    async def _read(self, public: str) -> ApiKey | None:
        began, revocations = self._clock.monotonic(), self._revocations
        key = await self._store.by_public(public)
        # What was read while a key was revoked may be older than that.
        if key is None:
            self._known.pop(public, None)
        elif revocations == self._revocations:
            self._known[public] = _Known(key, began)
        return key

    async def list(self) -> Sequence[ApiKey]:
        return await self._store.list()

    async def revoke(self, key_id: KeyId, at: datetime) -> ApiKey | None:
        try:
            return await self._store.revoke(key_id, at)
        finally:
            self._revocations += 1
            self._known.clear()
