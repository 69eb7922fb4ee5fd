"""The way of deliveries to the App's webhook: sent once, noted, and sent again only if somebody asks.

https://docs.github.com/en/webhooks/using-webhooks/handling-failed-webhook-deliveries
"""

import asyncio
import itertools
import json
import time
from collections.abc import Coroutine, Mapping
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from typing import cast

import httpx

from chaser.simulator.addresses import moved
from chaser.simulator.delivery import Delivery, as_form, deliver, delivery
from chaser.simulator.faults import Mishap
from chaser.simulator.world import World

_UNASKED = {"ping", "installation", "installation_repositories"}
"""What an App is told without having subscribed to it."""


@dataclass(slots=True)
class Attempt:
    """One entry in the log of deliveries. `status` and `status_code` are in GitHub's words."""

    id: int
    sent: Delivery
    payload: Mapping[str, object]
    redelivery: bool
    at: datetime = field(default_factory=lambda: datetime.now(UTC))
    duration: float = 0
    status: str = "pending"
    status_code: int = 0
    answer: httpx.Response | None = None

    @property
    def action(self) -> str | None:
        return cast("str | None", self.payload.get("action"))


class Post:
    def __init__(self, world: World) -> None:
        self._world = world
        self.attempts: list[Attempt] = []
        """Oldest first."""
        self._held: list[Attempt] = []
        self._ids = itertools.count(1)
        self._tasks: set[asyncio.Task[None]] = set()

    def send(self, event: str, payload: Mapping[str, object]) -> None:
        """Nothing waits for it: events go out as things happen."""
        if self._world.hook.url is None or event not in {*self._world.app.events, *_UNASKED}:
            return
        plain = delivery(event, payload)
        body = moved(plain.body, self._world.address)
        made = replace(plain, body=body, app_id=self._world.app_id)
        attempt = Attempt(next(self._ids), made, payload, redelivery=False)
        mishap = self._world.mishap_for(event, payload)
        if mishap is not None and mishap.kind == "hold":
            self._held.append(attempt)
            return
        self._start(self._round(attempt, mishap, self._take_held()))

    def again(self, attempt: Attempt) -> None:
        """A redelivery: the same id for the receiver, another one in the log."""
        made = Attempt(next(self._ids), attempt.sent, attempt.payload, redelivery=True)
        self._start(self._round(made, self._world.weather.mishap(attempt.sent.event, attempt.payload), []))

    def release(self) -> None:
        """Send what is held back, though nothing else is sent."""
        self._start(self._all(self._take_held()))

    def find(self, attempt_id: int) -> Attempt | None:
        return next((one for one in self.attempts if one.id == attempt_id), None)

    async def settled(self) -> None:
        """All that was sent has been answered, or has failed."""
        while self._tasks:
            await asyncio.wait(self._tasks)

    def _take_held(self) -> list[Attempt]:
        held, self._held = self._held, []
        return held

    def _start(self, work: Coroutine[object, object, None]) -> None:
        task = asyncio.get_running_loop().create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _round(self, attempt: Attempt, mishap: Mishap | None, held: list[Attempt]) -> None:
        kind = None if mishap is None else mishap.kind
        if mishap is not None and kind == "delay":
            await asyncio.sleep(mishap.seconds)
        if kind == "lose":
            attempt.status, attempt.status_code = "timed out", 504
            self.attempts.append(attempt)
        elif kind != "vanish":
            await self._attempt(attempt)
        if kind == "double":
            await self._attempt(replace(attempt, id=next(self._ids)))
        await self._all(held)

    async def _all(self, attempts: list[Attempt]) -> None:
        for attempt in attempts:
            await self._attempt(attempt)

    async def _attempt(self, attempt: Attempt) -> None:
        hook = self._world.hook
        if hook.url is None:
            return
        self.attempts.append(attempt)
        sent = attempt.sent if hook.content_type == "json" else as_form(attempt.sent)
        begun = time.monotonic()
        try:
            async with asyncio.timeout(self._world.patience.answer):
                answer = await deliver(sent, hook.url, hook.secret, self._world.patience.answer)
        except (TimeoutError, httpx.TimeoutException):
            attempt.status, attempt.status_code = "timed out", 504
        except httpx.HTTPError:
            attempt.status, attempt.status_code = "failed to connect to host", 502
        else:
            good = answer.is_success
            attempt.status = "OK" if good else f"Invalid HTTP Response: {answer.status_code}"
            attempt.status_code, attempt.answer = answer.status_code, answer
        attempt.duration = round(time.monotonic() - begun, 2)


def item_body(attempt: Attempt) -> dict[str, object]:
    """https://docs.github.com/en/rest/apps/webhooks#list-deliveries-for-an-app-webhook"""
    return {
        "id": attempt.id,
        "guid": attempt.sent.guid,
        "delivered_at": attempt.at.strftime("%Y-%m-%dT%H:%M:%SZ"),
        "redelivery": attempt.redelivery,
        "duration": attempt.duration,
        "status": attempt.status,
        "status_code": attempt.status_code,
        "event": attempt.sent.event,
        "action": attempt.action,
        "installation_id": _id(attempt, "installation"),
        "repository_id": _id(attempt, "repository"),
        "throttled_at": None,
    }


def whole_body(attempt: Attempt) -> dict[str, object]:
    """With what was sent and answered, but never the signature's secret."""
    answer = attempt.answer
    return {
        **item_body(attempt),
        "url": "",
        "request": {"headers": attempt.sent.headers(""), "payload": json.loads(attempt.sent.body)},
        "response": {
            "headers": {} if answer is None else dict(answer.headers),
            "payload": "" if answer is None else answer.text,
        },
    }


def _id(attempt: Attempt, key: str) -> object:
    found = attempt.payload.get(key)
    return cast("Mapping[str, object]", found).get("id") if isinstance(found, Mapping) else None
