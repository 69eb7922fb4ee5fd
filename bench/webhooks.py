"""Deliveries from GitHub: how soon each is acknowledged, and how many a second can be, beside the least that could take one.

Every second one asks for a runner of ours. No App is configured, so that none is started."""

import hashlib
import hmac
import json
import statistics
import uuid
from collections.abc import Sequence

from bench.bare import SECRET, serving
from bench.load import post, seconds
from bench.report import say, spread
from bench.service import running
from chaser.simulator.payload import Job, workflow_job

RATE = 200
CLIENTS = 20
DELIVERIES = 2000
ROUNDS = 5
PATH = "/webhooks/github"


def measure() -> None:
    settings = {"CHASER_GITHUB__WEBHOOK_SECRET": SECRET, "CHASER_LIMITS__MAX_QUEUED": "1000000"}
    with serving() as bare, running(**settings) as service:
        for port in (service.port, bare):
            seconds(port, CLIENTS, deliveries(DELIVERIES))
        paced = seconds(service.port, CLIENTS, deliveries(DELIVERIES), RATE)
        pairs = [(at_most(service.port), at_most(bare)) for _ in range(ROUNDS)]
    say(f"webhooks, {RATE} a second", spread(paced), "p99 at most 25 ms")
    ours, theirs = (statistics.median(column) for column in zip(*pairs, strict=True))
    ratio = statistics.median(mine / its for mine, its in pairs)
    say(
        "  as many as can be, a second",
        f"{ours:.0f} against {theirs:.0f}",
        f"ratio {ratio:.2f}, at least 0.5",
    )


def at_most(port: int) -> float:
    requests = deliveries(DELIVERIES)
    took = seconds(port, CLIENTS, requests)
    return len(took) / (sum(took) / CLIENTS)


def deliveries(count: int) -> Sequence[bytes]:
    """Of workflow jobs that wait, every second one of them for us."""
    return [_delivery("chaser" if number % 2 else "ubuntu-latest") for number in range(count)]


def _delivery(label: str) -> bytes:
    body = json.dumps(workflow_job("queued", Job((label,)))).encode()
    signature = hmac.new(SECRET.encode(), body, hashlib.sha256).hexdigest()
    headers = {
        "X-GitHub-Event": "workflow_job",
        "X-GitHub-Delivery": str(uuid.uuid4()),
        "X-Hub-Signature-256": f"sha256={signature}",
    }
    return post(PATH, body, headers)
