"""How often a key may call."""

from datetime import timedelta

from chaser.api.rate import Rate
from chaser.clock import ManualClock
from chaser.ids import KeyId

ONE, OTHER = KeyId("key_1"), KeyId("key_2")


def test_a_key_has_so_many_calls_in_its_window() -> None:
    rate = Rate("2/minute", ManualClock())

    calls = [rate.spend(ONE) for _ in range(3)]

    assert [(call.allowed, call.remaining) for call in calls] == [(True, 1), (True, 0), (False, 0)]


def test_a_window_begins_with_the_first_call_and_ends_by_a_clock_that_never_jumps() -> None:
    clock = ManualClock()
    rate = Rate("1/hour", clock)
    rate.spend(ONE)
    clock.advance(timedelta(minutes=50))
    assert rate.spend(ONE).headers["X-RateLimit-Reset"] == "601"

    clock.advance(timedelta(minutes=10))

    assert rate.spend(ONE).allowed


def test_each_key_has_a_window_of_its_own() -> None:
    rate = Rate("1/day", ManualClock())
    rate.spend(ONE)

    assert rate.spend(OTHER).allowed
