"""How long each part of a workflow job's way took, and whose part it is."""

import itertools
from datetime import timedelta

import pytest

from chaser.runners.latency import EXTENTS, Passage, Span, Stage, Whose, by_profile, ledger
from tests.rows import START

SECOND = timedelta(seconds=1)


def passage(profile: str | None = "default", **seconds: float) -> Passage:
    """Each stage so many seconds after the start."""
    return Passage(profile, {Stage(stage): START + after * SECOND for stage, after in seconds.items()})


def test_the_spans_but_the_last_follow_each_other_without_a_gap() -> None:
    *parts, whole = [EXTENTS[span] for span in Span]
    stages = list(Stage)
    assert [(each.begin, each.end) for each in parts] == list(itertools.pairwise(stages))
    assert (whole.begin, whole.end, whole.whose) == (Stage.CREATED, Stage.RUNNING, Whose.ALL)


def test_a_span_lasts_from_its_begin_to_its_end() -> None:
    made = passage(created=0, delivered=2, stored=2.5, running=9)
    assert [made.took(span) for span in (Span.DELIVERY, Span.STORING, Span.WAIT)] == [
        2 * SECOND,
        0.5 * SECOND,
        9 * SECOND,
    ]


@pytest.mark.parametrize("known", [passage(created=1), passage(delivered=1), passage()])
def test_a_span_of_which_an_end_is_not_known_has_no_length(known: Passage) -> None:
    assert known.took(Span.DELIVERY) is None


def test_what_githubs_clock_puts_before_its_cause_took_no_time() -> None:
    """Its times are whole seconds: a job that begins at 9.7 has begun at 9."""
    assert passage(online=9.4, running=9).took(Span.ASSIGNMENT) == timedelta()


@pytest.mark.parametrize(("after", "late"), [(29.9, False), (30, True), (968, True)])
def test_github_is_late_when_it_tells_of_a_job_half_a_minute_after_its_making(
    after: float, *, late: bool
) -> None:
    assert passage(created=0, delivered=after).late is late


def test_one_whose_making_is_not_known_is_not_called_late() -> None:
    assert not passage(delivered=100).late


def test_percentiles_are_values_that_occurred() -> None:
    """By the nearest rank: 95 of 100 took so long or shorter."""
    found = ledger([passage(created=0, delivered=n) for n in range(100, 0, -1)])

    spread = found.spans[Span.DELIVERY]
    assert spread.count == 100
    assert [each / SECOND for each in (spread.p50, spread.p95, spread.p99, spread.longest)] == [
        50,
        95,
        99,
        100,
    ]


def test_percentiles_of_one_are_that_one() -> None:
    spread = ledger([passage(created=0, running=7)]).spans[Span.WAIT]
    assert {spread.p50, spread.p95, spread.p99, spread.longest} == {7 * SECOND}


def test_of_no_jobs_there_is_nothing_to_tell() -> None:
    found = ledger([])
    assert (found.jobs, found.late, dict(found.spans)) == (0, 0, {})


def test_each_profile_has_a_ledger_of_its_own() -> None:
    """A job whose row is forgotten has no profile, and counts in all alone."""
    found = by_profile(
        [
            passage("large", created=0, delivered=40),
            passage("default", created=0, delivered=1),
            passage("default", created=0, delivered=3),
            passage(None, created=0, delivered=5),
        ]
    )
    assert {name: (each.jobs, each.late) for name, each in found.items()} == {
        "default": (2, 0),
        "large": (1, 1),
    }
    assert list(found) == ["default", "large"]
    assert found["default"].spans[Span.DELIVERY].longest == 3 * SECOND
