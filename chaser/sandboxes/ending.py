"""How a launch ends: values, matched exhaustively by whoever makes a verdict of them."""

from dataclasses import dataclass

from chaser.jobs.reason import Reason


@dataclass(frozen=True, slots=True)
class Exited:
    """The last step ended by itself. `oom_kills` is how many processes the kernel killed for want of memory."""

    exit_code: int
    oom_kills: int = 0


@dataclass(frozen=True, slots=True)
class Stopped:
    """Chaser ended it, for this reason: a timeout, a limit, a cancel. Nothing of it is left."""

    reason: Reason
    message: str


@dataclass(frozen=True, slots=True)
class Vanished:
    """The sandbox ended without telling how: killed from outside, or gone with its engine."""

    message: str


@dataclass(frozen=True, slots=True)
class NotBegun:
    """Nothing of the launch has run: the hand-over was cut off, or the shell never took it. It may be tried again."""

    message: str


Ending = Exited | Stopped | Vanished
