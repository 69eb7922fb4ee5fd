"""Watches how much a volume holds while a sandbox writes to it. No engine on plain ext4 limits it, and nothing tells of it, so
a tool looks, at a pace that keeps the looking below a twentieth of the time. It is made only when a run has lasted a
while: most are over before."""

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass

import structlog

from chaser.errors import Refused, Unavailable
from chaser.jobs.reason import Reason
from chaser.sandboxes import tool_scripts as scripts
from chaser.sandboxes.spec import WORKSPACE_PATH
from chaser.sandboxes.stop import Stop
from chaser.sandboxes.tools import Ear, Tools, Work

log = structlog.stdlib.get_logger()

SHARE = 20


@dataclass(frozen=True, slots=True)
class Allowance:
    """What a volume may hold, and what to say when it holds more. `told` is told each size that was seen."""

    volume: str
    most_bytes: int
    reason: Reason
    advice: str
    told: Callable[[int], Awaitable[None]] | None = None


async def watch_volume(tools: Tools, allowance: Allowance, interval: float, stop: Stop) -> None:
    """Ask for a stop when the volume holds more than it may. Ends by being cancelled."""
    await asyncio.sleep(interval)
    while True:
        try:
            await _look(tools, allowance, interval, stop)
        except (Unavailable, Refused) as error:
            log.warning("Could not look at a volume's size.", action="size_unknown", error=error.message)
        else:
            return
        await asyncio.sleep(interval)


async def _look(tools: Tools, allowance: Allowance, interval: float, stop: Stop) -> None:
    """Until it is too large. Raises `Unavailable` where the tool ends before."""
    seconds = max(1, round(interval))
    work = Work(
        {WORKSPACE_PATH: allowance.volume},
        scripts.WATCH,
        (str(seconds), str(SHARE)),
        read_only=frozenset({WORKSPACE_PATH}),
    )
    news = asyncio.Event()
    ear = Ear(news.set)
    async with tools.made(work) as tool:
        await tool.listen(ear)
        try:
            while True:
                await news.wait()
                news.clear()
                if ear.closed:
                    raise Unavailable(Reason.ENGINE_UNAVAILABLE, "The tool that looked has ended.")
                whole, newline, rest = bytes(ear.heard).rpartition(b"\n")
                if not newline:
                    continue
                ear.heard[:] = rest
                size = scripts.sized(whole)
                if allowance.told is not None:
                    await allowance.told(size)
                if size > allowance.most_bytes:
                    stop.request(allowance.reason, allowance.advice.format(size=size))
                    return
        finally:
            ear.close()
