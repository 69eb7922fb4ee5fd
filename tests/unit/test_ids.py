"""Identifiers are unique, opaque and sorted by age."""

import re
from datetime import UTC, datetime, timedelta

from hypothesis import given
from hypothesis import strategies as st

from chaser.ids import new_id, new_job_id, new_sandbox_id

MOMENTS = st.datetimes(datetime(1970, 1, 2), datetime(9000, 1, 1), timezones=st.just(UTC))  # noqa: DTZ001
START = datetime(2026, 1, 1, tzinfo=UTC)


@given(at=MOMENTS, later=st.timedeltas(timedelta(milliseconds=1), timedelta(days=9000)))
def test_an_older_id_sorts_first(at: datetime, later: timedelta) -> None:
    assert new_job_id(at) < new_job_id(at + later)


@given(at=MOMENTS)
def test_an_id_is_a_prefix_and_26_letters_that_cannot_be_mistaken(at: datetime) -> None:
    assert re.fullmatch(r"key_[0-9a-hjkmnp-tv-z]{26}", new_id("key", at))


def test_ids_of_one_moment_differ() -> None:
    assert len({new_sandbox_id(START) for _ in range(1000)}) == 1000


def test_ids_say_what_they_name() -> None:
    assert new_job_id(START).startswith("job_")
    assert new_sandbox_id(START).startswith("sbx_")
