"""What a failed pull means, read from status codes. The engine's own words are passed on to people, never read."""

from dataclasses import dataclass

from chaser.errors import Refused, Unavailable
from chaser.jobs.reason import Reason
from chaser.sandboxes.reference import Reference

RATE_LIMIT_PAUSE = 60.0
FAULT_PAUSE = 30.0


@dataclass(frozen=True, slots=True)
class Failure:
    """A pull that the engine gave up."""

    reference: Reference
    logged_in: bool
    words: str
    """A sentence with what the engine said."""


def of_status(failure: Failure, status: int) -> Refused | Unavailable:
    """The registry's answer for this image, by its HTTP status."""
    image, host = failure.reference, failure.reference.registry
    match status:
        case 400:
            return Refused(Reason.IMAGE_UNUSABLE, _UNUSABLE.format(image, failure.words))
        case 401:
            message = _WRONG_LOGIN if failure.logged_in else _NO_LOGIN
            return Refused(Reason.REGISTRY_UNAUTHORIZED, message.format(host, image))
        case 403:
            return Refused(Reason.IMAGE_FORBIDDEN, _FORBIDDEN.format(host, image))
        case 404:
            return Refused(Reason.IMAGE_NOT_FOUND, _NOT_FOUND.format(host, image))
        case 429:
            message = _RATE_LIMITED.format(host)
            return Unavailable(Reason.REGISTRY_UNAVAILABLE, message, retry_after=RATE_LIMIT_PAUSE)
        case _:
            return unexplained(failure)


def unexplained(failure: Failure) -> Unavailable:
    """No code tells the cause, so that nothing final can be said."""
    message = _UNEXPLAINED.format(failure.reference, failure.reference.registry, failure.words)
    return Unavailable(Reason.REGISTRY_UNAVAILABLE, message, retry_after=FAULT_PAUSE)


def wrong_platform(failure: Failure, wanted: str, offered: list[str]) -> Refused:
    message = _OTHER_PLATFORM.format(failure.reference, ", ".join(sorted(offered)), wanted)
    return Refused(Reason.IMAGE_UNUSABLE, message)


_UNUSABLE = (
    "The engine cannot use {}: its manifest is damaged or of a kind that this engine does not know. {}"
)
_WRONG_LOGIN = "The registry {} refuses the login that this service has for {}; renew it in [registries]."
_NO_LOGIN = "The registry {} wants a login for {}; configure it in [registries], or use docker login as the service's user."
_FORBIDDEN = "The registry {} refuses {} to this service; check its name, and the rights of the login in use."
_NOT_FOUND = "The registry {} has no image {}; check its name and tag."
_RATE_LIMITED = (
    "The registry {} limits the rate of pulls; wait, or configure a login or a mirror in [registries]."
)
_UNEXPLAINED = (
    "{} could not be pulled from {}; try again, and look at the engine's log and free disk space. {}"
)
_OTHER_PLATFORM = "{} exists for {}, not for this engine's {}; use an image built for it."
