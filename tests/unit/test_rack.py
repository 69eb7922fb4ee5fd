"""What is kept ready of a shape of sandbox: how many, for whom, for how long, and when another try is worth it."""

from dataclasses import dataclass, replace

import pytest

from chaser.clock import ManualClock
from chaser.ids import SandboxId, WorkspaceId
from chaser.sandboxes.capture import Capture
from chaser.sandboxes.engine import ContainerId
from chaser.sandboxes.launcher import Prepared
from chaser.sandboxes.rack import AWAY, LOOK, UNUSABLE, Key, Rack, Waiting, key_of, wanted
from chaser.sandboxes.spec import Isolation, Network, PullPolicy, WorkspaceMode, WorkspaceUse
from tests.engines import IMAGE, SPEC
from tests.works import PROFILE

OTHER_IMAGE = replace(IMAGE, id="sha256:other")
HOUR = 3600.0


class NoChannel:
    async def send(self, message: bytes) -> None: ...

    def close(self) -> None: ...


@dataclass
class Shelf:
    """A rack, and a clock that the test moves."""

    rack: Rack
    now: float = 0.0
    made: int = 0

    def fill(self) -> None:
        """As the pool does, as far as the rack asks for it."""
        while self.rack.lacks(self.now):
            self.made += 1
            name = str(self.made)
            prepared = Prepared(SandboxId(name), ContainerId(name), NoChannel(), Capture(ManualClock()))
            self.rack.put(Waiting(prepared, self.key, self.now))

    @property
    def key(self) -> Key:
        key = key_of(SPEC, IMAGE, "none")
        assert key is not None
        return key

    @property
    def ready(self) -> list[str]:
        return [each.prepared.id for each in self.rack.ready]


def shelf(count: int = 2) -> Shelf:
    made = Shelf(Rack(SPEC, count))
    made.rack.renew(made.key, 0.0)
    return made


def test_profiles_say_how_many_of_which_shape() -> None:
    plain = replace(PROFILE, min_warm=2, runner_min_warm=1)
    alike = replace(plain, name="alike", runner_isolation=plain.isolation)

    assert wanted([plain, alike, PROFILE]) == {plain.usual: 2, plain.runner: 1, alike.usual: 3}


def test_as_many_are_asked_for_as_are_wanted() -> None:
    racked = shelf()

    racked.fill()

    assert racked.ready == ["1", "2"]


def test_each_is_given_away_once_the_oldest_first() -> None:
    racked = shelf()
    racked.fill()

    taken = [racked.rack.take(racked.key) for _ in range(3)]

    assert [each and each.prepared.id for each in taken] == ["1", "2", None]
    assert racked.rack.lacks(0.0)


@pytest.mark.parametrize(
    "changes",
    [
        {"profile": "other"},
        {"isolation": Isolation.STRICT},
        {"user": "1000"},
        {"limits": replace(SPEC.limits, memory_bytes=1 << 26)},
        {"network": Network.INTERNET},
        {"runtime": "runsc"},
    ],
    ids=lambda changes: next(iter(changes)),
)
def test_one_that_was_made_otherwise_serves_nobody(changes: dict[str, object]) -> None:
    racked = shelf()
    racked.fill()
    spec = replace(SPEC, **changes)  # pyright: ignore[reportArgumentType]
    key = key_of(spec, IMAGE, "bridge" if spec.network is Network.INTERNET else "none")
    assert key is not None

    assert not racked.rack.serves(spec, key)
    assert racked.rack.take(key) is None


def test_the_same_image_by_another_name_is_served_too() -> None:
    spec = replace(SPEC, image="another-name:1", pull=PullPolicy.ALWAYS)
    racked = shelf()
    racked.fill()
    key = key_of(spec, IMAGE, "none")
    assert key is not None

    assert racked.rack.serves(spec, key)
    assert racked.rack.take(key) is not None


@pytest.mark.parametrize(
    "changes",
    [{"workspace": WorkspaceUse(WorkspaceId("wsp_1"), WorkspaceMode.COPY)}, {"scratch": True}],
    ids=["workspace", "scratch"],
)
def test_nothing_that_needs_a_volume_can_be_made_ahead(changes: dict[str, object]) -> None:
    assert key_of(replace(SPEC, **changes), IMAGE, "none") is None  # pyright: ignore[reportArgumentType]


def test_a_new_image_replaces_all_of_the_old() -> None:
    racked = shelf()
    racked.fill()
    key = replace(racked.key, image_id=OTHER_IMAGE.id)

    assert racked.rack.serves(SPEC, key), "for its jobs it is kept, though it has none for them now"
    assert racked.rack.take(key) is None
    assert len(racked.rack.renew(key, 1.0)) == 2
    assert racked.ready == []
    assert racked.rack.lacks(1.0)


def test_one_that_is_an_hour_old_is_replaced() -> None:
    racked = shelf(1)
    racked.fill()
    racked.now = HOUR - 1

    assert racked.rack.renew(racked.key, racked.now) == []
    assert racked.rack.rest(racked.now) == 1.0

    racked.now = HOUR
    assert [each.prepared.id for each in racked.rack.renew(racked.key, racked.now)] == ["1"]
    racked.fill()
    assert racked.ready == ["2"]


def test_when_all_is_well_there_is_a_look_now_and_then() -> None:
    racked = shelf()
    racked.fill()

    assert racked.rack.rest(0.0) == LOOK.total_seconds()


def test_what_cannot_be_made_is_tried_ever_more_rarely() -> None:
    racked = shelf()
    pauses: list[float] = []

    for _ in range(12):
        racked.rack.failed(racked.now, UNUSABLE)
        pause = next(s for s in range(1, 400) if racked.rack.lacks(racked.now + s))
        pauses.append(pause)
        racked.now += pause

    assert pauses == [1, 2, 4, 8, 16, 32, 64, 128, 256, 300, 300, 300]


def test_an_engine_that_comes_back_is_not_waited_for_long() -> None:
    racked = shelf()
    for _ in range(20):
        racked.rack.failed(0.0, AWAY)

    assert not racked.rack.lacks(29.9)
    assert racked.rack.lacks(30.0)
    assert racked.rack.rest(0.0) == LOOK.total_seconds()
    assert racked.rack.rest(25.0) == 5.0


def test_a_new_image_is_tried_at_once() -> None:
    racked = shelf()
    for _ in range(9):
        racked.rack.failed(0.0, UNUSABLE)

    racked.rack.renew(replace(racked.key, image_id=OTHER_IMAGE.id), 1.0)

    assert racked.rack.lacks(1.0)


def test_what_has_been_ready_for_a_while_wipes_out_earlier_failures() -> None:
    racked = shelf()
    for _ in range(5):
        racked.rack.failed(0.0, AWAY)
    racked.now = 30.0
    racked.fill()

    racked.rack.renew(racked.key, 90.0)
    racked.rack.drop(SandboxId("1"))
    racked.rack.failed(90.0, AWAY)

    assert racked.rack.lacks(91.0)


def test_without_room_it_waits_for_the_next_look() -> None:
    racked = shelf()

    racked.rack.postpone(0.0)

    assert not racked.rack.lacks(0.0)
    assert racked.rack.rest(0.0) == LOOK.total_seconds()
    assert racked.rack.lacks(LOOK.total_seconds())
