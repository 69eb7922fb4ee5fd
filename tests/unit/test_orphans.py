"""A container of ours that no row knows as living is removed; any other is left alone."""

from collections.abc import AsyncGenerator, Collection
from dataclasses import replace
from pathlib import Path

import pytest

from chaser.clock import ManualClock
from chaser.ids import SandboxId
from chaser.sandboxes.labels import INSTANCE, SANDBOX, container_name
from chaser.sandboxes.orphans import Orphans
from chaser.sandboxes.removals import Removals
from chaser.sandboxes.traffic import Traffic
from tests.engines import Site, fake_site
from tests.unit.test_removals import Register

KNOWN, UNKNOWN = SandboxId("sbx_known"), SandboxId("sbx_unknown")


@pytest.fixture
async def site(tmp_path: Path) -> AsyncGenerator[Site]:
    async with fake_site(tmp_path) as made:
        yield made


async def only_the_known(ids: Collection[SandboxId]) -> frozenset[SandboxId]:
    return frozenset({KNOWN}) & frozenset(ids)


async def none_kept(ids: Collection[str]) -> frozenset[str]:
    return frozenset()


async def test_what_no_row_knows_is_removed(site: Site) -> None:
    for sandbox in (KNOWN, UNKNOWN):
        options = await site.options()
        labels = {INSTANCE: site.instance, SANDBOX: sandbox}
        await site.engine.create(replace(options, name=container_name(sandbox), labels=labels))
    register = Register()
    removals = Removals(site.engine, ManualClock(), register.note, Traffic())
    orphans = Orphans(site.engine, site.instance, only_the_known, none_kept, removals)

    assert await orphans.sweep() == 1
    assert await orphans.sweep() == 0

    assert register.gone == [UNKNOWN]
    assert [sandbox for _, sandbox in await site.engine.sandboxes(site.instance)] == [KNOWN]
