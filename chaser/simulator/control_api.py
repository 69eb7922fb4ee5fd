"""What GitHub has no API for: to be its people and its weather. Only for whoever plays with the simulator.

Each body is one of the simulator's own values as JSON; docs/simulator.md has them all.
"""

from collections import Counter
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field

from starlette.requests import Request
from starlette.routing import Route

from chaser.simulator.answers import installation_body, runner_body
from chaser.simulator.bodies import Kind
from chaser.simulator.faults import Fault, Mishap
from chaser.simulator.hearsay import Hearsay
from chaser.simulator.installing import Installing
from chaser.simulator.limits import Limit, Rates, Resource
from chaser.simulator.orders import answering, read_order
from chaser.simulator.origin import Origin
from chaser.simulator.payload import Blank, Job, job_body
from chaser.simulator.post import Post, item_body
from chaser.simulator.weather import Forecast
from chaser.simulator.workflows import Plan, Workflows
from chaser.simulator.world import PERMISSIONS, Group, Hook, Installation, Patience, World


@dataclass(frozen=True, slots=True)
class Run:
    """A run of a workflow, to be started."""

    repository: str
    jobs: tuple[Plan, ...]
    origin: Origin = field(default_factory=Origin)


@dataclass(frozen=True, slots=True)
class Heard:
    """A line in the log of a runner that cannot reach the simulator."""

    runner: str
    line: str


@dataclass(frozen=True, slots=True)
class NewInstallation:
    account: str
    kind: Kind = "User"
    permissions: dict[str, str] = field(default_factory=lambda: dict(PERMISSIONS))
    repositories: frozenset[str] | None = None


@dataclass(frozen=True, slots=True)
class Exhaustion:
    """The primary rate limit of an installation (none: of the App itself) is used up, for so long."""

    seconds: float
    installation: int | None = None
    resource: Resource = Resource.CORE


@dataclass(frozen=True, slots=True)
class Settings:
    """What is left out stays as it is."""

    patience: Patience | None = None
    """Whole: what is left out of it is as at GitHub."""
    hook: Hook | None = None
    newest_first: bool | None = None
    blank: Blank = None
    public: frozenset[str] | None = None
    groups: dict[str, tuple[Group, ...]] | None = None
    group_size: int | None = None
    deprecations: dict[str, tuple[str, str]] | None = None
    rates: Rates | None = None
    """Whole, as `patience`."""
    lag: float | None = None
    closed: bool | None = None


class ControlApi:
    def __init__(self, world: World, post: Post, workflows: Workflows, installing: Installing) -> None:
        self._world = world
        self._post = post
        self._workflows = workflows
        self._installing = installing
        self._hearsay = Hearsay(world, workflows)

    def routes(self) -> list[Route]:
        run, installation = "/_sim/runs/{run_id:int}", "/_sim/installations/{installation_id:int}"
        posts: Mapping[str, Callable[[Request], Awaitable[object]]] = {
            "/_sim/runs": self.start,
            f"{run}/{{act}}": self.act,
            "/_sim/installations": self.install,
            f"{installation}/{{act}}": self.change,
            "/_sim/runners/{runner_id:int}/{act}": self.haunt,
            "/_sim/faults": self.fault,
            "/_sim/mishaps": self.mishap,
            "/_sim/limits": self.exhaust,
            "/_sim/weather": self.weather,
            "/_sim/clock": self.clock,
            "/_sim/settings": self.settings,
            "/_sim/ping": self.ping,
            "/_sim/release": self.release,
            "/_sim/heard": self.hear,
        }
        return [
            *(Route(path, answering(act), methods=["POST"]) for path, act in posts.items()),
            Route("/_sim/state", answering(self.state), methods=["GET"]),
            Route("/_sim/tally", answering(self.tally), methods=["GET"]),
        ]

    async def start(self, request: Request) -> object:
        run = await read_order(Run, request)
        return _started(self._workflows.start(run.repository, run.jobs, run.origin))

    async def act(self, request: Request) -> object:
        run_id: int = request.path_params["run_id"]
        match request.path_params["act"]:
            case "approve":
                self._workflows.approve(run_id)
            case "cancel":
                self._workflows.cancel(run_id)
            case "force-cancel":
                self._workflows.cancel(run_id, force=True)
            case "rerun":
                return _started(self._workflows.rerun(run_id))
            case "rerun-failed-jobs":
                return _started(self._workflows.rerun(run_id, only_failed=True))
            case _:
                return None
        return [job_body(job) for job in self._workflows.latest(run_id)]

    async def install(self, request: Request) -> object:
        asked = await read_order(NewInstallation, request)
        self._world.kinds[asked.account.lower()] = asked.kind
        number = self._world.next_installation()
        made = Installation(number, asked.account, asked.permissions, asked.repositories)
        self._installing.install(made)
        return installation_body(self._world, made)

    async def change(self, request: Request) -> object:
        found = self._world.installations.get(request.path_params["installation_id"])
        if found is None:
            return None
        match request.path_params["act"]:
            case "suspend" | "unsuspend" as act:
                self._installing.suspend(found, suspended=act == "suspend")
            case "delete":
                self._installing.delete(found)
            case "permissions":
                self._installing.grant(found, await read_order(dict[str, str], request))
            case "repositories":
                self._installing.choose(found, await read_order(frozenset[str], request))
            case _:
                return None
        return installation_body(self._world, found)

    async def haunt(self, request: Request) -> object:
        runner = self._world.runners.get(request.path_params["runner_id"])
        match request.path_params["act"]:
            case "forget" if runner is not None:
                self._workflows.forget(runner)
            case "mute" if runner is not None:
                self._workflows.mute(runner)
            case _:
                return None
        return runner_body(runner)

    async def fault(self, request: Request) -> object:
        self._world.faults.append(await read_order(Fault, request))
        return len(self._world.faults)

    async def mishap(self, request: Request) -> object:
        self._world.mishaps.append(await read_order(Mishap, request))
        return len(self._world.mishaps)

    async def exhaust(self, request: Request) -> object:
        asked = await read_order(Exhaustion, request)
        limits = self._world.limits
        limits.exhaust(asked.installation, asked.seconds, asked.resource)
        return limits.of(asked.installation, asked.resource).body()

    async def weather(self, request: Request) -> object:
        self._world.weather.change(await read_order(Forecast, request))
        return {}

    async def clock(self, request: Request) -> object:
        """Forward by so many seconds."""
        self._world.calendar.skip(await read_order(float, request))
        return {}

    async def settings(self, request: Request) -> object:
        asked, world = await read_order(Settings, request), self._world
        if asked.groups is not None:
            world.groups = {
                owner.lower(): {group.id: group for group in groups} for owner, groups in asked.groups.items()
            }
        world.patience = asked.patience or world.patience
        world.hook = asked.hook or world.hook
        world.newest_first = world.newest_first if asked.newest_first is None else asked.newest_first
        world.blank = world.blank if asked.blank is None else asked.blank
        world.public = world.public if asked.public is None else {name.lower() for name in asked.public}
        world.lag = world.lag if asked.lag is None else asked.lag
        world.closed = world.closed if asked.closed is None else asked.closed
        world.group_size = asked.group_size or world.group_size
        world.deprecations = asked.deprecations or world.deprecations
        world.limits.rates = asked.rates or world.limits.rates
        return {"hook_url": world.hook.url}

    async def ping(self, request: Request) -> object:
        self._installing.ping()
        return {}

    async def release(self, request: Request) -> object:
        """What mishaps hold back goes out."""
        self._post.release()
        return {}

    async def hear(self, request: Request) -> object:
        said = await read_order(Heard, request)
        return {} if self._hearsay.hear(said.runner, said.line) else None

    async def state(self, request: Request) -> object:
        """When all that was sent has been answered, unless somebody wants it `now`."""
        if "now" not in request.query_params:
            await self._post.settled()
        world = self._world
        return {
            "jobs": [job_body(job) for job in world.jobs.values()],
            "annotations": {str(job_id): text for job_id, text in world.annotations.items()},
            "runners": [{**runner_body(runner), "scope": runner.scope} for runner in world.runners.values()],
            "deliveries": [item_body(attempt) for attempt in self._post.attempts],
            "calls": [f"{call.base}|{call.line}" if call.base else call.line for call in world.calls],
            "limit_hits": {limit.value: world.limits.hits[limit] for limit in Limit},
            "weather": dict(world.weather.met),
        }

    async def tally(self, request: Request) -> object:
        """For whoever asks often: only how many."""
        jobs = Counter(job.status for job in self._world.jobs.values())
        return {"jobs": jobs, "runners": len(self._world.runners)}


def _started(jobs: list[Job]) -> object:
    return {
        "run_id": jobs[0].run_id if jobs else None,
        "jobs": [{"id": job.id, "name": job.name} for job in jobs],
    }
