"""How long the parts of a sandbox's life may take, and what happens when a run or one of its steps takes longer."""

import asyncio
from collections.abc import Awaitable, Callable, Generator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final

from chaser.clock import Clock
from chaser.jobs.reason import Reason
from chaser.sandboxes.capture import Capture
from chaser.sandboxes.spec import StepTerms, Terms
from chaser.sandboxes.stop import Stop

SETTLED: Final = 1.0
"""Seconds without news after which a log that is read from its begin has been read up to now."""


@dataclass(frozen=True, slots=True)
class Deadlines:
    start: timedelta = timedelta(seconds=60)
    """From create to READY, and from the hand-over to BEGIN."""
    end: timedelta = timedelta(seconds=30)
    """From the last mark, or a kill, to the engine's word that nothing is left."""
    drain: timedelta = timedelta(seconds=5)
    """From a kill to the end of the attach; after it the attach is closed."""
    patience: timedelta = timedelta(seconds=60)
    """How long an engine that was there may be away before its sandboxes are called lost."""
    cut: timedelta = timedelta(seconds=5)
    """From the signal that ends a step to the step's end; after it the launch is stopped."""


class RunDeadlines:
    """Those of one launch: its own, and its steps'.

    While this process has a run from its begin they are measured by the monotonic clock. For one that it has taken over
    the wall clock says what is left.
    """

    def __init__(
        self,
        terms: Terms,
        capture: Capture,
        clock: Clock,
        stop: Stop,
        cut: Callable[[int], Awaitable[bool]],
    ) -> None:
        """`cut` ends one step alone; false if that cannot be done."""
        self._terms = terms
        self._capture = capture
        self._clock = clock
        self._stop = stop
        self._cut = cut
        self._since = clock.now()

    @contextmanager
    def held(self, began_at: datetime) -> Generator[None]:
        """Ask for a stop when the launch, or a step, has run for as long as it may."""
        message = f"It ran longer than its {_seconds(self._terms.timeout)} and was killed."
        timer = asyncio.get_running_loop().call_later(
            self._left(self._terms.timeout, began_at), self._stop.request, Reason.RUN_TIMEOUT, message
        )
        steps = asyncio.create_task(self._hold_steps(), name="step deadlines") if self._any else None
        try:
            yield
        finally:
            timer.cancel()
            if steps is not None:
                steps.cancel()

    @property
    def _any(self) -> bool:
        return any(step.timeout is not None for step in self._terms.steps)

    async def _hold_steps(self) -> None:
        for number, step in enumerate(self._terms.steps):
            began_at = (await self._capture.begun(number)).began_at
            if step.timeout is None or await self._ends(number, self._left(step.timeout, began_at)):
                continue
            if not (can_be_cut(step) and await self._cut(number)):
                message = (
                    f"Step {number + 1} ran longer than its {_seconds(step.timeout)}; the run was killed."
                )
                self._stop.request(Reason.RUN_TIMEOUT, message)
                return

    async def _ends(self, number: int, seconds: float) -> bool:
        """Whether a step ends in time. A log that is read from its begin may tell of its end a moment later."""
        while True:
            heard = self._capture.heard_at
            try:
                async with asyncio.timeout(seconds):
                    await self._capture.over(number)
                    return True
            except TimeoutError:
                if self._capture.heard_at == heard or (heard is not None and heard >= self._since):
                    return False
            seconds = SETTLED

    def _left(self, timeout: timedelta, began_at: datetime) -> float:
        passed = max(timedelta(), self._clock.now() - began_at)
        return max(0.0, (timeout - passed).total_seconds())


def can_be_cut(step: StepTerms) -> bool:
    """Whether a step may be ended while the launch goes on."""
    return step.timeout is not None and step.may_fail and not step.replaces_shell


def _seconds(time: timedelta) -> str:
    return f"{time.total_seconds():g} s"
