"""What is kept ready of one shape of sandbox, and what is to be done about it. It is told the time, and waits for nothing."""

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import timedelta
from typing import Final

from chaser.ids import SandboxId
from chaser.sandboxes.engine import Image
from chaser.sandboxes.launcher import Prepared
from chaser.sandboxes.spec import Isolation, Limits, Profile, PullPolicy, SandboxSpec

OLDEST: Final = timedelta(hours=1)
"""Then a ready sandbox is made anew."""
LOOK: Final = timedelta(seconds=10)
"""How often it is looked whether the image is still the same, and whether there is room: nothing tells of either."""
SETTLED: Final = timedelta(minutes=1)
"""What has been ready for so long shows that its shape can be had."""

FIRST_PAUSE: Final = timedelta(seconds=1)
AWAY: Final = timedelta(seconds=30)
"""The longest pause after what passes by itself: an engine that is away, a start that was too slow."""
UNUSABLE: Final = timedelta(minutes=5)
"""The longest pause after what somebody has to mend: an image without a shell, say."""


@dataclass(frozen=True, slots=True)
class Key:
    """All that is fixed when a sandbox is made. One that was made ahead serves only a job that needs just this."""

    image_id: str
    """By its content, whatever its name."""
    profile: str
    isolation: Isolation
    user: str | None
    limits: Limits
    network: str
    """As the engine names it."""
    runtime: str | None


def key_of(spec: SandboxSpec, image: Image, network: str) -> Key | None:
    """None: it needs a volume, which nothing has that was made ahead."""
    if spec.workspace is not None or spec.scratch:
        return None
    return Key(image.id, spec.profile, spec.isolation, spec.user, spec.limits, network, spec.runtime)


def wanted(profiles: Iterable[Profile]) -> Mapping[SandboxSpec, int]:
    """How many are to be ready of each shape."""
    counts = Counter[SandboxSpec]()
    for profile in profiles:
        counts[profile.usual] += profile.min_warm
        counts[profile.runner] += profile.runner_min_warm
    return {spec: count for spec, count in counts.items() if count}


@dataclass(frozen=True, slots=True)
class Waiting:
    """A sandbox that is ready, and what it was made as."""

    prepared: Prepared
    key: Key
    since: float
    """On the monotonic clock, as every time here."""


class Rack:
    def __init__(self, spec: SandboxSpec, wanted: int, oldest: timedelta = OLDEST) -> None:
        self.spec = spec
        self.wanted = wanted
        self.hits = 0
        self.misses = 0
        """Jobs of this shape that found none ready."""
        self._oldest = oldest.total_seconds()
        self._ready: list[Waiting] = []
        self._key: Key | None = None
        self._failures = 0
        self._not_before = 0.0

    @property
    def ready(self) -> Sequence[Waiting]:
        """The oldest first."""
        return self._ready

    def serves(self, spec: SandboxSpec, key: Key) -> bool:
        """Whether it is kept for jobs that need this; also where their image has changed since."""
        return key == self._key or replace(spec, pull=PullPolicy.MISSING) == self.spec

    def take(self, key: Key) -> Waiting | None:
        """One that was made as `key` says."""
        return self._out(next((each for each in self._ready if each.key == key), None))

    def drop(self, sandbox: SandboxId) -> Waiting | None:
        return self._out(next((each for each in self._ready if each.prepared.id == sandbox), None))

    def clear(self) -> Sequence[Waiting]:
        dropped, self._ready = self._ready, []
        return dropped

    def put(self, made: Waiting) -> None:
        self._ready.append(made)

    def renew(self, key: Key | None, now: float) -> Sequence[Waiting]:
        """From now on they are to be as `key` says: what is otherwise, or too old, is to go."""
        if key != self._key:
            self._key, self._failures, self._not_before = key, 0, 0.0
        if any(now - each.since >= SETTLED.total_seconds() for each in self._ready):
            self._failures = 0
        kept = [each for each in self._ready if each.key == key and now - each.since < self._oldest]
        dropped = [each for each in self._ready if each not in kept]
        self._ready = kept
        return dropped

    def failed(self, now: float, longest: timedelta) -> None:
        """One could not be made, or has died: wait, from time to time for longer."""
        pause = FIRST_PAUSE * 2 ** min(self._failures, 16)
        self._failures += 1
        self._not_before = now + min(longest, pause).total_seconds()

    def postpone(self, now: float) -> None:
        """There is no room for more."""
        self._not_before = now + LOOK.total_seconds()

    def lacks(self, now: float) -> bool:
        """Whether one is to be made now."""
        return len(self._ready) < self.wanted and now >= self._not_before

    def rest(self, now: float) -> float:
        """For how many seconds there is nothing to do, if nothing happens."""
        times = [now + LOOK.total_seconds(), *(each.since + self._oldest for each in self._ready[:1])]
        if len(self._ready) < self.wanted:
            times.append(self._not_before)
        return max(0.0, min(times) - now)

    def _out(self, one: Waiting | None) -> Waiting | None:
        if one is not None:
            self._ready.remove(one)
        return one
