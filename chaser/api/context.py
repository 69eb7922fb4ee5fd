"""What the API stands on, given by the one who wires the service."""

import asyncio
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Protocol

from chaser.api.audience import Audience
from chaser.api.queue_length import QueueLength
from chaser.api.schemas.jobs import Because
from chaser.clock import Clock
from chaser.ids import InstanceId, WorkspaceId
from chaser.jobs.completion import Completion
from chaser.jobs.deletion import Deletions
from chaser.jobs.intake import Intake
from chaser.jobs.kind import AnyKind, Bounds
from chaser.jobs.logs import LogStore
from chaser.jobs.ports import JobStore
from chaser.keys import ApiKey, KeyStore
from chaser.measures import Measure
from chaser.runners.budget import Spending
from chaser.runners.demand import Demand
from chaser.runners.latency import Passages
from chaser.runners.ports import Demands, Installations
from chaser.sandboxes.artifacts import Artifacts
from chaser.sandboxes.snapshots import Snapshots
from chaser.sandboxes.spec import Profile
from chaser.sandboxes.uploads import Uploads
from chaser.sandboxes.workspace_files import WorkspaceFiles
from chaser.sandboxes.workspaces import Workspace, WorkspaceStore

Ping = Callable[[], Awaitable[None]]
"""Returns when the part answers. Raises `Unavailable` with what to check when it does not."""

Admission = Callable[[], None]
"""Raises `Unavailable` or `Rejected` when no new work is taken: the disk is low, the service is stopping."""


Held = Callable[[], Because | None]
"""Why no job at all may start now; none: nothing is in the way."""


def admit_all() -> None:
    """The admission that refuses nothing."""


def nothing_held() -> None:
    """Where nothing is ever in the way."""


@dataclass(frozen=True, slots=True)
class Place:
    """A workspace that a job may run in. `image` is the workspace's own; none: the profile's."""

    id: WorkspaceId
    image: str | None = None


class Workspaces(Protocol):
    async def use(self, selector: str, key: ApiKey) -> Place:
        """The workspace of that name or id, to run a job in; a name that is new makes one.

        Raises `Rejected`: `workspace_not_found` (404) for an id that is none, `forbidden` (403) where the key's prefix
        does not cover it.
        """
        ...

    async def find(self, selector: str, key: ApiKey) -> WorkspaceId:
        """The workspace of that name or id. Raises `Rejected` as `use` does, for a name that is none too."""
        ...

    async def visible(self, selector: str, key: ApiKey) -> Workspace:
        """The same, with all that is known of it."""
        ...


class Counting(Protocol):
    """Whoever counts something, for as long as the process lives."""

    def measures(self) -> Sequence[Measure]: ...


class Looking(Protocol):
    """Whoever finds out how something stands at this moment, for all processes that share it."""

    async def measures(self) -> Sequence[Measure]:
        """Raises `Unavailable`."""
        ...


@dataclass(frozen=True, slots=True)
class WorkspaceParts:
    """What the routes under /v1/workspaces stand on."""

    rows: WorkspaceStore
    files: WorkspaceFiles
    snapshots: Snapshots
    deletions: Deletions
    default_quota: int | None = None
    """Of a workspace whose maker does not say."""


class Approve(Protocol):
    async def __call__(self, demand: Demand, approved_by: str) -> None:
        """Let the run of a held workflow job run. Raises `Unavailable`."""
        ...


@dataclass(frozen=True, slots=True)
class GitHubParts:
    """What the routes under /v1/github stand on."""

    demands: Demands
    installations: Installations
    passages: Passages
    instance: InstanceId
    """It is in the names of all our runners."""
    spendings: Callable[[], Sequence[Spending]]
    """What this process's calls to GitHub came to."""
    approve: Approve


@dataclass(frozen=True, slots=True, kw_only=True)
class Rules:
    """The API's settings. The defaults are those that are shipped; docs/api.md names them."""

    rate: str = "600/minute"
    """For each key: a number of calls, and `second`, `minute`, `hour` or `day`."""
    max_queued: int = 10_000
    """Jobs that may wait at once, over all keys; beyond it: `too_busy`."""
    default_timeout: timedelta = timedelta(minutes=10)
    max_timeout: timedelta = timedelta(hours=6)
    default_queue_timeout: timedelta = timedelta(minutes=5)
    """Of an exec, whose client waits. A job that is posted may wait for ever, if it does not say."""
    max_queue_timeout: timedelta = timedelta(days=30)
    body_bytes: int = 1 << 20
    batch_bytes: int = 16 << 20
    """Of a body that holds many jobs; each of them may be as large as a body of its own."""
    body_deadline: timedelta = timedelta(seconds=30)
    """How long a client may take to send a body."""
    answer_after: timedelta = timedelta(seconds=8)
    """When an exec that has not ended yet begins its answer: below the 10 s after which proxies cut an idle call."""
    beat: timedelta = timedelta(seconds=5)
    """How often an answer that has begun, and has nothing to say, sends a space or a comment line."""
    look_again: timedelta = timedelta(seconds=3)
    """How often a waiting answer reads the store without having been told of a change."""
    stall: timedelta = timedelta(seconds=60)
    """How long one write to a client may stand still before its connection is cut. The run goes on."""
    longest_feed: timedelta = timedelta(hours=1)
    """When a stream of all jobs' events ends, so that its client comes again with a key that still holds."""
    ping_deadline: timedelta = timedelta(seconds=3)
    turn_timeout: timedelta = timedelta(seconds=15)
    """How long a change of a workspace waits for its turn, which only other changes should be before."""
    change_wait: timedelta = timedelta(seconds=45)
    """How long a call waits for a change of a workspace; after that the change goes on as a job."""

    @property
    def bounds(self) -> Bounds:
        return Bounds(self.default_timeout, self.max_timeout)


@dataclass(frozen=True, slots=True, kw_only=True)
class Api:
    """Every dependency of the routes. `stopping` is set when the service begins to stop: answers that wait then end,
    and a client's connection that closes no longer means that the client has left."""

    jobs: JobStore
    logs: LogStore
    keys: KeyStore
    uploads: Uploads
    artifacts: Artifacts
    intake: Intake
    completion: Completion
    profiles: Mapping[str, Profile]
    kinds: Mapping[str, AnyKind]
    """By name: `chaser.jobs.kinds.table`."""
    workspaces: Workspaces
    workspace_parts: WorkspaceParts
    github: GitHubParts
    clock: Clock
    version: str
    rules: Rules = field(default_factory=Rules)
    pings: Mapping[str, Ping] = field(default_factory=dict[str, Ping])
    counting: Sequence[Counting] = ()
    looking: Sequence[Looking] = ()
    """These two are what /metrics shows."""
    admission: Admission = admit_all
    held: Held = nothing_held
    stopping: asyncio.Event = field(default_factory=asyncio.Event)
    audience: Audience = field(default_factory=Audience)
    queue_length: QueueLength = field(default_factory=QueueLength)
