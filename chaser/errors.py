"""The exceptions of Chaser.

Two questions decide what happens next: whose fault is it, and does trying again help? The class answers both.

    ChaserError
    ├── ConfigError     the operator's: every fault of the configuration at once, before anything starts
    ├── Rejected        the caller's: a 4xx with a stable code; it has had no effect
    ├── Unavailable     nobody's: try again later (a 503, or back to the queue)
    └── Refused         final: the job ends with this reason

Expected ends of a job are values (`chaser.sandboxes.ending`), not exceptions. An adapter translates its
library's errors at its own edge, by type or code and never by text, and keeps the cause.
"""

from collections.abc import Mapping
from dataclasses import dataclass

from chaser.jobs.reason import Reason


class ChaserError(Exception):
    """Something went wrong that Chaser has a name for."""


class ConfigError(ChaserError):
    """The configuration cannot be used; `faults` names every key and what is wrong with it."""

    def __init__(self, faults: tuple[str, ...]) -> None:
        super().__init__(
            "The configuration cannot be used:\n" + "\n".join(f"  - {fault}" for fault in faults)
        )
        self.faults = faults


@dataclass(frozen=True, slots=True)
class FieldFault:
    """One fault of a request: where (a JSON pointer, RFC 6901) and why."""

    pointer: str
    reason: str


class Rejected(ChaserError):
    """The request is the caller's to mend. `status` is the HTTP status, `code` is stable, `message` says what to do."""

    def __init__(
        self,
        status: int,
        code: str,
        message: str,
        *,
        fields: tuple[FieldFault, ...] = (),
        details: Mapping[str, object] | None = None,
        retry_after: float | None = None,
    ) -> None:
        super().__init__(message)
        self.status = status
        self.code = code
        self.message = message
        self.fields = fields
        self.details = dict(details or {})
        self.retry_after = retry_after


class Unavailable(ChaserError):
    """A part that Chaser needs does not answer now. Trying again later may help; `retry_after` is in seconds."""

    def __init__(
        self, reason: Reason, message: str, *, retry_after: float | None = None, job: str | None = None
    ) -> None:
        super().__init__(message)
        self.reason = reason
        self.message = message
        self.retry_after = retry_after
        self.job = job


class Refused(ChaserError):
    """This job cannot be done, now or later; it ends as failed with `reason`."""

    def __init__(self, reason: Reason, message: str) -> None:
        super().__init__(message)
        self.reason = reason
        self.message = message
