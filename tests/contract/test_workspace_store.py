"""What every store of workspaces promises, on each database."""

import asyncio
from dataclasses import replace
from datetime import timedelta

from chaser.ids import JobId, SandboxId, WorkerId, WorkspaceId, new_snapshot_id, new_workspace_id
from chaser.jobs.ports import SandboxRow
from chaser.sandboxes.spec import WorkspaceMode, WorkspaceUse
from chaser.sandboxes.workspaces import Busy, Deleted, Snapshot, Workspace
from chaser.store.store import Store
from tests.rows import ENGINE, START, enqueued

HOUR = timedelta(hours=1)


def new_workspace(name: str = "Main", seconds: int = 0) -> Workspace:
    at = START + timedelta(seconds=seconds)
    return Workspace(new_workspace_id(at), name, at, at)


def snapshot_of(workspace: Workspace, name: str | None = None, seconds: int = 0) -> Snapshot:
    at = START + timedelta(seconds=seconds)
    return Snapshot(new_snapshot_id(at), workspace.id, name, at)


async def in_line(store: Store, workspace: WorkspaceId) -> JobId:
    """A job that stands in the workspace's line."""
    job = await enqueued(store.jobs, workspace=WorkspaceUse(workspace, WorkspaceMode.EXCLUSIVE))
    return job.id


async def test_a_workspace_is_read_as_it_was_written(store: Store) -> None:
    plain = new_workspace("plain")
    full = replace(
        new_workspace("Full.1_x", 1),
        engine_id=ENGINE,
        image="debian:12",
        ttl=HOUR,
        expires_at=START + HOUR,
        size_bytes=1 << 40,
        sized_at=START,
        quota_bytes=1 << 41,
    )

    assert await store.workspaces.add(plain) == plain
    assert await store.workspaces.add(full) == full

    assert await store.workspaces.get(full.id) == full
    assert await store.workspaces.get("FULL.1_X") == full
    assert await store.workspaces.get("none") is None
    assert await store.workspaces.get(new_workspace_id(START)) is None


async def test_of_a_name_in_any_case_there_is_one(store: Store) -> None:
    first, second = new_workspace("Main"), new_workspace("mAIN")
    await store.workspaces.add(first)

    assert await store.workspaces.add(second) is None
    assert await store.workspaces.find_or_add(second) == first
    assert await store.workspaces.find_or_add(other := new_workspace("other")) == other


async def test_rivals_for_a_name_get_the_same_workspace(store: Store) -> None:
    found = await asyncio.gather(*(store.workspaces.find_or_add(new_workspace("main")) for _ in range(8)))

    assert len({each.id for each in found}) == 1


async def test_workspaces_are_listed_newest_first_by_page_and_prefix(store: Store) -> None:
    made = [new_workspace(name, at) for at, name in enumerate(("team-a", "b", "Team-C", "team_d", "team%"))]
    for each in made:
        await store.workspaces.add(each)

    assert [each.name for each in await store.workspaces.list("", None, 10)] == [
        "team%",
        "team_d",
        "Team-C",
        "b",
        "team-a",
    ]
    assert [each.name for each in await store.workspaces.list("team-", None, 10)] == ["Team-C", "team-a"]
    assert [each.name for each in await store.workspaces.list("", made[3].id, 2)] == ["Team-C", "b"]


async def test_the_first_engine_to_have_its_volume_is_its_engine(store: Store) -> None:
    made = new_workspace()
    await store.workspaces.add(made)

    first = await store.workspaces.settle(made.id, ENGINE)
    second = await store.workspaces.settle(made.id, "engine-b")

    assert first == second == replace(made, engine_id=ENGINE)
    assert await store.workspaces.settle(new_workspace_id(START), ENGINE) is None


async def test_each_use_begins_its_time_anew(store: Store) -> None:
    lasting, brief = (
        new_workspace("lasting"),
        replace(new_workspace("brief"), ttl=HOUR, expires_at=START + HOUR),
    )
    for each in (lasting, brief):
        await store.workspaces.add(each)
        await store.workspaces.used(each.id, START + HOUR / 2)

    assert await store.workspaces.get("lasting") == replace(lasting, last_used_at=START + HOUR / 2)
    assert await store.workspaces.expired(START + HOUR) == []
    found = await store.workspaces.expired(START + 1.5 * HOUR)
    assert found == [replace(brief, last_used_at=START + HOUR / 2, expires_at=START + 1.5 * HOUR)]


async def test_its_size_is_kept_with_its_time(store: Store) -> None:
    made = new_workspace()
    await store.workspaces.add(made)

    await store.workspaces.sized(made.id, 5 << 32, START + HOUR)

    assert await store.workspaces.get(made.id) == replace(made, size_bytes=5 << 32, sized_at=START + HOUR)


async def test_one_in_whose_line_a_job_stands_is_not_deleted(store: Store) -> None:
    made = new_workspace()
    await store.workspaces.add(made)
    job = await in_line(store, made.id)

    assert await store.workspaces.users(made.id) == [job]
    assert await store.workspaces.delete(made.id) == Busy([job])
    assert await store.workspaces.get(made.id) == made


async def test_deleting_tells_the_snapshots_that_went_along(store: Store) -> None:
    made = new_workspace()
    await store.workspaces.add(made)
    kept = snapshot_of(made)
    await store.workspaces.add_snapshot(kept)

    assert await store.workspaces.delete(made.id) == Deleted([kept.id])

    assert await store.workspaces.delete(made.id) is None
    assert await store.workspaces.get(made.id) is None
    assert await store.workspaces.snapshot(made.id, kept.id) is None
    assert await store.workspaces.kept([made.id, kept.id]) == frozenset()


async def test_one_whose_time_began_anew_is_not_deleted_as_expired(store: Store) -> None:
    made = replace(new_workspace(), ttl=HOUR, expires_at=START + HOUR)
    await store.workspaces.add(made)
    await store.workspaces.used(made.id, START + HOUR)

    assert await store.workspaces.delete(made.id, expired_at=START + HOUR) is None
    assert await store.workspaces.delete(made.id, expired_at=START + 2 * HOUR) == Deleted([])


async def test_a_snapshot_is_whole_once_its_size_is_known(store: Store) -> None:
    made = new_workspace()
    await store.workspaces.add(made)
    first, second = snapshot_of(made, "before"), snapshot_of(made, seconds=1)
    for each in (first, second, first):
        assert await store.workspaces.add_snapshot(each)

    assert await store.workspaces.snapshots(made.id) == [second, first]
    assert await store.workspaces.complete(first.id, 7) == replace(first, size_bytes=7)
    found = await store.workspaces.snapshot(made.id, first.id)
    assert found is not None
    assert found.whole
    assert await store.workspaces.snapshot(new_workspace_id(START), first.id) is None

    assert await store.workspaces.delete_snapshot(first.id)
    assert not await store.workspaces.delete_snapshot(first.id)
    assert await store.workspaces.complete(first.id, 7) is None


async def test_there_is_no_snapshot_of_what_is_gone(store: Store) -> None:
    assert not await store.workspaces.add_snapshot(snapshot_of(new_workspace()))


async def test_a_snapshot_becomes_a_workspace_once_and_as_a_whole(store: Store) -> None:
    source = new_workspace("source")
    await store.workspaces.add(source)
    snapshot, clone = snapshot_of(source), new_workspace("clone", 1)
    await store.workspaces.add_snapshot(snapshot)

    assert await store.workspaces.adopt(snapshot.id, replace(clone, name="SOURCE")) is None
    assert await store.workspaces.snapshot(source.id, snapshot.id) == snapshot

    assert await store.workspaces.adopt(snapshot.id, clone) == clone
    assert await store.workspaces.adopt(snapshot.id, clone) == clone, "it may be told twice"
    assert await store.workspaces.snapshots(source.id) == []
    assert await store.workspaces.get("clone") == clone
    assert await store.workspaces.adopt(snapshot.id, new_workspace("late")) is None


async def test_what_is_kept_is_told_from_what_is_not(store: Store) -> None:
    made = new_workspace()
    await store.workspaces.add(made)
    snapshot = snapshot_of(made)
    await store.workspaces.add_snapshot(snapshot)

    asked = [made.id, snapshot.id, new_workspace_id(START), new_snapshot_id(START)]
    assert await store.workspaces.kept(asked) == {made.id, snapshot.id}


async def test_a_tool_is_named_without_a_job_and_lives_until_it_is_gone(store: Store) -> None:
    row = SandboxRow(SandboxId("sbx_tool"), None, None, WorkerId("wrk_1"), ENGINE, START)

    await store.workspaces.name_tool(row)

    assert await store.jobs.sandboxes_living([row.id]) == {row.id}
    await store.jobs.sandbox_gone(row.id, START)
    assert await store.jobs.sandboxes_living([row.id]) == frozenset()
