"""How often a key may call: a window that is counted in this process, and begins with the key's first call."""

from collections.abc import Mapping
from dataclasses import dataclass

from chaser.clock import Clock
from chaser.ids import KeyId

_SECONDS = {"second": 1, "minute": 60, "hour": 3_600, "day": 86_400}


@dataclass(frozen=True, slots=True)
class Allowance:
    """What a key has left after a call. `reset` is in seconds from now."""

    allowed: bool
    limit: int
    remaining: int
    reset: float

    @property
    def headers(self) -> Mapping[str, str]:
        return {
            "X-RateLimit-Limit": str(self.limit),
            "X-RateLimit-Remaining": str(self.remaining),
            "X-RateLimit-Reset": str(int(self.reset) + 1),
        }


@dataclass(slots=True)
class _Window:
    ends: float
    calls: int = 0


class Rate:
    """`rate` is a number of calls and a span, such as `600/minute`."""

    def __init__(self, rate: str, clock: Clock) -> None:
        limit, _, span = rate.partition("/")
        self._limit = int(limit)
        self._span = _SECONDS[span]
        self._clock = clock
        self._windows: dict[KeyId, _Window] = {}

    def spend(self, key_id: KeyId) -> Allowance:
        """Count one call."""
        now = self._clock.monotonic()
        window = self._windows.get(key_id)
        if window is None or window.ends <= now:
            window = self._windows[key_id] = _Window(now + self._span)
        window.calls += 1
        remaining = max(0, self._limit - window.calls)
        return Allowance(window.calls <= self._limit, self._limit, remaining, window.ends - now)
