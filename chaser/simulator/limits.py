"""The primary rate limit: one budget for each who calls, and the headers that tell of it.

https://docs.github.com/en/rest/using-the-rest-api/rate-limits-for-the-rest-api
"""

import time
from dataclasses import dataclass, field

_HOUR = 3600


@dataclass(slots=True)
class Budget:
    limit: int
    used: int = 0
    reset: int = field(default_factory=lambda: int(time.time()) + _HOUR)

    @property
    def remaining(self) -> int:
        return max(0, self.limit - self.used)

    def headers(self) -> dict[str, str]:
        return {
            "x-ratelimit-limit": str(self.limit),
            "x-ratelimit-remaining": str(self.remaining),
            "x-ratelimit-used": str(self.used),
            "x-ratelimit-reset": str(self.reset),
            "x-ratelimit-resource": "core",
        }

    def body(self) -> dict[str, int]:
        return {
            "limit": self.limit,
            "remaining": self.remaining,
            "used": self.used,
            "reset": self.reset,
        }


class Limits:
    def __init__(self) -> None:
        self.limit = 5000
        self._budgets: dict[object, Budget] = {}

    def of(self, caller: object) -> Budget:
        """`caller`: an installation's id; none: the App itself and strangers."""
        budget = self._budgets.get(caller)
        if budget is None or budget.reset <= time.time():
            budget = self._budgets[caller] = Budget(self.limit)
        return budget

    def exhaust(self, caller: object, seconds: float) -> None:
        """Nothing is left for this caller until so many seconds have passed."""
        self._budgets[caller] = Budget(self.limit, self.limit, int(time.time() + seconds))
