"""Runners looked after from outside: their registrations go first, and nothing is concluded of silence."""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta

import pytest

from chaser.clock import ManualClock
from chaser.errors import Refused, Unavailable
from chaser.ids import InstanceId, JobId, new_id, new_job_id
from chaser.jobs.reason import Reason
from chaser.measures import Measure
from chaser.runners.demand import State
from chaser.runners.fates import Patience
from chaser.runners.policy import Level
from chaser.runners.ports import RunnerRow
from chaser.runners.registration import Minted, Owner, Registration, Removal, name_prefix, runner_name
from chaser.runners.sweep import GRACE, PROMISED, Sweep, stray
from chaser.runners.wards import Standing, Ward
from chaser.runners.watchdog import Rhythm, Watchdog
from tests.rows import START

INSTANCE = InstanceId(new_id("ins", datetime(2026, 1, 5, tzinfo=UTC)))
OWNER = Owner(5, "octo-org/example", "octo-org")
ELSEWHERE = Owner(6, "octocat/example", None, Level.REPOSITORY)
AWAY = Unavailable(Reason.GITHUB_UNAVAILABLE, "GitHub does not answer.")
PATIENCE = Patience()
RHYTHM = Rhythm()
STEP = RHYTHM.lists


@dataclass
class GitHub:
    """A registrar with runners, and what it was asked."""

    runners: dict[int, Registration] = field(default_factory=dict[int, Registration])
    hidden: set[int] = field(default_factory=set[int])
    """Not in lists, which lag."""
    busy: set[int] = field(default_factory=set[int])
    away: bool = False
    refusing: bool = False
    deleted: list[int] = field(default_factory=list[int])
    listed: int = 0

    async def mint(self, owner: Owner, name: str, labels: Sequence[str]) -> Minted:
        raise AssertionError

    async def find(self, owner: Owner, name: str) -> Registration | None:
        raise AssertionError

    async def place(self, owner: Owner) -> str:
        return owner.organization or owner.repository

    async def list(self, owner: Owner, prefix: str) -> Sequence[Registration]:
        self._answer()
        self.listed += 1
        shown = [each for number, each in self.runners.items() if number not in self.hidden]
        return [each for each in shown if each.name.startswith(prefix)]

    async def remove(self, owner: Owner, runner_id: int) -> Removal:
        self._answer()
        self.deleted.append(runner_id)
        if runner_id in self.busy:
            return Removal.BUSY
        return Removal.ABSENT if self.runners.pop(runner_id, None) is None else Removal.REMOVED

    def _answer(self) -> None:
        if self.away:
            raise AWAY
        if self.refusing:
            raise Refused(Reason.GITHUB_REFUSED, "GitHub answered 403.")


@dataclass
class Book:
    """What is stored, in one process."""

    wards: dict[JobId, Ward] = field(default_factory=dict[JobId, Ward])
    others: dict[JobId, Standing] = field(default_factory=dict[JobId, Standing])
    lately: list[Owner] = field(default_factory=list[Owner])
    condemnations: dict[JobId, Reason] = field(default_factory=dict[JobId, Reason])
    turns: dict[str, datetime] = field(default_factory=dict[str, datetime])

    async def turn(self, name: str, every: timedelta, now: datetime) -> bool:
        if name in self.turns and now - self.turns[name] < every:
            return False
        self.turns[name] = now
        return True

    async def open(self, since: datetime) -> Sequence[Ward]:
        return [ward for ward in self.wards.values() if ward.row.removed_at is None]

    async def owners(self, since: datetime) -> Sequence[Owner]:
        return self.lately

    async def standings(self, ids: Collection[JobId]) -> Mapping[JobId, Standing]:
        known = {
            each: Standing(ward.row.attempt, ward.live, ward.ended_at) for each, ward in self.wards.items()
        }
        return {each: standing for each, standing in {**known, **self.others}.items() if each in ids}

    async def condemned(self, job_id: JobId, attempt: int, reason: Reason, at: datetime) -> bool:
        await self.removed(job_id, attempt, at)
        self.condemnations[job_id] = reason
        return True

    async def removed(self, job_id: JobId, attempt: int, at: datetime) -> None:
        if job_id in self.wards and self.wards[job_id].row.attempt == attempt:
            self.note(job_id, removed_at=at)

    async def online(self, job_id: JobId, attempt: int, at: datetime) -> None:
        self.note(job_id, online_at=at)

    async def outlived(self, before: datetime) -> int:
        removed = [ward.row.removed_at for ward in self.wards.values() if ward.live]
        return sum(at is not None and at < before for at in removed)

    def note(self, job_id: JobId, **said: object) -> None:
        ward = self.wards[job_id]
        self.wards[job_id] = replace(ward, row=replace(ward.row, **said))  # pyright: ignore[reportArgumentType]


@dataclass
class Scene:
    """A watchdog, and all that it sees."""

    github: GitHub = field(default_factory=GitHub)
    book: Book = field(default_factory=Book)
    clock: ManualClock = field(default_factory=lambda: ManualClock(START))
    stopped: list[tuple[JobId, Reason]] = field(default_factory=list[tuple[JobId, Reason]])
    left: float = 1.0
    """Of the budget for calls."""

    def __post_init__(self) -> None:
        self.dog = Watchdog(
            lambda: self.github,
            lambda installation_id: self.left,
            self.book,
            Sweep(self.book, self.clock, INSTANCE),
            self.clock,
            PATIENCE,
            RHYTHM,
            stop=lambda job_id, reason: self.stopped.append((job_id, reason)),
        )

    def runner(
        self, *, listening: bool = True, owner: Owner = OWNER, serves: State | None = State.ONLINE
    ) -> Ward:
        """One that has just been registered, here and at GitHub."""
        now, job_id = self.clock.now(), new_job_id(self.clock.now())
        name, number = runner_name(INSTANCE, job_id, 1), len(self.book.wards) + 1
        row = RunnerRow(job_id, 1, name, now, number, now, now, now if listening else None)
        ward = Ward(row, owner, live=True, ended_at=None, ending=False, serves=serves, served_at=None)
        self.book.wards[job_id] = ward
        self.github.runners[number] = Registration(number, name, online=listening, busy=False)
        return ward

    def left_behind(self, job_id: JobId | None = None, attempt: int = 1, *, busy: bool = False) -> int:
        """A registration of ours, for a job of which nothing is known."""
        number = 1000 + len(self.github.runners)
        name = runner_name(INSTANCE, job_id or new_job_id(START), attempt)
        self.github.runners[number] = Registration(number, name, online=False, busy=busy)
        self.book.lately = [OWNER]
        return number

    async def passes(self, span: timedelta, step: timedelta = STEP) -> None:
        """Time, with a look at each step."""
        end = self.clock.monotonic() + span.total_seconds()
        await self.dog.look()
        while self.clock.monotonic() < end:
            self.clock.advance(min(step, timedelta(seconds=end - self.clock.monotonic())))
            await self.dog.look()

    def measure(self, name: str) -> float:
        (found,) = [each for each in self.dog.measures() if each.name == name]
        return sum(found.values.values())


SECOND = timedelta(seconds=1)


async def test_a_runner_that_does_not_listen_in_time_loses_its_registration_and_then_its_sandbox() -> None:
    scene = Scene()
    ward = scene.runner(listening=False)
    await scene.passes(PATIENCE.online - SECOND)
    assert scene.github.deleted == []
    await scene.passes(timedelta(seconds=20))
    assert (scene.github.deleted, scene.github.runners) == ([1], {})
    assert scene.stopped == [(ward.row.job_id, Reason.RUNNER_NOT_ONLINE)]


async def test_one_that_github_shows_online_listens_whatever_its_own_log_says() -> None:
    scene = Scene()
    ward = scene.runner(listening=False)
    scene.github.runners[1] = Registration(1, ward.row.name, online=True, busy=False)
    await scene.passes(PATIENCE.online + STEP)
    assert scene.stopped == []
    assert scene.book.wards[ward.row.job_id].row.online_at is not None


async def test_a_runner_that_is_given_no_job_goes_after_five_minutes_and_ten_seconds() -> None:
    scene = Scene()
    ward = scene.runner()
    await scene.passes(PATIENCE.job - SECOND)
    assert scene.stopped == []
    await scene.passes(timedelta(seconds=20))
    assert scene.stopped == [(ward.row.job_id, Reason.RUNNER_WITHOUT_JOB)]


async def test_what_github_keeps_has_a_job_of_which_it_has_not_told_and_is_left_to_it() -> None:
    """Its list may say for minutes that the runner is idle: only the answer to the deletion counts."""
    scene = Scene()
    scene.runner()
    scene.github.busy.add(1)
    await scene.passes(PATIENCE.job + timedelta(hours=1))
    assert scene.stopped == []
    assert 0 < len(scene.github.deleted) <= 60 / 2 + 1, "it is not asked again and again"
    scene.github.busy.clear()
    await scene.passes(PATIENCE.sight + timedelta(seconds=20))
    assert len(scene.stopped) == 1


async def test_a_hung_runner_whose_registration_is_gone_goes_when_two_lists_have_not_shown_it() -> None:
    scene = Scene()
    ward = scene.runner()
    del scene.github.runners[1]
    await scene.passes(timedelta(minutes=2, seconds=50), timedelta(seconds=10))
    assert scene.github.deleted == []
    await scene.passes(timedelta(seconds=30), timedelta(seconds=10))
    assert scene.stopped == [(ward.row.job_id, Reason.RUNNER_UNKNOWN)]


async def test_a_new_runner_that_lists_do_not_show_yet_is_left_alone() -> None:
    scene = Scene()
    scene.runner()
    scene.github.hidden.add(1)
    await scene.passes(timedelta(minutes=2), timedelta(seconds=10))
    scene.github.hidden.clear()
    await scene.passes(timedelta(minutes=3), timedelta(seconds=10))
    assert scene.github.listed > 1
    assert scene.github.deleted == []


async def test_a_runner_that_has_listened_and_is_offline_goes_when_github_agrees() -> None:
    scene = Scene()
    ward = scene.runner()
    scene.github.runners[1] = Registration(1, ward.row.name, online=False, busy=False)
    await scene.passes(timedelta(minutes=3, seconds=20), timedelta(seconds=10))
    assert scene.stopped == [(ward.row.job_id, Reason.RUNNER_OFFLINE)]


async def test_a_runner_that_has_its_job_is_left_to_it_whatever_lists_show() -> None:
    scene = Scene()
    scene.runner(serves=State.RUNNING)
    scene.runner(serves=State.RUNNING)
    del scene.github.runners[1]
    await scene.passes(timedelta(hours=2))
    assert (scene.stopped, scene.github.deleted) == ([], [])


async def test_a_runner_that_goes_on_after_its_job_has_ended_is_ended() -> None:
    scene = Scene()
    ward = scene.runner(serves=State.RUNNING)
    await scene.passes(timedelta(hours=1))
    del scene.github.runners[1]  # as GitHub does with the end of the job
    scene.book.wards[ward.row.job_id] = replace(ward, serves=State.DONE, served_at=scene.clock.now())
    await scene.passes(PATIENCE.end - SECOND)
    assert scene.stopped == []
    await scene.passes(timedelta(seconds=20))
    assert scene.stopped == [(ward.row.job_id, Reason.RUNNER_IDLE)]


@pytest.mark.parametrize("silent", ["away", "refusing"])
async def test_while_github_does_not_answer_nothing_is_concluded(silent: str) -> None:
    scene = Scene()
    scene.runner()
    scene.runner(listening=False)
    scene.left_behind()
    setattr(scene.github, silent, True)
    await scene.passes(timedelta(hours=2))
    assert (scene.stopped, scene.book.condemnations, len(scene.github.runners)) == ([], {}, 3)
    setattr(scene.github, silent, False)
    await scene.passes(STEP * 2)
    assert (len(scene.stopped), scene.github.runners) == (2, {})


async def test_a_clock_that_is_set_forward_ends_no_runner() -> None:
    scene = Scene()
    scene.runner()
    await scene.passes(STEP)
    scene.clock.current += timedelta(days=1)
    await scene.passes(STEP)
    assert (scene.stopped, scene.github.deleted) == ([], [])


async def test_one_that_was_asked_to_end_already_is_not_asked_again() -> None:
    scene = Scene()
    ward = scene.runner()
    scene.book.wards[ward.row.job_id] = replace(ward, ending=True)
    await scene.passes(timedelta(hours=1))
    assert scene.github.deleted == []


async def test_a_registration_that_nothing_lives_for_is_deleted() -> None:
    scene = Scene()
    number = scene.left_behind()
    await scene.passes(SECOND)
    assert (scene.github.deleted, scene.github.runners) == ([number], {})
    assert scene.measure("chaser_registrations_swept_total") == 1
    assert scene.measure("chaser_ghost_registrations") == 0


async def test_what_bears_another_name_is_not_touched() -> None:
    """Another installation's, another fleet's, and one that only begins as ours do."""
    scene = Scene()
    other = InstanceId(new_id("ins", datetime(2026, 2, 1, tzinfo=UTC)))
    names = ["somebody", runner_name(other, new_job_id(START), 1), f"{name_prefix(INSTANCE)}by-hand"]
    scene.github.runners = {
        number: Registration(number, name, online=False, busy=False)
        for number, name in enumerate(names, start=1)
    }
    scene.book.lately = [OWNER]
    await scene.passes(timedelta(hours=1))
    assert (scene.github.deleted, len(scene.github.runners)) == ([], 3)


async def test_after_a_crash_github_keeps_a_busy_one_for_minutes_and_it_goes_then() -> None:
    scene = Scene()
    number = scene.left_behind(busy=True)
    await scene.passes(PROMISED)
    assert scene.github.deleted == []
    await scene.passes(timedelta(minutes=8))
    assert scene.measure("chaser_ghost_registrations") == 1, "for as long, somebody may want to know"
    scene.github.busy.add(number)  # as the list says no more, and the deletion still does
    scene.github.runners[number] = replace(scene.github.runners[number], busy=False)
    await scene.passes(STEP * 2)
    assert number in scene.github.runners
    scene.github.busy.clear()
    await scene.passes(STEP * 2)
    assert scene.github.runners == {}
    assert scene.measure("chaser_ghost_registrations") == 0


async def test_a_registration_whose_mint_was_not_answered_is_found_though_lists_lag() -> None:
    """Its job has ended; nobody knows the id."""
    scene = Scene()
    ward = scene.runner()
    row = replace(ward.row, runner_id=None, minted_at=None, online_at=None)
    scene.book.wards[row.job_id] = replace(ward, row=row, live=False, ended_at=scene.clock.now())
    scene.github.hidden.add(1)
    await scene.passes(timedelta(minutes=5))
    scene.github.hidden.clear()
    await scene.passes(STEP)
    assert scene.github.runners == {}


async def test_what_no_list_shows_for_long_was_never_made() -> None:
    scene = Scene()
    ward = scene.runner()
    scene.github.runners.clear()
    scene.book.wards[ward.row.job_id] = replace(ward, live=False, ended_at=scene.clock.now())
    await scene.passes(timedelta(minutes=15))
    assert scene.book.wards[ward.row.job_id].row.removed_at is not None
    listed = scene.github.listed
    scene.book.lately = []
    await scene.passes(timedelta(hours=1))
    assert scene.github.listed == listed, "nothing is left to be looked for"


async def test_each_place_is_listed_once_for_all_its_runners() -> None:
    scene = Scene()
    for repository in ("octo-org/one", "octo-org/two", "octo-org/three"):
        scene.runner(owner=replace(OWNER, repository=repository))
    scene.runner(owner=ELSEWHERE)
    await scene.passes(STEP * 2)
    assert scene.github.listed == 2 * 2


async def test_a_job_on_its_usual_way_costs_no_list() -> None:
    """A runner that is new, one that has its job, and one that has just ended."""
    scene = Scene()
    scene.runner(serves=State.RUNNING)
    ended = scene.runner()
    scene.book.wards[ended.row.job_id] = replace(ended, live=False, ended_at=scene.clock.now())
    scene.runner(listening=False, serves=State.STARTING)
    await scene.passes(timedelta(seconds=50), timedelta(seconds=10))
    assert scene.github.listed == 0


@pytest.mark.parametrize(("left", "listed"), [(1.0, 30), (0.5, 30), (0.4, 10), (0.1, 10), (0.05, 0)])
async def test_the_less_is_left_of_the_budget_the_fewer_lists_are_read(left: float, listed: int) -> None:
    scene = Scene()
    scene.left = left
    scene.runner()
    scene.github.busy.add(1)
    await scene.passes(timedelta(hours=1))
    assert scene.github.listed == listed


async def test_of_several_services_one_looks() -> None:
    scene = Scene()
    scene.runner()
    second = Scene(scene.github, scene.book, scene.clock)
    scene.clock.advance(STEP)
    await scene.dog.look()
    await second.dog.look()
    assert scene.github.listed == 1


async def test_a_sandbox_that_goes_on_without_its_registration_is_counted() -> None:
    scene = Scene()
    ward = scene.runner()
    scene.book.note(ward.row.job_id, removed_at=scene.clock.now())
    await scene.passes(timedelta(seconds=30))
    assert scene.measure("chaser_ghost_sandboxes") == 0
    await scene.passes(timedelta(minutes=1))
    assert scene.measure("chaser_ghost_sandboxes") == 1
    del scene.book.wards[ward.row.job_id]
    await scene.passes(timedelta(seconds=10))
    assert scene.measure("chaser_ghost_sandboxes") == 0


def test_measures_have_names_that_say_what_they_count() -> None:
    measures: Sequence[Measure] = Scene().dog.measures()
    assert [each.name for each in measures] == [
        "chaser_ghost_sandboxes",
        "chaser_runners_ended_total",
        "chaser_ghost_registrations",
        "chaser_registrations_swept_total",
    ]
    assert all(each.values for each in measures), "from the start, so that a rise can be told"


@pytest.mark.parametrize(
    ("attempt", "standing", "expected"),
    [
        (1, None, True),
        (1, Standing(1, live=True, finished_at=None), False),
        (1, Standing(2, live=True, finished_at=None), True),
        (1, Standing(2, live=False, finished_at=START), True),
        (1, Standing(1, live=False, finished_at=None), True),
        (1, Standing(1, live=False, finished_at=START - GRACE), True),
        (1, Standing(1, live=False, finished_at=START - GRACE + SECOND), False),
    ],
)
def test_a_registration_is_a_stray_unless_its_attempt_lives_or_has_just_ended(
    attempt: int, standing: Standing | None, expected: bool
) -> None:
    assert stray(attempt, standing, START) is expected
