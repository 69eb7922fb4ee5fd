"""What those who look at GitHub are told of what is stored, on each database."""

import asyncio
from datetime import timedelta

from chaser.runners.demand import State
from chaser.runners.inbox import Learned, Recorded
from chaser.runners.registration import Owner
from chaser.store.store import Store
from tests.rows import START, WORKER, claimed
from tests.workflow_jobs import FOREIGN, tell, told

MINUTE = timedelta(minutes=1)


async def test_of_many_who_come_at_once_one_gets_the_turn(store: Store) -> None:
    turns = await asyncio.gather(*(store.looks.turn("poll", MINUTE, START) for _ in range(8)))

    assert sorted(turns) == [*[False] * 7, True]


async def test_a_turn_comes_again_when_its_time_is_over(store: Store) -> None:
    looks = store.looks
    assert await looks.turn("poll", MINUTE, START)
    assert await looks.turn("deliveries", MINUTE, START)
    assert not await looks.turn("poll", MINUTE, START + MINUTE / 2)
    assert await looks.turn("poll", MINUTE, START + MINUTE)
    assert not await looks.turn("poll", MINUTE, START + MINUTE)


async def test_a_clock_that_is_set_back_does_not_end_all_turns(store: Store) -> None:
    assert await store.looks.turn("poll", MINUTE, START)
    assert await store.looks.turn("poll", MINUTE, START - 2 * MINUTE)


async def test_unheard_is_what_is_not_stored(store: Store) -> None:
    await tell(store, told(), guid="one")
    await tell(store, told(labels=("ubuntu-latest",), job_id=78), guid="another's")

    many = {f"guid-{number}" for number in range(1200)}
    assert await store.looks.unheard({"one", "another's", *many}) == many


async def test_what_was_asked_for_again_is_a_redelivery(store: Store) -> None:
    await store.looks.asked_again("one", START)
    await store.looks.asked_again("one", START)

    answer = await tell(store, told(), guid="one")
    other = await tell(store, told(job_id=78), guid="two")

    assert isinstance(answer, Recorded)
    assert isinstance(other, Recorded)
    assert (answer.learned, other.learned) == (Learned.REDELIVERY, Learned.WEBHOOK)
    story = await store.demands.story(77)
    assert story is not None
    assert (story.demand.learned, [each.learned for each in story.deliveries]) == (
        Learned.REDELIVERY,
        [Learned.REDELIVERY],
    )


async def test_how_a_job_was_learned_of_is_how_its_first_news_came(store: Store) -> None:
    await tell(store, told(), guid="one")
    await store.looks.asked_again("two", START)
    again = await tell(store, told(), guid="two")

    assert isinstance(again, Recorded)
    assert again.learned is None
    (known,) = (await store.looks.known([77])).values()
    assert known.demand.learned is Learned.WEBHOOK


async def test_a_demand_has_a_runner_while_its_job_has_not_failed(store: Store) -> None:
    await tell(store, told())
    assert (await store.looks.known([77, 78]))[77].has_runner

    claim = await claimed(store.jobs)
    assert (await store.looks.known([77]))[77].has_runner
    await tell(store, told("waiting"))

    assert claim.worker == WORKER
    assert not (await store.looks.known([77]))[77].has_runner


async def test_unsettled_is_what_has_not_ended(store: Store) -> None:
    await tell(store, told(job_id=1))
    await tell(store, told("waiting", job_id=2))
    await tell(store, told("in_progress", job_id=3, runner_name=FOREIGN))
    await tell(store, told("completed", job_id=4))
    await tell(store, told(job_id=5, labels=("chaser-lagre",)))
    await tell(store, told(job_id=6, installation_id=9))

    found = await store.looks.unsettled(5)

    assert [(each.id, each.state) for each in found] == [
        (1, State.PLANNED),
        (2, State.WAITING),
        (3, State.RUNNING),
    ]


async def test_lively_is_what_something_was_heard_of(store: Store) -> None:
    await tell(store, told(job_id=1, repository="octo-org/a"))
    await tell(store, told("completed", job_id=2, repository="octo-org/b"))
    await tell(store, told(job_id=3, repository="octo-org/c", labels=("ubuntu-latest",)))

    async def lively(hours: int) -> set[str]:
        return {owner.repository for owner in await store.looks.lively(START + timedelta(hours=hours))}

    assert await store.looks.lively(START - MINUTE) != []
    assert await lively(0) == {"octo-org/a", "octo-org/b", "octo-org/c"}
    assert await lively(2) == {"octo-org/a", "octo-org/b"}
    assert await lively(25) == {"octo-org/a"}, "a runner is owed there"
    assert Owner(5, "octo-org/a", None) in await store.looks.lively(START)


async def test_what_is_confirmed_orders_what_comes_late(store: Store) -> None:
    held, seen = START + MINUTE, START + 2 * MINUTE
    await tell(store, told("queued", gated_at=START))
    await store.looks.confirmed("waiting", [77], seen)
    await store.looks.confirmed("queued", [77], START)
    await tell(store, told("waiting", gated_at=held))
    assert (await store.looks.known([77]))[77].demand.state is State.WAITING

    await tell(store, told("queued", gated_at=held + MINUTE))
    await store.looks.confirmed("queued", [77], held + 3 * MINUTE)
    await tell(store, told("waiting", gated_at=held + 2 * MINUTE))

    assert (await store.looks.known([77]))[77].demand.state is State.PLANNED
