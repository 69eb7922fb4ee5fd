"""A workspace goes when it has not been used for as long as it was made for, and nobody uses it."""

from collections.abc import AsyncGenerator
from datetime import timedelta
from pathlib import Path

import pytest

from chaser.clock import ManualClock
from chaser.jobs.completion import Completion
from chaser.jobs.deletion import Deletions
from chaser.jobs.expiry import Expiry
from chaser.jobs.intake import Intake
from chaser.sandboxes.labels import volume_name
from chaser.sandboxes.spec import WorkspaceMode, WorkspaceUse
from chaser.sandboxes.workspaces import Snapshot
from tests.engines import fake_site
from tests.rows import enqueued
from tests.workshop import CLOCK, Workshop, workshop

HOUR = timedelta(hours=1)


@pytest.fixture
async def shop(tmp_path: Path) -> AsyncGenerator[Workshop]:
    async with fake_site(tmp_path) as site, workshop(site, tmp_path) as made:
        yield made


def expiry_of(shop: Workshop, clock: ManualClock) -> Expiry:
    completion = Completion()
    intake = Intake(
        shop.store.jobs,
        completion,
        clock,
        wake=lambda: None,
        expect=lambda at: None,
        stop_running=lambda job_id, reason: None,
    )
    deletions = Deletions(shop.store.workspaces, shop.site.engine, intake, completion)
    return Expiry(shop.store.workspaces, deletions, clock)


async def test_what_has_not_been_used_for_long_goes_with_its_volumes(shop: Workshop) -> None:
    now = CLOCK.now()
    brief = await shop.workspace("brief", ttl=HOUR, expires_at=now + HOUR)
    lasting = await shop.workspace("lasting")
    for each in (brief, lasting):
        await shop.run(each.id, "echo x >file")
    snapshot = Snapshot(shop.new_snapshot_id(), brief.id, None, now)
    await shop.snapshots.take(await shop.errand(), snapshot)
    await shop.removals.drain(10)
    expiry = expiry_of(shop, clock := ManualClock(now))

    await expiry.sweep()
    assert await shop.store.workspaces.get("brief") is not None

    clock.advance(2 * HOUR)
    await expiry.sweep()

    assert await shop.store.workspaces.get("brief") is None
    assert await shop.site.engine.volumes(shop.site.instance) == [volume_name(lasting.id)]


async def test_what_is_in_use_stays_whatever_its_time(shop: Workshop) -> None:
    now = CLOCK.now()
    brief = await shop.workspace("brief", ttl=HOUR, expires_at=now)
    await enqueued(shop.store.jobs, workspace=WorkspaceUse(brief.id, WorkspaceMode.EXCLUSIVE))

    await expiry_of(shop, ManualClock(now + HOUR)).sweep()

    assert await shop.store.workspaces.get("brief") is not None
