"""However the events of some workflow jobs are shuffled, doubled and delivered again, what is known in the end follows from
the set of them, and as many runners wait as there are jobs that wait for one. If some are lost, and GitHub is looked at
meanwhile, it is the same, so long as one look, whichever, has shown how things stand in the end."""

import asyncio
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from datetime import timedelta
from typing import Any, cast
from uuid import uuid4

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sqlalchemy import Connection, delete, select

from chaser.clock import ManualClock
from chaser.ids import JobId
from chaser.jobs.job import Status
from chaser.runners.demand import Demand, State
from chaser.runners.event import WorkflowJobEvent
from chaser.runners.inbox import Learned
from chaser.runners.lookout import Lookout, RunAttempt, Seen
from chaser.runners.poll import Bounds, Poll
from chaser.runners.ports import DemandFilter
from chaser.runners.reception import Reception
from chaser.runners.registration import Owner
from chaser.store.sealing import SealingKey
from chaser.store.store import Store, open_store
from chaser.store.tables import deliveries, demands, installations, jobs
from tests.rows import START
from tests.workflow_jobs import FOREIGN, OURS, installed, runner_of, tell, told

NARROW, WIDE = ("self-hosted", "chaser"), ("self-hosted", "linux", "chaser")
INSTALLATION = 5
OWNER = Owner(INSTALLATION, "octo-org/example", "octo-org")
NOBODY, SOMEBODY = 0, -1
"""Instead of the workflow job whose runner it was: none, and one of another fleet's."""


@dataclass(frozen=True)
class Told:
    """One event, which may be delivered again."""

    job: int
    action: str
    labels: tuple[str, ...] = NARROW
    ran_on: int = NOBODY
    minute: float | None = None
    guid: str = ""


@dataclass(frozen=True)
class Life:
    """All that GitHub tells of one job."""

    events: tuple[Told, ...]
    state: State


@st.composite
def lives(draw: st.DrawFn) -> Sequence[Life]:
    """Of three jobs, which may have been given each other's runners."""
    owners = draw(st.permutations([1, 2, 3]))
    return [_life(draw, job, owner) for job, owner in enumerate(owners, 1)]


def _life(draw: st.DrawFn, job: int, owner: int) -> Life:
    labels = draw(st.sampled_from([NARROW, NARROW, WIDE]))
    queued = Told(job, "queued", labels)
    ran_on = draw(st.sampled_from([owner, owner, SOMEBODY]))
    running = Told(job, "in_progress", labels, ran_on)
    done = Told(job, "completed", labels, ran_on)
    held = (
        Told(job, "queued", labels, minute=1),
        Told(job, "waiting", labels, minute=2),
        Told(job, "queued", labels, minute=3),
    )
    return draw(
        st.sampled_from(
            [
                Life((queued,), State.PLANNED),
                Life((queued, running), State.RUNNING),
                Life((queued, running, done), State.DONE),
                Life((queued, done), State.DONE),
                Life((queued, Told(job, "completed", labels)), State.CANCELLED),
                Life((Told(job, "completed", labels),), State.CANCELLED),
                Life(held[:2], State.WAITING),
                Life(held, State.PLANNED),
                Life((queued, Told(job, "teleported", labels)), State.PLANNED),
            ]
        )
    )


@st.composite
def deliveries_of(draw: st.DrawFn, told_of: Sequence[Life]) -> Sequence[Told]:
    """Shuffled, and some told twice. A runner's name is not told before it can be known."""
    once = [each for life in told_of for each in life.events]
    again = draw(st.lists(st.sampled_from(once), max_size=6))
    numbered = [replace(each, guid=f"guid-{number}") for number, each in enumerate([*once, *again])]
    return _possible(draw(st.permutations(numbered)))


def _possible(order: Sequence[Told]) -> Sequence[Told]:
    """In which no runner is named before we have heard of the job that it was made for."""
    known, told_of, later = set[int](), list[Told](), list[Told]()
    for each in order:
        if each.ran_on > 0 and each.ran_on not in known:
            later.append(each)
            continue
        told_of.append(each)
        if each.action == "queued":
            known.add(each.job)
            told_of += [one for one in later if one.ran_on == each.job]
            later = [one for one in later if one.ran_on != each.job]
    return [*told_of, *later]


@dataclass(frozen=True)
class Look:
    """A look at GitHub. How far each life had come when it was taken, none before its beginning; what was seen may be told
    late, when GitHub has told more."""

    places: tuple[int | None, ...]


@dataclass(frozen=True)
class Shown:
    """A GitHub without limits whose jobs, all of one run, stand still."""

    events: Sequence[WorkflowJobEvent]

    async def having(self, owner: Owner, status: str) -> Sequence[RunAttempt]:
        return [RunAttempt(7, 1, owner, private=True)]

    async def jobs(self, run: RunAttempt) -> Seen:
        return Seen(self.events, START)

    def remaining(self, installation_id: int | None) -> float:
        return 1.0


def _minute(life: Life, place: int) -> float | None:
    """A look is taken after what it shows has happened, and before what comes next."""
    minute = life.events[place].minute
    return None if minute is None else minute + 0.5


@st.composite
def lossy(draw: st.DrawFn, told_of: Sequence[Life]) -> Sequence[Told | Look]:
    """Some deliveries, doubled and shuffled, and looks among them, one of which has seen all."""
    once = [each for life in told_of for each in life.events]
    arrived = draw(st.lists(st.sampled_from(once), max_size=len(once) + 4))
    events = [replace(each, guid=f"guid-{number}") for number, each in enumerate(arrived)]
    ways = [
        st.one_of(st.none(), st.integers(0, len(life.events) - 1)).filter(_known_to_github(life))
        for life in told_of
    ]
    looks = draw(st.lists(st.builds(Look, st.tuples(*ways)), max_size=4))
    last = Look(tuple(_last(life) for life in told_of))
    return draw(st.permutations([*events, *looks, last]))


def _known_to_github(life: Life) -> Callable[[int | None], bool]:
    """An action that nobody knows is no state in which a job can be shown."""
    return lambda place: place is None or life.events[place].action != "teleported"


def _last(life: Life) -> int:
    return max(place for place in range(len(life.events)) if _known_to_github(life)(place))


class Fleet:
    def __init__(self, store: Store) -> None:
        self._store = store
        self._first: dict[int, JobId] = {}
        """The job that was made for a workflow job first, of which GitHub knows the runner."""
        self._names: dict[int, str] = {}
        """Of runners that were named once."""
        reception = Reception(
            OURS,
            store.inbox,
            ManualClock(START),
            awaken=lambda: None,
            cancelled=lambda _: None,
            screen=lambda: None,
        )
        self._poll = Poll(store.looks, reception, ManualClock(START), Bounds())

    async def look(self, shown: Look, told_of: Sequence[Life]) -> None:
        """The service looks at GitHub's jobs, which show themselves so."""
        events = [
            self._event(replace(life.events[place], minute=_minute(life, place)))
            for life, place in zip(told_of, shown.places, strict=True)
            if place is not None
        ]
        github = Shown(events)
        nothing = cast("Any", None)
        await self._poll.look(Lookout(nothing, github, nothing, github), INSTALLATION, [OWNER], Learned.POLL)
        for job, demand in (await self.known()).items():
            if demand.job_id is not None:
                self._first.setdefault(job, demand.job_id)

    def _event(self, each: Told) -> WorkflowJobEvent:
        return told(
            each.action,
            each.job,
            labels=each.labels,
            gated_at=None if each.minute is None else START + timedelta(minutes=each.minute),
            runner_name=self._name(each.ran_on),
        )

    async def hear(self, each: Told) -> None:
        at = START + timedelta(seconds=1)
        event = self._event(each)
        answer = await tell(self._store, event, at, guid=each.guid)
        if answer.job_id is not None and each.action == "queued":
            self._first.setdefault(each.job, answer.job_id)
        again = await tell(self._store, event, at, guid=each.guid)
        assert again.job_id == answer.job_id

    def _name(self, ran_on: int) -> str | None:
        """Of a job that was never given a runner of ours there can be none: then it was another fleet's."""
        if ran_on == NOBODY:
            return None
        made = runner_of(self._first[ran_on]) if ran_on in self._first else FOREIGN
        return self._names.setdefault(ran_on, made)

    async def known(self) -> dict[int, Demand]:
        return {each.id: each for each in await self._store.demands.list(DemandFilter())}

    async def live(self) -> set[JobId]:
        """Jobs that wait, or would run, were there anybody to claim them."""
        unended = select(jobs.c.id).where(jobs.c.status == Status.QUEUED.value)
        found = await self._store.database.read(
            lambda connection: connection.execute(unended).scalars().all()
        )
        return {JobId(each) for each in found}


def _clear(connection: Connection) -> None:
    for table in (demands, deliveries, installations, jobs):
        connection.execute(delete(table))


def test_the_order_of_events_does_not_matter(store_url: str, sealing_key: SealingKey) -> None:
    store = open_store(store_url, [sealing_key], ManualClock(), given_time=True)
    with asyncio.Runner() as run:

        @settings(deadline=None, max_examples=60, suppress_health_check=[HealthCheck.too_slow])
        @given(st.data())
        def hold(data: st.DataObject) -> None:
            told_of = data.draw(lives())
            run.run(store.database.write(_clear))
            fleet = Fleet(store)
            for each in data.draw(deliveries_of(told_of)):
                run.run(fleet.hear(each))
            known, live = run.run(fleet.known()), run.run(fleet.live())
            assert {job: each.state for job, each in known.items()} == {
                job: life.state for job, life in enumerate(told_of, 1)
            }
            owed = {each.job_id for each in known.values() if each.owed}
            served = {each.job_id for each in known.values() if each.state in {State.RUNNING, State.DONE}}
            assert owed <= live <= owed | served
            assert len(owed) == sum(each.owed for each in known.values())

        try:
            hold()
        finally:
            run.run(store.close())


def test_looks_at_github_make_up_for_what_is_lost(store_url: str, sealing_key: SealingKey) -> None:
    store = open_store(store_url, [sealing_key], ManualClock(), given_time=True)
    with asyncio.Runner() as run:

        @settings(deadline=None, max_examples=60, suppress_health_check=[HealthCheck.too_slow])
        @given(st.data())
        def hold(data: st.DataObject) -> None:
            told_of = data.draw(lives())
            run.run(store.database.write(_clear))
            fleet = Fleet(store)
            for each in data.draw(lossy(told_of)):
                run.run(fleet.look(each, told_of) if isinstance(each, Look) else fleet.hear(each))
            known, live = run.run(fleet.known()), run.run(fleet.live())
            assert {job: each.state for job, each in known.items()} == {
                job: life.state for job, life in enumerate(told_of, 1)
            }
            owed = {each.job_id for each in known.values() if each.owed}
            served = {each.job_id for each in known.values() if each.state in {State.RUNNING, State.DONE}}
            assert owed <= live <= owed | served
            assert len(owed) == sum(each.owed for each in known.values())

        try:
            hold()
        finally:
            run.run(store.close())


def test_an_installation_that_ends_ends_all_that_waits(store_url: str, sealing_key: SealingKey) -> None:
    store = open_store(store_url, [sealing_key], ManualClock(), given_time=True)
    with asyncio.Runner() as run:

        @settings(deadline=None, max_examples=30, suppress_health_check=[HealthCheck.too_slow])
        @given(st.permutations(["queued", "queued", "completed", "deleted"]), st.booleans())
        def hold(order: list[str], ended: bool) -> None:
            run.run(store.database.write(_clear))
            for action in order:
                if action == "deleted":
                    run.run(tell(store, installed("deleted")))
                elif action == "queued" or ended:
                    run.run(tell(store, told(action), guid=str(uuid4())))
            (known,) = run.run(store.demands.list(DemandFilter()))
            assert known.state is State.CANCELLED
            assert run.run(Fleet(store).live()) == set()

        try:
            hold()
        finally:
            run.run(store.close())
