"""The service is killed at each point at which that could hurt, again and again, while jobs come in.

Whatever the moment: each accepted job ends once, runs once, and leaves exactly its line, its output and its files.
"""

from collections.abc import Iterable, Sequence
from pathlib import Path
from random import Random

import pytest

from tests.chaos.audit import expect_all_done_once, expect_no_leftovers
from tests.chaos.form import LONG
from tests.chaos.points import NAMED, OTHERS, WHILE_TAKING_OVER
from tests.chaos.siege import siege

pytestmark = [pytest.mark.docker, pytest.mark.slow, pytest.mark.timeout(600)]

SETTINGS = {"CHASER_LIMITS__MAX_RUNNING": "4"}
LONG_KILLS, LONG_JOBS = 30, 200


def test_a_service_killed_at_each_of_the_named_points_does_each_job_once(
    small_image: str, tmp_path: Path, random: Random
) -> None:
    with siege(tmp_path, random, SETTINGS) as under:
        for point in _shuffled(random, [*NAMED, "between steps", "in the middle of artifacts"]):
            under.killed_at(point, random.randrange(1, 4))
        under.stopped_at("before the hand-over", random.randrange(1, 4))
        for point in _shuffled(random, WHILE_TAKING_OVER):
            under.killed_at("in mid-output", random.randrange(2, 6))
            under.killed_at(point, 1)
        under.finished(at_least=40)
        expect_all_done_once(under.service, under.accepted)
        expect_no_leftovers(under.service)


def test_a_write_whose_answer_got_lost_is_neither_lost_nor_done_twice(
    small_image: str, tmp_path: Path, random: Random, long: bool
) -> None:
    """As when PostgreSQL ends during a commit: whether it was done is not known, and must not matter."""
    with siege(tmp_path, random, SETTINGS) as under:
        under.losing_answers(0.15, random.getrandbits(32), jobs=200 if long else 30)
        under.finished(at_least=0)
        expect_all_done_once(under.service, under.accepted)
        expect_no_leftovers(under.service)


@pytest.mark.timeout(1800)
@LONG
def test_a_service_killed_at_every_point_for_minutes_does_each_job_once(
    small_image: str, tmp_path: Path, random: Random
) -> None:
    with siege(tmp_path, random, SETTINGS) as under:
        for point in _shuffled(random, [*NAMED, *NAMED, *OTHERS]):
            under.killed_at(point, random.randrange(1, 6))
            if random.random() < 0.2:
                under.stopped_after(random.uniform(0.1, 3))
        for point in _shuffled(random, [*WHILE_TAKING_OVER, *WHILE_TAKING_OVER]):
            under.killed_at("in mid-output", random.randrange(2, 10))
            under.killed_at(point, 1)
        for point in _shuffled(random, [*NAMED, *OTHERS]):
            under.stopped_at(point, random.randrange(1, 4))
        for _ in range(10):
            under.killed_after(random.uniform(0, 3))
        assert under.kills >= LONG_KILLS
        under.finished(at_least=LONG_JOBS)
        expect_all_done_once(under.service, under.accepted)
        expect_no_leftovers(under.service)


def _shuffled(random: Random, points: Iterable[str]) -> Sequence[str]:
    found = list(points)
    random.shuffle(found)
    return found
