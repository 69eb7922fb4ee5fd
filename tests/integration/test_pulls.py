"""Pulls from real registries by a real engine: what arrives, and the reason where nothing does."""

import asyncio
import json
from collections.abc import AsyncGenerator, Generator, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import timedelta
from pathlib import Path

import httpx
import pytest

from chaser.clock import ManualClock
from chaser.errors import Refused, Unavailable
from chaser.ids import InstanceId
from chaser.jobs.reason import Reason
from chaser.sandboxes.engine import Image
from chaser.sandboxes.engines.docker import DockerEngine
from chaser.sandboxes.engines.image_names import DockerImageNames
from chaser.sandboxes.engines.logins import DockerLogins
from chaser.sandboxes.engines.pulls import Pulls
from chaser.sandboxes.image_relief import RESTING, ImageRelief
from chaser.sandboxes.pulled_images import PulledImages
from chaser.sandboxes.reference import Reference
from chaser.sandboxes.registry import AllowList, Registries, Registry
from chaser.sandboxes.shelf import ImageShelf, Notes, PullDeadlines
from chaser.sandboxes.spec import PullPolicy
from chaser.secret import Secret
from chaser.store.store import Store
from tests.images import docker, small_image
from tests.registries import MANIFEST, PASSWORD, USER, misbehaving_registry, running_registry

pytestmark = pytest.mark.docker

NAME = "chaser-test/small:1"
REFUSING = "127.0.0.1:1"
"""A port on which nobody listens: 1 is tcpmux, which no Debian machine runs."""
MANIFEST_LIST = "application/vnd.docker.distribution.manifest.list.v2+json"


@pytest.fixture(scope="module")
def login(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The directory of a Docker configuration of the tests' own."""
    return tmp_path_factory.mktemp("docker")


@pytest.fixture(scope="module")
def public(tmp_path_factory: pytest.TempPathFactory) -> Generator[str]:
    """A registry that anybody may read, with the small image in it."""
    with running_registry(tmp_path_factory.mktemp("public"), with_login=False) as host:
        push(f"{host}/{NAME}")
        yield host


@pytest.fixture(scope="module")
def private(tmp_path_factory: pytest.TempPathFactory, login: Path) -> Generator[str]:
    """A registry that wants a login, with the small image in it. `login` has that login."""
    with running_registry(tmp_path_factory.mktemp("private"), with_login=True) as host:
        config = ["--config", str(login)]
        docker(*config, "login", "--username", USER, "--password-stdin", host, stdin=PASSWORD.encode())
        push(f"{host}/{NAME}", *config)
        yield host


def push(name: str, *options: str) -> None:
    docker("tag", small_image(), name)
    docker(*options, "push", name)
    docker("rmi", name)


@pytest.fixture(autouse=True)
def tidy() -> Iterator[None]:
    """No image that a test has pulled stays, under any of its names."""
    yield
    # With its last tag an image loses its digests too; without a tag, they are its names.
    for kind in ("RepoTags", "RepoDigests"):
        for image in docker("images", "--quiet", "--no-trunc", "--filter", "label=chaser.test=image").split():
            names = json.loads(docker("inspect", "--format", f"{{{{json .{kind}}}}}", image))
            for name in names:
                if "chaser-test/" in name:
                    docker("rmi", name)


class NoLogins(DockerLogins):
    def __init__(self) -> None:
        super().__init__(Path("/nonexistent"))


class NoNotes:
    async def pulled(
        self, reference: Reference, before: Image | None, after: Image, names: Sequence[str]
    ) -> None: ...

    async def used(self, reference: Reference) -> None: ...


@pytest.fixture
async def engine() -> AsyncGenerator[DockerEngine]:
    engine = DockerEngine(None, InstanceId("chaser-test-pulls"))
    yield engine
    await engine.close()


@pytest.fixture
async def pulls(engine: DockerEngine) -> AsyncGenerator[Pulls]:
    pulls = Pulls(engine.host)
    yield pulls
    await pulls.close()


def shelf(
    engine: DockerEngine,
    pulls: Pulls,
    *configured: Registry,
    logins: DockerLogins | None = None,
    stall: timedelta = timedelta(minutes=1),
    notes: Notes | None = None,
) -> ImageShelf:
    return ImageShelf(
        engine,
        pulls,
        Registries(configured, logins or NoLogins()),
        notes or NoNotes(),
        allowed=AllowList(),
        deadlines=PullDeadlines(timedelta(minutes=2), stall),
    )


async def ensured(images: ImageShelf, reference: str) -> Image:
    return await images.ensure(reference, PullPolicy.MISSING, None)


async def failure(images: ImageShelf, reference: str) -> Refused | Unavailable:
    with pytest.raises((Refused, Unavailable)) as caught:
        await ensured(images, reference)
    assert isinstance(caught.value, Refused | Unavailable)
    return caught.value


async def test_a_public_image_arrives(engine: DockerEngine, pulls: Pulls, public: str) -> None:
    image = await ensured(shelf(engine, pulls), f"{public}/{NAME}")

    assert image.digest is not None
    assert await engine.image(f"{public}/{NAME}") == image


async def test_an_image_arrives_by_its_digest(engine: DockerEngine, pulls: Pulls, public: str) -> None:
    digest = (await ensured(shelf(engine, pulls), f"{public}/{NAME}")).digest
    docker("rmi", f"{public}/{NAME}")

    image = await ensured(shelf(engine, pulls), f"{public}/{NAME}@{digest}")

    assert image.digest == digest


@pytest.mark.parametrize("missing", ["chaser-test/small:2", "chaser-test/other:1"])
async def test_an_image_that_the_registry_does_not_have(
    engine: DockerEngine, pulls: Pulls, public: str, missing: str
) -> None:
    assert (await failure(shelf(engine, pulls), f"{public}/{missing}")).reason is Reason.IMAGE_NOT_FOUND


async def test_a_login_is_wanted_and_there_is_none(engine: DockerEngine, pulls: Pulls, private: str) -> None:
    error = await failure(shelf(engine, pulls), f"{private}/{NAME}")

    assert error.reason is Reason.REGISTRY_UNAUTHORIZED
    assert "docker login" in error.message


async def test_a_wrong_login(engine: DockerEngine, pulls: Pulls, private: str) -> None:
    wrong = Registry(private, username=USER, password=Secret("wrong"))
    error = await failure(shelf(engine, pulls, wrong), f"{private}/{NAME}")

    assert error.reason is Reason.REGISTRY_UNAUTHORIZED
    assert "wrong" not in error.message


async def test_a_configured_login(engine: DockerEngine, pulls: Pulls, private: str) -> None:
    right = Registry(private, username=USER, password=Secret(PASSWORD))
    images = shelf(engine, pulls, right)

    assert (await ensured(images, f"{private}/{NAME}")).digest is not None
    assert (await failure(images, f"{private}/chaser-test/other:1")).reason is Reason.IMAGE_NOT_FOUND
    with pytest.raises(Refused, match="may not use") as caught:
        await images.ensure(f"{private}/{NAME}", PullPolicy.MISSING, frozenset({"ghcr.io"}))
    assert caught.value.reason is Reason.IMAGE_FORBIDDEN


async def test_the_login_of_docker_login(
    engine: DockerEngine, pulls: Pulls, private: str, login: Path
) -> None:
    images = shelf(engine, pulls, logins=DockerLogins(login / "config.json"))

    assert (await ensured(images, f"{private}/{NAME}")).digest is not None
    with pytest.raises(Refused, match="may not use"):
        await images.ensure(f"{private}/{NAME}", PullPolicy.MISSING, frozenset())


async def test_a_docker_configuration_that_cannot_be_read_is_named(tmp_path: Path) -> None:
    config = tmp_path / "config.json"
    config.write_text(json.dumps({"auths": {"ghcr.io": {"auth": "not base64 of user:password"}}}))

    with pytest.raises(Refused, match="cannot be read") as caught:
        await DockerLogins(config).find("ghcr.io")
    assert caught.value.reason is Reason.REGISTRY_UNAUTHORIZED


async def test_a_registry_that_refuses_connections(engine: DockerEngine, pulls: Pulls) -> None:
    error = await failure(shelf(engine, pulls), f"{REFUSING}/{NAME}")

    assert isinstance(error, Unavailable)
    assert error.reason is Reason.REGISTRY_UNAVAILABLE
    assert "does not answer" in error.message


@pytest.mark.parametrize(
    ("status", "reason"),
    [
        (403, Reason.IMAGE_FORBIDDEN),
        (404, Reason.IMAGE_NOT_FOUND),
        (429, Reason.REGISTRY_UNAVAILABLE),
        (503, Reason.REGISTRY_UNAVAILABLE),
    ],
)
async def test_a_registrys_status_is_the_reason(
    engine: DockerEngine, pulls: Pulls, status: int, reason: Reason
) -> None:
    async with misbehaving_registry(status) as registry:
        error = await failure(shelf(engine, pulls), f"{registry.host}/{NAME}")

    assert error.reason is reason


async def test_an_image_for_another_platform_is_unusable(
    engine: DockerEngine, pulls: Pulls, public: str
) -> None:
    offer_for(public, "s390x")

    error = await failure(shelf(engine, pulls), f"{public}/chaser-test/small:foreign")

    assert error.reason is Reason.IMAGE_UNUSABLE
    assert "linux/s390x" in error.message


def offer_for(host: str, architecture: str) -> None:
    """Put a manifest list into the registry that has the small image for `architecture` alone."""
    manifests = f"http://{host}/v2/chaser-test/small/manifests"
    small = httpx.get(f"{manifests}/1", headers={"Accept": MANIFEST})
    entry = {
        "mediaType": MANIFEST,
        "digest": small.headers["docker-content-digest"],
        "size": len(small.content),
        "platform": {"os": "linux", "architecture": architecture},
    }
    body = {"schemaVersion": 2, "mediaType": MANIFEST_LIST, "manifests": [entry]}
    answer = httpx.put(f"{manifests}/foreign", json=body, headers={"Content-Type": MANIFEST_LIST})
    assert answer.status_code == httpx.codes.CREATED


@dataclass
class Between:
    """A relay to the engine that sees who goes away."""

    host: str
    left: asyncio.Event = field(default_factory=asyncio.Event)
    """Set when a client has closed its connection."""


@pytest.fixture
async def between(engine: DockerEngine, tmp_path: Path) -> AsyncGenerator[Between]:
    between = Between(f"unix://{tmp_path}/engine.sock")
    relayed: set[asyncio.Task[None]] = set()

    async def copy(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        # One who leaves with bytes unread resets the connection.
        with suppress(ConnectionError):
            while data := await reader.read(65536):
                writer.write(data)
        writer.close()
        with suppress(ConnectionError):
            await writer.wait_closed()

    async def relay(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        from_engine, to_engine = await asyncio.open_unix_connection(engine.host.removeprefix("unix://"))
        relayed.add(asyncio.create_task(copy(from_engine, writer)))
        await copy(reader, to_engine)
        between.left.set()

    def accept(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        relayed.add(asyncio.create_task(relay(reader, writer)))

    async with await asyncio.start_unix_server(accept, between.host.removeprefix("unix://")):
        yield between
    await asyncio.gather(*relayed)


async def test_those_who_wait_share_one_pull_and_hear_that_it_stands_still(
    engine: DockerEngine, pulls: Pulls
) -> None:
    async with misbehaving_registry(None) as registry:
        images = shelf(engine, pulls, stall=timedelta(seconds=2))
        reference = f"{registry.host}/{NAME}"

        errors = await asyncio.gather(failure(images, reference), failure(images, reference))

    assert [error.reason for error in errors] == [Reason.PULL_TIMEOUT] * 2
    assert registry.pulls == 1


async def test_the_engine_is_told_to_stop_when_the_last_who_waits_goes_away(
    engine: DockerEngine, between: Between
) -> None:
    pulls = Pulls(between.host)
    async with misbehaving_registry(None) as registry:
        asking = asyncio.create_task(ensured(shelf(engine, pulls), f"{registry.host}/{NAME}"))
        await registry.reached.wait()
        assert not between.left.is_set()

        asking.cancel()
        with pytest.raises(asyncio.CancelledError):
            await asking

        await between.left.wait()
    await pulls.close()


async def test_a_mirror_serves_under_the_name_that_was_asked_for(
    engine: DockerEngine, pulls: Pulls, public: str
) -> None:
    images = shelf(engine, pulls, Registry(REFUSING, mirror=f"http://{public}"))

    image = await ensured(images, f"{REFUSING}/{NAME}")

    assert await engine.image(f"{REFUSING}/{NAME}") == image
    digest = f"{REFUSING}/{NAME.partition(':')[0]}@{image.digest}"
    docker("rmi", f"{REFUSING}/{NAME}")
    assert (await ensured(images, digest)).id == image.id


async def test_without_its_mirror_the_registry_itself_is_asked(
    engine: DockerEngine, pulls: Pulls, public: str
) -> None:
    images = shelf(engine, pulls, Registry(public, mirror=REFUSING))

    assert (await ensured(images, f"{public}/{NAME}")).digest is not None


async def test_an_engine_that_is_not_there(tmp_path: Path) -> None:
    pulls = Pulls(f"unix://{tmp_path}/nothing.sock")

    with pytest.raises(Unavailable) as caught:
        await anext(pulls.pull(Reference("ghcr.io", "acme/tool", "1"), None))

    assert caught.value.reason is Reason.ENGINE_UNAVAILABLE
    await pulls.close()


def changed(host: str, name: str) -> None:
    """Another image, of the same contents but for a label, at the registry by that name and by nobody here."""
    docker(
        "build",
        "--quiet",
        "--tag",
        f"{host}/{name}",
        "-",
        stdin=f"FROM {small_image()}\nLABEL of={name}".encode(),
    )
    docker("push", f"{host}/{name}")
    docker("rmi", f"{host}/{name}")


@pytest.fixture
async def house(engine: DockerEngine, pulls: Pulls, public: str, store: Store, clock: ManualClock) -> "House":
    changed(public, "chaser-test/changed:1")
    notes = PulledImages(store.pulled_images, engine, clock)
    return House(engine, shelf(engine, pulls, notes=notes), store, clock, f"{public}/chaser-test/changed:1")


@dataclass
class House:
    """A machine on which others have images too."""

    engine: DockerEngine
    images: ImageShelf
    store: Store
    clock: ManualClock
    name: str
    """Of an image that the registry has, and the engine does not."""

    async def relieved(self) -> bool:
        """Whether the image is gone after a relief that is never enough."""
        self.clock.advance(RESTING + timedelta(seconds=1))
        names = DockerImageNames(self.engine.run)
        relief = ImageRelief(self.engine, names, self.store.pulled_images, self.clock, [])
        await relief.relieve(lambda: False)
        return await self.engine.image(self.name) is None


async def test_an_image_that_was_pulled_here_goes_when_room_is_wanting(house: House) -> None:
    image = await ensured(house.images, house.name)

    assert await house.relieved()
    assert image.id not in await house.engine.image_ids()


async def test_one_that_was_there_before_stays(house: House) -> None:
    docker("pull", "--quiet", house.name)
    await ensured(house.images, house.name)

    assert not await house.relieved()


async def test_one_that_a_container_has_stays_even_if_that_has_ended(house: House) -> None:
    await ensured(house.images, house.name)
    container = docker("create", house.name, "true")
    try:
        assert not await house.relieved()
    finally:
        docker("rm", container)

    assert await house.relieved()


async def test_one_that_somebody_has_named_keeps_that_name(house: House) -> None:
    image = await ensured(house.images, house.name)
    docker("tag", house.name, "chaser-test/mine:1")

    assert await house.relieved()
    assert (await house.engine.image("chaser-test/mine:1") or image).id == image.id
    assert image.id in await house.engine.image_ids()


async def test_one_that_somebody_has_by_its_digest_stays(house: House) -> None:
    """The engine itself would take a digest away with the last tag beside it."""
    image = await ensured(house.images, house.name)
    digest = f"{house.name.removesuffix(':1')}@{image.digest}"
    docker("rmi", house.name)
    docker("pull", "--quiet", digest)
    await house.store.pulled_images.forget((await house.engine.info()).id, house.name)

    await ensured(house.images, house.name)

    assert not await house.relieved()
    assert await house.engine.image(digest) is not None
