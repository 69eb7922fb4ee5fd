"""What can be looked at in GitHub when it may have failed to tell: declared here, by those who look; `chaser.github` does it.

All of it raises as `chaser.runners.registration.Registrar` does. None stands for what GitHub does not show: it was deleted,
or the App may not see it.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Protocol

from chaser.runners.event import InstallationEvent, WorkflowJobEvent
from chaser.runners.registration import Owner


@dataclass(frozen=True, slots=True)
class Attempt:
    """One try of GitHub's to deliver something; `guid` is the delivery's, and the same for each of its tries."""

    id: int
    guid: str
    event: str
    at: datetime
    """By GitHub's clock."""
    accepted: bool
    """The receiver's answer was a 2xx."""
    pending: bool = False
    """It is on its way."""


@dataclass(frozen=True, slots=True)
class Page:
    """A page of a list; `after` is where the next one begins, none if there is no more."""

    attempts: Sequence[Attempt]
    after: str | None = None
    unchanged: bool = False
    """It is as it was when it was last asked for; this costs nothing of the rate limit."""


class DeliveryLog(Protocol):
    """The App's own list of its deliveries, which GitHub keeps for some days."""

    async def page(self, after: str | None = None) -> Page:
        """The newest first."""
        ...

    async def read(self, attempt: Attempt) -> bytes | None:
        """The payload, as JSON."""
        ...

    async def redeliver(self, attempt: Attempt) -> None: ...


@dataclass(frozen=True, slots=True)
class RunAttempt:
    """One attempt of a workflow run."""

    id: int
    attempt: int
    owner: Owner
    private: bool
    """Of the repository."""


@dataclass(frozen=True, slots=True)
class Seen:
    """The jobs of a run, each as an event would tell of it, and when that was so, by GitHub's clock."""

    jobs: Sequence[WorkflowJobEvent]
    at: datetime


class OpenRuns(Protocol):
    async def having(self, owner: Owner, status: str) -> Sequence[RunAttempt] | None:
        """The runs of a repository that have this status, the newest first."""
        ...

    async def jobs(self, run: RunAttempt) -> Seen | None: ...


class Places(Protocol):
    """Where the App is installed, and may look."""

    async def installations(self) -> Sequence[InstallationEvent]:
        """All of them, each as an event would tell of it."""
        ...

    async def repositories(self, installation_id: int) -> Sequence[str]:
        """`owner/name`; none that is archived or disabled. Those that were pushed to last come first."""
        ...


class Allowance(Protocol):
    def remaining(self, installation_id: int | None) -> float:
        """What is left of the rate limit of an installation (none: of the App itself), from 0 to 1; 1 if nothing is known."""
        ...


@dataclass(frozen=True, slots=True)
class Lookout:
    deliveries: DeliveryLog
    runs: OpenRuns
    places: Places
    allowance: Allowance
