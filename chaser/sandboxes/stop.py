"""A request to end a run: made once, for one reason, by whoever comes first (a deadline, a limit, a cancel)."""

import asyncio
from collections.abc import Awaitable
from typing import TypeVar

from chaser.jobs.reason import Reason
from chaser.sandboxes.ending import Stopped

T = TypeVar("T")


class StopRequested(Exception):  # not an error: it unwinds a phase
    """Raised out of `Stop.guard` when the run is to end."""

    def __init__(self, stopped: Stopped) -> None:
        super().__init__(stopped.message)
        self.stopped = stopped


class Stop:
    def __init__(self) -> None:
        self._requested: asyncio.Future[Stopped] = asyncio.get_running_loop().create_future()

    def request(self, reason: Reason, message: str) -> None:
        if not self._requested.done():
            self._requested.set_result(Stopped(reason, message))

    def check(self) -> None:
        """Raises `StopRequested` if the run is to end."""
        if self._requested.done():
            raise StopRequested(self._requested.result())

    async def guard(self, work: Awaitable[T]) -> T:
        """`work`, unless the stop comes first: then `work` is cancelled and `StopRequested` raised."""
        task = asyncio.ensure_future(work)
        if self._requested.done():
            await _cancelled(task)  # before its first step: it has had no effect
            raise StopRequested(self._requested.result())
        try:
            await asyncio.wait({task, self._requested}, return_when=asyncio.FIRST_COMPLETED)
        except asyncio.CancelledError:
            await _cancelled(task)
            raise
        if not task.done():
            await _cancelled(task)
            raise StopRequested(self._requested.result())
        return task.result()


async def _cancelled(task: "asyncio.Future[T]") -> None:
    """End `task` and wait until it has cleaned up after itself."""
    task.cancel()
    await asyncio.wait({task})
    if not task.cancelled():
        task.exception()
