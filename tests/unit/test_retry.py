"""How long an attempt is waited for."""

from datetime import timedelta

from hypothesis import given
from hypothesis import strategies as st

from chaser.jobs.retry import BASE, CAP, backoff


@given(attempt=st.integers(1, 10**6))
def test_a_wait_is_between_nothing_and_the_doubled_base_up_to_a_cap(attempt: int) -> None:
    longest = min(CAP, BASE * 2 ** min(attempt - 1, 20))

    assert timedelta() <= backoff(attempt) <= longest


def test_waits_are_spread() -> None:
    assert len({backoff(5) for _ in range(20)}) > 1
