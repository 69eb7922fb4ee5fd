"""A run that somebody waits for: to its end, or until a signal has it cancelled."""

import asyncio
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Protocol

from chaser.cli.failure import Failure
from chaser.cli.interrupts import interrupts

Result = Mapping[str, object]

_GRACE_SECONDS = 15
"""How long a cancelled run may take to tell its result; a second signal does not wait for it."""


class Run(Protocol):
    async def follow(self) -> Result:
        """From its request to its end. Raises `Failure`."""
        ...

    async def cancel(self) -> bool:
        """Ask for its end; false if there is nothing to wait for."""
        ...


@dataclass(frozen=True, slots=True)
class Ended:
    result: Result


@dataclass(frozen=True, slots=True)
class Interrupted:
    """A signal came, and the run was cancelled. The result is missing if it did not come in time."""

    signal: int
    result: Result | None


async def attend(run: Run) -> Ended | Interrupted:
    """Raises what `follow` raises. Only in the main thread: it listens for signals."""
    with interrupts() as interrupted:
        following = asyncio.ensure_future(run.follow())
        await asyncio.wait({following, interrupted}, return_when=asyncio.FIRST_COMPLETED)
        if following.done():
            return Ended(following.result())
        return Interrupted(interrupted.result(), await _stop(run, following))


async def _stop(run: Run, following: asyncio.Future[Result]) -> Result | None:
    asking = asyncio.ensure_future(run.cancel())
    await asyncio.wait({asking}, timeout=_GRACE_SECONDS)
    if asking.done() and not asking.cancelled() and asking.exception() is None and asking.result():
        await asyncio.wait({following}, timeout=_GRACE_SECONDS)
    for task in (asking, following):
        task.cancel()
    asked, result = await asyncio.gather(asking, following, return_exceptions=True)
    for unexpected in (asked, result):
        if isinstance(unexpected, Exception) and not isinstance(unexpected, Failure):
            raise unexpected
    return None if isinstance(result, BaseException) else result
