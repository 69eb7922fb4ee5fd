"""How much may be asked of GitHub, and when: no clock but the test's own."""

import math
from dataclasses import dataclass, field
from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from chaser.github.budget import GO, Budget, Call, Pace, Urgency
from chaser.github.told import CORE, REGISTRATION, Told, told

RUNNERS = "/repos/octocat/example/actions/runners"
MINT = Call.of(Urgency.MINT, "POST", f"{RUNNERS}/generate-jitconfig")
FIND = Call.of(Urgency.DELETE, "GET", RUNNERS)
SWEEP = Call.of(Urgency.SWEEP, "GET", RUNNERS)
RESET = 1_800_000_000


def core(remaining: int, *, limit: int = 5000, reset: int = RESET, reset_in: float = 600) -> Told:
    return Told(CORE, limit, remaining, reset, reset_in)


def known(told: Told | None, pace: Pace = Pace()) -> Budget:  # noqa: B008 # a value
    """A budget of which GitHub has told, before the test's time begins."""
    budget = Budget(pace)
    for call in (MINT, FIND):
        budget.sent(call)
        budget.answered(call, -1000, told if call is FIND else None)
    return budget


@pytest.mark.parametrize(
    ("method", "path", "endpoint", "points"),
    [
        ("GET", "/repos/o/r/actions/runners/77", "GET /{}/actions/runners/{}", 1),
        ("DELETE", "/repos/other/s/actions/runners/8", "DELETE /{}/actions/runners/{}", 5),
        (
            "POST",
            "/orgs/o/actions/runners/generate-jitconfig",
            "POST /{}/actions/runners/generate-jitconfig",
            5,
        ),
        ("POST", "/app/installations/1/access_tokens", "POST /app/installations/{}/access_tokens", 5),
    ],
)
def test_an_endpoint_is_the_same_for_all_repositories_and_ids(
    method: str, path: str, endpoint: str, points: int
) -> None:
    assert Call.of(Urgency.SWEEP, method, path) == Call(Urgency.SWEEP, endpoint, points)


def test_the_first_call_to_an_endpoint_goes_alone() -> None:
    """Nothing is known of what is left, so one is sent to learn it."""
    budget = Budget(Pace())
    assert budget.wait(MINT, 0) == GO
    budget.sent(MINT)
    assert budget.wait(MINT, 0).seconds == math.inf
    budget.answered(MINT, 0, Told(REGISTRATION, 10_000, 9_999, RESET, 600))
    assert budget.wait(MINT, 0) == GO


@dataclass
class Far:
    """A far side that counts as it pleases within what is documented: a call reaches it at any moment of its way."""

    reached: list[tuple[float, int]] = field(default_factory=list[tuple[float, int]])

    def most_in_a_minute(self, minute: float) -> int:
        return max(
            sum(points for at, points in self.reached if begin <= at < begin + minute)
            for begin, _ in self.reached
        )


@given(
    ways=st.lists(st.tuples(st.floats(0, 90), st.floats(0, 90), st.floats(0, 20)), min_size=30, max_size=80)
)
def test_no_minute_has_more_points_than_the_pace_however_long_calls_are_on_their_way(
    ways: list[tuple[float, float, float]],
) -> None:
    """Each call takes its time to get there, and its time to come back; and calls come when they come."""
    pace, far = Pace(points=40, concurrent=1000), Far()
    budget = known(None, pace)
    now = 0.0
    answers: list[float] = []
    for there, back, pause in ways:
        now += pause
        while True:
            for at in sorted(answer for answer in answers if answer <= now):
                budget.answered(MINT, at, None)
                answers.remove(at)
            wait = budget.wait(MINT, now)
            if wait == GO:
                break
            now = min([now + wait.seconds, *answers])
        budget.sent(MINT)
        far.reached.append((now + there, MINT.points))
        answers.append(now + there + back)
    assert far.most_in_a_minute(pace.minute) <= pace.points


def test_what_an_hours_budget_keeps_back_is_for_what_is_more_urgent() -> None:
    for remaining, may in (
        (501, "mint truth delete sweep"),
        (500, "mint truth delete"),
        (101, "mint truth"),
        (100, "mint"),
    ):
        budget = known(core(remaining))
        allowed = [
            urgency.name.lower()
            for urgency in Urgency
            if budget.wait(Call(urgency, FIND.endpoint, 1), -900) == GO
        ]
        assert " ".join(allowed) == may


def test_a_budget_that_is_used_up_is_waited_for_and_then_whole() -> None:
    budget = known(core(0, reset_in=1030))
    wait = budget.wait(Call(Urgency.MINT, FIND.endpoint, 1), 0)
    assert (wait.limited, 30 <= wait.seconds <= 32) == (True, True)
    assert budget.remaining(0) == 0
    assert budget.wait(SWEEP, 32) == GO
    assert budget.remaining(32) == 1


def test_calls_under_way_are_taken_for_spent() -> None:
    budget = known(core(501), Pace(points=10_000))
    budget.sent(SWEEP)
    assert budget.wait(SWEEP, -900).seconds > 0
    assert not budget.wait(SWEEP, -900).limited
    assert budget.wait(FIND, -900) == GO


def test_answers_that_overtake_each_other_do_not_give_back_what_is_spent() -> None:
    budget = known(core(700))
    budget.sent(FIND)
    budget.answered(FIND, -990, core(900))
    left = budget.left(CORE, -990)
    assert left is not None
    assert left.remaining == 700
    budget.sent(FIND)
    budget.answered(FIND, -980, core(4999, reset=RESET + 3600, reset_in=3600))
    assert budget.remaining(-980) == 4999 / 5000


def test_registrations_are_counted_in_the_budget_that_github_names() -> None:
    budget = known(core(0))
    budget.sent(MINT)
    budget.answered(MINT, -900, Told(REGISTRATION, 10_000, 5, RESET, 600))
    assert budget.wait(MINT, -900) == GO, "that of all other calls is no matter"
    for _ in range(5):
        budget.sent(MINT)
    assert budget.wait(MINT, -900).seconds > 0


def test_a_secondary_limit_holds_all_calls_for_as_long_as_github_says() -> None:
    budget = known(core(5000))
    assert budget.refused(0, 7) == 7
    assert budget.wait(MINT, 6.5).limited
    assert budget.remaining(6.5) == 0
    assert budget.wait(MINT, 7) == GO


def test_where_github_names_no_time_the_pauses_grow_until_a_call_is_served() -> None:
    budget = known(core(5000))
    assert [budget.refused(0, None) for _ in range(6)] == [60, 120, 240, 480, 900, 900]
    budget.served()
    assert budget.refused(0, None) == 60


def test_no_more_than_so_many_calls_at_once() -> None:
    budget = known(None, Pace(concurrent=3))
    for _ in range(3):
        budget.sent(FIND)
    assert budget.wait(MINT, 0).seconds == math.inf
    budget.unanswered(FIND, 0)
    assert budget.wait(MINT, 0) == GO


def test_a_call_that_was_given_up_before_it_left_costs_nothing() -> None:
    budget = known(None, Pace(points=5))
    budget.sent(MINT)
    assert budget.wait(MINT, 0) != GO
    budget.unsent(MINT)
    assert budget.wait(MINT, 0) == GO


NOW = datetime(2027, 1, 15, 8, 0, tzinfo=UTC)
"""`RESET`, as it happens."""
HEADERS = {"x-ratelimit-limit": "5000", "x-ratelimit-remaining": "12", "x-ratelimit-reset": str(RESET)}


def test_the_time_of_the_reset_goes_by_githubs_own_clock() -> None:
    assert NOW.timestamp() == RESET
    assert told(HEADERS, NOW) == Told(CORE, 5000, 12, RESET, 0)
    with_date = {**HEADERS, "date": "Fri, 15 Jan 2027 07:59:00 GMT", "x-ratelimit-resource": "search"}
    assert told(with_date, NOW) == Told("search", 5000, 12, RESET, 60)


@pytest.mark.parametrize(
    "changed",
    [
        {"x-ratelimit-remaining": "many"},
        {"x-ratelimit-limit": ""},
        {"x-ratelimit-reset": "9" * 40},
        {"x-ratelimit-reset": "-1"},
        {"x-ratelimit-limit": "٣"},
    ],
)
def test_headers_that_make_no_sense_tell_nothing(changed: dict[str, str]) -> None:
    assert told({**HEADERS, **changed}, NOW) is None


@pytest.mark.parametrize("date", ["yesterday", "Fri, 15 Jan 2027 07:59:00"])
def test_a_date_that_is_none_is_passed_over(date: str) -> None:
    assert told({**HEADERS, "date": date}, NOW) == Told(CORE, 5000, 12, RESET, 0)
