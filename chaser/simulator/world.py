"""What the simulated GitHub knows: one App, its installations, runners, and the jobs that wait. In memory only."""

import secrets
import time
from collections import deque
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal

PERMISSIONS: Mapping[str, str] = {"actions": "read", "administration": "write", "metadata": "read"}
"""What an installation may do unless it is made otherwise: as the App of a personal account."""


@dataclass(slots=True)
class Installation:
    """The App, installed for one account. `repositories` of none: all that the account has."""

    id: int
    account: str
    permissions: Mapping[str, str] = field(default_factory=lambda: dict(PERMISSIONS))
    repositories: frozenset[str] | None = None
    suspended: bool = False

    def covers(self, repository: str) -> bool:
        owner = repository.partition("/")[0]
        listed = self.repositories is None or repository in self.repositories
        return owner.lower() == self.account.lower() and listed


@dataclass(slots=True)
class Runner:
    id: int
    scope: str
    """`repos/<owner>/<repo>` or `orgs/<org>`: names are unique within it."""
    name: str
    labels: tuple[str, ...]
    status: Literal["online", "offline"] = "offline"
    busy: bool = False
    token: str = field(default_factory=lambda: secrets.token_urlsafe(32), repr=False)
    """What the runner itself shows at its far side."""


@dataclass(frozen=True, slots=True)
class WaitingJob:
    """A workflow job that a delivery has told of."""

    id: int
    name: str
    labels: frozenset[str]


@dataclass(frozen=True, slots=True)
class Fault:
    """An answer that the next call to a path with this ending gets, whatever it asks. `status` 0: none, and late."""

    path_ends: str
    status: int
    body: Mapping[str, object] = field(default_factory=dict[str, object])
    headers: Mapping[str, str] = field(default_factory=dict[str, str])
    after_effect: bool = False
    """Whether the call takes effect, and only its answer is lost."""


@dataclass(slots=True)
class Call:
    """A call to the API, as it came."""

    line: str
    """Method and path."""
    peer: object
    """The caller's end of the connection."""
    body: bytes = b""


class World:
    def __init__(self, app_id: int, public_key: str) -> None:
        """`public_key` is the App's, as PEM."""
        self.app_id = app_id
        self.public_key = public_key
        self.installations: dict[int, Installation] = {}
        self.runners: dict[int, Runner] = {}
        self.waiting: dict[int, WaitingJob] = {}
        self.faults: deque[Fault] = deque()
        self.tokens: dict[str, tuple[int, float]] = {}
        """Installation tokens: whose, and until when (Unix time)."""
        self.calls: list[Call] = []
        """Every call, in order."""
        self._last_runner = 0

    def install(self, installation: Installation) -> Installation:
        self.installations[installation.id] = installation
        return installation

    def installation_of(self, repository: str) -> Installation | None:
        return next((one for one in self.installations.values() if one.covers(repository)), None)

    def register(self, scope: str, name: str, labels: tuple[str, ...]) -> Runner | None:
        """A new runner; none if the name is taken within the scope."""
        if self.named(scope, name):
            return None
        self._last_runner += 1
        runner = Runner(self._last_runner, scope, name, labels)
        self.runners[runner.id] = runner
        return runner

    def named(self, scope: str, name: str) -> list[Runner]:
        return [one for one in self.runners.values() if (one.scope, one.name) == (scope, name)]

    def new_token(self, installation: Installation, text: str, seconds: float = 3600) -> None:
        self.tokens[text] = (installation.id, time.time() + seconds)

    def token_owner(self, text: str) -> Installation | None:
        """The installation whose living token this is."""
        installation_id, until = self.tokens.get(text, (0, 0.0))
        return self.installations.get(installation_id) if time.time() < until else None

    def fault_for(self, path: str) -> Fault | None:
        for fault in self.faults:
            if path.endswith(fault.path_ends):
                self.faults.remove(fault)
                return fault
        return None

    def count(self, line: str) -> int:
        """How many calls of this method and path there were."""
        return sum(call.line == line for call in self.calls)

    def wait(self, job: WaitingJob) -> None:
        """Let the job wait for a runner that fits it."""
        self.waiting[job.id] = job

    def assign(self, runner: Runner) -> WaitingJob | None:
        """The oldest waiting job whose every label the runner has: any such job, as GitHub does it."""
        for job in self.waiting.values():
            if job.labels <= set(runner.labels):
                del self.waiting[job.id]
                runner.busy = True
                return job
        return None
