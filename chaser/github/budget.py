"""How much may be asked of GitHub by one who calls (an installation, or the App itself), and when. Pure.

GitHub counts what reaches it in any minute; a call is counted here from before it leaves until a minute after its answer,
which is longer. So what stays within a limit here does there, however long calls are on their way.

https://docs.github.com/en/rest/using-the-rest-api/rate-limits-for-the-rest-api
"""

import math
import re
from collections import Counter, deque
from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import IntEnum

from chaser.github.told import CORE, REGISTRATION, Told

_PLACES = re.compile(r"^/(repos/[^/]+/[^/]+|orgs/[^/]+|users/[^/]+)")
_NUMBERS = re.compile(r"/\d+(?=/|$)")
_REGISTERING = "/generate-jitconfig"
_READS = frozenset({"GET", "HEAD", "OPTIONS"})
_FIRST_PAUSE = 60.0
_LONGEST_PAUSE = 15 * 60.0
_LATE_SECONDS = 1.0
"""A budget that is whole again at this second may be so a little later."""


class Urgency(IntEnum):
    """What a call is for: of two that wait, the one that comes first here goes first."""

    MINT = 0
    """A runner is to start."""
    TRUTH = 1
    """Whether a job is still to be run, or may be."""
    DELETE = 2
    """A registration that is to go."""
    SWEEP = 3
    """Looking whether anything was missed. It can wait."""


_KEPT_BACK: Mapping[Urgency, float] = {
    Urgency.MINT: 0.0,
    Urgency.TRUTH: 0.02,
    Urgency.DELETE: 0.05,
    Urgency.SWEEP: 0.1,
}
"""The part of an hour's budget that is left to what is more urgent."""


@dataclass(frozen=True, slots=True)
class Pace:
    """GitHub allows 900 points a minute for each endpoint and 100 calls at once; another process may take its part."""

    points: int = 720
    """In a minute, for each endpoint."""
    concurrent: int = 20
    minute: float = 60.0
    """How many seconds a minute lasts."""


@dataclass(frozen=True, slots=True)
class Call:
    urgency: Urgency
    endpoint: str
    points: int

    @property
    def registers(self) -> bool:
        """Whether it makes a runner."""
        return self.endpoint.endswith(_REGISTERING)

    @staticmethod
    def of(urgency: Urgency, method: str, path: str) -> "Call":
        """Repositories, organizations and ids are left out of the endpoint, as in GitHub's documentation."""
        endpoint = f"{method} {_NUMBERS.sub('/{}', _PLACES.sub('/{}', path))}"
        return Call(urgency, endpoint, 1 if method in _READS else 5)


@dataclass(frozen=True, slots=True)
class Wait:
    """In how many seconds a call may go, as far as known: it may be sooner. Infinite: after an answer."""

    seconds: float
    limited: bool
    """Whether GitHub's word is waited for (a limit was reached), and not only the pace."""


GO = Wait(0.0, limited=False)


@dataclass(slots=True)
class _Endpoint:
    under_way: int = 0
    points_under_way: int = 0
    done: deque[tuple[float, int]] = field(default_factory=deque[tuple[float, int]])
    """When calls were answered, and what they cost; of the last minute."""
    resource: str | None = None
    """Whose budget its calls are counted in; none: it has not been answered yet."""


@dataclass(frozen=True, slots=True)
class Left:
    """What is left of an hour's budget."""

    limit: int
    remaining: int
    reset: int
    reset_at: float
    """`reset`, on the monotonic clock."""


class Budget:
    """`now`, everywhere, is on the monotonic clock."""

    def __init__(self, pace: Pace) -> None:
        self._pace = pace
        self._endpoints: dict[str, _Endpoint] = {}
        self._left: dict[str, Left] = {}
        self._under_way: Counter[str] = Counter()
        """Calls by the resource that they are counted in."""
        self._lifted_at = -math.inf
        self._refusals = 0
        """Secondary limits in a row that named no time."""

    def wait(self, call: Call, now: float) -> Wait:
        """How long this call has to wait still."""
        if self._lifted_at > now:
            return Wait(self._lifted_at - now, limited=True)
        endpoint = self._endpoint(call)
        left = self.left(_resource(call, endpoint), now)
        if left is not None and not self._enough(call, endpoint, left):
            # What is under way may come back unspent; what is spent does not.
            return Wait(left.reset_at - now, limited=left.remaining <= _kept_back(call, left))
        if endpoint.under_way and endpoint.resource is None:
            return Wait(math.inf, limited=False)  # the first answer tells how much there is
        if self._under_way.total() >= self._pace.concurrent:
            return Wait(math.inf, limited=False)
        return Wait(self._until_room(call, endpoint, now), limited=False)

    def sent(self, call: Call) -> None:
        endpoint = self._endpoint(call)
        endpoint.under_way += 1
        endpoint.points_under_way += call.points
        self._under_way[_resource(call, endpoint)] += 1

    def unsent(self, call: Call) -> None:
        """It was given up before it left."""
        endpoint = self._endpoint(call)
        endpoint.under_way -= 1
        endpoint.points_under_way -= call.points
        self._under_way[_resource(call, endpoint)] -= 1

    def answered(self, call: Call, now: float, told: Told | None) -> None:
        """`told` of none: the answer has no word of limits, so there are none."""
        self.unanswered(call, now)
        endpoint = self._endpoint(call)
        if told is not None:
            self._learn(call, endpoint, told, now)
        elif endpoint.resource is None:
            endpoint.resource = _resource(call, endpoint)

    def unanswered(self, call: Call, now: float) -> None:
        """Its answer did not come; it may have been counted."""
        self.unsent(call)
        self._endpoint(call).done.append((now, call.points))

    def served(self) -> None:
        """A call was not refused: the next secondary limit is a first one."""
        self._refusals = 0

    def refused(self, now: float, seconds: float | None) -> float:
        """A secondary limit was reached, for so many seconds, or for as many as GitHub asks for where it names none.

        Returns for how many nothing may be called.
        """
        pause = seconds
        if pause is None:
            pause = min(_FIRST_PAUSE * 2.0**self._refusals, _LONGEST_PAUSE)
            self._refusals += 1
        self._lifted_at = max(self._lifted_at, now + pause)
        return pause

    def left(self, resource: str, now: float) -> Left | None:
        """None: GitHub has not told, or the budget is whole again since."""
        left = self._left.get(resource)
        if left is not None and left.reset_at <= now:
            del self._left[resource]
            return None
        return left

    def remaining(self, now: float) -> float:
        """Which part is left of the hour's budget for all that is no registration; nothing while a limit holds."""
        if self._lifted_at > now:
            return 0.0
        left = self.left(CORE, now)
        return 1.0 if left is None else left.remaining / max(1, left.limit)

    def _endpoint(self, call: Call) -> _Endpoint:
        return self._endpoints.setdefault(call.endpoint, _Endpoint())

    def _enough(self, call: Call, endpoint: _Endpoint, left: Left) -> bool:
        unspent = left.remaining - self._under_way[_resource(call, endpoint)]
        return unspent > _kept_back(call, left)

    def _until_room(self, call: Call, endpoint: _Endpoint, now: float) -> float:
        done, minute = endpoint.done, self._pace.minute
        while done and done[0][0] + minute <= now:
            done.popleft()
        over = call.points + endpoint.points_under_way + sum(points for _, points in done) - self._pace.points
        if over <= 0:
            return 0.0
        for at, points in done:
            over -= points
            if over <= 0:
                return at + minute - now
        return math.inf

    def _learn(self, call: Call, endpoint: _Endpoint, told: Told, now: float) -> None:
        """Answers overtake each other; within one hour the least counts."""
        if endpoint.resource != told.resource:
            before = _resource(call, endpoint)
            self._under_way[before] -= endpoint.under_way
            self._under_way[told.resource] += endpoint.under_way
            endpoint.resource = told.resource
        known = self._left.get(told.resource)
        remaining = told.remaining
        if known is not None and known.reset == told.reset:
            remaining = min(remaining, known.remaining)
        reset_at = now + max(0.0, told.reset_in) + _LATE_SECONDS
        self._left[told.resource] = Left(told.limit, remaining, told.reset, reset_at)


def _resource(call: Call, endpoint: _Endpoint) -> str:
    """Until an answer has told, it is what the documentation says."""
    if endpoint.resource is not None:
        return endpoint.resource
    return REGISTRATION if call.registers else CORE


def _kept_back(call: Call, left: Left) -> float:
    return left.limit * _KEPT_BACK[call.urgency]
