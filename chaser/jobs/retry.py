"""How long to wait before the next attempt: full jitter, doubling, with a cap.

https://aws.amazon.com/blogs/architecture/exponential-backoff-and-jitter/
"""

import random
from datetime import timedelta

BASE = timedelta(seconds=0.5)
CAP = timedelta(seconds=30)


def backoff(attempt: int, base: timedelta = BASE, cap: timedelta = CAP) -> timedelta:
    """A random time between none and `base` doubled for each attempt after the first, `cap` at the most."""
    longest = min(cap, base * 2 ** min(attempt - 1, 32))
    return longest * random.random()  # noqa: S311  # spreads load; no secret
