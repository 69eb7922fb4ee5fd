"""What one attempt measured on its way, for the job's result."""

from dataclasses import dataclass, field
from datetime import datetime, timedelta

from chaser.clock import Clock
from chaser.ids import SandboxId
from chaser.jobs.job import Job
from chaser.sandboxes.courier import Collected
from chaser.sandboxes.engine import Image


@dataclass(slots=True)
class Ledger:
    """Durations are in milliseconds, none for a phase that was not reached, or that another process saw. Filled in as
    the attempt goes on."""

    job: Job
    clock: Clock
    claimed_at: datetime
    sandbox_id: SandboxId | None = None
    handed_over: bool = False
    """Whether the sandbox may have been given its launch: from then on it belongs to the row, not to this process."""
    taken_over: bool = False
    warm: bool = False
    """Whether the sandbox was ready before the job came to it."""
    image: Image | None = None
    output_bytes: int = 0
    collected: Collected = field(default_factory=Collected)
    pull_ms: int | None = None
    prepare_ms: int | None = None
    start_ms: int | None = None
    run_ms: int | None = None

    def result(self, now: datetime) -> dict[str, object]:
        """The measured part of `Job.result`."""
        return {
            "output_bytes": self.output_bytes,
            "image": self.job.input.get("image"),
            "image_digest": self.image.digest if self.image else None,
            "session_id": self.sandbox_id,
            "artifacts": list(self.collected.paths),
            "artifacts_left_out": self.collected.left_out,
            "timings": {
                "queue_ms": None if self.taken_over else milliseconds(self.claimed_at - self.job.created_at),
                "pull_ms": self.pull_ms,
                "prepare_ms": self.prepare_ms,
                "start_ms": self.start_ms,
                "run_ms": self.run_ms,
                "total_ms": milliseconds(now - self.job.created_at),
                "warm": self.warm,
            },
        }

    def since(self, started: float) -> int:
        """Milliseconds since `started`, a reading of the monotonic clock."""
        return round((self.clock.monotonic() - started) * 1000)


def milliseconds(span: timedelta) -> int:
    return max(0, round(span / timedelta(milliseconds=1)))
