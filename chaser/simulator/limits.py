"""The rate limits: an hour's budget for each who calls, and what is too much at once.

https://docs.github.com/en/rest/using-the-rest-api/rate-limits-for-the-rest-api
"""

import math
import re
import time
from collections import Counter, defaultdict, deque
from collections.abc import Generator
from contextlib import contextmanager
from dataclasses import dataclass, field
from enum import StrEnum

_HOUR = 3600
_REGISTERING = ("/generate-jitconfig", "/registration-token", "/remove-token")
_CONTENT = re.compile(r"/(issues|pulls|comments|releases|check-runs|dispatches|statuses/[^/]+)$")
"""What people are told of. GitHub names no list, and registering a runner is none of it."""
_PLACES = re.compile(r"^/(repos/[^/]+/[^/]+|orgs/[^/]+|users/[^/]+)")
_NUMBERS = re.compile(r"/\d+(?=/|$)")


class Resource(StrEnum):
    CORE = "core"
    REGISTRATION = "actions_runner_registration"


class Limit(StrEnum):
    """One that a call can meet."""

    PRIMARY = "primary"
    POINTS = "points"
    CONCURRENCY = "concurrency"
    CONTENT = "content"


@dataclass(frozen=True, slots=True)
class Rates:
    """As documented, for one caller. `minute` is how many seconds one lasts: tests may not have the time."""

    core: int = 5000
    """Requests in an hour, which lasts an hour."""
    registrations: int = 10_000
    concurrent: int = 100
    points: int = 900
    """In a minute, for each endpoint: a read costs one, a write five."""
    content: int = 80
    """Requests in a minute that make something people see."""
    content_hour: int = 500
    minute: float = 60


@dataclass(slots=True)
class Budget:
    """The primary limit of one resource, and the headers that tell of it."""

    limit: int
    used: int = 0
    reset: int = field(default_factory=lambda: int(time.time()) + _HOUR)
    resource: Resource = Resource.CORE

    @property
    def remaining(self) -> int:
        return max(0, self.limit - self.used)

    def headers(self) -> dict[str, str]:
        return {
            "x-ratelimit-limit": str(self.limit),
            "x-ratelimit-remaining": str(self.remaining),
            "x-ratelimit-used": str(self.used),
            "x-ratelimit-reset": str(self.reset),
            "x-ratelimit-resource": self.resource.value,
        }

    def body(self) -> dict[str, int]:
        return {
            "limit": self.limit,
            "remaining": self.remaining,
            "used": self.used,
            "reset": self.reset,
        }


@dataclass(frozen=True, slots=True)
class Excess:
    """A limit that a call has met, and in how many seconds there is room again."""

    limit: Limit
    seconds: int


@dataclass(slots=True)
class _Caller:
    """What one caller has done lately: the moments of it, and what each cost."""

    at_once: int = 0
    spent: dict[str, deque[tuple[float, int]]] = field(
        default_factory=lambda: defaultdict[str, deque[tuple[float, int]]](deque)
    )
    content: deque[float] = field(default_factory=deque[float])


class Limits:
    """`caller`, everywhere: an installation's id; none: the App itself and strangers."""

    def __init__(self) -> None:
        self.rates = Rates()
        self.hits: Counter[Limit] = Counter()
        """How often each limit was met."""
        self._budgets: dict[tuple[object, Resource], Budget] = {}
        self._callers: dict[object, _Caller] = defaultdict(_Caller)

    def of(self, caller: object, resource: Resource = Resource.CORE) -> Budget:
        budget = self._budgets.get((caller, resource))
        if budget is None or budget.reset <= time.time():
            limit = self.rates.core if resource is Resource.CORE else self.rates.registrations
            budget = self._budgets[caller, resource] = Budget(limit, resource=resource)
        return budget

    def exhaust(self, caller: object, seconds: float, resource: Resource = Resource.CORE) -> None:
        """Nothing is left for this caller until so many seconds have passed."""
        limit = self.of(caller, resource).limit
        self._budgets[caller, resource] = Budget(limit, limit, int(time.time() + seconds), resource)

    @contextmanager
    def at_once(self, caller: object) -> Generator[None]:
        """While a call of this caller is being answered."""
        who = self._callers[caller]
        who.at_once += 1
        try:
            yield
        finally:
            who.at_once -= 1

    def excess(self, caller: object, method: str, path: str) -> Excess | None:
        """The limit that this call meets; none: it is within all of them, and counts from now on."""
        found = self._excess(caller, method, path, time.monotonic())
        if found is not None:
            self.hits[found.limit] += 1
        return found

    def _excess(self, caller: object, method: str, path: str, now: float) -> Excess | None:
        rates, who = self.rates, self._callers[caller]
        budget = self.of(caller, resource_of(method, path))
        if not budget.remaining:
            return Excess(Limit.PRIMARY, max(0, budget.reset - int(time.time())))
        if who.at_once > rates.concurrent:
            return Excess(Limit.CONCURRENCY, math.ceil(rates.minute))
        spent, cost = who.spent[endpoint(method, path)], 1 if method in {"GET", "HEAD", "OPTIONS"} else 5
        while spent and spent[0][0] <= now - rates.minute:
            spent.popleft()
        if sum(each for _, each in spent) + cost > rates.points:
            return Excess(Limit.POINTS, math.ceil(spent[0][0] + rates.minute - now))
        if method == "POST" and _CONTENT.search(path):
            while who.content and who.content[0] <= now - 60 * rates.minute:
                who.content.popleft()
            lately = sum(at > now - rates.minute for at in who.content)
            if lately >= rates.content or len(who.content) >= rates.content_hour:
                return Excess(Limit.CONTENT, math.ceil(rates.minute))
            who.content.append(now)
        spent.append((now, cost))
        return None


def resource_of(method: str, path: str) -> Resource:
    """Which of the budgets the call is counted in."""
    registers = method == "POST" and path.endswith(_REGISTERING)
    return Resource.REGISTRATION if registers else Resource.CORE


def endpoint(method: str, path: str) -> str:
    """One for all repositories and ids, as the documentation lists them."""
    return f"{method} {_NUMBERS.sub('/{}', _PLACES.sub('/{}', path))}"
