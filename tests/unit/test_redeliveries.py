"""Which deliveries have failed."""

from collections.abc import Mapping
from dataclasses import replace
from datetime import timedelta

from hypothesis import given
from hypothesis import strategies as st

from chaser.runners.lookout import Attempt
from chaser.runners.redeliveries import Failing, grouped
from tests.rows import START

LONG_AGO = START - timedelta(days=3)
FIRST = Attempt(1, "guid-1", "workflow_job", START, accepted=False)
AGAIN = Attempt(2, "guid-1", "workflow_job", START + timedelta(minutes=2), accepted=True)
NOTHING: Mapping[str, Failing] = {}


def test_a_delivery_has_failed_if_no_try_was_accepted() -> None:
    assert grouped(NOTHING, [FIRST], LONG_AGO) == {"guid-1": Failing(FIRST, 1)}
    assert grouped(NOTHING, [FIRST, AGAIN], LONG_AGO) == {}
    assert grouped({"guid-1": Failing(FIRST, 1, asked=True)}, [AGAIN], LONG_AGO) == {}


def test_another_try_that_fails_is_counted_and_one_that_is_shown_again_is_not() -> None:
    failed = replace(AGAIN, accepted=False)
    known = grouped(NOTHING, [FIRST], LONG_AGO)

    assert grouped(known, [FIRST], LONG_AGO) == known
    assert grouped(known, [FIRST, failed], LONG_AGO) == {"guid-1": Failing(failed, 2)}


def test_what_was_on_its_way_may_have_failed_since() -> None:
    known = grouped(NOTHING, [replace(FIRST, pending=True)], LONG_AGO)

    assert grouped(known, [FIRST], LONG_AGO) == {"guid-1": Failing(FIRST, 1)}


def test_a_try_that_was_accepted_before_counts_whatever_comes_later() -> None:
    later = Attempt(3, "guid-1", "workflow_job", START + timedelta(hours=1), accepted=False)

    assert grouped(NOTHING, [AGAIN, later], LONG_AGO) == {}


def test_what_github_keeps_no_more_is_given_up() -> None:
    assert grouped({"guid-1": Failing(FIRST, 1)}, [], START + timedelta(seconds=1)) == {}


def test_where_all_are_read_it_does_not_matter_whether_they_were_accepted() -> None:
    assert grouped(NOTHING, [AGAIN], LONG_AGO, all_of_them=True) == {"guid-1": Failing(AGAIN, 1)}


@given(st.permutations([FIRST, AGAIN, replace(AGAIN, id=3, accepted=False, at=START + timedelta(hours=1))]))
def test_the_order_of_the_list_does_not_matter(attempts: list[Attempt]) -> None:
    assert grouped(NOTHING, attempts, LONG_AGO) == {}
