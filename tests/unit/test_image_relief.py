"""Which images may go, of an engine that others use as well."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta

import pytest

from chaser.clock import ManualClock
from chaser.errors import Unavailable
from chaser.jobs.reason import Reason
from chaser.sandboxes.engine import EngineInfo, Image
from chaser.sandboxes.image_relief import RESTING, ImageRelief
from chaser.sandboxes.pulled_images import NOTED_EVERY, PulledImage, PulledImages
from chaser.sandboxes.reference import Reference, parse_reference
from tests.rows import ENGINE

MINUTE = timedelta(minutes=1)
OURS = "docker.io/library/debian:12"
OTHER = "docker.io/library/alpine:3"
KEPT = "docker.io/library/profile:1"


def image(id: str, digest: str | None = None) -> Image:
    return Image(id, digest, "", frozenset(), "")


@dataclass
class Machine:
    """An engine: what its names stand for, and which images containers use."""

    names: dict[str, str] = field(default_factory=dict[str, str])
    used: set[str] = field(default_factory=set[str])
    local: bool = True

    async def info(self) -> EngineInfo:
        return EngineInfo(
            id=ENGINE,
            version="",
            runtimes=frozenset(),
            default_runtime="",
            storage_driver="",
            cgroup_version="2",
            root_dir="/engine",
            architecture="",
            rootless=False,
            local=self.local,
            nofile_ceiling=None,
        )

    async def image(self, reference: str) -> Image | None:
        return None if reference not in self.names else image(self.names[reference])

    async def in_use(self) -> frozenset[str]:
        return frozenset(self.used)

    async def remove(self, name: str) -> bool:
        named = self.names.get(name)
        if named in self.used and list(self.names.values()).count(named) == 1:
            return False
        self.names.pop(name, None)
        return True


@dataclass
class Rows:
    kept: dict[tuple[str, str], PulledImage] = field(default_factory=dict[tuple[str, str], PulledImage])
    written: int = 0
    away: bool = False

    async def get(self, engine_id: str, reference: str) -> PulledImage | None:
        return self.kept.get((engine_id, reference))

    async def add(self, pulled: PulledImage) -> None:
        if self.away:
            raise Unavailable(Reason.STORE_UNAVAILABLE, "The store is away, as the test wants it.")
        self.kept[pulled.engine_id, pulled.reference] = pulled

    async def used(self, engine_id: str, reference: str, at: datetime) -> None:
        self.written += 1
        known = self.kept.get((engine_id, reference))
        if known is not None:
            self.kept[engine_id, reference] = PulledImage(
                engine_id, reference, known.image_id, known.names, at
            )

    async def least_used(self, engine_id: str, before: datetime) -> Sequence[PulledImage]:
        mine = [each for each in self.kept.values() if each.engine_id == engine_id and each.used_at < before]
        return sorted(mine, key=lambda each: each.used_at)

    async def forget(self, engine_id: str, reference: str) -> None:
        self.kept.pop((engine_id, reference), None)


@dataclass
class House:
    clock: ManualClock
    machine: Machine
    rows: Rows

    async def pulled(self, name: str, *names: str, id: str | None = None) -> None:
        """Pulled by the service, and needed last, now."""
        for each in names or (name,):
            self.machine.names[each] = id or f"id of {name}"
        after = image(id or f"id of {name}")
        await self.notes.pulled(reference(name), None, after, names or (name,))
        self.clock.advance(MINUTE)

    @property
    def notes(self) -> PulledImages:
        return PulledImages(self.rows, self.machine, self.clock)

    async def relieved(self, enough: Callable[[], bool] = lambda: False) -> Mapping[str, str]:
        """What the engine has afterwards, long after all that was needed."""
        self.clock.advance(RESTING)
        await ImageRelief(self.machine, self.machine, self.rows, self.clock, [KEPT]).relieve(enough)
        return self.machine.names


def reference(name: str) -> Reference:
    parsed = parse_reference(name)
    assert parsed is not None
    return parsed


@pytest.fixture
def house(clock: ManualClock) -> House:
    return House(clock, Machine(), Rows())


async def test_what_was_on_the_engine_before_is_never_removed(house: House) -> None:
    """Somebody has put it there, who need not have a container of it now."""
    house.machine.names[OTHER] = "theirs"
    await house.pulled(OURS)

    assert await house.relieved() == {OTHER: "theirs"}


async def test_the_one_needed_longest_ago_goes_first_and_no_more_than_is_enough(house: House) -> None:
    names = [f"docker.io/library/i:{n}" for n in range(4)]
    for name in names:
        await house.pulled(name)
    await house.notes.used(reference(names[0]))

    left = await house.relieved(lambda: len(house.machine.names) == 2)

    assert set(left) == {names[0], names[3]}


async def test_one_that_a_profile_names_stays(house: House) -> None:
    await house.pulled(KEPT)
    assert set(await house.relieved()) == {KEPT}


async def test_one_that_any_container_uses_stays_and_is_looked_at_again(house: House) -> None:
    """Running or ended, of this service or of somebody else."""
    await house.pulled(OURS)
    house.machine.used.add(house.machine.names[OURS])
    assert set(await house.relieved()) == {OURS}

    house.machine.used.clear()
    assert await house.relieved() == {}


async def test_one_that_was_needed_a_moment_ago_stays(house: House) -> None:
    """It may be about to become a sandbox: between a look at the image and its container lies a while."""
    await house.pulled(OURS)
    house.clock.advance(RESTING - 2 * MINUTE)

    await ImageRelief(house.machine, house.machine, house.rows, house.clock, []).relieve(lambda: False)

    assert set(house.machine.names) == {OURS}


async def test_a_name_that_somebody_else_gave_keeps_the_image(house: House) -> None:
    await house.pulled(OURS)
    house.machine.names["mine:1"] = house.machine.names[OURS]

    assert set(await house.relieved()) == {"mine:1"}


async def test_one_that_somebody_else_has_replaced_since_is_theirs_from_then_on(house: House) -> None:
    await house.pulled(OURS)
    house.machine.names[OURS] = "another"

    assert await house.relieved() == {OURS: "another"}
    assert house.rows.kept == {}


async def test_one_that_came_by_a_mirror_goes_with_both_its_names(house: House) -> None:
    await house.pulled(OURS, OURS, "mirror.example/library/debian:12")
    assert await house.relieved() == {}


async def test_one_that_is_gone_is_forgotten(house: House) -> None:
    await house.pulled(OURS)
    house.machine.names.clear()

    await house.relieved()

    assert house.rows.kept == {}


async def test_what_was_there_before_a_pull_stays_somebody_elses(house: House) -> None:
    """`pull: always` fetches it again; that does not make it ours."""
    house.machine.names[OURS] = "new"
    await house.notes.pulled(reference(OURS), image("old"), image("new"), [OURS])

    assert await house.relieved() == {OURS: "new"}


async def test_what_a_later_pull_of_ours_has_replaced_goes_too(house: House) -> None:
    await house.pulled(OURS, id="old")
    digest = "sha256:" + "0" * 64
    left = f"docker.io/library/debian@{digest}"
    house.machine.names |= {OURS: "new", left: "old"}
    await house.notes.pulled(reference(OURS), image("old", digest), image("new"), [OURS])

    assert await house.relieved(lambda: left not in house.machine.names) == {OURS: "new"}
    assert await house.relieved() == {}


async def test_a_remote_engines_disk_is_not_this_machines(house: House) -> None:
    relief = ImageRelief(house.machine, house.machine, house.rows, house.clock, [])
    assert [str(place) for place in await relief.places()] == ["/engine"]

    house.machine.local = False
    assert await relief.places() == []


async def test_that_an_image_is_needed_is_written_once_a_minute(house: House) -> None:
    notes = house.notes
    for _ in range(3):
        await notes.used(reference(OURS))
    assert house.rows.written == 1

    house.clock.advance(NOTED_EVERY)
    await notes.used(reference(OURS))
    assert house.rows.written == 2


async def test_a_store_that_is_away_costs_no_run(house: House) -> None:
    """What could not be noted is an image that stays."""
    house.rows.away = True
    await house.pulled(OURS)
    house.rows.away = False

    assert set(await house.relieved()) == {OURS}
