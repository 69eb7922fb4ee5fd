"""Removes images from an engine whose disk fills: those that this service has pulled itself and that were needed longest
ago; see docs/decisions/0060-whose-images-go.md."""

from collections.abc import Callable, Collection, Sequence
from datetime import timedelta
from pathlib import Path
from typing import Protocol

import structlog

from chaser.clock import Clock
from chaser.measures import Measure, Sort
from chaser.sandboxes.engine import EngineInfo, Image
from chaser.sandboxes.pulled_images import PulledImage, PulledRows
from chaser.sandboxes.reference import parse_reference

log = structlog.stdlib.get_logger()

RESTING = timedelta(minutes=10)
"""One that was needed since then may be about to become a sandbox, here or in another process."""


class ImageEngine(Protocol):
    async def info(self) -> EngineInfo: ...

    async def image(self, reference: str) -> Image | None: ...


class ImageNames(Protocol):
    async def in_use(self) -> frozenset[str]:
        """The ids of the images of all containers that there are, ended ones too, whosever they are."""
        ...

    async def remove(self, name: str) -> bool:
        """Take this name away, and the image with its last name. False, and nothing is changed, where a container uses it."""
        ...


class ImageRelief:
    """Implements `Remedy`."""

    def __init__(
        self,
        engine: ImageEngine,
        names: ImageNames,
        rows: PulledRows,
        clock: Clock,
        kept: Collection[str],
    ) -> None:
        """`kept` are references that stay: the profiles'."""
        self._engine = engine
        self._names = names
        self._rows = rows
        self._clock = clock
        self._kept = frozenset(parsed.full for each in kept if (parsed := parse_reference(each)) is not None)
        self._removed = 0

    def measures(self) -> Sequence[Measure]:
        return (
            Measure(
                "chaser_images_removed_total",
                "Images that were removed from the engine to make room. Many, again and again: its disk is too small.",
                Sort.COUNTER,
                {(): self._removed},
            ),
        )

    async def places(self) -> Sequence[Path]:
        info = await self._engine.info()
        return [Path(info.root_dir)] if info.local else []

    async def relieve(self, enough: Callable[[], bool]) -> int:
        engine_id, removed = (await self._engine.info()).id, 0
        for pulled in await self._rows.least_used(engine_id, self._clock.now() - RESTING):
            if enough():
                break
            if pulled.reference not in self._kept:
                removed += await self._remove(pulled)
        self._removed += removed
        return removed

    async def _remove(self, pulled: PulledImage) -> bool:
        """Whether it went. What is in use, even by a container that has ended, stays."""
        present = [image for name in pulled.names if (image := await self._engine.image(name)) is not None]
        if any(image.id != pulled.image_id for image in present):
            # Somebody has pulled or built another one by this name since: it is theirs.
            await self._rows.forget(pulled.engine_id, pulled.reference)
            return False
        if pulled.image_id in await self._names.in_use():
            return False
        # The engine itself refuses to take the last name of an image that a container uses.
        gone = [await self._names.remove(name) for name in pulled.names]
        if not all(gone):
            return False
        await self._rows.forget(pulled.engine_id, pulled.reference)
        if present:
            log.info("Removed an image to make room.", action="image_removed", image=pulled.reference)
        return bool(present)
