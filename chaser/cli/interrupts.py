"""Ctrl-C and SIGTERM: the first is for the program to act on, the second leaves at once."""

import asyncio
import os
import signal
from collections.abc import Generator
from contextlib import contextmanager
from types import FrameType


@contextmanager
def interrupts() -> Generator[asyncio.Future[int]]:
    """A future of the first signal's number. Only in the main thread, inside a running loop."""
    loop = asyncio.get_running_loop()
    first: asyncio.Future[int] = loop.create_future()
    seen = False

    def resolve(number: int) -> None:
        if not first.done():
            first.set_result(number)

    # not the loop's own handlers: those would wait while a write to a slow stdout blocks the loop
    def handle(number: int, _frame: FrameType | None) -> None:
        nonlocal seen
        if seen:
            os._exit(128 + number)
        seen = True
        loop.call_soon_threadsafe(resolve, number)

    numbers = (signal.SIGINT, signal.SIGTERM)
    before = {number: signal.signal(number, handle) for number in numbers}
    try:
        yield first
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
        first.cancel()
