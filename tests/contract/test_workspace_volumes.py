"""What sandboxes find at /workspace, on each engine."""

import asyncio
from collections.abc import AsyncGenerator
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import pytest

from chaser.errors import Refused
from chaser.ids import new_workspace_id
from chaser.jobs.reason import Reason
from chaser.sandboxes.labels import copy_volume, own_volume, volume_name
from chaser.sandboxes.orphans import Orphans
from chaser.sandboxes.spec import Isolation, Limits, WorkspaceMode, WorkspaceUse
from chaser.sandboxes.stop import Stop, StopRequested
from tests.engines import SPEC, Site
from tests.workshop import CLOCK, Workshop, workshop


@pytest.fixture
async def shop(site: Site, tmp_path: Path) -> AsyncGenerator[Workshop]:
    async with workshop(site, tmp_path) as made:
        yield made


@pytest.fixture
async def real_shop(real: Site, tmp_path: Path) -> AsyncGenerator[Workshop]:
    async with workshop(real, tmp_path) as made:
        yield made


COPY = WorkspaceMode.COPY


async def test_what_one_job_leaves_the_next_finds(shop: Workshop) -> None:
    made = await shop.workspace()

    await shop.run(made.id, "mkdir cache && echo kept >cache/file")

    assert await shop.run(made.id, "cat cache/file") == "kept"


async def test_a_workspace_is_empty_and_its_engine_known_once_it_is_used(shop: Workshop) -> None:
    made = await shop.workspace()

    assert await shop.run(made.id, "ls -A | wc -l") == "0"

    found = await shop.again(made)
    assert found.engine_id == (await shop.site.engine.info()).id
    assert found.last_used_at > made.last_used_at
    assert await shop.site.engine.volumes(shop.site.instance) == [volume_name(made.id)]


async def test_copies_see_the_workspace_and_not_each_other(shop: Workshop) -> None:
    made = await shop.workspace()
    await shop.run(made.id, "echo kept >file; mkdir sub; echo kept >sub/file")

    first = shop.run(made.id, "echo first >file; rm sub/file; echo x >new; sleep 0.3; cat file", mode=COPY)
    second = shop.run(made.id, "sleep 0.2; cat file sub/file; ls", mode=COPY)

    assert await asyncio.gather(first, second) == ["first", "kept\nkept\nfile\nsub"]
    assert await shop.run(made.id, "cat file sub/file; ls") == "kept\nkept\nfile\nsub"


async def test_a_copy_of_a_workspace_that_nobody_has_used_is_empty(shop: Workshop) -> None:
    made = await shop.workspace()

    assert await shop.run(made.id, "echo x >file; ls -A", mode=COPY) == "file"
    assert await shop.run(made.id, "ls -A | wc -l") == "0"


@pytest.mark.docker
@pytest.mark.parametrize("mode", list(WorkspaceMode))
@pytest.mark.parametrize("isolation", [Isolation.STRICT, Isolation.STANDARD])
async def test_any_user_may_write_and_clear_away(
    real_shop: Workshop, isolation: Isolation, mode: WorkspaceMode
) -> None:
    made = await real_shop.workspace()
    other = Isolation.STANDARD if isolation is Isolation.STRICT else Isolation.STRICT
    await real_shop.run(made.id, "echo theirs >theirs", isolation=other)

    said = await real_shop.run(
        made.id, "id -u; mkdir sub && echo mine >sub/file && rm theirs && ls", isolation=isolation, mode=mode
    )

    assert said == ("65534" if isolation is Isolation.STRICT else "0") + "\nsub"


@pytest.mark.docker
async def test_a_copy_is_like_the_workspace_itself(real_shop: Workshop) -> None:
    made = await real_shop.workspace()
    await real_shop.run(made.id, "chown 1000:1001 . && chmod 2750 .")

    assert await real_shop.run(made.id, "stat -c '%a %u %g' .", mode=COPY) == "2750 1000 1001"


async def test_a_sandbox_may_have_an_empty_volume_of_its_own(shop: Workshop) -> None:
    spec = replace(SPEC, scratch=True, isolation=Isolation.STRICT)
    sandbox = await shop.sandbox()

    volumes = await shop.volumes.ready(sandbox, spec)

    assert volumes == {"/workspace": own_volume(sandbox)}
    assert await shop.run_with(volumes, "ls -A; echo x >file; cat file", spec, sandbox) == "x"
    await shop.removals.removed(sandbox)
    assert await shop.site.engine.volumes(shop.site.instance) == []


async def test_a_sandbox_without_any_has_none(shop: Workshop) -> None:
    assert await shop.volumes.ready(await shop.sandbox(), SPEC) == {}


async def test_a_sandbox_is_gone_when_its_volumes_are(shop: Workshop) -> None:
    made = await shop.workspace()
    sandbox = await shop.sandbox()
    spec = replace(SPEC, workspace=WorkspaceUse(made.id, COPY))

    await shop.volumes.ready(sandbox, spec)
    await shop.volumes.ready(sandbox, spec)

    left = set(await shop.site.engine.volumes(shop.site.instance))
    assert left == {volume_name(made.id), own_volume(sandbox), copy_volume(sandbox)}
    assert await shop.store.jobs.sandboxes_living([sandbox])
    await shop.removals.removed(sandbox)
    await shop.removals.removed(sandbox)
    assert await shop.site.engine.volumes(shop.site.instance) == [volume_name(made.id)]
    assert not await shop.store.jobs.sandboxes_living([sandbox])


async def test_a_workspace_that_was_deleted_or_is_elsewhere_is_refused(shop: Workshop) -> None:
    elsewhere = await shop.workspace(engine_id="another-engine")

    for workspace, reason in (
        (new_workspace_id(CLOCK.now()), Reason.WORKSPACE_NOT_FOUND),
        (elsewhere.id, Reason.WORKSPACE_UNAVAILABLE),
    ):
        with pytest.raises(Refused) as refused:
            await shop.run(workspace, "true")
        assert refused.value.reason is reason


async def test_a_workspace_whose_volume_was_lost_is_not_quietly_made_anew(shop: Workshop) -> None:
    made = await shop.workspace()
    await shop.run(made.id, "true")
    await shop.site.engine.remove_volume(volume_name(made.id))

    with pytest.raises(Refused) as refused:
        await shop.run(made.id, "true")

    assert refused.value.reason is Reason.WORKSPACE_UNAVAILABLE
    assert "Delete the workspace" in refused.value.message


async def test_a_first_use_that_was_cut_off_is_done_again(shop: Workshop) -> None:
    """The engine has the volume as root's alone, and the row knows of no engine yet."""
    made = await shop.workspace()
    await shop.site.engine.create_volume(shop.tools.volume(volume_name(made.id)))

    assert await shop.run(made.id, "echo x >file; stat -c %a .", isolation=Isolation.STRICT) == "777"


async def test_one_that_holds_more_than_its_quota_is_not_begun(shop: Workshop) -> None:
    made = await shop.workspace(quota_bytes=1000)
    await shop.run(made.id, "head -c 100000 /dev/zero >big")
    shop.sizes.refresh(made.id)
    await shop.sizes.next()

    with pytest.raises(Refused) as refused:
        await shop.run(made.id, "true")

    assert refused.value.reason is Reason.QUOTA_EXCEEDED
    assert await shop.run(made.id, "rm big; echo a copy may run", mode=COPY) == "a copy may run"


@pytest.mark.parametrize(
    ("mode", "reason"),
    [(WorkspaceMode.EXCLUSIVE, Reason.QUOTA_EXCEEDED), (COPY, Reason.DISK_FULL), (None, Reason.DISK_FULL)],
)
async def test_a_run_that_writes_too_much_is_stopped(
    shop: Workshop, mode: WorkspaceMode | None, reason: Reason
) -> None:
    made = await shop.workspace(quota_bytes=1 << 20)
    limits = replace(SPEC.limits, disk_bytes=1 << 20)
    use = None if mode is None else WorkspaceUse(made.id, mode)
    spec = replace(SPEC, limits=limits, workspace=use, scratch=mode is None)
    sandbox, stop = await shop.sandbox(), Stop()
    volumes = await shop.volumes.ready(sandbox, spec)
    watch = shop.volumes.watch(sandbox, spec, stop)
    assert watch is not None
    run = shop.run_with(volumes, "head -c 3000000 /dev/zero >big; sleep 60", spec, sandbox)

    with pytest.raises(StopRequested) as requested:
        await stop.guard(run)

    assert requested.value.stopped.reason is reason
    watch.cancel()
    await asyncio.gather(watch, return_exceptions=True)
    await shop.removals.removed(sandbox)


async def test_a_workspace_is_measured_after_it_was_used(shop: Workshop) -> None:
    made = await shop.workspace(ttl=timedelta(hours=1), expires_at=CLOCK.now() - timedelta(hours=1))
    spec = replace(SPEC, workspace=WorkspaceUse(made.id, WorkspaceMode.EXCLUSIVE), limits=Limits(1, 1 << 27))
    watch = shop.volumes.watch(await shop.sandbox(), spec, Stop())
    await shop.run(made.id, "head -c 300000 /dev/zero >big")
    assert watch is not None
    watch.cancel()
    await asyncio.gather(watch, return_exceptions=True)

    await shop.sizes.next()

    found = await shop.again(made)
    assert found.size_bytes is not None
    assert 300_000 <= found.size_bytes < 400_000
    assert found.sized_at is not None
    assert found.expires_at is not None
    assert found.expires_at > CLOCK.now(), "its time begins anew at the end of its use"


async def test_volumes_of_nobody_are_removed_and_others_are_not(shop: Workshop) -> None:
    engine, instance = shop.site.engine, shop.site.instance
    made, sandbox = await shop.workspace(), await shop.sandbox()
    await shop.run(made.id, "true")
    gone = await shop.workspace("gone")
    await shop.run(gone.id, "true")
    await shop.store.workspaces.delete(gone.id)
    nobody = await shop.sandbox()
    await shop.store.jobs.sandbox_gone(nobody, CLOCK.now())
    for name in (own_volume(sandbox), own_volume(nobody), copy_volume(nobody), "not-one-of-ours"):
        await engine.create_volume(shop.tools.volume(name))
    orphans = Orphans(
        engine, instance, shop.store.jobs.sandboxes_living, shop.store.workspaces.kept, shop.removals
    )

    assert await orphans.sweep_volumes() == 3

    left = set(await engine.volumes(instance))
    assert left == {volume_name(made.id), own_volume(sandbox), "not-one-of-ours"}
