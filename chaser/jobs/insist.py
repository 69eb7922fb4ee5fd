"""Trying again for as long as the store or the engine is away: what has happened must be written."""

import asyncio
from collections.abc import Awaitable, Callable
from datetime import timedelta
from typing import TypeVar

import structlog

from chaser.errors import Unavailable

log = structlog.stdlib.get_logger()
T = TypeVar("T")

FIRST_PAUSE, LONGEST_PAUSE = 0.1, 5.0


async def insist(work: Callable[[], Awaitable[T]]) -> T:
    """Until it answers."""
    pause = FIRST_PAUSE
    while True:
        try:
            return await work()
        except Unavailable as error:
            log.warning("A part that is needed does not answer.", action="insist", error=error.message)
        await asyncio.sleep(pause)
        pause = min(LONGEST_PAUSE, pause * 2)


async def insist_for(patience: timedelta, work: Callable[[], Awaitable[T]]) -> T:
    """Until it answers, or `patience` is over. Raises `Unavailable`."""
    loop = asyncio.get_running_loop()
    give_up = loop.time() + patience.total_seconds()
    pause = FIRST_PAUSE
    while True:
        try:
            return await work()
        except Unavailable:
            if loop.time() + pause > give_up:
                raise
        await asyncio.sleep(pause)
        pause = min(LONGEST_PAUSE, pause * 2)
