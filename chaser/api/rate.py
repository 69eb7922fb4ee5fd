"""How often a key may call: a window that is counted in this process."""

from collections.abc import Mapping
from dataclasses import dataclass

from limits import parse
from limits.aio.storage import MemoryStorage
from limits.aio.strategies import FixedWindowRateLimiter

from chaser.clock import Clock
from chaser.ids import KeyId


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


class Rate:
    """`rate` is a number of calls and a span, such as `600/minute`."""

    def __init__(self, rate: str, clock: Clock) -> None:
        self._item = parse(rate)
        self._clock = clock
        self._windows = FixedWindowRateLimiter(MemoryStorage())

    async def spend(self, key_id: KeyId) -> Allowance:
        """Count one call."""
        allowed = await self._windows.hit(self._item, key_id)
        stats = await self._windows.get_window_stats(self._item, key_id)
        # the windows of `limits` lie on the wall clock
        left = max(0.0, stats.reset_time - self._clock.now().timestamp())
        return Allowance(allowed, self._item.amount, stats.remaining, min(left, self._item.get_expiry()))
