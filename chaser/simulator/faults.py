"""What can go wrong on demand: answers to calls (`Fault`) and deliveries (`Mishap`). Each happens once."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal


@dataclass(frozen=True, slots=True)
class Fault:
    """An answer that the next call to a path with this ending gets, whatever it asks."""

    path_ends: str
    status: int | None
    """0: no answer, until the caller gives up. None: the true answer, only late."""
    body: Mapping[str, object] = field(default_factory=dict[str, object])
    headers: Mapping[str, str] = field(default_factory=dict[str, str])
    after_effect: bool = False
    """Whether the call takes effect, and only its answer is lost."""
    method: str | None = None
    """None: any."""
    delay: float = 0
    """Seconds before the answer."""

    def meets(self, method: str, path: str) -> bool:
        return path.endswith(self.path_ends) and self.method in {None, method}


def secondary_limit(path_ends: str, retry_after: int) -> Fault:
    """https://docs.github.com/en/rest/using-the-rest-api/rate-limits-for-the-rest-api#about-secondary-rate-limits"""
    message = "You have exceeded a secondary rate limit. Please wait a few minutes before you try again."
    return Fault(path_ends, 403, {"message": message}, {"retry-after": str(retry_after)})


@dataclass(frozen=True, slots=True)
class Mishap:
    """What happens to the next delivery of this event and action."""

    kind: Literal["lose", "vanish", "double", "delay", "hold"]
    """`lose`: it fails on its way, and the log of deliveries says so. `vanish`: not even that. `double`: it comes twice
    with the same id. `delay`: it is late by `seconds`. `hold`: it comes after the next one."""
    event: str = "workflow_job"
    action: str | None = None
    """None: any."""
    seconds: float = 0

    def meets(self, event: str, action: object) -> bool:
        return self.event == event and self.action in {None, action}
