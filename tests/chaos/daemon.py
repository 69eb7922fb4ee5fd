"""An engine of the tests' own whose daemon ends and starts again by itself, as a package's update makes it."""

from collections.abc import Generator, Sequence
from contextlib import contextmanager
from pathlib import Path

from tests.acceptance.engine import Engine
from tests.acceptance.machine import SMALL
from tests.acceptance.waiting import until

DOWN = "down"
"""While this file is there, no daemon starts."""
BOOT = (
    "rm -rf /var/run/docker*; while :; do"
    " dockerd {options} --host unix:///run/engine/docker.sock --cgroup-parent {{}};"
    f" while [ -e /run/engine/{DOWN} ]; do sleep 0.1; done; done"
)


class Daemon(Engine):
    """The containers' own processes are not the daemon's children: what becomes of them is up to the next daemon.

    With live-restore it takes them over; without it ends them.
    """

    def __init__(self, place: Path, name: str, *, live_restore: bool, options: Sequence[str] = ()) -> None:
        self._down = place / DOWN
        boot = BOOT.format(options="--live-restore" if live_restore else "")
        super().__init__(place, name, boot, options)

    def end_daemon(self, how: str) -> None:
        """End it by the signal of that name, and keep it down."""
        self._down.touch()
        self._outer("exec", self._name, "sh", "-c", f"kill -{how} $(cat /var/run/docker.pid)")
        until(lambda: self.docker.run("version").returncode != 0, "the daemon to end")

    def cut_power(self) -> None:
        """End all that runs there at once, the containers' own processes too, and keep the daemon down."""
        self._down.touch()
        self._outer("exec", self._name, "sh", "-c", "kill -KILL -1")
        until(lambda: self.docker.run("version").returncode != 0, "the daemon to end")

    def start_daemon(self) -> None:
        self._down.unlink()
        self._await()


@contextmanager
def own_daemon(
    place: Path, name: str, *, live_restore: bool, options: Sequence[str] = ()
) -> Generator[Daemon]:
    """With the small image in it; removed afterwards, with all that it held."""
    daemon = Daemon(place, name, live_restore=live_restore, options=options)
    try:
        daemon.load(SMALL)
        yield daemon
    finally:
        daemon.remove()
