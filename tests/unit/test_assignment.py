"""Which idle runner gets which job: GitHub's rules, which bind no runner to the job that it was made for."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from chaser.simulator.assignment import fits, pairs
from chaser.simulator.payload import Job
from chaser.simulator.world import DEFAULT_GROUP, Group, Runner

AT = datetime(2026, 1, 1, tzinfo=UTC)
JOB = Job(("Chaser", "linux"), "octo-org/example", "octo-org", at=AT)


def runner(number: int, *labels: str, scope: str = "repos/octo-org/example") -> Runner:
    return Runner(number, scope, f"runner-{number}", labels)


@pytest.mark.parametrize(
    ("labels", "fit"),
    [(("chaser", "linux"), True), (("chaser", "linux", "x64"), True), (("chaser",), False), ((), False)],
)
def test_a_runner_needs_every_label_of_the_job_whatever_its_case(labels: tuple[str, ...], fit: bool) -> None:
    assert fits(JOB, runner(1, *labels), DEFAULT_GROUP) is fit


@pytest.mark.parametrize(
    ("scope", "group", "private", "fit"),
    [
        ("repos/octo-org/example", DEFAULT_GROUP, False, True),
        ("repos/octo-org/other", DEFAULT_GROUP, True, False),
        ("orgs/octo-org", DEFAULT_GROUP, True, True),
        ("orgs/strangers", DEFAULT_GROUP, True, False),
        ("orgs/octo-org", DEFAULT_GROUP, False, False),
        ("orgs/octo-org", Group(1, "Default", public=True), False, True),
        ("orgs/octo-org", Group(3, "few", frozenset({"Octo-Org/Example"})), True, True),
        ("orgs/octo-org", Group(3, "few", frozenset({"octo-org/other"})), True, False),
    ],
)
def test_its_level_and_group_decide_whom_it_may_serve(
    scope: str, group: Group, private: bool, fit: bool
) -> None:
    assert fits(replace(JOB, private=private), runner(1, "chaser", "linux", scope=scope), group) is fit


def test_the_oldest_job_gets_the_first_runner_so_that_two_alike_may_be_swapped() -> None:
    older = replace(JOB, id=1, at=AT - timedelta(seconds=1))
    newer = replace(JOB, id=2)
    idle = [(runner(8, "chaser", "linux"), DEFAULT_GROUP), (runner(7, "chaser", "linux"), DEFAULT_GROUP)]
    made = pairs([newer, older], idle)
    assert [(job.id, found.id) for job, found in made] == [(1, 7), (2, 8)]
    swapped = pairs([newer, older], idle, newest_first=True)
    assert [(job.id, found.id) for job, found in swapped] == [(2, 7), (1, 8)]


def test_the_repositorys_own_runner_comes_before_the_organizations() -> None:
    shared, own = runner(1, "chaser", "linux", scope="orgs/octo-org"), runner(2, "chaser", "linux")
    ((_, found),) = pairs([JOB], [(shared, DEFAULT_GROUP), (own, DEFAULT_GROUP)])
    assert found is own


def test_a_job_that_nobody_fits_waits() -> None:
    assert pairs([JOB], [(runner(1, "gpu"), DEFAULT_GROUP)]) == []
