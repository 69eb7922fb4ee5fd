"""What GitHub did not tell is found out all the same: the real store, and the simulated GitHub over HTTP."""

import socket
from collections.abc import AsyncGenerator, Callable, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta

import pytest
from starlette.applications import Starlette

from chaser.clock import ManualClock
from chaser.errors import Unavailable
from chaser.github.delivery_log import AppDeliveryLog
from chaser.github.open_runs import AppOpenRuns
from chaser.github.places import AppPlaces
from chaser.github.reading import Reader
from chaser.ids import JobId
from chaser.jobs.job import Job as StoredJob
from chaser.jobs.job import Status
from chaser.jobs.ports import JobFilter
from chaser.jobs.reason import Reason
from chaser.measures import Measure
from chaser.receiving import unread
from chaser.runners.decide import KIND
from chaser.runners.demand import Demand, State
from chaser.runners.inbox import IntakeMode, Learned
from chaser.runners.lookout import Lookout
from chaser.runners.poll import Bounds, Poll
from chaser.runners.ports import DemandFilter
from chaser.runners.reception import Reception
from chaser.runners.recovery import Recovery, Rhythm
from chaser.runners.redeliveries import Redeliveries
from chaser.secret import Secret
from chaser.simulator.faults import Fault, Mishap
from chaser.simulator.payload import Job
from chaser.simulator.serving import serving
from chaser.simulator.workflows import Plan
from chaser.simulator.world import Hook, Installation
from chaser.store.store import Store
from chaser.webhooks.endpoint import PATH, WebhookEndpoint
from chaser.webhooks.signature import Signatures
from tests.simulated import ORGANIZATION, PERSONAL, GitHubSide, simulated_github
from tests.workflow_jobs import FOREIGN, OURS, runner_of

SECRET = "it's a secret"
REPOSITORY = "octo-org/example"
OURS_LABELS = ("self-hosted", "chaser")
LONG = timedelta(hours=2)
"""After this every look is due again."""


@dataclass
class Service:
    """One of the services on the database."""

    side: GitHubSide
    store: Store
    clock: ManualClock
    reception: Reception
    recovery: Recovery
    cancelled: list[JobId] = field(default_factory=list[JobId])

    async def look(self) -> None:
        """All that is due, as the service's loops do it."""
        await self.recovery.deliveries()
        await self.side.github.post.settled()
        await self.recovery.sweep()
        await self.recovery.polls()

    async def later(self, by: timedelta = LONG) -> None:
        self.clock.advance(by)
        await self.look()

    def measured(self, name: str) -> Mapping[str, float]:
        every: list[Measure] = [*self.reception.measures(), *self.recovery.measures()]
        (found,) = [measure for measure in every if measure.name == name]
        return {labels[0][1]: value for labels, value in found.values.items()}


@dataclass
class Scene:
    side: GitHubSide
    store: Store
    clock: ManualClock
    service: Callable[..., Service]

    def start(
        self,
        repository: str = REPOSITORY,
        *,
        labels: Sequence[str] = OURS_LABELS,
        jobs: int = 1,
        age: timedelta = timedelta(minutes=10),
        environment: str | None = None,
    ) -> list[Job]:
        """A run at GitHub, begun so long ago."""
        plans = [Plan(tuple(labels), f"job {number}", environment=environment) for number in range(jobs)]
        started = self.side.github.workflows.start(repository, plans)
        return [self.change(job, at=job.at - age) for job in started]

    def change(self, job: Job, **changes: object) -> Job:
        """What becomes of a job at GitHub without a word."""
        world = self.side.world
        world.jobs[job.id] = changed = replace(world.jobs[job.id], **changes)  # pyright: ignore[reportArgumentType]
        return changed

    async def demands(self) -> Mapping[int, Demand]:
        return {each.id: each for each in await self.store.demands.list(DemandFilter())}

    async def demand(self, job: Job) -> Demand:
        return (await self.demands())[job.id]

    async def jobs(self) -> Sequence[StoredJob]:
        return await self.store.jobs.list(JobFilter(kind=KIND))

    async def waiting(self) -> int:
        return len([job for job in await self.jobs() if not job.status.ended])

    def asked_again(self) -> int:
        """How often GitHub was asked to deliver something once more."""
        return sum(line.startswith("POST /app/hook/deliveries/") for line in self.calls())

    def calls(self) -> Sequence[str]:
        return [call.line for call in self.side.world.calls if "access_tokens" not in call.line]

    @asynccontextmanager
    async def webhook(self, service: Service) -> AsyncGenerator[None]:
        """Where GitHub delivers to, for as long as it is there."""
        endpoint = WebhookEndpoint(Signatures([Secret(SECRET)]), service.reception, self.clock)
        async with serving(Starlette(routes=[endpoint.route()])) as url:
            self.side.world.hook = Hook(f"{url}{PATH}", SECRET)
            yield

    def unreachable(self) -> None:
        """GitHub delivers to a port at which nobody listens."""
        with socket.create_server(("127.0.0.1", 0)) as taken:
            port = taken.getsockname()[1]
        self.side.world.hook = Hook(f"http://127.0.0.1:{port}{PATH}", SECRET)


@pytest.fixture
async def scene(store: Store) -> AsyncGenerator[Scene]:
    clock = ManualClock(datetime.now(UTC))
    async with simulated_github() as side, side.client(clock=clock) as client:

        def service(intake: IntakeMode = IntakeMode.WEBHOOK, bounds: Bounds = Bounds()) -> Service:  # noqa: B008
            cancelled = list[JobId]()
            reception = Reception(
                OURS, store.inbox, clock, awaken=lambda: None, cancelled=cancelled.append, screen=lambda: None
            )
            reader = Reader(clock)
            lookout = Lookout(
                AppDeliveryLog(client, reader), AppOpenRuns(client, reader), AppPlaces(client), client
            )
            recovery = Recovery(
                lambda: lookout,
                store.looks,
                store.installations,
                reception,
                Redeliveries(store.looks, reception, clock, unread, intake=intake),
                Poll(store.looks, reception, clock, bounds),
                clock,
                Rhythm(),
            )
            return Service(side, store, clock, reception, recovery, cancelled)

        yield Scene(side, store, clock, service)


async def test_a_job_that_no_delivery_told_of_is_found_at_the_start(scene: Scene) -> None:
    """P1, where even the repository was never heard of."""
    (job,) = scene.start()

    service = scene.service()
    await service.look()

    demand = await scene.demand(job)
    assert (demand.state, demand.learned, demand.said.installation_id) == (
        State.PLANNED,
        Learned.START_UP,
        ORGANIZATION,
    )
    assert (demand.said.organization, demand.said.private, demand.said.labels) == (
        "octo-org",
        True,
        OURS_LABELS,
    )
    assert await scene.waiting() == 1
    assert service.measured("chaser_github_jobs_learned_total")["start_up"] == 1


async def test_a_look_that_is_taken_again_changes_nothing(scene: Scene) -> None:
    """P3: jobs are known by their ids, and never counted."""
    scene.start(jobs=3)
    service = scene.service()
    await service.look()
    before, stories = _known(await scene.demands()), await _told(scene)

    await service.later()
    await scene.service().look()

    assert _known(await scene.demands()) == before
    assert await _told(scene) == stories
    assert await scene.waiting() == 3


async def test_what_has_not_changed_costs_no_calls_of_the_limit(scene: Scene) -> None:
    scene.start(jobs=3)
    service = scene.service()
    await service.look()
    budget = scene.side.world.limits.of(ORGANIZATION)
    await service.later(timedelta(minutes=6))
    used = budget.used

    await service.later(timedelta(minutes=6))

    assert budget.used == used


async def test_the_less_is_left_of_the_limit_the_seldomer_a_look(scene: Scene) -> None:
    """P10: a third as often below a half, not at all below a tenth."""
    scene.start()
    service = scene.service()
    await service.look()
    budget = scene.side.world.limits.of(ORGANIZATION)

    async def looked(after: timedelta, left: float) -> bool:
        """Whether it was looked at the organization's jobs then; after that so much is left."""
        before = _looks(scene)
        budget.used = int(budget.limit * (1 - left))
        await service.later(after)
        return _looks(scene) > before

    assert await looked(timedelta(minutes=6), 0.4)
    assert not await looked(timedelta(minutes=6), 0.4)
    assert await looked(timedelta(minutes=10), 0.08)
    assert not await looked(timedelta(minutes=20), 0.08)


async def test_a_young_job_is_left_to_its_delivery(scene: Scene) -> None:
    """P25"""
    (job,) = scene.start(age=timedelta(0))
    service = scene.service()
    await service.look()

    assert await scene.demands() == {}
    assert service.measured("chaser_github_would_start") == {"none": 1, "left": 1}

    scene.change(job, at=job.at - timedelta(minutes=2))
    await service.later(timedelta(minutes=1))

    assert (await scene.demand(job)).learned is Learned.POLL
    assert service.measured("chaser_github_would_start") == {"none": 1, "left": 0}


async def test_a_look_starts_no_more_than_it_may(scene: Scene) -> None:
    """P25: the rest is left to the next look, which comes soon."""
    scene.start(jobs=7)
    service = scene.service(bounds=Bounds(starts=3))
    await service.look()
    assert (await scene.waiting(), service.measured("chaser_github_would_start")["left"]) == (3, 4)

    await service.later(timedelta(minutes=1))
    assert await scene.waiting() == 6
    await service.later(timedelta(minutes=1))
    assert (await scene.waiting(), service.measured("chaser_github_would_start")["left"]) == (7, 0)


async def test_jobs_for_others_leave_no_trace(scene: Scene) -> None:
    scene.start(labels=("ubuntu-latest",), jobs=3)
    scene.start(labels=("self-hosted", "linux"))
    await scene.service().look()

    assert await scene.demands() == {}
    assert await _told(scene) == 0


async def test_a_refusal_is_found_too(scene: Scene) -> None:
    (job,) = scene.start(labels=("chaser-lagre",))
    await scene.service().look()

    demand = await scene.demand(job)
    assert demand.state is State.REFUSED
    assert "chaser-large" in (demand.message or "")


async def test_an_end_that_was_not_told_ends_what_is_owed(scene: Scene) -> None:
    (job,) = scene.start()
    service = scene.service()
    await service.look()
    scene.change(job, status="completed", conclusion="cancelled", ended=datetime.now(UTC))

    await service.later()

    demand = await scene.demand(job)
    assert (demand.state, demand.said.conclusion) == (State.CANCELLED, "cancelled")
    assert service.cancelled == [demand.job_id]
    assert await scene.waiting() == 0


async def test_what_really_runs_is_booked(scene: Scene) -> None:
    """P6, unheard: a job was given the runner of another one."""
    one, other = scene.start(jobs=2)
    service = scene.service()
    await service.look()
    first, second = (await scene.demand(one)).job_id, (await scene.demand(other)).job_id

    scene.change(one, status="in_progress", runner_id=1, runner_name=runner_of(second))
    await service.later()

    taker, loser = await scene.demand(one), await scene.demand(other)
    assert (taker.state, taker.job_id) == (State.RUNNING, second)
    assert (loser.state, loser.job_id, loser.taken_by) == (State.PLANNED, first, one.id)


async def test_an_end_with_a_runner_is_an_end(scene: Scene) -> None:
    (job,) = scene.start()
    service = scene.service()
    await service.look()
    name = runner_of((await scene.demand(job)).job_id)
    scene.change(job, status="completed", conclusion="success", runner_id=1, runner_name=name)

    await service.later()

    demand = await scene.demand(job)
    assert (demand.state, demand.said.conclusion, demand.said.runner_name) == (State.DONE, "success", name)


async def test_a_job_on_anothers_runner_is_owed_nothing_whatever_comes_late(scene: Scene) -> None:
    service = scene.service()
    scene.start()
    await service.look()
    async with scene.webhook(service):
        scene.side.world.mishaps.append(Mishap("hold"))
        (job,) = scene.start()
        scene.change(job, status="in_progress", runner_id=1, runner_name=FOREIGN)
        await service.later(timedelta(minutes=6))
        assert (await scene.demand(job)).state is State.RUNNING

        scene.side.github.post.release()
        await scene.side.github.post.settled()

    assert (await scene.demand(job)).state is State.RUNNING
    assert await scene.waiting() == 1


async def test_an_approval_that_was_not_told_is_found(scene: Scene) -> None:
    """P2: a wait is never for good."""
    (job,) = scene.start(environment="production")
    scene.change(job, status="waiting")
    service = scene.service()
    await service.look()
    held = dict(await scene.demands())
    assert [each.state for each in held.values()] in ([], [State.WAITING])

    scene.change(job, status="queued")
    await service.later()

    assert (await scene.demand(job)).state is State.PLANNED


async def test_a_hold_that_was_not_told_calls_the_runner_off(scene: Scene) -> None:
    (job,) = scene.start()
    service = scene.service()
    await service.look()
    scene.change(job, status="waiting")

    await service.later()

    assert (await scene.demand(job)).state is State.WAITING
    assert await scene.waiting() == 0


async def test_a_job_that_github_does_not_show_is_believed_gone_only_after_a_while(scene: Scene) -> None:
    (job,) = scene.start()
    service = scene.service()
    await service.look()
    shown = scene.side.world.jobs.pop(job.id)

    await service.later(timedelta(minutes=6))
    assert (await scene.demand(job)).state is State.PLANNED
    await service.later(timedelta(minutes=6))

    demand = await scene.demand(job)
    assert demand.state is State.REFUSED
    assert "GitHub does not show this job any more" in (demand.message or "")
    assert service.cancelled == [demand.job_id]

    scene.side.world.jobs[job.id] = shown
    await service.later()

    demand = await scene.demand(job)
    assert (demand.state, demand.message) == (State.PLANNED, None)
    assert await scene.waiting() == 1


async def test_a_running_job_that_github_does_not_show_is_let_run(scene: Scene) -> None:
    (job,) = scene.start()
    service = scene.service()
    await service.look()
    name = runner_of((await scene.demand(job)).job_id)
    scene.change(job, status="in_progress", runner_id=1, runner_name=name)
    await service.later()
    del scene.side.world.jobs[job.id]

    for _ in range(2):
        await service.later(timedelta(minutes=6))

    assert (await scene.demand(job)).state is State.CANCELLED
    assert service.cancelled == []
    assert await scene.waiting() == 1


@pytest.mark.parametrize("status", [0, 500, 503, 403])
async def test_nothing_is_concluded_from_no_answer(scene: Scene, status: int) -> None:
    """P5: what GitHub does not say is not so; 403 is an App whose permission was taken away."""
    scene.start(jobs=2)
    service = scene.service()
    await service.look()
    before = await scene.demands()
    scene.side.world.jobs.clear()
    for _ in range(40):
        scene.side.world.faults.append(Fault("/actions/runs", status or 502))
        scene.side.world.faults.append(Fault("/jobs", status or 502))

    for _ in range(3):
        await service.later(timedelta(minutes=6))

    assert await scene.demands() == before
    assert service.measured("chaser_github_looks_failed_total")["poll"] > 0


async def test_a_repository_that_fails_does_not_keep_the_others_from_being_looked_at(scene: Scene) -> None:
    scene.start("octo-org/a")
    scene.start("octo-org/b")
    service = scene.service()
    await service.look()
    scene.start("octo-org/a")
    (job,) = scene.start("octo-org/b")
    scene.side.world.faults.append(Fault("octo-org/a/actions/runs", 502))

    await service.later(timedelta(minutes=6))

    assert job.id in await scene.demands()
    assert len(await scene.demands()) == 3
    await service.later(timedelta(minutes=1))
    assert len(await scene.demands()) == 4


async def test_a_delivery_that_failed_is_made_again(scene: Scene) -> None:
    scene.unreachable()
    (job,) = scene.start()
    await scene.side.github.post.settled()
    service = scene.service()
    async with scene.webhook(service):
        scene.clock.advance(timedelta(minutes=1))
        await service.recovery.deliveries()
        await scene.side.github.post.settled()

    assert (await scene.demand(job)).learned is Learned.REDELIVERY
    assert service.measured("chaser_github_jobs_learned_total") == {
        "webhook": 0,
        "redelivery": 1,
        "poll": 0,
        "start_up": 0,
    }
    assert scene.asked_again() == 1

    await service.later(timedelta(minutes=3))
    assert scene.asked_again() == 1, "it was accepted then"


async def test_a_delivery_that_fails_again_is_read(scene: Scene) -> None:
    scene.unreachable()
    (job,) = scene.start()
    await scene.side.github.post.settled()
    service = scene.service()
    scene.clock.advance(timedelta(minutes=1))
    await service.recovery.deliveries()
    await scene.side.github.post.settled()
    assert await scene.demands() == {}

    scene.clock.advance(timedelta(minutes=3))
    await service.recovery.deliveries()

    assert (await scene.demand(job)).learned is Learned.REDELIVERY
    calls = len(scene.calls())
    scene.clock.advance(timedelta(minutes=3))
    await service.recovery.deliveries()
    assert scene.calls()[calls:] == ["GET /app/hook/deliveries"], "it is known now"


async def test_a_delivery_that_arrived_though_its_answer_was_lost_is_not_asked_for_again(
    scene: Scene,
) -> None:
    service = scene.service()
    async with scene.webhook(service):
        (job,) = scene.start()
        await scene.side.github.post.settled()
    (attempt,) = scene.side.github.post.attempts
    attempt.status, attempt.status_code = "timed out", 504

    await service.later(timedelta(minutes=3))

    assert (await scene.demand(job)).learned is Learned.WEBHOOK
    assert scene.asked_again() == 0


async def test_without_an_open_port_deliveries_are_read(scene: Scene) -> None:
    scene.unreachable()
    service = scene.service(IntakeMode.DELIVERIES)
    (job,) = scene.start()
    await scene.side.github.post.settled()
    await service.recovery.deliveries()
    demand = await scene.demand(job)
    assert (demand.state, demand.learned) == (State.PLANNED, Learned.WEBHOOK)

    scene.side.github.workflows.cancel(job.run_id)
    await scene.side.github.post.settled()
    scene.clock.advance(timedelta(minutes=3))
    await service.recovery.deliveries()

    assert (await scene.demand(job)).state is State.CANCELLED
    assert scene.asked_again() == 0
    calls = len(scene.calls())
    scene.clock.advance(timedelta(minutes=3))
    await service.recovery.deliveries()
    assert len(scene.calls()) == calls + 1, "each is read once"


async def test_deliveries_are_read_where_they_do_not_arrive(scene: Scene) -> None:
    service = scene.service(IntakeMode.BOTH)
    async with scene.webhook(service):
        (arrived,) = scene.start()
        await scene.side.github.post.settled()
    scene.unreachable()
    (lost,) = scene.start()
    await scene.side.github.post.settled()
    scene.clock.advance(timedelta(minutes=1))
    await service.recovery.deliveries()

    known = await scene.demands()
    assert (known[arrived.id].learned, known[lost.id].learned) == (Learned.WEBHOOK, Learned.REDELIVERY)
    assert sum(line.startswith("GET /app/hook/deliveries/") for line in scene.calls()) == 1


async def test_a_look_at_deliveries_that_fails_half_way_is_taken_again(scene: Scene) -> None:
    scene.unreachable()
    service = scene.service(IntakeMode.DELIVERIES)
    started = [scene.start()[0] for _ in range(3)]
    await scene.side.github.post.settled()
    second = scene.side.github.post.attempts[1]
    scene.side.world.faults.append(Fault(f"/app/hook/deliveries/{second.id}", 502))
    with pytest.raises(Unavailable):
        await service.recovery.deliveries()

    scene.clock.advance(timedelta(minutes=3))
    await service.recovery.deliveries()

    assert set(await scene.demands()) == {job.id for job in started}


async def test_of_two_services_one_looks(scene: Scene) -> None:
    scene.start(jobs=3)
    one, other = scene.service(), scene.service()
    scene.clock.advance(timedelta(seconds=1))
    await one.look()
    calls = len(scene.calls())

    await other.look()

    assert len(scene.calls()) == calls
    assert await scene.waiting() == 3


async def test_a_service_that_starts_later_looks_at_everything_anew(scene: Scene) -> None:
    await scene.service().look()
    (job,) = scene.start("octo-org/new-one")
    scene.clock.advance(timedelta(seconds=1))

    await scene.service().look()

    assert (await scene.demand(job)).learned is Learned.START_UP


async def test_a_start_that_github_does_not_answer_is_tried_again(scene: Scene) -> None:
    (job,) = scene.start()
    scene.side.world.faults.append(Fault("/installation/repositories", 502))
    service = scene.service()
    await service.recovery.installations()
    with pytest.raises(Unavailable):
        await service.recovery.everything(ORGANIZATION)

    await service.later(timedelta(minutes=2))

    assert (await scene.demand(job)).learned is Learned.START_UP


async def test_a_quiet_repository_is_looked_at_now_and_then(scene: Scene) -> None:
    service = scene.service()
    await service.look()
    (job,) = scene.start("octo-org/quiet")
    await service.later(timedelta(minutes=6))
    assert await scene.demands() == {}

    await service.later(timedelta(hours=1))

    assert (await scene.demand(job)).learned is Learned.POLL


async def test_installations_that_came_and_went_unheard_are_known(scene: Scene) -> None:
    service = scene.service()
    await service.look()
    known = {each.id: each for each in await scene.store.installations.list()}
    assert {PERSONAL, ORGANIZATION} == set(known)
    assert known[ORGANIZATION].account == "octo-org"

    world = scene.side.world
    del world.installations[PERSONAL]
    world.install(Installation(9, "octocat"))
    await service.later()

    known = {each.id: each for each in await scene.store.installations.list()}
    assert known[PERSONAL].deleted_at is not None
    assert known[9].deleted_at is None


async def test_another_apps_installations_end_nothing(scene: Scene) -> None:
    """An installation that was deleted never comes back: so none is taken to be, where all of them are unknown."""
    (job,) = scene.start()
    service = scene.service()
    await service.look()
    world = scene.side.world
    world.installations.clear()
    world.install(Installation(9, "somebody"))

    await service.later()

    assert all(each.deleted_at is None for each in await scene.store.installations.list())
    assert (await scene.demand(job)).state is State.PLANNED


async def test_a_runner_that_failed_is_made_again_while_github_shows_the_job(scene: Scene) -> None:
    """P15, by level: what waits at GitHub without a runner gets one."""
    (job,) = scene.start()
    service = scene.service()
    await service.look()
    first = (await scene.demand(job)).job_id
    assert first is not None
    await _fail(scene.store, first, scene.clock.now())

    await service.later()

    demand = await scene.demand(job)
    assert (demand.state, demand.runners) == (State.PLANNED, 2)
    assert demand.job_id != first
    assert await scene.waiting() == 1


def _looks(scene: Scene) -> int:
    return sum("/actions/runs" in line for line in scene.calls())


def _known(demands: Mapping[int, Demand]) -> Sequence[Demand]:
    """All but until when it was known to be so."""
    return [replace(each, said=replace(each.said, gated_at=None)) for each in demands.values()]


async def _told(scene: Scene) -> int:
    """Deliveries and looks that are stored of workflow jobs."""
    stories = [await scene.store.demands.story(job_id) for job_id in await scene.demands()]
    return sum(len(story.deliveries) for story in stories if story is not None)


async def _fail(store: Store, job_id: JobId, now: datetime) -> None:
    cancelled = await store.jobs.request_cancel(job_id, Reason.HOST_LOST, now)
    assert cancelled is not None
    job = await store.jobs.get(job_id)
    assert job is not None
    assert job.status is Status.CANCELLED
