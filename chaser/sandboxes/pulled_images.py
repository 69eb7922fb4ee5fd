"""The images that this service has pulled itself, and when each was needed last.

Only these may ever be removed: whatever was on the engine before belongs to somebody, who need not have said so.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Protocol

import structlog

from chaser.clock import Clock
from chaser.errors import Unavailable
from chaser.sandboxes.engine import EngineInfo, Image
from chaser.sandboxes.reference import Reference

log = structlog.stdlib.get_logger()

NOTED_EVERY = timedelta(minutes=1)
"""How exactly it is kept when an image was needed last: more would be a write for each run."""


@dataclass(frozen=True, slots=True)
class PulledImage:
    engine_id: str
    reference: str
    """In full, as it was asked for."""
    image_id: str
    names: Sequence[str]
    """The names that it did not have before: the reference, and the mirror's that it came by."""
    used_at: datetime


class PulledRows(Protocol):
    """`chaser.store` does it. Each raises `Unavailable`."""

    async def get(self, engine_id: str, reference: str) -> PulledImage | None: ...

    async def add(self, pulled: PulledImage) -> None:
        """In place of what was known of this reference."""
        ...

    async def used(self, engine_id: str, reference: str, at: datetime) -> None:
        """Fine if it was not pulled by us."""
        ...

    async def least_used(self, engine_id: str, before: datetime) -> Sequence[PulledImage]:
        """Those that were not needed since then; what was needed longest ago comes first."""
        ...

    async def forget(self, engine_id: str, reference: str) -> None: ...


class Here(Protocol):
    async def info(self) -> EngineInfo: ...


class PulledImages:
    """Never the reason why a run fails: what could not be noted is an image that stays."""

    def __init__(self, rows: PulledRows, engine: Here, clock: Clock) -> None:
        self._rows = rows
        self._engine = engine
        self._clock = clock
        self._noted: dict[str, float] = {}
        """References that were needed lately, and until when, on the monotonic clock, that need not be written again."""

    async def pulled(
        self, reference: Reference, before: Image | None, after: Image, names: Sequence[str]
    ) -> None:
        """What was there before is ours only if it came from here; what it has become then is ours too."""
        try:
            engine_id, now = (await self._engine.info()).id, self._clock.now()
            new = PulledImage(engine_id, reference.full, after.id, names, now)
            if before is None:
                await self._rows.add(new)
                return
            known = await self._rows.get(engine_id, reference.full)
            if known is None or known.image_id != before.id:
                return
            await self._rows.add(replace(known, image_id=after.id, used_at=now))
            if before.id != after.id and before.digest is not None:
                # Its tag names another one now, and only its digest is left to it.
                left = f"{reference.name}@{before.digest}"
                await self._rows.add(PulledImage(engine_id, left, before.id, (left,), known.used_at))
        except Unavailable as error:
            log.warning(
                "Could not note that an image was pulled; it stays.",
                action="pull_unnoted",
                error=error.message,
            )

    async def used(self, reference: Reference) -> None:
        now = self._clock.monotonic()
        if now < self._noted.get(reference.full, 0.0):
            return
        self._noted = {each: until for each, until in self._noted.items() if now < until}
        self._noted[reference.full] = now + NOTED_EVERY.total_seconds()
        try:
            await self._rows.used((await self._engine.info()).id, reference.full, self._clock.now())
        except Unavailable as error:
            log.warning("Could not note that an image is used.", action="use_unnoted", error=error.message)
