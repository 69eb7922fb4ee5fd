"""A sandbox is removed until the engine confirms it, and only then called gone."""

import asyncio
from collections.abc import AsyncGenerator
from dataclasses import dataclass, field, replace
from datetime import datetime
from pathlib import Path

import pytest

from chaser.clock import ManualClock
from chaser.errors import Unavailable
from chaser.ids import SandboxId
from chaser.jobs.reason import Reason
from chaser.sandboxes.engine import ContainerId, VolumeOptions
from chaser.sandboxes.engines.fake import FakeEngine
from chaser.sandboxes.labels import container_name, own_volume
from chaser.sandboxes.removals import Removals
from chaser.sandboxes.traffic import Traffic
from tests.engines import Site, fake_site

SANDBOX = SandboxId("sbx_1")


@dataclass
class Register:
    """Who is gone; it can be away."""

    gone: list[SandboxId] = field(default_factory=list[SandboxId])
    away: int = 0

    async def note(self, sandbox: SandboxId, at: datetime) -> None:
        if self.away:
            self.away -= 1
            raise Unavailable(Reason.STORE_UNAVAILABLE, "It is away.")
        self.gone.append(sandbox)


@pytest.fixture
async def site(tmp_path: Path) -> AsyncGenerator[Site]:
    async with fake_site(tmp_path) as made:
        yield made


async def sandbox_in(site: Site) -> ContainerId:
    return await site.engine.create(replace(await site.options(), name=container_name(SANDBOX)))


def removals(site: Site, register: Register, traffic: Traffic | None = None) -> Removals:
    return Removals(site.engine, ManualClock(), register.note, traffic or Traffic())


async def test_a_sandbox_goes_and_is_noted(site: Site) -> None:
    await sandbox_in(site)
    register = Register()

    await removals(site, register).removed(SANDBOX)

    assert register.gone == [SANDBOX]
    assert await site.engine.sandboxes(site.instance) == []


async def test_one_that_was_only_named_is_noted_too(site: Site) -> None:
    register = Register()

    await removals(site, register).removed(SANDBOX)

    assert register.gone == [SANDBOX]


async def test_an_engine_that_is_away_has_confirmed_nothing(site: Site) -> None:
    assert isinstance(site.engine, FakeEngine)
    await sandbox_in(site)
    site.engine.away = True
    register = Register()
    work = removals(site, register)

    work.remove(SANDBOX)
    await site.engine.missed.wait()
    await work.drain(0)

    assert register.gone == []
    assert len(site.engine.containers) == 1


async def test_it_is_tried_again_until_engine_and_store_answer(site: Site) -> None:
    await sandbox_in(site)
    register = Register(away=1)

    await removals(site, register).removed(SANDBOX)

    assert register.gone == [SANDBOX]


async def test_in_the_background_it_gives_way_to_starts(site: Site) -> None:
    await sandbox_in(site)
    register, traffic = Register(), Traffic()
    work = removals(site, register, traffic)

    with traffic.starting():
        work.remove(SANDBOX)
        for _ in range(5):
            await asyncio.sleep(0)
        assert register.gone == []
    await work.drain(10)

    assert register.gone == [SANDBOX]


async def test_a_sandbox_is_not_called_gone_while_a_volume_of_its_own_is_left(site: Site) -> None:
    await site.engine.create_volume(VolumeOptions(own_volume(SANDBOX), {}))
    holder = await site.engine.create(replace(await site.options(), volumes={"/x": own_volume(SANDBOX)}))
    register = Register()
    removals = Removals(site.engine, ManualClock(), register.note, Traffic())
    removals.remove(SANDBOX)
    await asyncio.sleep(0)

    await removals.drain(0.1)
    assert register.gone == []

    await site.engine.remove(holder)
    await removals.removed(SANDBOX)
    assert register.gone == [SANDBOX]
    assert await site.engine.volume_path(own_volume(SANDBOX)) is None
