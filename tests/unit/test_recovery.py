"""How often to look, and which installations are gone."""

from datetime import timedelta

import pytest

from chaser.runners.installation import Installation, after, unheard
from chaser.runners.recovery import missing, pace
from tests.rows import START
from tests.workflow_jobs import installed

USUAL = timedelta(minutes=5)


@pytest.mark.parametrize(
    ("left", "every"),
    [(1.0, USUAL), (0.5, USUAL), (0.49, timedelta(minutes=15)), (0.1, timedelta(minutes=15)), (0.09, None)],
)
def test_the_less_is_left_of_the_limit_the_seldomer_a_look(left: float, every: timedelta | None) -> None:
    assert pace(USUAL, left) == every


def known(number: int, action: str = "created") -> Installation:
    event = installed(action, installation_id=number)
    return after(unheard(event, START), event, START)


def test_an_installation_that_is_not_listed_is_gone() -> None:
    listed = [installed("listed", installation_id=5)]

    assert missing([known(5), known(6), known(7, "deleted")], listed) == [known(6)]


@pytest.mark.parametrize("listed", [[], [installed("listed", installation_id=9)]])
def test_where_none_that_is_known_is_listed_nothing_is_concluded(listed: list[object]) -> None:
    assert missing([known(5), known(6)], listed) == ()  # pyright: ignore[reportArgumentType]
