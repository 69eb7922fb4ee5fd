"""The App's own list of its deliveries: `chaser.runners.lookout.DeliveryLog`.

https://docs.github.com/en/rest/apps/webhooks
"""

import json

from chaser.github.answers import AttemptAnswer, AttemptsAnswer, WholeDeliveryAnswer
from chaser.github.client import AppClient
from chaser.github.reading import Reader
from chaser.github.wire import Answer, read
from chaser.runners.lookout import Attempt, Page

_PATH = "/app/hook/deliveries"
_LISTING = "listing the App's deliveries"
_PENDING = 0
"""The status code of what is on its way."""


class AppDeliveryLog:
    def __init__(self, client: AppClient, reader: Reader) -> None:
        self._client = client
        self._reader = reader

    async def page(self, after: str | None = None) -> Page:
        params = {"per_page": "100"} if after is None else {"per_page": "100", "cursor": after}

        async def call(etag: str | None) -> Answer:
            return await self._client.call_as_app("GET", _PATH, doing=_LISTING, params=params, etag=etag)

        # Only the first page is asked for again and again.
        reader = self._reader if after is None else Reader(self._client.clock)
        found = await reader.read(_PATH, call, _attempts)
        if found is None:
            return Page(())
        return Page(found.items, (found.next or {}).get("cursor"), found.unchanged)

    async def read(self, attempt: Attempt) -> bytes | None:
        doing = "reading a delivery"
        path = f"{_PATH}/{attempt.id}"
        answer = await self._client.call_as_app("GET", path, doing=doing, meaningful=frozenset({404}))
        if answer.status == 404:
            return None
        payload = read(WholeDeliveryAnswer, answer, doing).request.payload
        return json.dumps(payload).encode()

    async def redeliver(self, attempt: Attempt) -> None:
        path = f"{_PATH}/{attempt.id}/attempts"
        await self._client.call_as_app("POST", path, doing="asking for a delivery once more")


def _attempts(answer: Answer) -> tuple[Attempt, ...]:
    return tuple(map(_attempt, read(AttemptsAnswer, answer, _LISTING).root))


def _attempt(each: AttemptAnswer) -> Attempt:
    return Attempt(
        each.id,
        each.guid,
        each.event,
        each.delivered_at,
        accepted=200 <= each.status_code < 300,
        pending=each.status_code == _PENDING,
    )
