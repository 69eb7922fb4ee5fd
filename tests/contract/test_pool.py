"""Sandboxes made ahead of their need, on each engine: taken, made anew, replaced, and gone with the service."""

import asyncio
import json
from collections.abc import AsyncGenerator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Any

import pytest

from chaser.clock import SystemClock
from chaser.headroom import Headroom
from chaser.ids import SandboxId, WorkerId, new_sandbox_id
from chaser.jobs.ports import SandboxRow
from chaser.sandboxes.deadlines import Deadlines
from chaser.sandboxes.ending import Exited
from chaser.sandboxes.engine import Image
from chaser.sandboxes.engines.fake import FakeEngine
from chaser.sandboxes.launcher import Launcher, Prepared
from chaser.sandboxes.networks import EngineNetworks
from chaser.sandboxes.pool import Pool
from chaser.sandboxes.rack import OLDEST
from chaser.sandboxes.removals import Removals
from chaser.sandboxes.spec import Isolation, SandboxSpec
from chaser.sandboxes.traffic import Traffic
from tests.engines import IMAGE, LOG_BYTES, SPEC, Site, script
from tests.images import docker
from tests.works import NoBridge, Present

GIB = 1 << 30


@dataclass
class Machine:
    memory: int = 8 * GIB


@dataclass
class Pond:
    """A pool at work on a site, and a register of what it has named and what is gone."""

    site: Site
    spec: SandboxSpec
    machine: Machine
    launcher: Launcher
    pool: Pool
    removals: Removals
    named: list[SandboxId]
    gone: list[SandboxId]

    @property
    def ready(self) -> list[SandboxId]:
        return [each.prepared.id for rack in self.pool.racks for each in rack.ready]

    async def until_ready(self, enough: Callable[[list[SandboxId]], bool]) -> list[SandboxId]:
        async with asyncio.timeout(30):
            while not enough(self.ready):  # noqa: ASYNC110 - nothing rings when it comes true
                await asyncio.sleep(0.01)
        return self.ready

    async def filled(self, count: int) -> list[SandboxId]:
        return await self.until_ready(lambda ready: len(ready) == count)

    async def until_gone(self, sandbox: SandboxId) -> None:
        async with asyncio.timeout(30):
            while sandbox not in self.gone:  # noqa: ASYNC110 - nothing rings when it comes true
                await asyncio.sleep(0.01)

    def take(self, spec: SandboxSpec | None = None, image: Image | None = None) -> Prepared | None:
        return self.pool.take(spec or self.spec, image or self.site.image, "none")


@asynccontextmanager
async def pond(
    site: Site,
    count: int = 1,
    *,
    spec: SandboxSpec = SPEC,
    oldest: timedelta = OLDEST,
    max_starting: int = 4,
    deadlines: Deadlines | None = None,
    machine: Machine | None = None,
) -> AsyncGenerator[Pond]:
    """When the block ends, it stops as the service does."""
    clock, traffic, machine = SystemClock(), Traffic(), machine or Machine()
    named, gone = list[SandboxId](), list[SandboxId]()

    class Rows:
        async def name_ahead(self, row: SandboxRow) -> None:
            assert (row.job_id, row.attempt) == (None, None)
            named.append(row.id)

    async def note(sandbox: SandboxId, at: datetime) -> None:
        gone.append(sandbox)

    launcher = Launcher(
        site.engine,
        site.instance,
        clock=clock,
        traffic=traffic,
        max_starting=max_starting,
        deadlines=deadlines or Deadlines(),
        log_max_bytes=LOG_BYTES,
    )
    removals = Removals(site.engine, clock, note, traffic)
    spec = replace(spec, image=site.reference)
    pool = Pool(
        {spec: count},
        site.engine,
        Present(site.engine),
        EngineNetworks(NoBridge()),
        launcher,
        removals,
        Rows(),
        clock,
        WorkerId("wrk_1"),
        Headroom(GIB, lambda: None, lambda: machine.memory),
        oldest=oldest,
    )
    running = asyncio.create_task(pool.run())
    try:
        yield Pond(site, spec, machine, launcher, pool, removals, named, gone)
    finally:
        running.cancel()
        await asyncio.gather(running, return_exceptions=True)
        await removals.drain(30)


async def test_one_is_taken_used_once_and_replaced(site: Site) -> None:
    async with pond(site, 2) as water:
        first, _ = await water.filled(2)

        taken = water.take()
        assert taken is not None
        assert taken.id == first
        outcome = await site.run(script("echo here"), taken)

        assert (outcome.ending, outcome.text()) == (Exited(0), b"here\n")
        assert first not in await water.filled(2)
        assert len(water.named) == 3


async def test_each_is_named_before_it_is_made_and_all_are_gone_after_a_stop(site: Site) -> None:
    async with pond(site, 2) as water:
        await water.filled(2)
        present = {sandbox for _, sandbox in await site.engine.sandboxes(site.instance)}
        assert present == set(water.named)

    assert sorted(water.gone) == sorted(water.named)
    assert await site.engine.sandboxes(site.instance) == []
    assert water.take() is None


async def test_an_idle_pool_makes_no_more_than_is_wanted(site: Site) -> None:
    async with pond(site, 2) as water:
        kept = await water.filled(2)
        for rack in water.pool.racks:
            rack.failed(0.0, timedelta(0))
        await asyncio.sleep(0.5)

        assert water.ready == kept
        assert water.named == kept
        assert len(await site.engine.sandboxes(site.instance)) == 2


async def test_one_that_dies_is_noticed_by_itself_and_replaced(site: Site) -> None:
    async with pond(site, 1) as water:
        (first,) = await water.filled(1)
        ((container, _),) = await site.engine.sandboxes(site.instance)

        await site.engine.kill(container)
        await water.until_ready(lambda ready: len(ready) == 1 and first not in ready)

        await water.until_gone(first)


async def test_one_that_was_removed_by_somebody_else_is_replaced(site: Site) -> None:
    async with pond(site, 1) as water:
        (first,) = await water.filled(1)
        ((container, _),) = await site.engine.sandboxes(site.instance)

        await site.engine.remove(container)

        await water.until_ready(lambda ready: len(ready) == 1 and first not in ready)


async def test_one_that_has_just_died_is_handed_to_nobody(site: Site) -> None:
    async with pond(site, 1) as water:
        await water.filled(1)
        ((container, _),) = await site.engine.sandboxes(site.instance)
        watched = water.pool.racks[0].ready[0].prepared
        await site.engine.kill(container)
        await watched.capture.closed()

        assert water.take() is None


async def test_one_that_grows_old_is_replaced(site: Site) -> None:
    async with pond(site, 1, oldest=timedelta(seconds=1)) as water:
        (first,) = await water.filled(1)

        await water.until_ready(lambda ready: len(ready) == 1 and first not in ready)


async def test_what_does_not_match_finds_none(site: Site) -> None:
    async with pond(site, 1) as water:
        await water.filled(1)

        other = replace(water.spec, limits=replace(water.spec.limits, pids=65))
        assert water.take(other) is None
        assert water.take(replace(water.spec, scratch=True)) is None
        assert water.take(replace(water.spec, user="1")) is None
        assert len(water.ready) == 1


async def test_without_memory_to_spare_none_is_made(site: Site) -> None:
    async with pond(site, 1, machine=Machine(memory=GIB - 1)) as water:
        await asyncio.sleep(0.3)
        assert (water.named, water.ready) == ([], [])


async def test_when_memory_runs_out_those_that_are_ready_go_and_no_more_are_made(site: Site) -> None:
    async with pond(site, 2) as water:
        _, second = await water.filled(2)
        water.machine.memory = GIB // 2 - 1

        taken = water.take()
        assert taken is not None
        await water.until_gone(second)

        assert (water.ready, len(water.named)) == ([], 2)
        await site.engine.remove(taken.container)


async def test_a_jobs_start_goes_before_one_made_ahead(faulty: Site) -> None:
    """With one slot in all, taken by a start that gets no answer."""
    assert isinstance(faulty.engine, FakeEngine)
    slow = replace(IMAGE, id="sha256:slow")
    faulty.engine.images["slow"] = slow
    faulty.engine.silent.add(slow.id)
    site = replace(faulty, image=slow, reference="slow")
    async with pond(site, 1, max_starting=1) as water:
        await faulty.engine.started.wait()
        sandbox = new_sandbox_id(SystemClock().now())
        async with asyncio.timeout(5):
            made = await water.launcher.prepare(sandbox, SPEC, IMAGE, "none", {})
        made.attachment.close()

        await water.until_gone(water.named[0])
        await water.launcher.discard(made)


async def test_an_image_that_cannot_serve_is_not_tried_again_and_again(faulty: Site) -> None:
    assert isinstance(faulty.engine, FakeEngine)
    faulty.engine.without_shell.add(IMAGE.id)
    async with pond(faulty, 1) as water:
        await asyncio.sleep(2.5)

        assert 1 <= len(water.named) <= 3
        assert water.ready == []


async def test_a_new_image_replaces_those_of_the_old(faulty: Site) -> None:
    assert isinstance(faulty.engine, FakeEngine)
    async with pond(faulty, 2) as water:
        old = await water.filled(2)
        newer = replace(IMAGE, id="sha256:newer")
        faulty.engine.images[faulty.reference] = newer

        assert water.take(image=newer) is None, (
            "a job with the new image gets none of the old, and wakes the pool"
        )
        await water.until_ready(lambda ready: len(ready) == 2 and not set(ready) & set(old))
        assert water.take(image=newer) is not None


@pytest.mark.docker
async def test_a_new_image_of_the_same_name_is_noticed_by_real_docker(real: Site) -> None:
    name = f"chaser-test-{real.instance.removeprefix('test_')}:1"
    docker("tag", real.reference, name)
    try:
        image = await real.engine.image(name)
        assert image is not None
        async with pond(replace(real, image=image, reference=name)) as water:
            (old,) = await water.filled(1)
            made = docker("create", real.reference, "true")
            docker("commit", "--change", "ENV NEWER=1", made, name)
            docker("rm", made)

            await water.until_ready(lambda ready: len(ready) == 1 and old not in ready)

            newer = await real.engine.image(name)
            assert newer is not None
            assert newer.id != image.id
            taken = water.take(image=newer)
            assert taken is not None
            outcome = await real.run(script("echo $NEWER"), taken)
            assert outcome.text() == b"1\n"
    finally:
        docker("rmi", "--force", name)


@pytest.mark.docker
@pytest.mark.parametrize("isolation", Isolation)
async def test_it_is_hardened_as_a_cold_one_is(real: Site, isolation: Isolation) -> None:
    spec = replace(SPEC, isolation=isolation)
    async with pond(real, 1, spec=spec) as water:
        await water.filled(1)
        warm = water.take()
        assert warm is not None
        sandbox = new_sandbox_id(SystemClock().now())
        cold = await water.launcher.prepare(sandbox, water.spec, real.image, "none", {})
        try:
            assert inspected(warm) == inspected(cold)
        finally:
            await water.launcher.discard(warm)
            await water.launcher.discard(cold)


def inspected(sandbox: Prepared) -> dict[str, Any]:
    """All that the engine says of it, without what no two sandboxes have in common."""
    (whole,) = json.loads(docker("inspect", sandbox.container))
    for own in ("Id", "Name", "Created", "HostnamePath", "HostsPath", "ResolvConfPath", "LogPath"):
        del whole[own]
    for own in ("Pid", "StartedAt"):
        del whole["State"][own]
    del whole["GraphDriver"]["Data"]
    assert whole["Config"].pop("Hostname") == sandbox.container[:12]
    assert whole["Config"]["Labels"].pop("chaser.sandbox") == sandbox.id
    for own in ("SandboxID", "SandboxKey"):
        del whole["NetworkSettings"][own]
    for network in whole["NetworkSettings"]["Networks"].values():
        del network["EndpointID"]
    return whole
