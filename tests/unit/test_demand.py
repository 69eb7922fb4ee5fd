"""What a demand becomes by what is heard of it."""

from collections.abc import Callable
from dataclasses import replace
from datetime import datetime, timedelta
from functools import reduce
from itertools import permutations
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from chaser.ids import JobId
from chaser.runners.clearing import reconsidered
from chaser.runners.demand import (
    ENDED,
    OPEN,
    TRANSITIONS,
    Demand,
    State,
    exhausted,
    first,
    fits,
    heard,
    reached,
    robbed,
    uninstalled,
    unserved,
    vanished,
)
from chaser.runners.event import WorkflowJobEvent
from chaser.runners.inbox import Decision
from tests.rows import START
from tests.workflow_jobs import FOREIGN, news, runner_of, told

SOON = START + timedelta(minutes=1)
LATER = START + timedelta(minutes=2)
JOB = JobId("job_00000000000000000000000001")


def demand(*events: WorkflowJobEvent) -> Demand:
    """After these events, in this order."""
    begun, *more = map(news, events)
    return reduce(lambda known, each: heard(known, each, SOON), more, first(begun, START))


@pytest.mark.parametrize(
    ("event", "state"),
    [
        (told("queued"), State.PLANNED),
        (told("queued", status="waiting"), State.PLANNED),
        (told("queued", labels=("chaser-lagre",)), State.REFUSED),
        (told("queued", installation_id=None), State.REFUSED),
        (told("waiting"), State.WAITING),
        (told("waiting", labels=("chaser-lagre",)), State.REFUSED),
        (told("in_progress", runner_name=FOREIGN), State.RUNNING),
        (told("in_progress", status="queued"), State.RUNNING),
        (told("completed", runner_name=FOREIGN), State.DONE),
        (told("completed", runner_id=3), State.DONE),
        (told("completed", conclusion="cancelled"), State.CANCELLED),
        (told("completed", conclusion="skipped"), State.CANCELLED),
    ],
)
def test_the_first_event_may_be_any(event: WorkflowJobEvent, state: State) -> None:
    assert demand(event).state is state


def test_a_job_that_is_held_back_waits_and_goes_on() -> None:
    queued, held = told("queued", gated_at=START), told("waiting", gated_at=SOON)
    again = told("queued", gated_at=LATER)

    assert demand(queued, held).state is State.WAITING
    assert demand(queued, held, again).state is State.PLANNED


def test_what_orders_a_gate_is_its_deployments_time() -> None:
    events = told("queued", gated_at=START), told("waiting", gated_at=SOON), told("queued", gated_at=LATER)

    for order in permutations(events):
        assert demand(*order).state is State.PLANNED
    for order in permutations(events[:2]):
        assert demand(*order).state is State.WAITING


def test_without_a_time_the_last_word_counts() -> None:
    assert demand(told("queued"), told("waiting")).state is State.WAITING
    assert demand(told("waiting"), told("queued")).state is State.PLANNED


@pytest.mark.parametrize("late", [told("queued"), told("waiting"), told("in_progress", runner_name=FOREIGN)])
def test_an_end_absorbs_what_comes_late(late: WorkflowJobEvent) -> None:
    ended = demand(told("completed", runner_name=FOREIGN, conclusion="success"))

    assert heard(ended, news(late), LATER) == ended


def test_an_end_without_a_runner_owes_nothing_whatever_comes_late() -> None:
    ended = demand(told("completed", conclusion="cancelled"))

    for late in (told("queued"), told("waiting"), told("in_progress")):
        assert heard(ended, news(late), LATER).state is State.CANCELLED


def test_that_it_had_a_runner_may_be_learned_late() -> None:
    begun = told("in_progress", runner_name=FOREIGN, runner_id=3)
    ended = told("completed", conclusion="failure")

    for order in permutations((begun, ended)):
        after = demand(*order)
        assert (after.state, after.said.runner_name, after.said.conclusion) == (
            State.DONE,
            FOREIGN,
            "failure",
        )


def test_what_was_accepted_stays_so() -> None:
    """Both the App and a repository's own webhook may tell of it, and only the App's can be served."""
    app, own = told("queued"), told("queued", installation_id=None)

    for order in permutations((app, own)):
        after = demand(*order)
        assert (after.state, after.decision, after.said.installation_id) == (
            State.PLANNED,
            Decision.ACCEPTED,
            5,
        )
        assert after.message is None


def test_what_changes_nothing_is_no_change() -> None:
    known = demand(told("queued"))

    assert heard(known, news(told("queued")), LATER) is known


def test_the_progress_of_a_runner_survives_a_repetition() -> None:
    online = reached(demand(told("queued")), State.ONLINE, SOON)

    assert heard(online, news(told("queued")), LATER).state is State.ONLINE


@pytest.mark.parametrize("state", State)
def test_a_runner_gets_as_far_as_github_lets_it(state: State) -> None:
    known = replace(demand(told("queued")), state=state)

    after = reached(known, State.ONLINE, LATER)

    expected = State.ONLINE if state in {State.PLANNED, State.STARTING} else state
    assert after.state is expected


def test_a_runner_does_not_go_back() -> None:
    online = reached(demand(told("queued")), State.ONLINE, SOON)

    assert reached(online, State.STARTING, LATER) == online


def test_who_loses_a_runner_needs_another() -> None:
    taker = demand(told("in_progress", job_id=78, runner_name=runner_of(JOB)))
    loser = replace(reached(demand(told("queued")), State.ONLINE, SOON), job_id=JOB, runners=1)

    after = robbed(loser, taker, LATER)

    assert (after.state, after.job_id, after.taken_by, after.runners) == (State.PLANNED, None, 78, 1)


def test_who_needs_no_runner_loses_none() -> None:
    taker = demand(told("in_progress", job_id=78, runner_name=runner_of(JOB)))

    assert robbed(demand(told("completed")), taker, LATER).state is State.CANCELLED


def test_an_app_that_is_gone_serves_nobody() -> None:
    gone = uninstalled(demand(told("queued")), SOON)

    assert (gone.state, gone.message) == (
        State.CANCELLED,
        "The App was uninstalled. Install it again, and re-run the job.",
    )
    assert heard(gone, news(told("queued", gated_at=LATER)), LATER).state is State.CANCELLED


def test_whoever_has_had_enough_runners_is_refused() -> None:
    after = exhausted(demand(told("queued")), SOON)

    assert after.state is State.REFUSED
    assert "20 runners" in (after.message or "")
    assert heard(after, news(told("in_progress", runner_name=FOREIGN)), LATER).state is State.RUNNING


@pytest.mark.parametrize(
    ("spare", "fitting"),
    [
        ({}, True),
        ({"labels": ("Chaser", "linux", "SELF-HOSTED")}, True),
        ({"labels": ("chaser",)}, False),
        ({"labels": ("self-hosted", "chaser-large")}, False),
        ({"repository": "octo-org/other"}, True),
        ({"repository": "octo-org/other", "private": False}, False),
        ({"repository": "octo-org/other", "organization": None}, False),
        ({"private": False}, True),
        ({"installation_id": 6}, False),
    ],
)
def test_a_spare_runner_fits_by_labels_and_scope(spare: dict[str, Any], fitting: bool) -> None:
    assert fits(demand(told()), demand(replace(told(job_id=78), **spare))) is fitting


def test_a_repository_without_an_organization_is_a_scope_of_its_own() -> None:
    personal = told(organization=None, repository="octocat/one")

    assert not fits(demand(personal), demand(replace(personal, job_id=78, repository="octocat/two")))


def test_who_was_not_served_needs_another_runner_and_says_how_the_last_one_ended() -> None:
    known = reached(demand(told("queued")), State.ONLINE, SOON)

    after = unserved(known, "It fell over.", LATER)

    assert (after.state, after.setback, after.changed_at) == (State.PLANNED, "It fell over.", LATER)
    assert unserved(demand(told("completed")), "late", LATER).state is State.CANCELLED
    assert (exhausted(after, LATER).message or "").endswith("The last one: It fell over.")


def test_the_states_are_three_kinds() -> None:
    assert ENDED.isdisjoint(OPEN)
    assert all(TRANSITIONS[state] <= ENDED for state in ENDED)
    assert set(TRANSITIONS) == set(State)


HISTORIES = st.sampled_from(
    [
        [told("queued"), told("in_progress", runner_name=FOREIGN), told("completed", runner_name=FOREIGN)],
        [told("queued"), told("in_progress"), told("completed", runner_name=FOREIGN, runner_id=3)],
        [told("queued"), told("completed", conclusion="cancelled")],
        [told("completed", conclusion="skipped")],
        [told("queued", labels=("chaser-lagre",)), told("completed", labels=("chaser-lagre",))],
        [
            told("queued", gated_at=START),
            told("waiting", gated_at=SOON),
            told("queued", gated_at=LATER),
            told("in_progress", runner_name=FOREIGN, gated_at=LATER),
        ],
        [told("queued", installation_id=None), told("queued"), told("in_progress", runner_name=FOREIGN)],
    ]
)


@given(st.data())
def test_the_order_of_events_does_not_matter(data: st.DataObject) -> None:
    history = data.draw(HISTORIES)
    doubled = data.draw(st.permutations([*history, *data.draw(st.lists(st.sampled_from(history)))]))

    straight, shuffled = demand(*history), demand(*doubled)

    assert replace(shuffled, changed_at=START) == replace(straight, changed_at=START)


@given(
    st.lists(st.sampled_from([told(action) for action in ("queued", "waiting", "in_progress", "completed")]))
)
def test_only_steps_of_the_table_are_taken(events: list[WorkflowJobEvent]) -> None:
    known = demand(told("queued"))
    for event in events:
        after = heard(known, news(event), SOON)
        assert after.state is known.state or after.state in TRANSITIONS[known.state]
        known = after


def test_what_github_does_not_show_is_owed_nothing_until_it_does_again() -> None:
    for action in ("queued", "waiting"):
        gone = vanished(demand(told(action)), SOON)
        assert gone.state is State.REFUSED
        assert "GitHub does not show this job any more" in (gone.message or "")
        again = heard(gone, news(told("queued", gated_at=LATER)), LATER)
        assert (again.state, again.message) == (State.PLANNED, None)
        assert heard(gone, news(told("completed", conclusion="cancelled")), LATER).state is State.CANCELLED


def test_what_ran_and_is_not_shown_any_more_has_ended() -> None:
    running = demand(told("in_progress", runner_name=FOREIGN))

    gone = vanished(running, SOON)

    assert gone.state is State.CANCELLED
    ended = told("completed", runner_name=FOREIGN, conclusion="success")
    assert heard(gone, news(ended), LATER).state is State.DONE
    assert vanished(demand(ended), SOON) == demand(ended)


@pytest.mark.parametrize("given_up", [vanished, exhausted])
def test_other_settings_bring_nothing_back_that_no_setting_had_refused(
    given_up: Callable[[Demand, datetime], Demand],
) -> None:
    refused = given_up(demand(told("queued")), SOON)

    assert reconsidered(refused, news(told("queued")), LATER) == refused
