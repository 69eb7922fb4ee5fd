"""Sandboxes that are ready before they are asked for: prepared like any other, only earlier, and each used once.

They end with the process that made them, since their stdin closes with it. They are never adopted: their rows name no job
and a worker that is gone, and so they are removed like all that was left behind.
"""

import asyncio
from collections.abc import Callable, Mapping, Sequence
from datetime import timedelta
from typing import Protocol

import structlog

from chaser.clock import Clock
from chaser.errors import Refused, Unavailable
from chaser.ids import SandboxId, WorkerId, new_sandbox_id
from chaser.jobs.ports import SandboxRow
from chaser.measures import Labels, Measure, Sort
from chaser.sandboxes.engine import Engine, Image
from chaser.sandboxes.host import Networks
from chaser.sandboxes.images import ImageSource
from chaser.sandboxes.launcher import Launcher, Prepared
from chaser.sandboxes.rack import AWAY, OLDEST, UNUSABLE, Key, Rack, Waiting, key_of
from chaser.sandboxes.removals import Removals
from chaser.sandboxes.spec import PullPolicy, SandboxSpec

log = structlog.stdlib.get_logger()


class Names(Protocol):
    async def name_ahead(self, row: SandboxRow) -> None:
        """Record a sandbox that is about to be made for a job yet to come."""
        ...


class Room(Protocol):
    def shortage(self) -> str | None:
        """Why nothing may be made ahead now; none: it may."""
        ...

    def scarce(self) -> bool:
        """Whether what was made ahead is to go."""
        ...


class Pool:
    """Implements `host.Ready`."""

    def __init__(
        self,
        wanted: Mapping[SandboxSpec, int],
        engine: Engine,
        images: ImageSource,
        networks: Networks,
        launcher: Launcher,
        removals: Removals,
        names: Names,
        clock: Clock,
        worker: WorkerId,
        room: Room,
        *,
        oldest: timedelta = OLDEST,
    ) -> None:
        """`wanted` says how many are to be ready of each shape."""
        self.racks = [Rack(spec, count, oldest) for spec, count in wanted.items()]
        self._engine = engine
        self._images = images
        self._networks = networks
        self._launcher = launcher
        self._removals = removals
        self._names = names
        self._clock = clock
        self._worker = worker
        self._room = room
        self._awake = {rack.spec: asyncio.Event() for rack in self.racks}
        self._short = False
        """Whether the last look found no room for more."""
        self._watches: dict[SandboxId, asyncio.Task[None]] = {}

    def take(self, spec: SandboxSpec, image: Image, network: str) -> Prepared | None:
        key = key_of(spec, image, network)
        racks = [] if key is None else [rack for rack in self.racks if rack.serves(spec, key)]
        for rack in racks:
            while key is not None and (found := self._taken(rack, key)) is not None:
                self._awake[rack.spec].set()
                if found.prepared.capture.connected:
                    rack.hits += 1
                    return found.prepared
                self._removals.remove(found.prepared.id)
        for rack in racks[:1]:
            rack.misses += 1
            if rack.ready:  # the image has changed
                self._awake[rack.spec].set()
        return None

    async def run(self) -> None:
        """Keep so many ready, until cancelled; then all of them go."""
        try:
            async with asyncio.TaskGroup() as shapes:
                for rack in self.racks:
                    shapes.create_task(self._keep(rack), name=f"ready {rack.spec.profile}")
        finally:
            for rack in self.racks:
                self._let_go(rack.clear())

    def measures(self) -> Sequence[Measure]:
        return (
            self._measure(
                "chaser_warm_wanted",
                "Sandboxes that are to be ready before they are asked for: min_warm and runner_min_warm.",
                Sort.GAUGE,
                lambda rack: rack.wanted,
            ),
            self._measure(
                "chaser_warm_ready",
                "Of these, how many are. Where it stays below, the service's log says why.",
                Sort.GAUGE,
                lambda rack: len(rack.ready),
            ),
            self._measure(
                "chaser_warm_hits_total",
                "Jobs that were given a sandbox that was ready.",
                Sort.COUNTER,
                lambda rack: rack.hits,
            ),
            self._measure(
                "chaser_warm_misses_total",
                "Jobs that would have fitted one, and found none ready; if they are many, raise min_warm or "
                "runner_min_warm.",
                Sort.COUNTER,
                lambda rack: rack.misses,
            ),
        )

    def _measure(self, name: str, text: str, sort: Sort, count: Callable[[Rack], int]) -> Measure:
        return Measure(name, text, sort, {_labels(rack): count(rack) for rack in self.racks})

    async def _keep(self, rack: Rack) -> None:
        awake = self._awake[rack.spec]
        while True:
            awake.clear()
            try:
                await self._tend(rack)
            except Refused as error:
                self._failed(rack, error, UNUSABLE)
            except Unavailable as error:
                self._failed(rack, error, AWAY)
            try:
                async with asyncio.timeout(rack.rest(self._clock.monotonic())):
                    await awake.wait()
            except TimeoutError:
                continue

    async def _tend(self, rack: Rack) -> None:
        """See that what is ready is as it should be, and make what lacks. Raises `Refused` and `Unavailable`."""
        spec = rack.spec
        if not rack.ready and self._held(rack):
            return  # its image might have to be fetched
        image = await self._images.ensure(spec.image, PullPolicy.MISSING, spec.registries)
        network = await self._networks.named(spec.network)
        key = key_of(spec, image, network)
        assert key is not None
        self._let_go(rack.renew(key, self._clock.monotonic()))
        if self._room.scarce():
            self._let_go(rack.clear())
        while rack.lacks(self._clock.monotonic()) and not self._held(rack):
            await self._add(rack, key, image, network)

    def _held(self, rack: Rack) -> bool:
        """Whether there is no room for more; then it is looked again later."""
        shortage, told = self._room.shortage(), self._short
        self._short = shortage is not None
        if self._short:
            rack.postpone(self._clock.monotonic())
        if self._short and not told:
            log.warning("No sandbox is made ahead of its need.", action="warm_held", why=shortage)
        return self._short

    async def _add(self, rack: Rack, key: Key, image: Image, network: str) -> None:
        now, engine = self._clock.now(), await self._engine.info()
        row = SandboxRow(new_sandbox_id(now), None, None, self._worker, engine.id, now)
        prepared: Prepared | None = None
        try:
            await self._names.name_ahead(row)
            prepared = await self._launcher.prepare_ahead(row.id, rack.spec, image, network)
        finally:
            if prepared is None:
                self._removals.remove(row.id)
        if prepared is not None:
            rack.put(Waiting(prepared, key, self._clock.monotonic()))
            watch = asyncio.create_task(self._watch(rack, prepared), name=f"ready {row.id}")
            self._watches[row.id] = watch

    async def _watch(self, rack: Rack, prepared: Prepared) -> None:
        """Until it dies, by the engine's word or by its channel's end, whichever is first; cancelled if it does not."""
        ends = [
            asyncio.create_task(self._engine.exited(prepared.container)),
            asyncio.create_task(prepared.capture.closed()),
        ]
        try:
            await asyncio.wait(ends, return_when=asyncio.FIRST_COMPLETED)
        finally:
            for each in ends:
                each.cancel()
        dead = rack.drop(prepared.id)
        if dead is None:
            return
        log.warning("A sandbox has ended before it was used.", action="warm_lost", sandbox_id=prepared.id)
        rack.failed(self._clock.monotonic(), AWAY)
        self._let_go((dead,))
        self._awake[rack.spec].set()

    def _taken(self, rack: Rack, key: Key) -> Waiting | None:
        found = rack.take(key)
        if found is not None:
            self._unwatch(found)
        return found

    def _let_go(self, dropped: Sequence[Waiting]) -> None:
        for each in dropped:
            self._unwatch(each)
            each.prepared.attachment.close()
            self._removals.remove(each.prepared.id)

    def _unwatch(self, each: Waiting) -> None:
        watch = self._watches.pop(each.prepared.id, None)
        if watch is not None and watch is not asyncio.current_task():
            watch.cancel()

    def _failed(self, rack: Rack, error: Refused | Unavailable, longest: timedelta) -> None:
        rack.failed(self._clock.monotonic(), longest)
        log.warning(
            "A sandbox could not be made ahead of its need; it is tried again later.",
            action="warm_later",
            profile=rack.spec.profile,
            image=rack.spec.image,
            reason=error.reason,
            error=error.message,
        )


def _labels(rack: Rack) -> Labels:
    return (("profile", rack.spec.profile), ("image", rack.spec.image))
