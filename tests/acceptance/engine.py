"""A Docker engine of the tests' own, in a container, which they may stop, kill and starve."""

import subprocess
from collections.abc import Generator, Sequence
from contextlib import contextmanager
from pathlib import Path

from tests.acceptance.machine import SMALL, Docker, build_image
from tests.acceptance.waiting import until

IMAGE = "chaser-test-engine:latest"
SOCKET = "docker.sock"
# What a killed engine leaves there names processes by numbers, which others have after the start.
BOOT = "rm -rf /var/run/docker*; exec dockerd --host unix:///run/engine/docker.sock --cgroup-parent {}"


class Engine:
    """`docker` is the way to it. A stop ends all its containers, as a stop of the machine's own engine would.

    It has a network of its own, always: an engine in the machine's would take docker0 for its own, and even remove it.
    """

    def __init__(self, place: Path, name: str, boot: str = BOOT, options: Sequence[str] = ()) -> None:
        """`options` are more of `docker run`."""
        self.docker = Docker(f"unix://{place / SOCKET}")
        self._outer = Docker()
        build_image("engine")
        self._name = name
        # Without SYS_RESOURCE: a machine's root may lack it, and then cannot give it.
        self._outer(
            *("run", "--detach", "--name", name, "--label", "chaser.test=engine"),
            *("--cap-add", "ALL", "--cap-drop", "SYS_RESOURCE", "--cgroupns", "host"),
            *("--security-opt", "seccomp=unconfined", "--security-opt", "apparmor=unconfined"),
            *("--security-opt", "systempaths=unconfined", "--volume", "/sys/fs/cgroup:/sys/fs/cgroup:rw"),
            *("--volume", f"{place}:/run/engine", *options, IMAGE),
            *("sh", "-c", boot.format(f"/{name}")),
        )
        self._await()

    @property
    def within(self) -> Sequence[str]:
        """What to put before a command that is to run in its network, where it finds a registry on loopback. Needs root."""
        process = self._outer("inspect", "--format", "{{.State.Pid}}", self._name)
        return ("nsenter", "--target", process, "--net")

    def load(self, image: str) -> None:
        saved = subprocess.run(["docker", "save", image], capture_output=True, check=True).stdout
        self.docker("load", stdin=saved)

    @property
    def pid(self) -> int:
        return int(self._outer("inspect", "--format", "{{.State.Pid}}", self._name))

    def stop(self) -> None:
        self._outer("stop", "--time", "20", self._name)

    def kill(self) -> None:
        self._outer("kill", self._name)

    def start(self) -> None:
        self._outer("start", self._name)
        self._await()

    def pause(self) -> None:
        """It hangs: its socket takes connections, and nobody answers."""
        self._outer("pause", self._name)

    def unpause(self) -> None:
        self._outer("unpause", self._name)

    def remove(self) -> None:
        self._outer.run("unpause", self._name)
        self._outer("rm", "--force", "--volumes", self._name)

    def _await(self) -> None:
        def answers() -> bool:
            state = self._outer("inspect", "--format", "{{.State.Running}}", self._name)
            assert state == "true", self._outer.run("logs", "--tail", "5", self._name).stderr.decode()
            return self.docker.run("version").returncode == 0

        until(answers, "the tests' own engine to answer")


@contextmanager
def own_engine(place: Path, name: str) -> Generator[Engine]:
    """With the small image in it; removed afterwards, with all that it held."""
    with _with_small_image(Engine(place, name)) as engine:
        yield engine


@contextmanager
def engine_on(disk: Path, place: Path, name: str) -> Generator[Engine]:
    """The same, with all that it keeps on the disk `disk`, which has the same path for it as for the tests."""
    boot = BOOT.replace("dockerd", f"dockerd --data-root {disk}/engine")
    with _with_small_image(Engine(place, name, boot, ("--volume", f"{disk}:{disk}"))) as engine:
        yield engine


@contextmanager
def _with_small_image(engine: Engine) -> Generator[Engine]:
    try:
        engine.load(SMALL)
        yield engine
    finally:
        engine.remove()
