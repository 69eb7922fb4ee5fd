"""Asking GitHub how long it serves runners: seldom, once for all who wait, and with a memory."""

import asyncio
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta

import pytest

from chaser.clock import ManualClock
from chaser.errors import Refused, Unavailable
from chaser.jobs.reason import Reason
from chaser.runners.ages import DAY, SOON, Ages
from chaser.runners.registration import Owner
from chaser.runners.versions import LABEL, Ended, Ending, Schedule, Served, Unasked, Unknown, Unlisted
from chaser.sandboxes.engine import Image

OWNER = Owner(5, "octo-org/example", "octo-org")
END = datetime(2026, 9, 24, 15, 30, 55, tzinfo=UTC)
MOMENT = timedelta(seconds=1)


def image(version: str | None) -> Image:
    labels = {} if version is None else {LABEL: version}
    return Image("sha256:1", None, "runner", frozenset(), "/home/runner", labels)


@dataclass
class GitHub:
    """Its schedules by version, and how often it was asked."""

    schedules: dict[str, Schedule] = field(default_factory=dict[str, Schedule])
    trouble: Refused | Unavailable | None = None
    asked: list[str] = field(default_factory=list[str])

    async def find(self, owner: Owner, version: str) -> Schedule | None:
        self.asked.append(version)
        await asyncio.sleep(0)
        if self.trouble is not None:
            raise self.trouble
        return self.schedules.get(version)


@pytest.fixture
def github() -> GitHub:
    return GitHub({"2.335.1": Schedule(END, None), "2.338.0": Schedule(None, None)})


@pytest.fixture
def clock() -> ManualClock:
    return ManualClock(END - timedelta(days=10))


@pytest.fixture
def ages(github: GitHub, clock: ManualClock) -> Ages:
    return Ages(github, clock)


async def test_an_image_that_does_not_say_its_version_costs_no_call(github: GitHub, ages: Ages) -> None:
    assert await ages.standing(OWNER, image(None)) == Unknown(None)
    assert await ages.standing(OWNER, image("latest")) == Unknown("latest")
    assert github.asked == []


async def test_each_version_is_asked_for_once_a_day(github: GitHub, clock: ManualClock, ages: Ages) -> None:
    for _ in range(3):
        assert await ages.standing(OWNER, image("2.338.0")) == Served("2.338.0", None)
        assert await ages.standing(OWNER, image("9.9.9")) == Unlisted("9.9.9")
    clock.advance(DAY - MOMENT)
    await ages.standing(OWNER, image("2.338.0"))
    assert github.asked == ["2.338.0", "9.9.9"]
    clock.advance(MOMENT)
    github.schedules["2.338.0"] = Schedule(END, None)
    assert await ages.standing(OWNER, image("2.338.0")) == Served("2.338.0", END)
    assert github.asked == ["2.338.0", "9.9.9", "2.338.0"]


async def test_those_who_come_together_share_one_call(github: GitHub, ages: Ages) -> None:
    found = await asyncio.gather(*(ages.standing(OWNER, image("2.338.0")) for _ in range(20)))
    assert set(found) == {Served("2.338.0", None)}
    assert github.asked == ["2.338.0"]


@pytest.mark.parametrize(
    "trouble",
    [Unavailable(Reason.GITHUB_UNAVAILABLE, "It is down."), Refused(Reason.GITHUB_REFUSED, "It is down.")],
)
async def test_without_an_answer_nobody_knows_and_it_is_asked_again_soon(
    github: GitHub, clock: ManualClock, ages: Ages, trouble: Refused | Unavailable
) -> None:
    github.trouble = trouble
    assert await ages.standing(OWNER, image("2.335.1")) == Unasked("2.335.1", "It is down.")
    clock.advance(SOON - MOMENT)
    assert await ages.standing(OWNER, image("2.335.1")) == Unasked("2.335.1", "It is down.")
    assert len(github.asked) == 1
    github.trouble = None
    clock.advance(MOMENT)
    assert await ages.standing(OWNER, image("2.335.1")) == Served("2.335.1", END)


async def test_a_known_end_comes_though_github_is_silent(
    github: GitHub, clock: ManualClock, ages: Ages
) -> None:
    await ages.standing(OWNER, image("2.335.1"))
    github.trouble = Unavailable(Reason.GITHUB_UNAVAILABLE, "It is down.")
    clock.advance(timedelta(days=5))
    assert await ages.standing(OWNER, image("2.335.1")) == Ending("2.335.1", END, timedelta(days=5))
    clock.advance(timedelta(days=5))
    assert await ages.standing(OWNER, image("2.335.1")) == Ended("2.335.1", END)
