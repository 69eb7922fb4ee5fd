"""The line before GitHub: who goes first, who waits, who is sent away."""

import asyncio
from datetime import timedelta

import pytest

from chaser.clock import ManualClock
from chaser.errors import Unavailable
from chaser.github.budget import Call, Pace, Urgency
from chaser.github.line import Line
from chaser.github.told import CORE, Told

MINT = Call(Urgency.MINT, "POST /mint", 5)
TRUTH, DELETE, SWEEP = (
    Call(urgency, "GET /list", 1) for urgency in (Urgency.TRUTH, Urgency.DELETE, Urgency.SWEEP)
)


class Callers:
    """Those who wait, by name, and in which order they were let go."""

    def __init__(self, pace: Pace) -> None:
        self.clock = ManualClock()
        self.line = Line(pace, self.clock)
        self.gone: list[str] = []
        self.tasks: dict[str, asyncio.Task[None]] = {}
        for call in (MINT, SWEEP):
            self.line.budget.sent(call)
            self.line.budget.answered(call, -1000, None)

    async def come(self, name: str, call: Call) -> None:
        async def wait() -> None:
            await self.line.turn(call, "asking")
            self.gone.append(name)

        self.tasks[name] = asyncio.create_task(wait())
        await settled()

    async def answer(self, call: Call) -> None:
        self.line.budget.answered(call, self.clock.monotonic(), None)
        self.line.move()
        await settled()

    async def pass_by(self, seconds: float) -> None:
        self.clock.advance(timedelta(seconds=seconds))
        self.line.move()
        await settled()


async def settled() -> None:
    for _ in range(5):
        await asyncio.sleep(0)


async def test_the_more_urgent_goes_first_and_then_who_came_first() -> None:
    callers = Callers(Pace(concurrent=1))
    await callers.come("before all", SWEEP)
    for name, call in {
        "sweep": SWEEP,
        "delete 1": DELETE,
        "mint": MINT,
        "truth": TRUTH,
        "delete 2": DELETE,
    }.items():
        await callers.come(name, call)
    assert len(callers.line) == 5
    for call in (SWEEP, MINT, TRUTH, DELETE, DELETE, SWEEP):
        await callers.answer(call)
    assert callers.gone == ["before all", "mint", "truth", "delete 1", "delete 2", "sweep"]


async def test_what_another_endpoints_pace_holds_back_is_not_waited_for() -> None:
    callers = Callers(Pace(points=5))
    await callers.come("mint 1", MINT)
    await callers.come("mint 2", MINT)
    await callers.come("list", SWEEP)
    assert callers.gone == ["mint 1", "list"]
    await callers.answer(MINT)
    await callers.pass_by(59)
    assert "mint 2" not in callers.gone
    await callers.pass_by(1)
    assert callers.gone == ["mint 1", "list", "mint 2"]


async def test_time_alone_lets_them_go_without_anybody_asking() -> None:
    """By a timer of the event loop's; the test's clock has moved on when it rings."""
    callers = Callers(Pace(points=5, minute=0.01))
    await callers.come("mint 1", MINT)
    await callers.answer(MINT)
    await callers.come("mint 2", MINT)
    callers.clock.advance(timedelta(seconds=1))
    async with asyncio.timeout(5):
        await callers.tasks["mint 2"]


async def test_a_short_limit_is_waited_for_and_of_a_long_one_everybody_is_told() -> None:
    callers = Callers(Pace())
    callers.line.budget.refused(0, 60)
    await callers.come("patient", MINT)
    assert callers.gone == []
    await callers.pass_by(60)
    assert callers.gone == ["patient"]

    callers.line.budget.refused(60, 80)
    await callers.come("waiting", MINT)
    callers.line.budget.refused(60, 600)
    callers.line.move()
    await settled()
    await callers.come("late", SWEEP)
    for name in ("waiting", "late"):
        with pytest.raises(Unavailable, match="600 s") as caught:
            await callers.tasks[name]
        assert caught.value.retry_after == 600


async def test_what_is_kept_back_for_the_more_urgent_sends_the_less_urgent_away() -> None:
    callers = Callers(Pace())
    callers.line.budget.sent(SWEEP)
    callers.line.budget.answered(SWEEP, 0, Told(CORE, 5000, 400, 1, 1800))
    await callers.come("delete", DELETE)
    await callers.come("sweep", SWEEP)
    assert callers.gone == ["delete"]
    with pytest.raises(Unavailable, match="rate limit is used up"):
        await callers.tasks["sweep"]


async def test_who_gives_up_holds_nobody_back() -> None:
    callers = Callers(Pace(points=5, concurrent=1))
    await callers.come("first", MINT)
    for name in ("second", "third"):
        await callers.come(name, MINT)
    callers.tasks["second"].cancel()
    await settled()
    assert len(callers.line) == 1
    await callers.answer(MINT)
    await callers.pass_by(60)
    assert callers.gone == ["first", "third"]


async def test_who_gives_up_in_the_moment_of_being_let_go_gives_the_turn_back() -> None:
    callers = Callers(Pace(points=5, concurrent=1))
    await callers.come("first", MINT)
    await callers.come("second", MINT)
    await callers.come("third", MINT)
    callers.line.budget.unsent(MINT)
    callers.line.move()
    callers.tasks["second"].cancel()
    await settled()
    assert callers.gone == ["first", "third"]
