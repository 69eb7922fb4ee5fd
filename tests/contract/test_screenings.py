"""Runs that are looked at, on real databases: what is stored of them, and what their jobs become."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import timedelta

import pytest

from chaser.clock import ManualClock
from chaser.errors import Refused, Unavailable
from chaser.ids import JobId
from chaser.jobs.ports import JobFilter
from chaser.jobs.reason import Reason
from chaser.runners.decide import Ours
from chaser.runners.demand import Clearance, Demand, State
from chaser.runners.labels import Grammar
from chaser.runners.policy import Policy
from chaser.runners.registration import Owner
from chaser.runners.rules import Rule, Rules, Run, Then
from chaser.runners.screening import STILL_THERE, Screening
from chaser.sandboxes.spec import Profile
from chaser.store.store import Store
from tests.profiles import named
from tests.rows import START
from tests.workflow_jobs import FOREIGN, OURS, installed, tell, told

PUBLIC = told(private=False)
OWN = Run("push", "octo-org/example", "octocat", "octocat", ".github/workflows/ci.yml", "main")
FORK = replace(OWN, event="pull_request", head_repository="stranger/example", actor="stranger")
OPEN = replace(OURS, policy=Policy(("octo-org/*",)))


@dataclass
class Runs:
    """GitHub, as far as it is asked for runs."""

    run: Run | Exception | None = OWN
    asked: list[tuple[Owner, int, int, bool]] = field(default_factory=list[tuple[Owner, int, int, bool]])

    async def get(self, owner: Owner, run_id: int, attempt: int, *, association: bool) -> Run | None:
        self.asked.append((owner, run_id, attempt, association))
        if isinstance(self.run, Exception):
            raise self.run
        return self.run


@dataclass
class Side:
    store: Store
    clock: ManualClock
    runs: Runs = field(default_factory=Runs)
    ours: Ours = OPEN
    connected: bool = True
    woken: list[bool] = field(default_factory=list[bool])
    cancelled: list[JobId] = field(default_factory=list[JobId])

    def __post_init__(self) -> None:
        self.screening = self.with_rules()

    def with_rules(
        self, *rules: Rule, forks: Then = Then.HOLD, profiles: Mapping[str, Profile] | None = None
    ) -> Screening:
        """As after a start with such settings."""
        policy = replace(OPEN.policy, rules=Rules(rules, forks))
        self.ours = replace(OPEN, policy=policy, grammar=Grammar(profiles or OPEN.grammar.profiles))
        self.screening = Screening(
            self.store.screenings,
            lambda: self.runs if self.connected else None,
            self.ours,
            self.clock,
            awaken=lambda: self.woken.append(True),
            cancelled=self.cancelled.append,
        )
        return self.screening

    async def hear(self, *events: object) -> None:
        for event in events:
            await tell(self.store, event, ours=self.ours)  # pyright: ignore[reportArgumentType]

    async def demand(self, number: int = 77) -> Demand:
        story = await self.store.demands.story(number)
        assert story is not None
        return story.demand

    async def jobs(self) -> Sequence[object]:
        return await self.store.jobs.list(JobFilter())


@pytest.fixture
def side(store: Store, clock: ManualClock) -> Side:
    return Side(store, clock)


async def test_nothing_is_made_for_a_job_of_a_public_repository_before_its_run_was_looked_at(
    side: Side,
) -> None:
    await side.hear(PUBLIC)

    known = await side.demand()
    assert (known.state, known.clearance, known.job_id) == (State.SCREENING, Clearance.PENDING, None)
    assert await side.jobs() == []

    await side.screening.look()

    known = await side.demand()
    assert (known.state, known.clearance, known.profile) == (State.PLANNED, Clearance.PASSED, "default")
    assert known.job_id is not None
    assert side.woken


async def test_a_job_of_a_private_repository_is_not_asked_about(side: Side) -> None:
    await side.hear(told())
    await side.screening.look()

    assert (await side.demand()).clearance is Clearance.NOT_NEEDED
    assert side.runs.asked == []


async def test_a_run_is_read_once_however_many_jobs_it_has(side: Side) -> None:
    await side.hear(*(replace(PUBLIC, job_id=number) for number in (1, 2, 3)))
    await side.screening.look()
    await side.hear(replace(PUBLIC, job_id=4))
    await side.screening.look()

    assert [(run_id, attempt) for _, run_id, attempt, _ in side.runs.asked] == [(7, 1)]
    assert len(await side.jobs()) == 4


async def test_another_attempt_is_another_run(side: Side) -> None:
    await side.hear(PUBLIC, replace(PUBLIC, job_id=78, run_attempt=2))
    await side.screening.look()

    assert sorted(attempt for _, _, attempt, _ in side.runs.asked) == [1, 2]


async def test_a_run_of_a_fork_is_held_and_says_why(side: Side) -> None:
    side.runs.run = FORK
    await side.hear(PUBLIC)
    await side.screening.look()

    known = await side.demand()
    assert (known.state, known.clearance) == (State.HELD, Clearance.HELD)
    assert "stranger/example" in (known.message or "")
    assert await side.jobs() == []


async def test_an_approval_is_of_all_jobs_of_the_run_also_of_those_to_come(side: Side) -> None:
    side.runs.run = FORK
    await side.hear(
        *(replace(PUBLIC, job_id=number) for number in (1, 2)), replace(PUBLIC, job_id=9, run_id=8)
    )
    await side.screening.look()

    await side.screening.approve(await side.demand(1), "key_1")
    await side.hear(replace(PUBLIC, job_id=3), replace(PUBLIC, job_id=4, run_attempt=2))
    await side.screening.look()

    for number in (1, 2, 3, 4):
        known = await side.demand(number)
        assert (known.state, known.clearance, known.message) == (State.PLANNED, Clearance.APPROVED, None)
    assert (await side.demand(9)).state is State.HELD


async def test_an_approval_does_not_outdo_a_refusal(side: Side) -> None:
    side.runs.run = FORK
    await side.hear(PUBLIC)
    await side.screening.look()
    held = await side.demand()
    side.with_rules(Rule(Then.REFUSE, actors=("stranger",)))

    await side.screening.approve(held, "key_1")

    assert (await side.demand()).state is State.REFUSED


async def test_a_rule_refuses_and_the_refusal_names_it(side: Side) -> None:
    side.runs.run = FORK
    side.with_rules(Rule(Then.REFUSE, forks=True))
    await side.hear(PUBLIC)
    await side.screening.look()

    known = await side.demand()
    assert (known.state, known.clearance) == (State.REFUSED, Clearance.REFUSED)
    assert "rule 1 of github.rules" in (known.message or "")


async def test_a_refusal_stays_when_the_job_is_told_of_again(side: Side) -> None:
    side.with_rules(forks=Then.REFUSE)
    side.runs.run = FORK
    await side.hear(PUBLIC)
    await side.screening.look()
    await side.hear(PUBLIC)

    assert (await side.demand()).state is State.REFUSED
    assert await side.jobs() == []


async def test_a_run_is_sent_to_another_profile_with_the_sizes_that_fit_there(side: Side) -> None:
    side.runs.run = FORK
    profiles = named("default", "strangers")
    small = replace(profiles["strangers"], maxima=replace(profiles["strangers"].maxima, cpus=2))
    side.with_rules(Rule(Then.RUN, "strangers", forks=True), profiles={**profiles, "strangers": small})
    await side.hear(replace(PUBLIC, labels=("chaser-4cpu",)))
    await side.screening.look()

    known = await side.demand()
    assert (known.state, known.profile) == (State.PLANNED, "strangers")
    assert known.job_id is not None
    job = await side.store.jobs.get(known.job_id)
    assert job is not None
    assert (job.profile, job.input["profile"], job.input["cpus"]) == ("strangers", "strangers", 2)
    assert job.input["labels"] == ["chaser-4cpu"]


async def test_a_profile_that_is_not_for_the_repository_is_a_refusal(side: Side) -> None:
    side.runs.run = FORK
    closed = replace(named("strangers")["strangers"], repositories=("acme/*",))
    side.with_rules(
        Rule(Then.RUN, "strangers", forks=True), profiles={**named("default"), "strangers": closed}
    )
    await side.hear(PUBLIC)
    await side.screening.look()

    known = await side.demand()
    assert known.state is State.REFUSED
    assert "profiles.strangers.repositories" in (known.message or "")


async def test_a_github_that_does_not_answer_is_asked_again_when_it_says(
    side: Side, clock: ManualClock
) -> None:
    side.runs.run = Unavailable(Reason.GITHUB_UNAVAILABLE, "Busy.", retry_after=60)
    await side.hear(PUBLIC)
    await side.screening.look()
    await side.screening.look()

    assert (len(side.runs.asked), (await side.demand()).state) == (1, State.SCREENING)

    side.runs.run = OWN
    clock.advance(timedelta(seconds=61))
    await side.screening.look()

    assert (await side.demand()).state is State.PLANNED


@pytest.mark.parametrize("answer", [None, Refused(Reason.GITHUB_REFUSED, "The App may not.")])
async def test_a_run_that_github_does_not_show_is_refused(side: Side, answer: Exception | None) -> None:
    side.runs.run = answer
    await side.hear(PUBLIC)
    await side.screening.look()

    assert (await side.demand()).state is State.REFUSED


async def test_without_credentials_it_waits(side: Side) -> None:
    await side.hear(PUBLIC)
    side.connected = False
    await side.screening.look()

    assert (await side.demand()).state is State.SCREENING


async def test_authors_are_asked_for_once_a_rule_names_them(side: Side) -> None:
    await side.store.screenings.keep(7, 1, FORK, START)
    side.runs.run = replace(FORK, association="MEMBER")
    side.with_rules(Rule(Then.RUN, associations=("MEMBER",)))
    await side.hear(PUBLIC)
    await side.screening.look()

    assert [association for *_, association in side.runs.asked] == [True]
    assert (await side.demand()).state is State.PLANNED
    assert await side.store.screenings.run(7, 1) == side.runs.run


async def test_a_job_that_ends_meanwhile_has_ended(side: Side) -> None:
    await side.hear(PUBLIC, replace(PUBLIC, action="completed", conclusion="cancelled"))
    await side.screening.look()

    assert (await side.demand()).state is State.CANCELLED
    assert side.runs.asked == []


async def test_a_job_that_has_got_a_runner_meanwhile_is_judged_all_the_same(side: Side) -> None:
    """The runner may be one of ours, and asks."""
    side.runs.run = FORK
    await side.hear(PUBLIC, replace(PUBLIC, action="in_progress", runner_name=FOREIGN))
    await side.screening.look()

    known = await side.demand()
    assert (known.state, known.clearance, known.admitted) == (State.RUNNING, Clearance.HELD, False)


async def test_a_job_that_an_environment_holds_back_is_looked_at_and_waits_on(side: Side) -> None:
    await side.hear(replace(PUBLIC, action="waiting", gated_at=START))
    await side.screening.look()

    known = await side.demand()
    assert (known.state, known.clearance, known.job_id) == (State.WAITING, Clearance.PASSED, None)

    await side.hear(replace(PUBLIC, gated_at=START + timedelta(minutes=1)))

    assert (await side.demand()).state is State.PLANNED


async def test_the_end_of_an_installation_ends_what_is_looked_at_or_held(side: Side) -> None:
    side.runs.run = FORK
    await side.hear(PUBLIC)
    await side.screening.look()
    await side.hear(replace(PUBLIC, job_id=78, run_id=8), installed("deleted"))

    assert [(await side.demand(number)).state for number in (77, 78)] == [State.CANCELLED] * 2


async def test_what_was_refused_is_decided_again_when_the_settings_change(side: Side) -> None:
    """Each kind of refusal, by settings that allow it."""
    side.ours = OURS  # no public repository
    await side.hear(PUBLIC, told(job_id=78, labels=("chaser-gpu",)), told(job_id=79, labels=("chaser-tpu",)))
    assert {(await side.demand(number)).state for number in (77, 78, 79)} == {State.REFUSED}
    side.with_rules(profiles=named("default", "gpu"))

    await side.screening.decide_again()
    await side.screening.look()

    found = [(await side.demand(number)) for number in (77, 78, 79)]
    assert [each.state for each in found] == [State.PLANNED, State.PLANNED, State.REFUSED]
    assert found[1].profile == "gpu"


async def test_what_is_held_is_decided_again_without_asking_github_again(side: Side) -> None:
    side.runs.run = FORK
    await side.hear(PUBLIC)
    await side.screening.look()
    side.with_rules(forks=Then.RUN)

    await side.screening.decide_again()
    await side.screening.look()

    assert (await side.demand()).state is State.PLANNED
    assert len(side.runs.asked) == 1


async def test_the_same_settings_decide_nothing_again(side: Side) -> None:
    await side.screening.decide_again()
    await side.hear(told(labels=("chaser-gpu",)))
    side.with_rules()

    await side.screening.decide_again()

    assert (await side.demand()).state is State.REFUSED
    assert await side.store.screenings.settings() == side.ours.digest


async def test_what_github_has_given_up_is_not_decided_again(side: Side, clock: ManualClock) -> None:
    side.ours = OURS
    await side.hear(PUBLIC)
    clock.advance(STILL_THERE + timedelta(hours=1))
    side.with_rules()

    await side.screening.decide_again()

    assert (await side.demand()).state is State.REFUSED


async def test_what_is_known_of_runs_is_forgotten_in_its_time(side: Side) -> None:
    side.runs.run = FORK
    await side.hear(PUBLIC)
    await side.screening.look()
    await side.screening.approve(await side.demand(), "key_1")
    await side.store.retention.forget_demands(START + timedelta(days=400), 10)

    assert await side.store.screenings.run(7, 1) is None


async def test_what_came_of_runs_is_counted(side: Side) -> None:
    side.runs.run = FORK
    await side.hear(PUBLIC)
    await side.screening.look()

    (measure,) = side.screening.measures()
    assert measure.values[("verdict", "held"),] == 1
