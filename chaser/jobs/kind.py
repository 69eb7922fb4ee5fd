"""What tells one kind of job from another: what may be asked for, how that becomes work, and how its end is read.

A kind is one module under `chaser.jobs.kinds` and one line in `chaser.jobs.kinds.table`. There are two sorts: those that
run in a sandbox, and those that the service does itself.
"""

from abc import ABC, abstractmethod
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import timedelta
from enum import Enum, auto
from typing import Any, Generic, TypeVar

import structlog
from pydantic import BaseModel

from chaser.errors import Unavailable
from chaser.ids import UploadId
from chaser.jobs.job import NO_SECRETS, Job, Secrets, Verdict
from chaser.jobs.logs import Frame
from chaser.jobs.reason import Reason
from chaser.keys import Scope
from chaser.sandboxes.ending import Ending
from chaser.sandboxes.engine import Image
from chaser.sandboxes.spec import Files, Launch, RootFile, SandboxSpec, WorkspaceMode

log = structlog.stdlib.get_logger()
InputT = TypeVar("InputT", bound=BaseModel)
Ear = Callable[[Sequence[Frame]], Awaitable[None]]
"""Raises nothing: what it hears has been stored, and is told once."""
Plant = Callable[[Sequence[RootFile]], Awaitable[None]]
"""Puts files into the sandbox while it runs. Raises `Refused` and `Unavailable`."""


@dataclass(frozen=True, slots=True)
class Bounds:
    """The settings that a request is held against, beside its profile."""

    default_timeout: timedelta
    max_timeout: timedelta


@dataclass(frozen=True, slots=True)
class WorkspaceAsk:
    """A workspace as a client names it: by name, which makes it at its first use, or by id."""

    selector: str
    mode: WorkspaceMode


@dataclass(frozen=True, slots=True)
class Admitted:
    """A request that may become a job: the part that may be shown, the part that is sealed, and what it needs."""

    input: Mapping[str, object]
    secrets: Secrets = NO_SECRETS
    profile: str | None = None
    """None for a kind that needs no sandbox."""
    workspace: WorkspaceAsk | None = None
    workspaces: Mapping[str, str] = field(default_factory=dict[str, str])
    """Workspaces that it acts on without running in one: their selectors, by the JSON pointer into the input at which
    each is named. The key must be allowed each of them."""
    uploads: Mapping[str, UploadId] = field(default_factory=dict[str, UploadId])
    """Uploads that it takes in, by the JSON pointer at which each is named."""
    queue_timeout: timedelta | None = None
    """How long it may wait for its turn, where the input says so."""


class Output(Enum):
    """What of a job's log belongs to its result."""

    NONE = auto()
    WHOLE = auto()
    """an excerpt of all of it, as `output`"""
    STEPS = auto()
    """a short excerpt for each entry of the result's `steps`, as that entry's `output`"""


class Kind(ABC, Generic[InputT]):
    name: str
    description: str
    """For people who look for the right kind: one sentence."""
    input: type[InputT]
    """What a request's `input` must be; its JSON Schema is served."""
    open: bool = True
    """Whether clients may post it; else the service makes it itself."""
    scope: Scope | None = None
    """What a key needs for it beside `jobs.write`."""
    output: Output = Output.NONE

    @abstractmethod
    def admit(self, asked: InputT, bounds: Bounds) -> Admitted:
        """Hold a well-formed request against the configuration. Raises `Rejected` with every fault at once."""


class SandboxKind(Kind[InputT]):
    """Runs in a sandbox."""

    patient: bool = False
    """Whether a next attempt waits for as long as the outside has asked for (a rate limit, say). One whose caller waits
    for the answer does not: better to fail soon."""

    asks_first: frozenset[Reason] = frozenset()
    """For these reasons a run is not told to end before `release` has agreed."""

    async def begins(self, job: Job) -> None:
        """An attempt begins, before anything is made for it. Raises `Unavailable`; then it is tried again."""

    @abstractmethod
    def spec(self, job: Job) -> SandboxSpec:
        """The sandbox that the job needs. Raises `Refused` if it cannot be had any more (its profile is gone)."""

    @abstractmethod
    async def launch(self, job: Job, image: Image) -> Launch:
        """What to hand over, made when the sandbox of this image is ready: the place for a call that must come late (a
        mint).

        Raises `Refused` or `Unavailable`; then nothing has been handed over.
        """

    def files(self, job: Job) -> Files | None:
        """What goes in before and comes out after; none: nothing."""
        return None

    def ear(self, job: Job, plant: Plant) -> Ear | None:
        """What is told of the sandbox's output, once it is stored; none: nobody listens. `plant` is a way to answer."""
        return None

    async def release(self, job: Job) -> bool:
        """Whether a run may be ended whose end was asked for; false: the outside has other work for it, and it goes on.

        Raises `Unavailable` where the outside does not say; then it is asked again, and the run goes on meanwhile.
        """
        return True

    async def settle(self, job: Job) -> None:
        """Undo what `launch` made outside, after the attempt has ended, however it ended. May run twice.

        Raises `Unavailable`; the caller logs it, and the sweeps repair.
        """

    @abstractmethod
    def verdict(self, job: Job, ending: Ending) -> Verdict:
        """How the job ends; the caller adds to `result` what it measured (timings, byte counts, image)."""


class ServiceKind(Kind[InputT]):
    """Done by the service itself, without a sandbox of the job's own."""

    @abstractmethod
    async def perform(self, job: Job) -> Verdict:
        """Do it. May run again after a crash, so each effect must bear repeating. Raises `Refused` or `Unavailable`."""


AnyKind = SandboxKind[Any] | ServiceKind[Any]


async def settle(kind: SandboxKind[InputT], job: Job) -> None:
    """`kind.settle`, where an outside that does not answer holds nothing up: its sweeps look again."""
    try:
        await kind.settle(job)
    except Unavailable as error:
        log.warning(
            "What the job made outside may be left; the sweeps look again.",
            action="settle_later",
            job_id=job.id,
            error=error.message,
        )
