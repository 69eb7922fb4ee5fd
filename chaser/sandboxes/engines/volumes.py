"""Named volumes of Docker's `local` driver (https://docs.docker.com/reference/api/engine/, Volume)."""

from collections.abc import Awaitable, Callable, Sequence
from typing import Any, Protocol, TypeVar, cast

from docker.errors import APIError, NotFound

from chaser.errors import Refused, Unavailable
from chaser.ids import InstanceId
from chaser.jobs.reason import Reason
from chaser.sandboxes.engine import OverlayOptions, VolumeOptions
from chaser.sandboxes.labels import INSTANCE

T = TypeVar("T")


class Run(Protocol):
    """`DockerEngine.run`: one piece of blocking work with the SDK."""

    def __call__(self, work: Callable[[Any], T]) -> Awaitable[T]: ...


class DockerVolumes:
    def __init__(self, run: Run) -> None:
        self._run = run

    async def create(self, options: VolumeOptions) -> None:
        driver_options = None if options.overlay is None else _overlay(options.overlay)
        try:
            await self._run(
                lambda client: client.create_volume(
                    options.name, driver="local", driver_opts=driver_options, labels=dict(options.labels)
                )
            )
        except APIError as error:
            raise Refused(
                Reason.WORKSPACE_UNAVAILABLE, f"The engine refuses this volume: {error.explanation}"
            ) from error

    async def path(self, name: str) -> str | None:
        try:
            found = await self._run(lambda client: client.inspect_volume(name))
        except NotFound:
            return None
        return cast("str", found["Mountpoint"])

    async def remove(self, name: str) -> None:
        try:
            await self._run(lambda client: client.remove_volume(name))
        except NotFound:
            return
        except APIError as error:
            if error.status_code != 409:
                raise
            raise Unavailable(
                Reason.ENGINE_UNAVAILABLE, f"The volume {name} is still in use; it is removed later."
            ) from error

    async def names(self, instance: InstanceId) -> Sequence[str]:
        label = f"{INSTANCE}={instance}"
        answer = await self._run(lambda client: client.volumes(filters={"label": [label]}))
        return [cast("str", each["Name"]) for each in answer["Volumes"] or ()]


def _overlay(overlay: OverlayOptions) -> dict[str, str]:
    # Mounted by the engine when a container that has it starts, and unmounted with the last of them (overlayfs.rst).
    paths = f"lowerdir={overlay.lower},upperdir={overlay.upper},workdir={overlay.work}"
    return {"type": "overlay", "device": "overlay", "o": paths}
