"""Who waits for the end of which run, in this process: a run is cancelled when the last of them has left."""

from collections import Counter
from collections.abc import Generator
from contextlib import contextmanager

from chaser.ids import JobId


class Audience:
    def __init__(self) -> None:
        self._waiting: Counter[JobId] = Counter()

    @contextmanager
    def join(self, job_id: JobId) -> Generator[None]:
        self._waiting[job_id] += 1
        try:
            yield
        finally:
            self._waiting[job_id] -= 1
            if not self._waiting[job_id]:
                del self._waiting[job_id]

    def alone(self, job_id: JobId) -> bool:
        """Whether no more than one waits for it."""
        return self._waiting[job_id] <= 1
