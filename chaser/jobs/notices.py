"""What processes that share a database tell each other; `chaser.store.notices` implements it."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol

from chaser.ids import JobId
from chaser.jobs.reason import Reason


@dataclass(frozen=True, slots=True)
class LookAtQueue:
    """A job may have become ready."""


@dataclass(frozen=True, slots=True)
class JobChanged:
    """Its state, or its log."""

    job_id: JobId


@dataclass(frozen=True, slots=True)
class CancelAsked:
    """The job is live, and whoever works on it is to end it."""

    job_id: JobId
    reason: Reason


Notice = LookAtQueue | JobChanged | CancelAsked
"""What a process tells the others that share its database: a hint, which may be lost. Who hears it reads the store."""


class Notices(Protocol):
    async def listen(self, heard: Callable[[Notice], None]) -> None:
        """Tell `heard` what other processes have changed, until cancelled. `LookAtQueue` too whenever something may have
        been missed. Returns at once where there can be no other process."""
        ...
