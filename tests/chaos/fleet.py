"""A fleet under siege: jobs are asked for at a GitHub in bad weather; the service, its engine and its rate limit are struck."""

import time
from collections.abc import Callable, Generator, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from random import Random

from tests.acceptance.github import GitHub, github_elsewhere, run
from tests.acceptance.machine import build_image
from tests.acceptance.service import PROGRAM, Service, free_port, marker
from tests.acceptance.waiting import until
from tests.chaos.daemon import Daemon, own_daemon

ACCOUNTS = ("--account", "octocat", "--organization", "octo-org", "--organization", "hubbers")
REPOSITORIES = ("octocat/example", "octocat/tool", "octo-org/web", "octo-org/app", "hubbers/site")
LABELS = (("chaser",), ("self-hosted", "chaser"), ("chaser-large",))
SECONDS = (0, 0, 0.2, 0.5, 1, 2)
"""How long jobs take."""
CAP = 5
WEATHER: Mapping[str, float] = {
    "lost": 15,
    "vanished": 5,
    "doubled": 10,
    "reordered": 10,
    "late": 3,
    "refused": 2.5,
    "unheard": 2.5,
}
PATIENCE: Mapping[str, float] = {"poll": 5, "session": 12, "pick_up": 12, "lease": 20}
"""GitHub's, in seconds: long enough for a machine that is busy."""
SETTINGS: Mapping[str, str] = {
    "CHASER_LIMITS__MAX_RUNNING": str(CAP),
    "CHASER_PROFILES__LARGE__LIMITS__MEMORY": "300m",
    "CHASER_PROFILES__DEFAULT__RUNNER_MIN_WARM": "2",
    "CHASER_PROFILES__LARGE__RUNNER_MIN_WARM": "0",
    "CHASER_GITHUB__INTAKE_MS": "1000",
    "CHASER_GITHUB__REDELIVER_MS": "2000",
    "CHASER_GITHUB__POLL_MS": "3000",
    "CHASER_GITHUB__SWEEP_MS": "30000",
    "CHASER_GITHUB__GRACE_MS": "2000",
    "CHASER_GITHUB__RUNNER_ONLINE_MS": "30000",
    "CHASER_GITHUB__RUNNER_JOB_MS": "40000",
    "CHASER_GITHUB__RUNNER_END_MS": "10000",
    "CHASER_GITHUB__RUNNER_SIGHT_MS": "15000",
    "CHASER_GITHUB__RUNNER_LISTS_MS": "5000",
}
"""As the defaults are, but for a test that has minutes where they have hours."""
LIMIT_SECONDS = 6
STANDSTILL = 120
"""Seconds within which the next strike must have come."""


@dataclass(frozen=True, slots=True)
class Runner:
    """One that the service has or had, as a job of its own."""

    job_id: str
    status: str
    reason: str | None

    @property
    def on_engine(self) -> bool:
        return self.status in {"starting", "running"}

    @property
    def ended(self) -> bool:
        return self.status in {"succeeded", "failed", "cancelled"}

    @property
    def begun(self) -> bool:
        """It is, or was, more than queued."""
        return self.on_engine or self.ended


class Fleet:
    """`asked` are GitHub's ids of the workflow jobs; `struck` those jobs of the service whose runners were on the engine when
    it ended.
    """

    def __init__(self, github: GitHub, service: Service, daemon: Daemon, random: Random) -> None:
        self.github = github
        self.service = service
        self.asked: list[int] = []
        self.struck: set[str] = set()
        self._daemon = daemon
        # What jobs there are and what strikes must not depend on which of them is quicker.
        self._plans, self._strikes = Random(random.random()), Random(random.random())
        self._seed = random.randbytes(8).hex()

    def hold(self, jobs: int, strikes: Sequence[str]) -> None:
        """Ask for so many jobs, and strike while they are run, in an order by chance."""
        self.github.order("weather", {"seed": self._seed, **WEATHER})
        runs = self._runs(jobs)
        acts: Mapping[str, Callable[[], None]] = {
            "kill": self._kill,
            "stop the engine": partial(self._restart_engine, partial(self._daemon.end_daemon, "TERM")),
            "kill the engine": partial(self._restart_engine, partial(self._daemon.end_daemon, "KILL")),
            "cut the engine's power": partial(self._restart_engine, self._daemon.cut_power),
            "use up the limit": self._use_up_limit,
        }
        chosen = self._strikes.sample(strikes, len(strikes))
        for place, strike in enumerate(chosen, start=1):
            self._await(place * jobs // (len(chosen) + 1), runs)
            say(strike)
            acts[strike]()
        self._await(jobs, runs)

    def runners(self) -> Sequence[Runner]:
        rows = self.service.rows("SELECT id, status, reason FROM jobs WHERE kind = 'github.runner'")
        return [Runner(*row) for row in rows]

    def tell(self) -> None:
        """How it stands, for whoever reads why a test has failed."""
        told = {row[0]: row[1:] for row in self.service.rows(_TOLD)}
        for job in self.github.http.get("/_sim/state?now").json()["jobs"]:
            if job["conclusion"] != "success":
                ours = told.get(job["id"], "unheard of")
                say(f"{job['name']} is {job['status']}, {job['conclusion']}; here: {ours}")
        say(f"struck: {sorted(self.struck)}")

    def _await(self, number: int, runs: Iterator[Sequence[int]]) -> None:
        """As many jobs have ended; until then some more wait than can run."""

        def ended() -> bool:
            counts = self.github.tally["jobs"]
            done = counts.get("completed", 0)
            if sum(counts.values()) - done < 4 * CAP:
                self.asked += next(runs, ())
            return done >= number

        until(ended, f"{number} workflow jobs to end", STANDSTILL)
        say(f"{number} workflow jobs have ended")

    def _runs(self, jobs: int) -> Iterator[Sequence[int]]:
        """Runs of a few jobs each, each of which has a name of its own: the weather goes by it."""
        number = 0
        while number < jobs:
            size = min(jobs - number, self._plans.randrange(1, 9))
            plans = [self._plan(f"job-{each:03}") for each in range(number, number + size)]
            yield self.github.run(self._plans.choice(REPOSITORIES), *plans)
            number += size

    def _plan(self, name: str) -> Mapping[str, object]:
        command = f"echo {name}; sleep {self._plans.choice(SECONDS)}"
        labels = self._plans.choice(LABELS)
        return {"name": name, "labels": labels, "steps": [{"name": "work", "run": command}]}

    # --- the strikes

    def _kill(self) -> None:
        self.service.kill()
        time.sleep(self._strikes.uniform(0, 3))
        self.service.start()

    def _restart_engine(self, end: Callable[[], None]) -> None:
        before = {each.job_id: each for each in self.runners()}
        end()
        for each in self.runners():  # some have come and gone while it ended
            was = before.get(each.job_id)
            if (was is not None and was.on_engine) or (each.begun and not (was and was.ended)):
                self.struck.add(each.job_id)
        time.sleep(self._strikes.uniform(0, 2))
        self._daemon.start_daemon()

    def _use_up_limit(self) -> None:
        installation = self._strikes.randrange(1, 4)
        for resource in ("core", "actions_runner_registration"):
            asked = {"installation": installation, "seconds": LIMIT_SECONDS, "resource": resource}
            self.github.order("limits", asked)


_TOLD = """
SELECT demands.workflow_job_id, demands.state, demands.message, jobs.id, jobs.status, jobs.reason
FROM demands LEFT JOIN jobs ON jobs.id = demands.job_id
"""


@contextmanager
def fleet(place: Path, random: Random, more: Mapping[str, str]) -> Generator[Fleet]:
    """The service stands beside an engine of its own, in that one's network; GitHub is elsewhere. `more` are settings of it."""
    for image in ("small", "runner-simulated"):
        build_image(image)
    port, name = free_port(), marker()
    published = ("--publish", f"{port}:{port}")  # for GitHub, and for the tests
    engine, far, here = (place / each for each in ("engine", "github", "service"))
    for each in (engine, far, here):
        each.mkdir()
    with ExitStack() as stack:
        github = stack.enter_context(github_elsewhere(far, *ACCOUNTS))
        daemon = stack.enter_context(own_daemon(engine, name, live_restore=False, options=published))
        settings = {**github.settings, **SETTINGS, **more}
        daemon.load(settings["CHASER_PROFILES__DEFAULT__RUNNER_IMAGE"])
        run("ip", "netns", "attach", name, str(daemon.pid))
        stack.callback(run, "ip", "netns", "delete", name)
        program = ("ip", "netns", "exec", name, PROGRAM, "serve")
        service = Service(here, settings, daemon.docker, program=program, port=port)
        stack.callback(service.close)
        github.order("settings", {"patience": PATIENCE})
        service.start()
        github.deliver_to(port)
        made = Fleet(github, service, daemon, random)
        try:
            yield made
        finally:
            made.tell()


def say(what: str) -> None:
    """It is shown with a failure."""
    print(f"{time.strftime('%H:%M:%S')} {what}", flush=True)  # noqa: T201 # for whoever reads it
