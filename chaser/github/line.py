"""The line of those who want to call GitHub as one caller: the more urgent first, and then who came first.

Each endpoint has a pace of its own, so nobody waits behind a call that another endpoint's pace holds back.
"""

import asyncio
import heapq
import math
from collections.abc import Iterable
from dataclasses import dataclass, field
from itertools import count

from chaser.clock import Clock
from chaser.errors import Unavailable
from chaser.github.budget import Budget, Call, Pace
from chaser.jobs.reason import Reason

PATIENCE = 90.0
"""Seconds for which a reached limit is waited for. Whoever would have to wait longer is told so at once, and comes again."""


@dataclass(order=True, slots=True)
class _Waiting:
    urgency: int
    number: int
    call: Call = field(compare=False)
    turn: "asyncio.Future[None]" = field(compare=False)


class Line:
    def __init__(self, pace: Pace, clock: Clock) -> None:
        self.budget = Budget(pace)
        self._clock = clock
        self._waiting: dict[str, list[_Waiting]] = {}
        """By endpoint, each a heap."""
        self._numbers = count()
        self._timer: asyncio.TimerHandle | None = None

    def __len__(self) -> int:
        return sum(not each.turn.done() for waiting in self._waiting.values() for each in waiting)

    async def turn(self, call: Call, doing: str) -> None:
        """Wait until the call may go; from then on it counts, until `answered` or `unanswered`.

        Raises `Unavailable`, with the time to come again, where a limit has been reached that holds on for long.
        """
        turn = asyncio.get_running_loop().create_future()
        waiting = _Waiting(call.urgency, next(self._numbers), call, turn)
        heapq.heappush(self._waiting.setdefault(call.endpoint, []), waiting)
        self.move()
        try:
            await turn
        except asyncio.CancelledError:
            if turn.done() and not turn.cancelled() and turn.exception() is None:
                self.budget.unsent(call)
                self.move()
            raise
        except _TooLong as error:
            raise _unavailable(doing, error.seconds) from error

    def move(self) -> None:
        """Let go whoever may, after an answer, or as time has passed."""
        now, pause = self._clock.monotonic(), math.inf
        blocked: set[str] = set()
        while (first := self._first(blocked)) is not None:
            wait = self.budget.wait(first.call, now)
            if wait.limited and wait.seconds > PATIENCE:
                self._leave(first).turn.set_exception(_TooLong(wait.seconds))
            elif wait.seconds > 0:
                # who comes after it at this endpoint waits behind it
                blocked.add(first.call.endpoint)
                pause = min(pause, wait.seconds)
            else:
                self.budget.sent(first.call)
                self._leave(first).turn.set_result(None)
        self._wake_in(pause)

    def _first(self, blocked: Iterable[str]) -> _Waiting | None:
        for waiting in self._waiting.values():
            while waiting and waiting[0].turn.done():
                heapq.heappop(waiting)
        heads = [waiting[0] for name, waiting in self._waiting.items() if waiting and name not in blocked]
        return min(heads, default=None)

    def _leave(self, waiting: _Waiting) -> _Waiting:
        return heapq.heappop(self._waiting[waiting.call.endpoint])

    def _wake_in(self, seconds: float) -> None:
        if self._timer is not None:
            self._timer.cancel()
        loop = asyncio.get_running_loop()
        self._timer = loop.call_later(seconds, self.move) if math.isfinite(seconds) else None


class _TooLong(Exception):
    def __init__(self, seconds: float) -> None:
        super().__init__()
        self.seconds = seconds


def _unavailable(doing: str, seconds: float) -> Unavailable:
    message = (
        f"GitHub's rate limit is used up, so it was not asked while {doing}; it is lifted in {seconds:.0f} s."
    )
    return Unavailable(Reason.GITHUB_UNAVAILABLE, message, retry_after=seconds)
