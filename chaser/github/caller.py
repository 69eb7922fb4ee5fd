"""One who calls GitHub, an installation or the App itself: in line, at GitHub's pace, with account kept of what for."""

from collections import Counter
from collections.abc import Awaitable, Callable, Mapping
from datetime import timedelta

from githubkit.exception import RequestFailed

from chaser.clock import Clock
from chaser.github.budget import Call, Pace, Urgency
from chaser.github.failures import slowdown, slowed
from chaser.github.line import Line
from chaser.github.told import CORE, REGISTRATION, told
from chaser.github.wire import Answer
from chaser.runners.budget import Left, Spending

_REGISTERED = 201


class Caller:
    def __init__(self, pace: Pace, clock: Clock) -> None:
        self._clock = clock
        self._line = Line(pace, clock)
        self._calls: Counter[Urgency] = Counter()
        self._runners = 0
        self._limited = 0

    async def send(self, call: Call, doing: str, send: Callable[[], Awaitable[Answer]]) -> Answer:
        """The answer to the call, when its turn has come. Raises as `send` does, but `Unavailable` for a limit."""
        await self._line.turn(call, doing)
        self._calls[call.urgency] += 1
        headers: Mapping[str, str] | None = None
        try:
            answer = await send()
            headers = answer.headers
        except RequestFailed as error:
            headers = error.response.headers
            self._slow_down(error, doing)
            raise
        finally:
            self._account(call, headers)
        self._line.budget.served()
        if call.registers and answer.status == _REGISTERED:
            self._runners += 1
        return answer

    @property
    def remaining(self) -> float:
        return self._line.budget.remaining(self._clock.monotonic())

    def spending(self, installation_id: int) -> Spending:
        now = self._clock.monotonic()
        left = {name: self._line.budget.left(name, now) for name in (CORE, REGISTRATION)}
        return Spending(
            installation_id,
            {urgency.name.lower(): self._calls[urgency] for urgency in Urgency},
            self._runners,
            self._limited,
            len(self._line),
            {
                name: Left(
                    each.limit,
                    each.remaining,
                    self._clock.now() + timedelta(seconds=each.reset_at - now),
                )
                for name, each in left.items()
                if each is not None
            },
        )

    def _slow_down(self, error: RequestFailed, doing: str) -> None:
        """Raises `Unavailable` if this is a limit."""
        limit = slowdown(error)
        if limit is None:
            return
        self._limited += 1
        seconds = limit.seconds
        if not limit.primary or seconds is None:
            seconds = self._line.budget.refused(self._clock.monotonic(), seconds)
        raise slowed(error, doing, seconds) from error

    def _account(self, call: Call, headers: Mapping[str, str] | None) -> None:
        now = self._clock.monotonic()
        if headers is None:
            self._line.budget.unanswered(call, now)
        else:
            self._line.budget.answered(call, now, told(headers, self._clock.now()))
        self._line.move()
