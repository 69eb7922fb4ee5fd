"""What the simulated GitHub knows: one App, its installations, runners, and the jobs that wait. In memory only."""

import asyncio
import secrets
import time
from collections import deque
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Literal

from chaser.simulator.app_settings import App, Hook
from chaser.simulator.bodies import Kind
from chaser.simulator.calendar import Calendar
from chaser.simulator.faults import Fault, Mishap
from chaser.simulator.limits import Limits
from chaser.simulator.origin import Origin
from chaser.simulator.patience import Patience
from chaser.simulator.payload import Blank, Job
from chaser.simulator.weather import Weather

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
    group: int = 1
    offer: int | None = None
    """The job that it has been assigned and has not taken yet."""
    job: int | None = None
    """The job that it runs."""
    bell: asyncio.Event = field(default_factory=asyncio.Event, repr=False)
    """Rung when there is something to tell the runner."""
    mute: bool = False
    """GitHub hears nothing of it, whatever it says."""
    since: float = field(default_factory=time.monotonic)
    timer: asyncio.TimerHandle | None = field(default=None, repr=False)
    """What happens if nothing is heard from it."""
    left: float = 0
    """When it went offline, or was registered: by the calendar."""


@dataclass(frozen=True, slots=True)
class Group:
    """A runner group of an organization. https://docs.github.com/en/rest/actions/self-hosted-runner-groups"""

    id: int
    name: str
    repositories: frozenset[str] | None = None
    """Those that may use it; none: all."""
    public: bool = False
    """Whether public repositories may use it too."""
    hosted: bool = False
    """GitHub's own runners: nobody may register one there."""


DEFAULT_GROUP = Group(1, "Default")


@dataclass(slots=True)
class Call:
    """A call to the API, as it came."""

    line: str
    """Method and path, without the base path of an Enterprise Server; `?name` where it looks for something by its name."""
    peer: object
    """The caller's end of the connection."""
    body: bytes = b""
    base: str = ""
    """`/api/v3` where it was called as an Enterprise Server."""


class World:
    def __init__(self, app_id: int, public_key: str) -> None:
        """`public_key` is the App's, as PEM."""
        self.app_id = app_id
        self.public_key = public_key
        self.address: str | None = None
        """Where it serves, for the addresses that it tells; none: they are those of GitHub."""
        self.app = App()
        self.hook = Hook()
        self.patience = Patience()
        self.limits = Limits()
        self.weather = Weather()
        self.calendar = Calendar()
        self.kinds: dict[str, Kind] = {}
        """Of accounts, by their login in lower case."""
        self.public: set[str] = set()
        """Repositories that everyone can see; every other one is private."""
        self.installations: dict[int, Installation] = {}
        self.groups: dict[str, dict[int, Group]] = {}
        """Of organizations, by their login in lower case."""
        self.group_size = 10_000
        self.runners: dict[int, Runner] = {}
        self.forgotten: dict[int, Runner] = {}
        """Runners that go on without a registration, and are not told so."""
        self.closed = False
        """Whether no runner gets through to begin a session."""
        self.lag = 0.0
        """Seconds by which the lists of runners are late."""
        self.jobs: dict[int, Job] = {}
        self.origins: dict[int, Origin] = {}
        """Of runs, by their id."""
        self.logs: dict[int, str] = {}
        """Of jobs: no more than what the runner's set-up says."""
        self.annotations: dict[int, str] = {}
        """Of jobs whose worker died: its last words, as GitHub shows them beside the job."""
        self.newest_first = False
        """Whether a runner gets the newest of the jobs that fit it, so that jobs and runners surely get swapped."""
        self.blank: Blank = None
        self.deprecations: dict[str, tuple[str, str]] = {}
        """Of the runner program's versions: when they stop to run jobs, and to register."""
        self.faults: deque[Fault] = deque()
        self.mishaps: deque[Mishap] = deque()
        self.tokens: dict[str, tuple[int, float]] = {}
        """Installation tokens: whose, and until when (Unix time)."""
        self.narrowed: dict[str, tuple[Mapping[str, str], frozenset[str] | None]] = {}
        """Of tokens that were asked for less than the installation may: permissions and repositories."""
        self.calls: list[Call] = []
        """Every call to the API, in order."""
        self._last_runner = 0
        self._last_installation = 0

    def install(self, installation: Installation) -> Installation:
        """An account nobody has told of is an organization if it grants an organization's permission."""
        granted = any(name.startswith("organization_") for name in installation.permissions)
        self.kinds.setdefault(installation.account.lower(), "Organization" if granted else "User")
        self.installations[installation.id] = installation
        self._last_installation = max(self._last_installation, installation.id)
        return installation

    def next_installation(self) -> int:
        """An id that none has had."""
        return self._last_installation + 1

    def forget_installations(self) -> None:
        """Another App is here from now on, and nobody has installed it."""
        self.installations.clear()
        self.tokens.clear()
        self.narrowed.clear()

    def installation_of(self, repository: str) -> Installation | None:
        return next((one for one in self.installations.values() if one.covers(repository)), None)

    def installation_for(self, login: str, kind: Kind) -> Installation | None:
        found = [one for one in self.installations.values() if one.account.lower() == login.lower()]
        return found[0] if found and self.kind(login) == kind else None

    def kind(self, login: str) -> Kind:
        return self.kinds.get(login.lower(), "User")

    def groups_of(self, organization: str) -> dict[int, Group]:
        return self.groups.setdefault(organization.lower(), {DEFAULT_GROUP.id: DEFAULT_GROUP})

    def group_of(self, runner: Runner) -> Group:
        """A repository's runners are always in the default one."""
        level, _, owner = runner.scope.partition("/")
        return (self.groups_of(owner) if level == "orgs" else {}).get(runner.group, DEFAULT_GROUP)

    def register(self, scope: str, name: str, labels: tuple[str, ...], group: int = 1) -> Runner | None:
        """A new runner; none if the name is taken within the scope."""
        if self.named(scope, name):
            return None
        self._last_runner += 1
        runner = Runner(self._last_runner, scope, name, labels, group=group)
        self.runners[runner.id] = runner
        return runner

    def shows(self, runner: Runner) -> bool:
        """Whether lists have it already."""
        return time.monotonic() - runner.since >= self.lag

    def seems_busy(self, runner: Runner) -> bool:
        """Lists have had runners idle that were in the midst of a job."""
        job = self.jobs.get(runner.job or 0)
        if not self.lag or job is None or job.started is None:
            return runner.busy and not self.lag
        return (datetime.now(UTC) - job.started).total_seconds() >= self.lag

    def named(self, scope: str, name: str) -> list[Runner]:
        return [one for one in self.runners.values() if (one.scope, one.name) == (scope, name)]

    def new_token(self, installation: Installation, text: str, seconds: float = 3600) -> None:
        self.tokens[text] = (installation.id, time.time() + seconds)

    def token_owner(self, text: str) -> Installation | None:
        """The installation whose living token this is."""
        installation_id, until = self.tokens.get(text, (0, 0.0))
        return self.installations.get(installation_id) if time.time() < until else None

    def fault_for(self, method: str, path: str) -> Fault | None:
        """One that was asked for is used up by being found; otherwise it is as the weather is."""
        for place, fault in enumerate(self.faults):
            if fault.meets(method, path):
                del self.faults[place]
                return fault
        return self.weather.fault(method, path)

    def mishap_for(self, event: str, payload: Mapping[str, object]) -> Mishap | None:
        """The same, of deliveries."""
        for place, mishap in enumerate(self.mishaps):
            if mishap.meets(event, payload.get("action")):
                del self.mishaps[place]
                return mishap
        return self.weather.mishap(event, payload)

    def count(self, line: str) -> int:
        """How many calls of this method and path there were."""
        return sum(call.line == line for call in self.calls)
