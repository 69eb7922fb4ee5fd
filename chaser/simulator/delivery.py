"""A delivery as GitHub makes it: a payload, signed, sent.

https://docs.github.com/en/webhooks/webhook-events-and-payloads#delivery-headers
"""

import hashlib
import hmac
import json
import uuid
from collections.abc import Mapping
from dataclasses import dataclass, field

import httpx

from chaser.simulator.payload import Job, workflow_job

_PATIENCE = 10
"""Seconds that GitHub waits for an answer."""


@dataclass(frozen=True, slots=True)
class Delivery:
    """One attempt to deliver; the same `guid` again is a redelivery."""

    event: str
    body: bytes
    guid: str = field(default_factory=lambda: str(uuid.uuid4()))

    def headers(self, secret: str) -> dict[str, str]:
        signature = hmac.new(secret.encode(), self.body, hashlib.sha256).hexdigest()
        return {
            "Accept": "*/*",
            "Content-Type": "application/json",
            "User-Agent": "GitHub-Hookshot/simulated",
            "X-GitHub-Delivery": self.guid,
            "X-GitHub-Event": self.event,
            "X-GitHub-Hook-ID": "1",
            "X-GitHub-Hook-Installation-Target-ID": "1",
            "X-GitHub-Hook-Installation-Target-Type": "integration",
            "X-Hub-Signature-256": f"sha256={signature}",
        }


def delivery(event: str, payload: Mapping[str, object]) -> Delivery:
    return Delivery(event, json.dumps(payload, separators=(",", ":")).encode())


def queued(job: Job) -> Delivery:
    """The delivery that tells of a queued job."""
    return delivery("workflow_job", workflow_job("queued", job))


def ping() -> Delivery:
    """What GitHub sends when a webhook is made."""
    hook = {"type": "App", "id": 1, "name": "web", "active": True, "events": ["workflow_job"]}
    return delivery("ping", {"zen": "Keep it logically awesome.", "hook_id": 1, "hook": hook})


async def deliver(sent: Delivery, url: str, secret: str) -> httpx.Response:
    async with httpx.AsyncClient(timeout=_PATIENCE) as client:
        return await client.post(url, content=sent.body, headers=sent.headers(secret))
