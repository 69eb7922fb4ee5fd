"""Whether GitHub still gives jobs to the runner program that an image has.

GitHub takes each release of the runner out of service some weeks after a newer one has come. An older runner starts, and
waits for ever for a job. It cannot help itself: what it updates goes with its sandbox, so the image has to be renewed.
https://docs.github.com/en/actions/reference/runners/self-hosted-runners
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Final, Protocol, assert_never

from chaser.findings import Finding, failed, ok, warning
from chaser.runners.registration import Owner

LABEL: Final = "chaser.runner.version"
"""The label by which an image says which runner it has; images on top of it inherit it."""

NOTICE: Final = timedelta(days=7)
"""How long before the end the warning begins."""

_CHECK: Final = "runner version"
_VERSION: Final = re.compile(r"\d+\.\d+\.\d+", re.ASCII)
_RENEW: Final = (
    "Build the image with the newest runner: make image-runner RUNNER_VERSION=… RUNNER_DIGEST=… "
    "(https://github.com/actions/runner/releases), and build again what is on top of it."
)
_SAY: Final = (
    f"Build it with make image-runner or on top of such an image, or give it the label {LABEL} yourself."
)
_COMPARE: Final = (
    "Look for it at https://github.com/actions/runner/releases. If there is no such release, the label "
    f"{LABEL} is wrong: build the image again."
)


@dataclass(frozen=True, slots=True)
class Schedule:
    """Until when GitHub serves a version of the runner; none: it has set no end, as for the newest ones."""

    runtime_ends_at: datetime | None
    """From then on such a runner gets no job."""
    registration_ends_at: datetime | None
    """From then on such a runner cannot come online as a new one."""

    @property
    def ends_at(self) -> datetime | None:
        """The earlier of the two: a single-use runner comes online as a new one each time."""
        return min(
            (end for end in (self.runtime_ends_at, self.registration_ends_at) if end is not None),
            default=None,
        )


class Schedules(Protocol):
    async def find(self, owner: Owner, version: str) -> Schedule | None:
        """None: this GitHub has no schedule for such a version.

        Raises `Refused(github_refused)` or `Unavailable(github_unavailable)` with what a person can do.
        """
        ...


@dataclass(frozen=True, slots=True)
class Unknown:
    """The image does not say which runner it has. `said` is its label, where that is no version."""

    said: str | None


@dataclass(frozen=True, slots=True)
class Unlisted:
    """GitHub has no schedule for this version."""

    version: str


@dataclass(frozen=True, slots=True)
class Unasked:
    """GitHub could not be asked, `why` being its own or the network's words. That is no reason to start no runners."""

    version: str
    why: str


@dataclass(frozen=True, slots=True)
class Served:
    """GitHub gives it jobs, until then or, with none, until further notice."""

    version: str
    until: datetime | None


@dataclass(frozen=True, slots=True)
class Ending:
    """GitHub gives it jobs, and not for much longer."""

    version: str
    ends_at: datetime
    left: timedelta


@dataclass(frozen=True, slots=True)
class Ended:
    """GitHub gives it no jobs any more: no runner of this image may be started."""

    version: str
    ended_at: datetime


Standing = Unknown | Unlisted | Unasked | Served | Ending | Ended


def version_of(labels: Mapping[str, str]) -> str | Unknown:
    """The version of the runner that an image with these labels has; never a guess."""
    said = labels.get(LABEL)
    return said if said is not None and _VERSION.fullmatch(said) else Unknown(said)


def standing(version: str | Unknown, schedule: Schedule | None, now: datetime) -> Standing:
    """`schedule` is what `Schedules.find` said of the version, which nobody can ask for an unknown one."""
    if isinstance(version, Unknown):
        return version
    if schedule is None:
        return Unlisted(version)
    end = schedule.ends_at
    if end is None or end - now > NOTICE:
        return Served(version, end)
    return Ending(version, end, end - now) if end > now else Ended(version, end)


def finding(image: str, standing: Standing) -> Finding:
    """Failed where no runner may be started; a warning where somebody has to look."""
    match standing:
        case Unknown(said):
            message = (
                f"{image} does not say which runner it has, so nobody can tell how long GitHub gives it jobs"
            )
            if said is not None:
                message = f"{image} says {LABEL}={said[:40]!r}, which is no version such as 2.338.0"
            return warning(_CHECK, message, _SAY)
        case Unlisted(version):
            message = (
                f"{image} has runner {version}, for which this GitHub has no schedule: there is no such release, "
                "or it is an Enterprise Server, which sets no ends"
            )
            return warning(_CHECK, message, _COMPARE)
        case Unasked(version, why):
            message = (
                f"{image} has runner {version}, and how long GitHub gives it jobs could not be asked: {why}"
            )
            return warning(_CHECK, message, "It is asked again by itself.")
        case Served(version, until):
            end = (
                "has set no end to its service" if until is None else f"gives it jobs until {_moment(until)}"
            )
            return ok(_CHECK, f"{image} has runner {version}; GitHub {end}")
        case Ending(version, ends_at, left):
            days = "1 day" if left.days == 1 else f"{left.days} days"
            message = f"{image} has runner {version}; GitHub gives it no jobs from {_moment(ends_at)} on ({days} left)"
            return warning(_CHECK, message, _RENEW)
        case Ended(version, ended_at):
            message = f"{image} has runner {version}; GitHub has given it no jobs since {_moment(ended_at)}"
            return failed(_CHECK, message, _RENEW)
        case _:
            assert_never(standing)


def _moment(at: datetime) -> str:
    return f"{at.astimezone(UTC):%Y-%m-%d %H:%M} UTC"
