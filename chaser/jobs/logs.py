"""The output of jobs as it is kept: frames with numbers; `chaser.store.logs` implements it."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Protocol

from chaser.ids import JobId
from chaser.jobs.ports import Claim, Fence, Progress


class Stream(StrEnum):
    """Where a frame of a job's log came from."""

    OUTPUT = "output"
    """stdout and stderr through one pipe, in exact order"""
    STDOUT = "stdout"
    STDERR = "stderr"
    GAP = "gap"
    """not output: a frame that says how many bytes are left out here"""


@dataclass(frozen=True, slots=True)
class Frame:
    """A piece of a job's output. `seq` is counted from 1 within the job, without holes.

    A gap frame has no data; `skipped` counts the bytes that are left out at this place, 0 where nobody knows how many
    they are. `step` counts a launch's steps from 0.
    """

    seq: int
    stream: Stream
    at: datetime
    data: bytes
    skipped: int = 0
    step: int = 0
    attempt: int = 1


class LogStore(Protocol):
    async def append(self, claim: Claim, frames: Sequence[Frame], progress: Progress) -> Fence:
        """Write frames, in order, and how far that is, all or none."""
        ...

    async def last_seq(self, job_id: JobId) -> int:
        """The number of the job's last frame; 0 if there is none."""
        ...

    async def read(self, job_id: JobId, after: int, limit_bytes: int) -> Sequence[Frame]:
        """Frames with `seq > after` in order: at least one if there is one, then as many as fit in `limit_bytes`."""
        ...

    async def ends(
        self, job_id: JobId, half_bytes: int, attempt: int, step: int | None = None
    ) -> tuple[Sequence[Frame], Sequence[Frame]]:
        """Of one attempt, and of one of its steps if named: the first frames up to about `half_bytes`, and the last ones
        up to about `half_bytes` after those.

        Whole frames, at least those needed to cover the half; none is in both.
        """
        ...
