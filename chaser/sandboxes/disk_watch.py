"""Watches how much a sandbox writes. No engine on plain ext4 limits it (overlay2's `size` needs XFS quotas), and no
event tells of it, so this looks, at a pace that keeps the looking below a twentieth of the time."""

import asyncio

import structlog

from chaser.errors import Unavailable
from chaser.jobs.reason import Reason
from chaser.sandboxes.engine import ContainerId, Engine
from chaser.sandboxes.stop import Stop

log = structlog.stdlib.get_logger()

SHARE = 20


async def watch_disk(
    engine: Engine, container: ContainerId, limit_bytes: int, interval: float, stop: Stop
) -> None:
    """Ask for a stop with `disk_full` when the writable layer is larger than `limit_bytes`. Ends by being cancelled."""
    loop = asyncio.get_running_loop()
    pause = interval
    while True:
        await asyncio.sleep(pause)
        began = loop.time()
        try:
            size = (await engine.state(container, with_size=True)).disk_bytes
        except Unavailable as error:
            log.debug("Could not look at a sandbox's disk use.", action="disk_unknown", error=error.message)
            continue
        if size is not None and size > limit_bytes:
            message = f"It wrote {size} bytes, more than its disk limit of {limit_bytes}; raise limits.disk."
            stop.request(Reason.DISK_FULL, message)
            return
        pause = max(interval, SHARE * (loop.time() - began))
