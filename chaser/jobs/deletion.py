"""Deletes workspaces: never under a job that uses one; with force, those jobs are cancelled first.

The row goes first, in one transaction with the look at who stands in line. A job that comes too late for that look finds,
when its turn has come, that its workspace is gone. Then the volumes go; what is left of them, the sweep for orphans finds.
"""

import asyncio
from datetime import datetime, timedelta

import structlog

from chaser.ids import JobId
from chaser.jobs.completion import Completion
from chaser.jobs.intake import Intake
from chaser.jobs.reason import Reason
from chaser.sandboxes.engine import Engine
from chaser.sandboxes.snapshots import drop_volume
from chaser.sandboxes.workspaces import Busy, Deleted, Workspace, WorkspaceStore

PATIENCE = timedelta(seconds=60)
"""How long the cancelled jobs may take to end."""
LOOK_AGAIN = timedelta(seconds=2)
"""Jobs of another process end without telling this one."""

log = structlog.stdlib.get_logger()


class Deletions:
    def __init__(self, store: WorkspaceStore, engine: Engine, intake: Intake, completion: Completion) -> None:
        self._store = store
        self._engine = engine
        self._intake = intake
        self._completion = completion

    async def delete(
        self, workspace: Workspace, *, force: bool = False, expired_at: datetime | None = None
    ) -> Busy | None:
        """None: it is gone. With `expired_at`, only if its time is over by then.

        Busy: jobs use it, or wait for it; with `force`, they have been cancelled and have not ended yet.
        """
        loop = asyncio.get_running_loop()
        give_up = loop.time() + PATIENCE.total_seconds()
        cancelled = set[JobId]()
        while isinstance(found := await self._store.delete(workspace.id, expired_at=expired_at), Busy):
            if not force or loop.time() > give_up:
                return found
            await self._cancel(found, cancelled)
        if isinstance(found, Deleted):
            log.info("A workspace was deleted.", action="workspace_deleted", workspace_id=workspace.id)
            for owner in (workspace.id, *found.snapshots):
                await drop_volume(self._engine, owner)
        return None

    async def _cancel(self, busy: Busy, cancelled: set[JobId]) -> None:
        """Cancel those that are not `cancelled` yet; where all are, wait until the first of them changes."""
        more = [job_id for job_id in busy.jobs if job_id not in cancelled]
        for job_id in more:
            await self._intake.cancel(job_id, Reason.CANCELLED_BY_USER)
        cancelled.update(more)
        if more:
            return
        with self._completion.watch(busy.jobs[0]) as watch:
            await watch.wait()  # the first returns at once
            try:
                async with asyncio.timeout(LOOK_AGAIN.total_seconds()):
                    await watch.wait()
            except TimeoutError:
                return
