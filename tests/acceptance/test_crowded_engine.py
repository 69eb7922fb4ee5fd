"""An engine whose disk fills with images: those that were pulled for runs go, and nothing that anybody needs."""

import os
import sqlite3
from collections.abc import Generator, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from tests.acceptance.disk import fill_to, small_file_system, used_percent
from tests.acceptance.engine import Engine, engine_on
from tests.acceptance.machine import SMALL, Docker
from tests.acceptance.service import Service, installation, marker
from tests.acceptance.waiting import until
from tests.registries import running_registry

pytestmark = [
    pytest.mark.docker,
    pytest.mark.skipif(os.geteuid() != 0, reason="mounting a small file system needs root"),
]

DISK = 256 << 20
LAYER = 16 << 20
"""What each image has beside the small one; random, so that nothing makes it smaller."""
IMAGES = ("oldest", "older", "recent", "theirs")


@pytest.fixture
def disk(tmp_path: Path) -> Iterator[Path]:
    with small_file_system(tmp_path / "disk", DISK) as place:
        yield place


@contextmanager
def registry_of(engine: Engine, place: Path) -> Generator[str]:
    """In the engine's own network, with the images in it; no engine has any of them afterwards."""
    place.mkdir()
    outer = Docker()
    with running_registry(place, with_login=False, within=engine.within) as host:
        for name in IMAGES:
            context, reference = place / name, f"{host}/{name}:1"
            context.mkdir()
            (context / "layer").write_bytes(os.urandom(LAYER))
            (context / "Dockerfile").write_text(f"FROM {SMALL}\nCOPY layer /layer\n")
            outer("build", "--quiet", "--tag", reference, str(context))
            engine.load(reference)
            outer("rmi", reference)
            engine.docker("push", reference)
            engine.docker("rmi", reference)
        yield host


@contextmanager
def service_at(engine: Engine, place: Path) -> Generator[Service]:
    place.mkdir()
    settings = {"CHASER_LIMITS__DISK_CLEAN_PERCENT": "80", "CHASER_LIMITS__DISK_FULL_PERCENT": "90"}
    with installation(place, settings, engine.docker) as service:
        yield service


def long_ago(service: Service, *references: str) -> None:
    """The images were needed last on the first days of 2026, in this order. (Nobody waits so long in a test.)"""
    with sqlite3.connect(service.data_dir / "chaser.db", timeout=30) as database:
        for day, reference in enumerate(references, start=20_454):
            at = day * 86_400 * 1_000_000
            statement = "UPDATE pulled_images SET used_at = ? WHERE reference = ?"
            assert database.execute(statement, (at, reference)).rowcount == 1, reference


def test_above_80_percent_the_images_needed_longest_ago_go_and_none_that_is_in_use(
    small_image: str, disk: Path, tmp_path: Path
) -> None:
    with (
        engine_on(disk, tmp_path, marker()) as engine,
        registry_of(engine, tmp_path / "registry") as registry,
        service_at(engine, tmp_path / "service") as service,
    ):
        oldest, older, recent, theirs = [f"{registry}/{name}:1" for name in IMAGES]

        def present() -> set[str]:
            lines = engine.docker("images", "--format", "{{.Repository}}:{{.Tag}}").splitlines()
            return set(lines) & {oldest, older, recent, theirs, SMALL}

        engine.docker("pull", "--quiet", theirs)
        for image in (older, recent, theirs):
            assert service.run("true", image=image)["status"] == "succeeded"
        running = service.begin("sleep 300", image=oldest)
        long_ago(service, oldest, older, recent)
        assert present() == {oldest, older, recent, theirs, SMALL}
        filler = fill_to(disk, 84)

        until(lambda: older not in present(), "an image to go")

        until(lambda: used_percent(disk) < 80, "there to be room")
        assert present() == {oldest, recent, theirs, SMALL}
        assert service.run("true")["status"] == "succeeded"
        assert service.job(running)["status"] == "running"

        filler.unlink()
        assert service.run("true", image=older)["status"] == "succeeded"
        service.cancel(running)
        service.expect_nothing_left()
