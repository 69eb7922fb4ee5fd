"""GET /v1/events: every change of state that the key may see, as server-sent events.

Histories are ordered by the time of their lines, and a line may become visible a little after a later one: its
transaction took longer, or another machine's clock is behind. So the last seconds are looked over again at each beat,
and what was told is remembered for as long. Who comes again with `Last-Event-ID` is told those seconds once more.
"""

import asyncio
import re
from collections.abc import AsyncGenerator, Sequence
from contextlib import aclosing
from datetime import UTC, datetime, timedelta

import structlog
from starlette.requests import Request
from starlette.responses import Response
from starlette.types import Receive, Scope, Send

from chaser.api import sse
from chaser.api.answers import event_answer
from chaser.api.call import Call
from chaser.api.context import Api
from chaser.api.schemas.jobs import ChangeAnswer
from chaser.api.sending import Sender, Stalled
from chaser.api.vigil import Lookout, News, lookout
from chaser.errors import ChaserError, Unavailable
from chaser.ids import JobId, KeyId
from chaser.jobs.ports import Change, Mark

OVERLAP = timedelta(seconds=5)
"""How far back a line may still appear."""
_PAGE = 500
_PAUSE = 0.05
"""Seconds between two looks: jobs that print much tell of changes all the time."""
_COMMENT = sse.comment("nothing new")
_ID = re.compile(r"([0-9]{1,16})\.(job_[0-9a-z]{26})\.([0-9]{1,9})")
_MICROSECOND = timedelta(microseconds=1)
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)

_log = structlog.stdlib.get_logger("chaser.api")


async def of_all(call: Call) -> Response:
    now = call.api.clock.now()
    seen = _last_seen(call.request, now)
    start = Mark(now) if seen is None else Mark(seen.at - OVERLAP)
    return Feed(call.api, call.key.id if call.key.own_jobs else None, start)


class Told:
    """The changes from a start on, each once."""

    def __init__(self, api: Api, key_id: KeyId | None, start: Mark) -> None:
        self._api = api
        self._key_id = key_id
        self._start = start
        self._newest = start
        self._told: dict[tuple[JobId, int], datetime] = {}

    async def new(self, *, thorough: bool) -> AsyncGenerator[Sequence[Change]]:
        """What has not been told yet, in pages; `thorough`: also what has appeared late."""
        after = self._look_back() if thorough else self._newest
        while page := await self._api.jobs.changes(after, _PAGE, self._key_id):
            after = page[-1].mark
            if new := [change for change in page if self._is_new(change)]:
                self._note(new)
                yield new
        self._forget()

    def _look_back(self) -> Mark:
        # a clock that was set back writes lines before the newest
        return max(self._start, Mark(min(self._newest.at, self._api.clock.now()) - OVERLAP))

    def _is_new(self, change: Change) -> bool:
        return (change.job_id, change.event.seq) not in self._told

    def _note(self, new: Sequence[Change]) -> None:
        self._told.update({(change.job_id, change.event.seq): change.event.at for change in new})
        self._newest = max(self._newest, new[-1].mark)

    def _forget(self) -> None:
        oldest = self._look_back().at
        self._told = {line: at for line, at in self._told.items() if at >= oldest}


class Feed(Response):
    """Ends after a while, so that its client comes again: by then its key may have been revoked."""

    def __init__(self, api: Api, key_id: KeyId | None, start: Mark) -> None:
        super().__init__()
        self._api = api
        self._told = Told(api, key_id, start)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        sender = Sender(send, self._api.rules.stall)
        try:
            await sender.start(200, sse.HEADERS)
            if scope["method"] != "HEAD":
                async with lookout(self._api, receive) as out:
                    await self._tell(out, sender)
            await sender.end()
        except Stalled:
            _log.info("A client no longer reads events.", action="stalled")
        except ChaserError as error:
            _log.warning("An event stream was cut.", action="cut", error=str(error))

    async def _tell(self, out: Lookout, sender: Sender) -> None:
        loop, rules = asyncio.get_running_loop(), self._api.rules
        end = loop.time() + rules.longest_feed.total_seconds()
        again, beat = rules.look_again.total_seconds(), rules.beat.total_seconds()
        thorough_at, beat_at = loop.time(), loop.time() + beat
        while (now := loop.time()) < end:
            if await self._pass_on(sender, thorough=now >= thorough_at):
                beat_at = now + beat
            elif now >= beat_at:
                await sender.piece(_COMMENT)
                beat_at = now + beat
            if now >= thorough_at:
                thorough_at = now + again
            await asyncio.sleep(_PAUSE)
            if await out.next(min(thorough_at, beat_at, end) - loop.time()) in {News.GONE, News.STOPPING}:
                return

    async def _pass_on(self, sender: Sender, *, thorough: bool) -> bool:
        """Whether there was something new."""
        any_new = False
        try:
            async with aclosing(self._told.new(thorough=thorough)) as pages:
                async for page in pages:
                    any_new = True
                    await sender.piece(b"".join(map(_written, page)))
        except Unavailable as error:
            _log.warning("The store does not answer; events come later.", action="look", error=str(error))
        return any_new


def _written(change: Change) -> bytes:
    data = ChangeAnswer(job_id=change.job_id, **event_answer(change.event).model_dump())
    since_epoch = (change.event.at - _EPOCH) // _MICROSECOND
    return sse.event("change", data, f"{since_epoch}.{change.job_id}.{change.event.seq}")


def _last_seen(request: Request, now: datetime) -> Mark | None:
    """None for what is no id of ours, and for one that names a time to come."""
    found = _ID.fullmatch(sse.last_id(request))
    if found is None:
        return None
    at = _EPOCH + int(found[1]) * _MICROSECOND
    return Mark(at, found[2], int(found[3])) if at <= now + OVERLAP else None
