"""What this process has seen of runners: since when each thing has been so. A suspicion is begun anew after a restart."""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime, timedelta

from chaser.clock import Clock
from chaser.ids import JobId
from chaser.runners.demand import State
from chaser.runners.fates import Since
from chaser.runners.registration import Registration
from chaser.runners.wards import Ward

Key = tuple[JobId, int]


@dataclass(slots=True)
class _Sight:
    """On the monotonic clock."""

    registered: float
    listening: float | None = None
    served: float | None = None
    looked: float = 0.0
    """When a list was read last."""
    unknown: float | None = None
    offline: float | None = None
    left_until: float = float("-inf")


class Sights:
    """The wall clock counts at the first sight alone: it may be set, and how long something has been so would change."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._seen: dict[Key, _Sight] = {}

    def recall(self, wards: Iterable[Ward]) -> None:
        """These are all that there are now."""
        self._seen = {key_of(ward): self._recalled(ward) for ward in wards}

    def _recalled(self, ward: Ward) -> _Sight:
        row = ward.row
        sight = self._seen.get(key_of(ward)) or _Sight(self._moment(row.minted_at or row.begun_at))
        if sight.listening is None and row.online_at is not None:
            sight.listening = self._moment(row.online_at)
        if ward.serves is not State.DONE or ward.served_at is None:
            sight.served = None
        elif sight.served is None:
            sight.served = self._moment(ward.served_at)
        return sight

    def knows(self, ward: Ward) -> bool:
        return key_of(ward) in self._seen

    def saw(self, ward: Ward, shown: Registration | None) -> None:
        """What a list of GitHub's has of it."""
        sight, now = self._seen[key_of(ward)], self._clock.monotonic()
        sight.looked = now
        sight.unknown = None if shown is not None else now if sight.unknown is None else sight.unknown
        offline = shown is not None and not shown.online and sight.listening is not None
        sight.offline = None if not offline else now if sight.offline is None else sight.offline
        if shown is not None and shown.online and sight.listening is None:
            sight.listening = now

    def since(self, ward: Ward) -> Since:
        """What lists show has been so from the first look that showed it to the last one, and not until now."""
        sight, now = self._seen[key_of(ward)], self._clock.monotonic()
        return Since(
            registered=timedelta(seconds=now - sight.registered),
            listening=_span(sight.listening, now),
            served=_span(sight.served, now),
            unknown=_span(sight.unknown, sight.looked),
            offline=_span(sight.offline, sight.looked),
        )

    def leave(self, ward: Ward, pause: timedelta) -> None:
        """Nothing is to be asked about it for so long."""
        self._seen[key_of(ward)].left_until = self._clock.monotonic() + pause.total_seconds()

    def left(self, ward: Ward) -> bool:
        return self._clock.monotonic() < self._seen[key_of(ward)].left_until

    def _moment(self, at: datetime) -> float:
        ago = max(timedelta(), self._clock.now() - at)
        return self._clock.monotonic() - ago.total_seconds()


def _span(begin: float | None, end: float) -> timedelta | None:
    return None if begin is None else timedelta(seconds=end - begin)


def key_of(ward: Ward) -> Key:
    return ward.row.job_id, ward.row.attempt
