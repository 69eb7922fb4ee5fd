"""How long GitHub waits for what."""

from dataclasses import dataclass


@dataclass(slots=True)
class Patience:
    """In seconds, and by default as long as GitHub waits."""

    answer: float = 10
    """For a delivery to be answered."""
    poll: float = 50
    """How long a runner's question for a message is kept open."""
    session: float = 60
    """Until a runner that does not ask any more is offline."""
    pick_up: float = 60
    """For a runner to take the job that it was assigned."""
    lease: float = 600
    """For a runner to be heard of while it runs a job: after that the job has failed."""
    cancel: float = 300
    """For a runner to end a cancelled job."""
    queued: float = 86_400
    """For a job to be run. By the calendar, as the next one."""
    unused: float = 86_400
    """For a registration to be connected, or connected again: after that it is gone."""
