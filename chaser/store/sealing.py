"""Encryption at rest: AES-256-GCM, bound to the row that holds it, with the key named in front.

A sealed value is one version byte, the key's id (4 bytes), the nonce (12 random bytes) and the ciphertext with its tag.
The place (table, row id) is authenticated with it (RFC 5116, associated data), so that a sealed column copied to another row
does not open. Random nonces are good for 2³² values under one key (NIST SP 800-38D, 8.3).
"""

import base64
import binascii
import hashlib
import secrets
from collections.abc import Sequence
from dataclasses import dataclass, field

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from chaser.errors import ConfigError

_VERSION = b"\x01"
_ID, _NONCE, _KEY = 4, 12, 32
ID_SLICE = slice(len(_VERSION), len(_VERSION) + _ID)
"""Where a sealed value names its key."""


class Unsealable(ConfigError):
    """A sealed value cannot be opened: its key is missing, or it was altered or moved."""

    def __init__(self, fault: str) -> None:
        super().__init__((fault,))


@dataclass(frozen=True, slots=True)
class SealingKey:
    raw: bytes = field(repr=False)

    @property
    def id(self) -> bytes:
        return hashlib.sha256(b"chaser sealing key" + self.raw).digest()[:_ID]

    @property
    def text(self) -> str:
        """The key as it stands in a key file."""
        return base64.urlsafe_b64encode(self.raw).decode()


def generate() -> SealingKey:
    return SealingKey(secrets.token_bytes(_KEY))


def parse(text: str) -> SealingKey | None:
    """The key in `text`, 32 bytes in base 64; none if it is not one."""
    try:
        raw = base64.b64decode(text.strip(), altchars=b"-_", validate=True)
    except (binascii.Error, ValueError):
        return None
    return SealingKey(raw) if len(raw) == _KEY else None


def parse_all(texts: Sequence[str], names: Sequence[str]) -> tuple[SealingKey, ...]:
    """The keys in `texts`. Raises `ConfigError` that calls each bad one by its name, and never shows it."""
    keys = [parse(text) for text in texts]
    faults = [
        f"{name} is not a sealing key (32 bytes in base 64); restore it from your backup, or remove it"
        for name, key in zip(names, keys, strict=True)
        if key is None
    ]
    if faults:
        raise ConfigError(tuple(faults))
    return tuple(key for key in keys if key is not None)


class Sealer:
    """Seals with the first key, opens with any."""

    def __init__(self, keys: Sequence[SealingKey]) -> None:
        if not keys:
            raise ConfigError(
                ("there is no sealing key; name a key file, or give 32 random bytes in base 64",)
            )
        self._first = keys[0].id
        self._ciphers = {key.id: AESGCM(key.raw) for key in keys}

    @property
    def current(self) -> bytes:
        """The id of the key that seals."""
        return self._first

    def seal(self, place: str, clear: bytes) -> bytes:
        nonce = secrets.token_bytes(_NONCE)
        box = self._ciphers[self._first].encrypt(nonce, clear, _bound_to(place))
        return _VERSION + self._first + nonce + box

    def open(self, place: str, sealed: bytes) -> bytes:
        key_id, nonce, box = (
            sealed[ID_SLICE],
            sealed[ID_SLICE.stop :][:_NONCE],
            sealed[ID_SLICE.stop + _NONCE :],
        )
        cipher = self._ciphers.get(key_id)
        if not sealed.startswith(_VERSION):
            raise Unsealable(
                f"{place} is not sealed as this program seals; a newer Chaser may have written it"
            )
        if cipher is None:
            known = ", ".join(key.hex() for key in self._ciphers)
            raise Unsealable(
                f"{place} is sealed with key {key_id.hex()}, and the keys at hand are {known}; put that key back"
            )
        try:
            return cipher.decrypt(nonce, box, _bound_to(place))
        except (InvalidTag, ValueError) as error:
            raise Unsealable(
                f"{place} was altered or moved since it was sealed; restore it from a backup"
            ) from error


def _bound_to(place: str) -> bytes:
    return b"chaser/1 " + place.encode()
