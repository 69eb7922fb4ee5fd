"""What is known of GitHub's jobs and of the App's installations, to be read; `chaser.store` does it."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Protocol

from chaser.ids import JobId
from chaser.runners.demand import Demand, State
from chaser.runners.inbox import Delivery
from chaser.runners.installation import Installation


@dataclass(frozen=True, slots=True)
class DemandFilter:
    """The newest first; `before` is the id of the last one of the page before."""

    state: State | None = None
    repository: str | None = None
    before: int | None = None
    limit: int = 100


@dataclass(frozen=True, slots=True)
class Story:
    """A demand, with the deliveries that told of it, in the order in which they came. Old ones are forgotten."""

    demand: Demand
    deliveries: Sequence[Delivery]


class Demands(Protocol):
    async def list(self, which: DemandFilter) -> Sequence[Demand]: ...

    async def story(self, workflow_job_id: int) -> Story | None: ...

    async def reached(self, job_id: JobId, state: State, at: datetime) -> None:
        """Note how far the job's runner has come, unless GitHub has said more, or the runner is another demand's."""
        ...


class Installations(Protocol):
    async def list(self) -> Sequence[Installation]:
        """All that are known, the deleted ones too, by id."""
        ...
