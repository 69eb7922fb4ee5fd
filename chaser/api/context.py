"""What the API stands on, given by the one who wires the service."""

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from datetime import timedelta

from chaser.api.audience import Audience
from chaser.clock import Clock
from chaser.jobs.completion import Completion
from chaser.jobs.intake import Intake
from chaser.jobs.ports import JobStore, LogStore
from chaser.keys import KeyStore
from chaser.sandboxes.spec import Profile

Ping = Callable[[], Awaitable[None]]
"""Returns when the part answers. Raises `Unavailable` with what to check when it does not."""

Admission = Callable[[], None]
"""Raises `Unavailable` or `Rejected` when no new work is taken: the disk is low, the service is stopping."""


def admit_all() -> None:
    """The admission that refuses nothing."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Rules:
    """The API's settings. The defaults are those that are shipped; docs/api.md names them."""

    rate: str = "600/minute"
    """For each key, as the `limits` package writes it."""
    max_queued: int = 10_000
    """Jobs that may wait at once, over all keys; beyond it: `too_busy`."""
    default_timeout: timedelta = timedelta(minutes=10)
    max_timeout: timedelta = timedelta(hours=6)
    default_queue_timeout: timedelta = timedelta(minutes=5)
    max_queue_timeout: timedelta = timedelta(days=1)
    body_bytes: int = 1 << 20
    body_deadline: timedelta = timedelta(seconds=30)
    """How long a client may take to send a body."""
    answer_after: timedelta = timedelta(seconds=8)
    """When an exec that has not ended yet begins its answer: below the 10 s after which proxies cut an idle call."""
    beat: timedelta = timedelta(seconds=5)
    """How often an answer that has begun, and has nothing to say, sends a space or a comment line."""
    look_again: timedelta = timedelta(seconds=3)
    """How often a waiting answer reads the store without having been told of a change."""
    stall: timedelta = timedelta(seconds=60)
    """How long one write to a client may stand still before its connection is cut. The run goes on."""
    ping_deadline: timedelta = timedelta(seconds=3)


@dataclass(frozen=True, slots=True, kw_only=True)
class Api:
    """Every dependency of the routes. `stopping` is set when the service begins to stop: answers that wait then end,
    and a client's connection that closes no longer means that the client has left."""

    jobs: JobStore
    logs: LogStore
    keys: KeyStore
    intake: Intake
    completion: Completion
    profiles: Mapping[str, Profile]
    clock: Clock
    version: str
    rules: Rules = field(default_factory=Rules)
    pings: Mapping[str, Ping] = field(default_factory=dict[str, Ping])
    admission: Admission = admit_all
    stopping: asyncio.Event = field(default_factory=asyncio.Event)
    audience: Audience = field(default_factory=Audience)
