"""What a look at GitHub's jobs tells, and what it would start."""

from dataclasses import replace
from datetime import timedelta

import pytest

from chaser.runners.demand import Demand, State, first, reached
from chaser.runners.event import WorkflowJobEvent
from chaser.runners.poll import starts, worth_telling
from chaser.runners.ports import Known
from tests.rows import START
from tests.workflow_jobs import FOREIGN, news, told

SOON = START + timedelta(minutes=1)


def known(event: WorkflowJobEvent, *, has_runner: bool = True) -> Known:
    return Known(first(news(event), START), has_runner)


@pytest.mark.parametrize("action", ["queued", "waiting", "in_progress", "completed"])
def test_a_job_that_is_unknown_is_told_of(action: str) -> None:
    assert worth_telling(news(told(action)), None, SOON)


@pytest.mark.parametrize("action", ["queued", "waiting", "in_progress", "completed"])
def test_what_is_known_is_not_told_again(action: str) -> None:
    """Not even if it was so at a later time."""
    seen = told(action, gated_at=SOON)

    assert not worth_telling(news(seen), known(told(action)), SOON)


@pytest.mark.parametrize(
    ("before", "now"),
    [
        (told("queued"), told("waiting")),
        (told("queued"), told("in_progress", runner_name=FOREIGN)),
        (told("queued"), told("completed", conclusion="cancelled")),
        (told("in_progress"), told("in_progress", runner_name=FOREIGN)),
        (told("in_progress", runner_name=FOREIGN), told("completed", conclusion="success")),
        (told("queued", installation_id=None), told("queued")),
    ],
)
def test_what_is_new_is_told(before: WorkflowJobEvent, now: WorkflowJobEvent) -> None:
    assert worth_telling(news(now), known(before), SOON)


@pytest.mark.parametrize(
    ("before", "now"),
    [
        (told("in_progress", runner_name=FOREIGN), told("queued")),
        (told("completed", conclusion="success", runner_id=1), told("in_progress", runner_name=None)),
        (told("waiting", gated_at=SOON), told("queued", gated_at=START)),
    ],
)
def test_what_is_out_of_date_is_not_told(before: WorkflowJobEvent, now: WorkflowJobEvent) -> None:
    assert not worth_telling(news(now), known(before), SOON)


def test_a_job_that_waits_without_a_runner_is_told_of_again() -> None:
    assert worth_telling(news(told()), known(told(), has_runner=False), SOON)
    online = Known(reached(_demand(), State.ONLINE, START), has_runner=True)
    assert not worth_telling(news(told()), online, SOON)


def test_only_what_is_queued_and_has_no_runner_is_started() -> None:
    assert starts(news(told()), None)
    assert starts(news(told()), known(told(), has_runner=False))
    assert starts(news(told()), known(told("waiting"), has_runner=False))
    assert not starts(news(told()), known(told()))
    assert not starts(news(told("waiting")), None)
    assert not starts(news(told(labels=("chaser-lagre",))), None)
    assert not starts(news(replace(told(), installation_id=None)), None)


def _demand() -> Demand:
    return first(news(told()), START)
