"""How long GitHub still gives jobs to an image's runner, and what a person is told of it."""

import re
from datetime import UTC, datetime, timedelta, timezone

import pytest

from chaser.clock import ManualClock
from chaser.findings import State
from chaser.runners.versions import (
    LABEL,
    NOTICE,
    Ended,
    Ending,
    Schedule,
    Served,
    Standing,
    Unasked,
    Unknown,
    Unlisted,
    finding,
    standing,
    version_of,
)

VERSION = "2.335.1"
END = datetime(2026, 9, 24, 15, 30, 55, tzinfo=UTC)
MOMENT = timedelta(microseconds=1)


def until(end: datetime | None) -> Schedule:
    return Schedule(runtime_ends_at=end, registration_ends_at=None)


@pytest.mark.parametrize("said", ["2.335.1", "3.0.0", "2.1000.12"])
def test_an_image_says_its_runners_version_by_a_label(said: str) -> None:
    assert version_of({"other": "9.9.9", LABEL: said}) == said


@pytest.mark.parametrize(
    "said",
    ["", "latest", "2.335", "v2.335.1", "2.335.1-rc1", "2.335.1\n", "../2.335.1", "2.335.٣", " 2.335.1"],
)
def test_a_label_that_is_no_version_is_none(said: str) -> None:
    assert version_of({LABEL: said}) == Unknown(said)


def test_an_image_without_the_label_has_no_version_whatever_else_it_says() -> None:
    assert version_of({"org.opencontainers.image.version": "2.335.1"}) == Unknown(None)


def test_an_unknown_version_stays_unknown() -> None:
    assert standing(Unknown("latest"), None, END) == Unknown("latest")


def test_a_version_that_github_does_not_list_is_a_finding_of_its_own() -> None:
    assert standing(VERSION, None, END) == Unlisted(VERSION)


def test_the_newest_is_served_until_further_notice() -> None:
    assert standing(VERSION, until(None), END) == Served(VERSION, None)


def test_time_passes_and_what_was_served_ends() -> None:
    clock = ManualClock(END - timedelta(days=30))

    def look() -> Standing:
        return standing(VERSION, until(END), clock.now())

    assert look() == Served(VERSION, END)
    clock.advance(timedelta(days=30) - NOTICE - MOMENT)
    assert look() == Served(VERSION, END)
    clock.advance(MOMENT)
    assert look() == Ending(VERSION, END, NOTICE)
    clock.advance(NOTICE - MOMENT)
    assert look() == Ending(VERSION, END, MOMENT)
    clock.advance(MOMENT)
    assert look() == Ended(VERSION, END)
    clock.advance(timedelta(days=365))
    assert look() == Ended(VERSION, END)


@pytest.mark.parametrize(
    "schedule",
    [Schedule(END, END + NOTICE), Schedule(END + NOTICE, END), Schedule(END, None), Schedule(None, END)],
)
def test_the_earlier_end_counts(schedule: Schedule) -> None:
    """A single-use runner is a new one each time, so it needs both."""
    assert standing(VERSION, schedule, END) == Ended(VERSION, END)


def test_a_moment_is_the_same_in_every_zone() -> None:
    abroad = END.astimezone(timezone(timedelta(hours=9)))
    assert standing(VERSION, until(abroad), END - MOMENT) == Ending(VERSION, END, MOMENT)
    assert "2026-09-24 15:30 UTC" in finding("image", Ended(VERSION, abroad)).message


@pytest.mark.parametrize(
    ("found", "state", "message", "mend"),
    [
        (Unknown(None), State.WARNING, "my-image:1 does not say which runner", f"make image-runner.*{LABEL}"),
        (Unknown("latest"), State.WARNING, "says chaser.runner.version='latest'", "make image-runner"),
        (Unlisted(VERSION), State.WARNING, "runner 2.335.1, for which this GitHub", "releases"),
        (Unasked(VERSION, "GitHub is down."), State.WARNING, "could not be asked: GitHub is down.", "again"),
        (Served(VERSION, None), State.OK, "runner 2.335.1; GitHub has set no end", None),
        (Served(VERSION, END), State.OK, "GitHub gives it jobs until 2026-09-24 15:30 UTC", None),
        (
            Ending(VERSION, END, timedelta(days=5, hours=23)),
            State.WARNING,
            "no jobs from 2026-09-24 15:30 UTC on (5 days left)",
            r"make image-runner RUNNER_VERSION=…",
        ),
        (Ending(VERSION, END, timedelta(days=1)), State.WARNING, "(1 day left)", "RUNNER_VERSION"),
        (Ending(VERSION, END, MOMENT), State.WARNING, "(0 days left)", "RUNNER_VERSION"),
        (
            Ended(VERSION, END),
            State.FAILED,
            "no jobs since 2026-09-24 15:30 UTC",
            r"make image-runner RUNNER_VERSION=…",
        ),
    ],
)
def test_each_is_said_in_a_sentence_with_what_to_do(
    found: Standing, state: State, message: str, mend: str | None
) -> None:
    said = finding("my-image:1", found)
    assert (said.check, said.state) == ("runner version", state)
    assert said.message.startswith("my-image:1 ")
    assert message in said.message
    if mend is None:
        assert said.mend is None
    else:
        assert re.search(mend, said.mend or "")
