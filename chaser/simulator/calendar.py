"""What GitHub does so late that nobody waits for it: on a clock of its own, which can be moved forward."""

import asyncio
import heapq
import itertools
import time
from collections.abc import Callable


class Calendar:
    def __init__(self) -> None:
        self._skipped = 0.0
        self._due: list[tuple[float, int, Callable[[], None]]] = []
        self._numbers = itertools.count()
        self._timer: asyncio.TimerHandle | None = None

    def now(self) -> float:
        """In seconds, as that clock has it."""
        return time.monotonic() + self._skipped

    def after(self, seconds: float, act: Callable[[], None]) -> None:
        heapq.heappush(self._due, (self.now() + seconds, next(self._numbers), act))
        self._wait()

    def skip(self, seconds: float) -> None:
        """Move forward, and do what has come due by then."""
        self._skipped += seconds
        self._act()

    def close(self) -> None:
        if self._timer is not None:
            self._timer.cancel()

    def _act(self) -> None:
        while self._due and self._due[0][0] <= self.now():
            heapq.heappop(self._due)[2]()
        self._wait()

    def _wait(self) -> None:
        self.close()
        if self._due:
            left = max(0.0, self._due[0][0] - self.now())
            self._timer = asyncio.get_running_loop().call_later(left, self._act)
