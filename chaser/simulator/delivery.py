"""A delivery as GitHub makes it: a payload, signed, sent.

https://docs.github.com/en/webhooks/webhook-events-and-payloads#delivery-headers
"""

import hashlib
import hmac
import json
import ssl
import uuid
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cache
from urllib.parse import urlencode

import httpx

from chaser.simulator import payload
from chaser.simulator.payload import Job, workflow_job

_PATIENCE = 10
"""Seconds that GitHub waits for an answer."""


@dataclass(frozen=True, slots=True)
class Delivery:
    """One attempt to deliver; the same `guid` again is a redelivery."""

    event: str
    body: bytes
    guid: str = field(default_factory=lambda: str(uuid.uuid4()))
    app_id: int = 1
    content_type: str = "application/json"

    def headers(self, secret: str) -> dict[str, str]:
        """Without a secret GitHub sends no signature."""
        return {
            "Accept": "*/*",
            "Content-Type": self.content_type,
            "User-Agent": "GitHub-Hookshot/simulated",
            "X-GitHub-Delivery": self.guid,
            "X-GitHub-Event": self.event,
            "X-GitHub-Hook-ID": "1",
            "X-GitHub-Hook-Installation-Target-ID": str(self.app_id),
            "X-GitHub-Hook-Installation-Target-Type": "integration",
            **(self._signatures(secret.encode()) if secret else {}),
        }

    def _signatures(self, secret: bytes) -> dict[str, str]:
        """The newer one, and the one that GitHub keeps for old receivers."""
        kinds = {"": hashlib.sha1, "-256": hashlib.sha256}
        made = {kind: hmac.new(secret, self.body, algorithm) for kind, algorithm in kinds.items()}
        return {
            f"X-Hub-Signature{kind}": f"{digest.name.removeprefix('hmac-')}={digest.hexdigest()}"
            for kind, digest in made.items()
        }


def delivery(event: str, payload: Mapping[str, object]) -> Delivery:
    return Delivery(event, json.dumps(payload, separators=(",", ":")).encode())


def as_form(sent: Delivery) -> Delivery:
    """How a webhook with the content type `form` gets it."""
    body = urlencode({"payload": sent.body.decode()}).encode()
    return Delivery(sent.event, body, sent.guid, sent.app_id, "application/x-www-form-urlencoded")


def queued(job: Job) -> Delivery:
    """The delivery that tells of a queued job."""
    return delivery("workflow_job", workflow_job("queued", job))


def ping() -> Delivery:
    return delivery("ping", payload.ping())


async def deliver(sent: Delivery, url: str, secret: str, patience: float = _PATIENCE) -> httpx.Response:
    """`patience` is for the whole of it, in seconds."""
    async with httpx.AsyncClient(timeout=patience, trust_env=False, verify=_tls()) as client:
        return await client.post(url, content=sent.body, headers=sent.headers(secret))


@cache
def _tls() -> ssl.SSLContext:
    """Made once, since it takes longer than a delivery."""
    return httpx.create_ssl_context(trust_env=False)
