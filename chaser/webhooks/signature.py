"""GitHub's signature of a delivery: HMAC-SHA256 over the body's raw bytes.

https://docs.github.com/en/webhooks/using-webhooks/validating-webhook-deliveries
"""

import hashlib
import hmac
from collections.abc import Sequence

from chaser.errors import ConfigError
from chaser.secret import Secret

HEADER = "x-hub-signature-256"


class Signatures:
    """Knows the genuine from the rest. Several secrets: while one replaces the other, either may sign."""

    def __init__(self, secrets: Sequence[Secret]) -> None:
        if not secrets or not all(secrets):
            raise ConfigError(
                (
                    "github.webhook_secret: is empty, so that anybody could sign; set the secret of the App's webhook",
                )
            )
        self._keys = tuple(secret.reveal().encode() for secret in secrets)

    def genuine(self, body: bytes, headers: Sequence[str]) -> bool:
        """Whether the one `X-Hub-Signature-256` signs `body`. Missing, repeated, malformed and wrong are the same."""
        given = headers[0].encode("latin-1", "replace") if len(headers) == 1 else b""
        genuine = False
        for key in self._keys:  # all of them, always: the time taken does not tell which one matched
            genuine |= hmac.compare_digest(_sign(key, body), given)
        return genuine


class ChangingSignatures:
    """As `Signatures`, of secrets that come and go while the service runs. Without any, nothing is genuine."""

    def __init__(self) -> None:
        self._present: Signatures | None = None

    def trust(self, secrets: Sequence[Secret]) -> None:
        self._present = Signatures(secrets) if secrets else None

    def genuine(self, body: bytes, headers: Sequence[str]) -> bool:
        return self._present is not None and self._present.genuine(body, headers)


def _sign(key: bytes, body: bytes) -> bytes:
    return b"sha256=" + hmac.new(key, body, hashlib.sha256).hexdigest().encode()
