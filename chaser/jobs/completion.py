"""Tells those who wait that a job has changed. A hint, never the truth: whoever is woken reads the store."""

import asyncio
from collections.abc import Generator
from contextlib import contextmanager

from chaser.ids import JobId


class Watch:
    """One waiter's view of one job. It starts out changed, so that the first `wait` returns at once."""

    def __init__(self) -> None:
        self._changed = asyncio.Event()
        self._changed.set()

    async def wait(self) -> None:
        """Until something has happened to the job since the last call."""
        await self._changed.wait()
        self._changed.clear()

    def tell(self) -> None:
        self._changed.set()


class Completion:
    """Who watches which job, in this process."""

    def __init__(self) -> None:
        self._watches: dict[JobId, set[Watch]] = {}
        self._of_all: set[Watch] = set()

    def changed(self, job_id: JobId) -> None:
        """The job's row or its log has been written."""
        for watch in (*self._watches.get(job_id, ()), *self._of_all):
            watch.tell()

    @contextmanager
    def watch_all(self) -> Generator[Watch]:
        """Whatever happens to any job."""
        watch = Watch()
        self._of_all.add(watch)
        try:
            yield watch
        finally:
            self._of_all.discard(watch)

    @contextmanager
    def watch(self, job_id: JobId) -> Generator[Watch]:
        watch = Watch()
        watches = self._watches.setdefault(job_id, set())
        watches.add(watch)
        try:
            yield watch
        finally:
            watches.discard(watch)
            if not watches:
                del self._watches[job_id]
