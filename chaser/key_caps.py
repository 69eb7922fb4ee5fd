"""How many jobs an API key may have running."""

from chaser.ids import KeyId
from chaser.keys import KeyStore


class KeyCaps:
    """How many jobs each key may have running. A key's cap never changes."""

    def __init__(self, keys: KeyStore) -> None:
        self._keys = keys
        self._known: dict[KeyId, int | None] = {}

    async def of(self, key_id: KeyId) -> int | None:
        if key_id not in self._known:
            self._known.update({key.id: key.max_running for key in await self._keys.list()})
        return self._known.get(key_id)
