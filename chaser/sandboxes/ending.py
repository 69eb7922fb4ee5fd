"""How a launch ends: values, matched exhaustively by whoever makes a verdict of them."""

from dataclasses import dataclass
from datetime import datetime

from chaser.jobs.reason import Reason


@dataclass(frozen=True, slots=True)
class StepRun:
    """One step that has begun. `exit_code` is none until it ends, and where it never told."""

    began_at: datetime
    ended_at: datetime | None = None
    exit_code: int | None = None
    oom_kills: int = 0
    """How many processes the kernel killed for want of memory while this step ran."""
    timed_out: bool = False
    """Chaser ended it because its own time was over; the launch went on."""


@dataclass(frozen=True, slots=True)
class Exited:
    """The last step ended by itself. `oom_kills` is how many processes the kernel killed for want of memory."""

    exit_code: int
    oom_kills: int = 0
    steps: tuple[StepRun, ...] = ()
    """The steps that have begun, in order; so for each kind of ending."""


@dataclass(frozen=True, slots=True)
class Stopped:
    """Chaser ended it, for this reason: a timeout, a limit, a cancel. Nothing of it is left."""

    reason: Reason
    message: str
    steps: tuple[StepRun, ...] = ()


@dataclass(frozen=True, slots=True)
class Vanished:
    """The sandbox ended without telling how: killed from outside, or gone with its engine."""

    message: str
    steps: tuple[StepRun, ...] = ()


@dataclass(frozen=True, slots=True)
class NotBegun:
    """Nothing of the launch has run: the hand-over was cut off, or the shell never took it. It may be tried again."""

    message: str


Ending = Exited | Stopped | Vanished
