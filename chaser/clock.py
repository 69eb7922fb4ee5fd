"""Time, asked of an object, so that tests own it."""

import time
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Protocol


class Clock(Protocol):
    def now(self) -> datetime:
        """The wall clock, aware, in UTC. For records; never for measuring a duration."""
        ...

    def monotonic(self) -> float:
        """Seconds on a clock that never jumps. For durations and deadlines while the process lives."""
        ...


class SystemClock:
    def now(self) -> datetime:
        return datetime.now(UTC)

    def monotonic(self) -> float:
        return time.monotonic()


@dataclass(slots=True)
class ManualClock:
    """A clock that stands still until told to move; shipped for tests."""

    current: datetime = datetime(2026, 1, 1, tzinfo=UTC)
    elapsed: float = field(default=0.0)

    def now(self) -> datetime:
        return self.current

    def monotonic(self) -> float:
        return self.elapsed

    def advance(self, by: timedelta) -> None:
        self.current += by
        self.elapsed += by.total_seconds()


def rfc3339(at: datetime) -> str:
    """The moment as it is written for others: in UTC, to the millisecond, with `Z`."""
    return at.astimezone(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
