"""Images as work of their own, against an engine that keeps state and moves only when a test says so."""

import asyncio
from collections.abc import AsyncGenerator, Sequence
from dataclasses import dataclass, field
from datetime import timedelta

import pytest

from chaser.errors import Refused, Unavailable
from chaser.jobs.reason import Reason
from chaser.sandboxes.engine import Image
from chaser.sandboxes.reference import Reference
from chaser.sandboxes.registry import AllowList, Login, Registries, Registry
from chaser.sandboxes.shelf import ImageShelf, PullDeadlines
from chaser.sandboxes.spec import PullPolicy
from chaser.secret import Secret

DIGEST = "sha256:" + "a1" * 32
DEBIAN = "docker.io/library/debian:12"
PRIVATE = "ghcr.io/acme/tool:1"
FOREVER = timedelta(hours=1)


@dataclass
class Pull:
    """One pull at the engine: the test lets bytes arrive, and ends it."""

    reference: Reference
    login: Login | None
    arrived: asyncio.Queue[Exception | None] = field(default_factory=asyncio.Queue[Exception | None])
    ended: asyncio.Event = field(default_factory=asyncio.Event)

    def bytes_arrive(self) -> None:
        self.arrived.put_nowait(None)


class Done(Exception):
    """The pull has arrived whole."""


@dataclass
class FakeEngine:
    """Images by their full reference, and the pulls that were begun, in order."""

    images: dict[str, Image] = field(default_factory=dict[str, Image])
    pulls: "asyncio.Queue[Pull]" = field(default_factory=asyncio.Queue[Pull])
    begun: int = 0

    async def image(self, reference: str) -> Image | None:
        return self.images.get(reference)

    async def image_ids(self) -> frozenset[str]:
        return frozenset(image.id for image in self.images.values())

    async def pull(self, reference: Reference, login: Login | None) -> AsyncGenerator[None]:
        pull = Pull(reference, login)
        self.begun += 1
        self.pulls.put_nowait(pull)
        try:
            while not isinstance(event := await pull.arrived.get(), Done):
                if event is not None:
                    raise event
                yield
                pull.arrived.task_done()
            self.images[reference.full] = image(reference.full, DIGEST)
        finally:
            pull.ended.set()

    async def tag(self, source: Reference, target: Reference) -> None:
        assert target.digest is None
        self.images[target.full] = self.images[source.full]


@dataclass
class Noted:
    """What the shelf has told to remember."""

    pulled_names: list[tuple[str, str | None, list[str]]] = field(
        default_factory=list[tuple[str, str | None, list[str]]]
    )
    """The reference, the id of what was there before, and the names."""
    needed: list[str] = field(default_factory=list[str])

    async def pulled(
        self, reference: Reference, before: Image | None, after: Image, names: Sequence[str]
    ) -> None:
        self.pulled_names.append((reference.full, None if before is None else before.id, list(names)))

    async def used(self, reference: Reference) -> None:
        self.needed.append(reference.full)


class NoLogins:
    async def find(self, host: str) -> Login | None:
        return None


def image(name: str, digest: str | None) -> Image:
    return Image(f"id of {name}", digest, "", frozenset(), "")


def shelf(
    engine: FakeEngine,
    *configured: Registry,
    allowed: tuple[str, ...] = (),
    whole: timedelta = FOREVER,
    stall: timedelta = FOREVER,
    noted: Noted | None = None,
) -> ImageShelf:
    return ImageShelf(
        engine,
        engine,
        Registries(configured, NoLogins()),
        noted or Noted(),
        allowed=AllowList(allowed),
        deadlines=PullDeadlines(whole, stall),
    )


def asked(
    images: ImageShelf,
    reference: str = "debian:12",
    policy: PullPolicy = PullPolicy.MISSING,
    registries: frozenset[str] | None = None,
) -> asyncio.Task[Image]:
    return asyncio.create_task(images.ensure(reference, policy, registries))


async def reason_of(asking: asyncio.Task[Image]) -> Reason:
    with pytest.raises((Refused, Unavailable)) as caught:
        await asking
    assert isinstance(caught.value, Refused | Unavailable)
    assert caught.value.message.endswith(".")
    return caught.value.reason


async def test_a_present_image_is_not_pulled() -> None:
    engine = FakeEngine({DEBIAN: image(DEBIAN, DIGEST)})

    assert await shelf(engine).ensure("debian:12", PullPolicy.MISSING, None) == engine.images[DEBIAN]
    assert engine.begun == 0


async def test_always_pulls_what_is_present_too() -> None:
    engine = FakeEngine({DEBIAN: image("the one of last week", DIGEST)})
    asking = asked(shelf(engine), policy=PullPolicy.ALWAYS)

    (await engine.pulls.get()).arrived.put_nowait(Done())

    assert await asking == image(DEBIAN, DIGEST)


async def test_never_pulls_nothing_and_says_what_to_do() -> None:
    engine = FakeEngine()

    assert await reason_of(asked(shelf(engine), policy=PullPolicy.NEVER)) is Reason.IMAGE_NOT_FOUND
    assert engine.begun == 0


async def test_those_who_wait_for_one_image_share_one_pull() -> None:
    engine = FakeEngine()
    images = shelf(engine)
    askings = [
        asked(images),
        asked(images, "docker.io/library/debian:12"),
        asked(images, policy=PullPolicy.ALWAYS),
    ]

    (await engine.pulls.get()).arrived.put_nowait(Done())

    assert await asyncio.gather(*askings) == [image(DEBIAN, DIGEST)] * 3
    assert engine.begun == 1


async def test_those_who_share_a_pull_share_its_failure_and_the_next_begins_anew() -> None:
    engine = FakeEngine()
    images = shelf(engine)
    askings = [asked(images), asked(images)]

    (await engine.pulls.get()).arrived.put_nowait(Refused(Reason.IMAGE_NOT_FOUND, "There is none."))
    assert [await reason_of(asking) for asking in askings] == [Reason.IMAGE_NOT_FOUND] * 2

    again = asked(images)
    (await engine.pulls.get()).arrived.put_nowait(Done())
    assert await again == image(DEBIAN, DIGEST)


async def test_one_who_goes_away_does_not_end_the_pull_of_the_others() -> None:
    engine = FakeEngine()
    images = shelf(engine)
    goes, stays = asked(images), asked(images)
    pull = await engine.pulls.get()

    goes.cancel()
    with pytest.raises(asyncio.CancelledError):
        await goes
    assert not pull.ended.is_set()

    pull.arrived.put_nowait(Done())
    assert await stays == image(DEBIAN, DIGEST)


async def test_the_pull_has_ended_when_the_last_who_waited_is_gone() -> None:
    engine = FakeEngine()
    images = shelf(engine)
    askings = [asked(images), asked(images)]
    pull = await engine.pulls.get()

    for asking in askings:
        asking.cancel()
    await asyncio.wait(askings)

    assert pull.ended.is_set()
    assert engine.images == {}


class LeapingLoop(asyncio.SelectorEventLoop):
    """An event loop whose clock leaps ahead when told to."""

    ahead = 0.0

    def time(self) -> float:
        return super().time() + self.ahead


def leap(seconds: float) -> None:
    loop = asyncio.get_running_loop()
    assert isinstance(loop, LeapingLoop)
    loop.ahead += seconds


MINUTE = timedelta(minutes=1)


def test_the_stall_timer_starts_again_when_bytes_arrive_and_ends_a_pull_that_stands_still() -> None:
    async def story() -> None:
        engine = FakeEngine()
        asking = asked(shelf(engine, stall=MINUTE))
        pull = await engine.pulls.get()
        for _ in range(5):
            leap(50)
            pull.bytes_arrive()
            await pull.arrived.join()
        assert not asking.done()

        leap(61)
        with pytest.raises(Refused, match="stood still for 0:01:00") as caught:
            await asking
        assert caught.value.reason is Reason.PULL_TIMEOUT
        assert pull.ended.is_set()

    with asyncio.Runner(loop_factory=LeapingLoop) as runner:
        runner.run(story())


def test_a_pull_that_moves_still_has_a_deadline_in_all() -> None:
    async def story() -> None:
        engine = FakeEngine()
        asking = asked(shelf(engine, stall=MINUTE, whole=2 * MINUTE))
        pull = await engine.pulls.get()
        for _ in range(2):
            leap(50)
            pull.bytes_arrive()
            await pull.arrived.join()

        leap(50)
        with pytest.raises(Refused, match="did not arrive within 0:02:00") as caught:
            await asking
        assert caught.value.reason is Reason.PULL_TIMEOUT
        assert pull.ended.is_set()

    with asyncio.Runner(loop_factory=LeapingLoop) as runner:
        runner.run(story())


async def test_what_is_no_reference_is_not_asked_for() -> None:
    engine = FakeEngine()

    assert await reason_of(asked(shelf(engine), "$(reboot)")) is Reason.IMAGE_NOT_FOUND
    assert engine.begun == 0


async def test_what_is_not_on_the_allow_list_is_refused_even_if_present() -> None:
    engine = FakeEngine({DEBIAN: image(DEBIAN, DIGEST)})

    assert await reason_of(asked(shelf(engine, allowed=("alpine:*",)))) is Reason.IMAGE_FORBIDDEN


@pytest.mark.parametrize("present", [True, False])
async def test_an_image_behind_a_login_serves_only_the_profiles_that_may_use_it(present: bool) -> None:
    engine = FakeEngine({PRIVATE: image(PRIVATE, DIGEST)} if present else {})
    images = shelf(engine, Registry("ghcr.io", username="robot", password=Secret("its")))

    for policy in PullPolicy:
        refused = asked(images, PRIVATE, policy, registries=frozenset({"quay.io"}))
        assert await reason_of(refused) is Reason.IMAGE_FORBIDDEN
    assert engine.begun == 0

    if present:
        assert (
            await images.ensure(PRIVATE, PullPolicy.MISSING, frozenset({"ghcr.io"})) == engine.images[PRIVATE]
        )
        assert await images.ensure(PRIVATE, PullPolicy.MISSING, None) == engine.images[PRIVATE]


async def test_an_image_built_on_the_engine_belongs_to_no_login() -> None:
    engine = FakeEngine({DEBIAN: image(DEBIAN, None)})
    images = shelf(engine, Registry("docker.io", username="robot"))

    assert await images.ensure("debian:12", PullPolicy.MISSING, frozenset()) == engine.images[DEBIAN]


async def test_a_registry_without_login_serves_every_profile() -> None:
    engine = FakeEngine({DEBIAN: image(DEBIAN, DIGEST)})

    assert await shelf(engine).ensure("debian:12", PullPolicy.MISSING, frozenset()) == engine.images[DEBIAN]


async def test_the_login_goes_to_its_own_registry_only() -> None:
    engine = FakeEngine()
    images = shelf(
        engine, Registry("docker.io", username="robot", password=Secret("its"), mirror="mirror.example")
    )
    asking = asked(images)

    at_mirror = await engine.pulls.get()
    assert (at_mirror.reference.registry, at_mirror.login) == ("mirror.example", None)
    at_mirror.arrived.put_nowait(Unavailable(Reason.REGISTRY_UNAVAILABLE, "Down."))

    at_home = await engine.pulls.get()
    assert (at_home.reference.registry, at_home.login) == ("docker.io", Login("robot", Secret("its")))
    at_home.arrived.put_nowait(Done())
    assert await asking == image(DEBIAN, DIGEST)


async def test_what_comes_from_a_mirror_gets_the_name_that_was_asked_for() -> None:
    engine = FakeEngine()
    images = shelf(engine, Registry("docker.io", mirror="mirror.example"))
    asking = asked(images)

    (await engine.pulls.get()).arrived.put_nowait(Done())

    assert await asking == image("mirror.example/library/debian:12", DIGEST)
    assert DEBIAN in engine.images
    assert engine.begun == 1


async def test_a_digest_from_a_mirror_is_found_again_though_it_cannot_be_tagged() -> None:
    engine = FakeEngine()
    images = shelf(engine, Registry("docker.io", mirror="mirror.example"))
    asking = asked(images, f"debian@{DIGEST}")
    (await engine.pulls.get()).arrived.put_nowait(Done())
    pulled = await asking

    assert await images.ensure(f"debian@{DIGEST}", PullPolicy.NEVER, None) == pulled


def test_a_mirror_that_stands_still_does_not_hide_the_registry() -> None:
    async def story() -> None:
        engine = FakeEngine()
        asking = asked(shelf(engine, Registry("docker.io", mirror="mirror.example"), stall=MINUTE))

        await engine.pulls.get()
        leap(61)
        (await engine.pulls.get()).arrived.put_nowait(Done())

        assert await asking == image(DEBIAN, DIGEST)

    with asyncio.Runner(loop_factory=LeapingLoop) as runner:
        runner.run(story())


async def test_an_engine_that_does_not_answer_is_not_asked_twice() -> None:
    engine = FakeEngine()
    asking = asked(shelf(engine, Registry("docker.io", mirror="mirror.example")))

    (await engine.pulls.get()).arrived.put_nowait(Unavailable(Reason.ENGINE_UNAVAILABLE, "It is down."))

    assert await reason_of(asking) is Reason.ENGINE_UNAVAILABLE
    assert engine.begun == 1


async def test_an_image_that_is_gone_again_after_its_pull_is_worth_another_try() -> None:
    engine = FakeEngine()
    asking = asked(shelf(engine))
    pull = await engine.pulls.get()

    pull.reference = Reference("elsewhere.example", "x", "1")
    engine.images = Forgetful()
    pull.arrived.put_nowait(Done())

    assert await reason_of(asking) is Reason.ENGINE_UNAVAILABLE


class Forgetful(dict[str, Image]):
    def get(self, key: str, default: Image | None = None, /) -> Image | None:  # pyright: ignore[reportIncompatibleMethodOverride]
        return None


async def test_what_is_pulled_is_noted_with_its_names_and_what_is_needed_each_time() -> None:
    engine, noted = FakeEngine(), Noted()
    images = shelf(engine, noted=noted)
    asking = asked(images)
    (await engine.pulls.get()).arrived.put_nowait(Done())
    await asking

    await images.ensure("debian:12", PullPolicy.MISSING, None)

    assert noted.pulled_names == [(DEBIAN, None, [DEBIAN])]
    assert noted.needed == [DEBIAN, DEBIAN]


async def test_what_came_by_a_mirror_is_noted_with_the_mirrors_name_too() -> None:
    engine, noted = FakeEngine(), Noted()
    asking = asked(shelf(engine, Registry("docker.io", mirror="mirror.example"), noted=noted))
    (await engine.pulls.get()).arrived.put_nowait(Done())
    await asking

    assert noted.pulled_names == [(DEBIAN, None, [DEBIAN, "mirror.example/library/debian:12"])]


async def test_a_pull_of_an_image_that_was_there_by_another_name_makes_it_nobodys_but_its_owners() -> None:
    engine, noted = FakeEngine({"mine:1": image(DEBIAN, DIGEST)}), Noted()
    asking = asked(shelf(engine, noted=noted))
    (await engine.pulls.get()).arrived.put_nowait(Done())
    await asking

    assert noted.pulled_names == []


async def test_a_pull_that_replaces_what_was_there_is_noted_with_that() -> None:
    engine, noted = FakeEngine({DEBIAN: image("last week's", DIGEST)}), Noted()
    asking = asked(shelf(engine, noted=noted), policy=PullPolicy.ALWAYS)
    (await engine.pulls.get()).arrived.put_nowait(Done())
    await asking

    assert noted.pulled_names == [(DEBIAN, "id of last week's", [DEBIAN])]


async def test_what_is_refused_was_not_needed() -> None:
    engine, noted = FakeEngine(), Noted()

    await reason_of(asked(shelf(engine, noted=noted), policy=PullPolicy.NEVER))

    assert noted.needed == []
