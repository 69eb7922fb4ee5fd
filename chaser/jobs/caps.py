"""What may not start now, since as many of it run as may. Pure."""

from collections import Counter
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, field
from typing import TypeVar

from chaser.ids import KeyId
from chaser.jobs.job import Job
from chaser.jobs.ports import Full

T = TypeVar("T", bound=str)


@dataclass(frozen=True, slots=True)
class Share:
    """What a running job counts against."""

    key_id: KeyId | None
    profile: str | None
    lane: str | None
    tenant: str | None
    key_cap: int | None = None
    """How many jobs its key may have running; none: as many as there are slots, or it is not known yet."""

    @staticmethod
    def of(job: Job) -> "Share":
        return Share(job.key_id, job.profile, job.lane, job.tenant)


@dataclass(frozen=True, slots=True)
class Caps:
    """How many jobs may run at once in this process. Keys have theirs with them."""

    profiles: Mapping[str, int] = field(default_factory=dict[str, int])
    """Those that may not fill every slot."""
    lane: int | None = None
    """Of each lane."""
    tenant: int | None = None
    """Of all lanes of one tenant."""

    @property
    def one_by_one(self) -> bool:
        """Whether any job that starts may make something full."""
        return bool(self.profiles) or self.lane is not None or self.tenant is not None

    def full(self, running: Collection[Share], *, slots: bool) -> Full:
        """`slots`: whether all of them are taken."""
        # A key's cap is learned from its job, so of two the one that knows counts.
        keys = {each.key_id: each.key_cap for each in running if each.key_id and each.key_cap is not None}
        return Full(
            keys=frozenset(_full((each.key_id for each in running), keys)),
            profiles=frozenset(_full((each.profile for each in running), self.profiles)),
            lanes=frozenset(_full((each.lane for each in running), self.lane)),
            tenants=frozenset(_full((each.tenant for each in running), self.tenant)),
            slots=slots,
        )


def _full(running: Iterable[T | None], caps: Mapping[T, int] | int | None) -> Iterable[T]:
    """Those of which as many run as may; `caps` of a number: it is each one's."""
    if caps is None:
        return
    for name, count in Counter(each for each in running if each is not None).items():
        cap = caps if isinstance(caps, int) else caps.get(name)
        if cap is not None and count >= cap:
            yield name
