"""Runners that tell of a refusal, on real databases: who gets one, and when it is called off."""

from collections.abc import Sequence
from dataclasses import replace

from chaser.clock import ManualClock
from chaser.ids import JobId
from chaser.jobs.job import Job, Status
from chaser.jobs.ports import JobFilter
from chaser.runners.decide import Ours
from chaser.runners.demand import Demand, State
from chaser.runners.event import WorkflowJobEvent
from chaser.runners.inbox import Recorded
from chaser.runners.labels import Grammar
from chaser.runners.policy import Policy
from chaser.runners.rules import Rules, Run, Then
from chaser.runners.screening import Screening
from chaser.store.store import Store
from tests.profiles import named
from tests.rows import START
from tests.workflow_jobs import OURS, runner_of, tell, told

TELLING = replace(OURS, refusal_runners=True)
UNKNOWN = told(labels=("self-hosted", "chaser-lagre"))
FORK = Run("pull_request", "stranger/example", "stranger", "stranger", ".github/workflows/ci.yml", "patch-1")


async def hear(store: Store, *events: WorkflowJobEvent, ours: Ours = TELLING) -> Recorded:
    answers = [await tell(store, event, ours=ours) for event in events]
    last = answers[-1]
    assert isinstance(last, Recorded)
    return last


async def demand(store: Store, number: int = 77) -> Demand:
    story = await store.demands.story(number)
    assert story is not None
    return story.demand


async def job(store: Store, job_id: JobId | None) -> Job:
    assert job_id is not None
    found = await store.jobs.get(job_id)
    assert found is not None
    return found


async def waiting(store: Store) -> Sequence[JobId]:
    return [each.id for each in await store.jobs.list(JobFilter()) if each.status is Status.QUEUED]


def screening(store: Store, ours: Ours, clock: ManualClock) -> Screening:
    return Screening(
        store.screenings, lambda: None, ours, clock, awaken=lambda: None, cancelled=lambda _: None
    )


async def test_a_refused_job_gets_a_small_runner_with_the_reason(store: Store) -> None:
    answer = await hear(store, UNKNOWN)

    known = await demand(store)
    made = await job(store, known.job_id)
    assert (known.state, answer.planned) == (State.REFUSED, True)
    assert made.input["refusal"] == known.message
    assert (made.input["cpus"], made.input["memory_bytes"]) == (1, 1 << 30)
    assert (made.profile, made.input["labels"]) == ("default", ["self-hosted", "chaser-lagre"])


async def test_without_the_switch_it_gets_none(store: Store) -> None:
    assert not (await hear(store, UNKNOWN, ours=OURS)).planned


async def test_nobody_registers_one_without_an_installation(store: Store) -> None:
    assert not (await hear(store, replace(UNKNOWN, installation_id=None))).planned


async def test_a_job_for_others_gets_none(store: Store) -> None:
    assert not (await hear(store, told(labels=("ubuntu-latest",)))).planned


async def test_a_runner_that_others_could_be_given_is_what_they_would_get(store: Store) -> None:
    """A public repository is not allowed, but its label is one that other jobs may have."""
    await hear(store, told(private=False, labels=("chaser-large-4cpu",)))

    made = await job(store, (await demand(store)).job_id)
    assert (made.profile, made.input["cpus"], made.input["level"]) == ("large", 4, "repository")


async def test_it_stays_when_the_job_is_told_of_again_and_goes_when_the_job_has_ended(store: Store) -> None:
    first = await hear(store, UNKNOWN)
    again = await hear(store, UNKNOWN)
    assert (again.planned, again.cancelled, again.job_id) == (False, (), first.job_id)

    ended = await hear(store, replace(UNKNOWN, action="completed", conclusion="cancelled"))

    assert ended.cancelled == (first.job_id,)
    assert await waiting(store) == []


async def test_who_loses_the_runner_of_its_refusal_gets_another(store: Store) -> None:
    first = await hear(store, UNKNOWN)
    await hear(store, told(job_id=78))
    stray = told("in_progress", job_id=78, runner_name=runner_of(first.job_id))
    answer = await hear(store, stray)

    known = await demand(store)
    assert (known.state, known.runners, answer.planned) == (State.REFUSED, 2, True)
    assert "refusal" in (await job(store, known.job_id)).input


async def test_who_waits_is_not_given_the_runner_of_a_refusal(store: Store) -> None:
    """When the refused job was given the runner of the one that waits."""
    refused = told(job_id=1, private=False)
    telling = await hear(store, refused)
    two = await hear(store, told(job_id=2, private=False), ours=_open())
    answer = await hear(store, replace(refused, action="in_progress", runner_name=runner_of(two.job_id)))

    known = await demand(store, 2)
    assert (known.state, known.runners, answer.cancelled) == (State.PLANNED, 2, (telling.job_id,))
    assert "refusal" not in (await job(store, known.job_id)).input


def _open() -> Ours:
    return replace(TELLING, policy=Policy(("*/*",), rules=Rules(forks=Then.RUN)))


async def test_settings_that_allow_it_make_a_runner_of_it(store: Store, clock: ManualClock) -> None:
    telling = await hear(store, UNKNOWN)
    allowing = replace(TELLING, grammar=Grammar(named("default", "lagre")))

    await screening(store, allowing, clock).decide_again()

    known = await demand(store)
    assert (known.state, known.profile) == (State.PLANNED, "lagre")
    assert "refusal" not in (await job(store, known.job_id)).input
    assert telling.job_id is not None
    assert (await job(store, telling.job_id)).status is Status.CANCELLED


async def test_settings_with_the_switch_tell_of_what_was_refused_before(
    store: Store, clock: ManualClock
) -> None:
    await hear(store, UNKNOWN, ours=OURS)

    await screening(store, TELLING, clock).decide_again()

    known = await demand(store)
    assert (known.state, len(await waiting(store))) == (State.REFUSED, 1)


async def test_a_run_that_the_rules_refuse_is_told_of_too(store: Store, clock: ManualClock) -> None:
    ours = replace(TELLING, policy=Policy(("*/*",), rules=Rules(forks=Then.REFUSE)))
    await store.screenings.keep(7, 1, FORK, START)
    await hear(store, told(private=False), ours=ours)
    await screening(store, ours, clock).look()

    known = await demand(store)
    made = await job(store, known.job_id)
    assert (known.state, made.input["refusal"]) == (State.REFUSED, known.message)
