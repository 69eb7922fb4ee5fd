"""/v1/workspaces over HTTP, on a real store and the fake engine, with the real kinds that change workspaces."""

import asyncio
import io
import tarfile
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from datetime import timedelta
from pathlib import Path
from typing import Any

import httpx
import pytest

from chaser.api.context import Rules
from chaser.ids import JobId, WorkspaceId
from chaser.jobs.job import Job, Status
from chaser.jobs.ports import Created
from chaser.keys import Scope
from chaser.sandboxes.engines.fake import FakeEngine
from chaser.sandboxes.spec import WorkspaceMode, WorkspaceUse
from tests.api_service import Service, bearer, played, service
from tests.engines import IMAGE, REFERENCE
from tests.rows import new_job
from tests.tars import files, info, tarred

TAR = {"Content-Type": "application/x-tar"}


@pytest.fixture
async def running(tmp_path: Path) -> AsyncGenerator[Service]:
    """A service whose changes of workspaces are done as they come."""
    async with serving(tmp_path) as made, played(made.perform):
        yield made


@pytest.fixture
async def idle(tmp_path: Path) -> AsyncGenerator[Service]:
    """One that does nothing by itself."""
    async with serving(tmp_path) as made:
        yield made


@asynccontextmanager
async def serving(directory: Path) -> AsyncGenerator[Service]:
    engine = FakeEngine({REFERENCE: IMAGE})
    rules = Rules(
        change_wait=timedelta(seconds=3),
        turn_timeout=timedelta(seconds=1),
        look_again=timedelta(milliseconds=100),
    )
    try:
        async with service(directory, rules=rules, engine=engine) as made:
            yield made
    finally:
        await engine.close()


async def made(running: Service, name: str = "main", **fields: object) -> dict[str, Any]:
    answer = await running.http.post("/v1/workspaces", json={"name": name, **fields})
    assert answer.status_code == 201, answer.text
    return answer.json()


async def user_of(running: Service, workspace: str, mode: WorkspaceMode = WorkspaceMode.EXCLUSIVE) -> Job:
    """A job that stands in the workspace's line."""
    use = WorkspaceUse(WorkspaceId(workspace), mode)
    now = running.hands.clock.now()
    created = await running.store.jobs.enqueue(new_job(now, workspace=use, run_at=None))
    assert isinstance(created, Created)
    return created.job


def code(answer: httpx.Response) -> tuple[int, str]:
    return answer.status_code, answer.json()["error"]["code"]


async def test_a_workspace_is_made_read_listed_and_deleted(running: Service) -> None:
    answer = await running.http.post(
        "/v1/workspaces", json={"name": "Main", "image": "debian:12", "ttl_ms": 3_600_000, "quota": "4g"}
    )
    assert answer.status_code == 201
    whole = answer.json()
    assert answer.headers["Location"] == f"/v1/workspaces/{whole['id']}"
    assert (whole["name"], whole["image"], whole["quota_bytes"]) == ("Main", "debian:12", 4 << 30)
    assert whole["busy_with"] == []
    assert whole["size_bytes"] is None
    assert whole["expires_at"] is not None

    for selector in ("Main", "MAIN", whole["id"]):
        assert (await running.http.get(f"/v1/workspaces/{selector}")).json() == whole
    assert (await running.http.get("/v1/workspaces")).json() == {"data": [whole], "next_cursor": None}

    assert (await running.http.delete("/v1/workspaces/main")).status_code == 204
    assert code(await running.http.get("/v1/workspaces/Main")) == (404, "workspace_not_found")
    assert code(await running.http.delete("/v1/workspaces/main")) == (404, "workspace_not_found")


async def test_a_name_is_taken_whatever_its_case(running: Service) -> None:
    await made(running, "Main")
    answer = await running.http.post("/v1/workspaces", json={"name": "mAIN"})
    assert code(answer) == (409, "workspace_exists")


@pytest.mark.parametrize("name", ["", "-a", ".a", "a" * 65, "a b", "a/b", "ä", "wsp_" + "0" * 26])
async def test_a_name_that_is_none_is_refused(running: Service, name: str) -> None:
    answer = await running.http.post("/v1/workspaces", json={"name": name})
    assert code(answer) == (422, "invalid_request")
    assert answer.json()["error"]["details"]["fields"][0]["pointer"] == "/name"


async def test_workspaces_are_listed_page_by_page(running: Service) -> None:
    for name in ("a", "b", "c"):
        await made(running, name)

    first = (await running.http.get("/v1/workspaces?limit=2")).json()
    rest = (await running.http.get(f"/v1/workspaces?limit=2&cursor={first['next_cursor']}")).json()

    assert [each["name"] for each in (*first["data"], *rest["data"])] == ["c", "b", "a"]
    assert rest["next_cursor"] is None


async def test_a_file_is_written_listed_read_and_removed(running: Service) -> None:
    await made(running)
    content = bytes(range(256)) * 1000
    there = "/v1/workspaces/main/files/a/b%20c/caf%C3%A9"

    assert (await running.http.put(there, content=content)).status_code == 204

    answer = await running.http.get(there)
    assert answer.content == content
    assert answer.headers["Content-Type"] == "application/octet-stream"
    assert answer.headers["Content-Length"] == str(len(content))
    listed = (await running.http.get("/v1/workspaces/main/files?path=a/b+c")).json()
    assert listed["next_cursor"] is None
    (entry,) = listed["data"]
    assert (entry["name"], entry["path"], entry["type"]) == ("café", "a/b%20c/caf%C3%A9", "file")
    assert entry["size_bytes"] == len(content)
    assert (await running.http.delete("/v1/workspaces/main/files/a")).status_code == 204
    assert (await running.http.get("/v1/workspaces/main/files")).json()["data"] == []
    assert code(await running.http.get(there)) == (404, "file_not_found")


async def test_a_name_that_is_no_text_goes_there_and_back(running: Service) -> None:
    await made(running)
    await running.http.put("/v1/workspaces/main//files/d/%FF%0A", content=b"x")

    (entry,) = (await running.http.get("/v1/workspaces/main/files?path=d")).json()["data"]

    assert (entry["name"], entry["path"]) == ("\ufffd\n", "d/%FF%0A")
    assert (await running.http.get(f"/v1/workspaces/main/files/{entry['path']}")).content == b"x"


async def test_a_directory_goes_there_and_back_as_a_tar(running: Service) -> None:
    await made(running)
    tar = tarred((info("sub/one"), b"1"), (info("two"), b"22"))

    assert (
        await running.http.put("/v1/workspaces/main/files/d", content=tar, headers=TAR)
    ).status_code == 204
    answer = await running.http.get("/v1/workspaces/main/files/d")

    assert answer.headers["Content-Type"] == "application/x-tar"
    with tarfile.open(fileobj=io.BytesIO(answer.content)) as opened:
        assert sorted(opened.getnames()) == [".", "./sub", "./sub/one", "./two"]
    root = await running.http.get("/v1/workspaces/main/files/")
    with tarfile.open(fileobj=io.BytesIO(root.content)) as opened:
        assert "./d/sub/one" in opened.getnames()
    filled = await running.http.put("/v1/workspaces/main/files/?type=tar", content=files(three=b"3"))
    assert filled.status_code == 204
    names = [each["name"] for each in (await running.http.get("/v1/workspaces/main/files")).json()["data"]]
    assert names == ["d", "three"]


async def test_a_directory_is_listed_page_by_page(running: Service) -> None:
    await made(running)
    tar = files(**{f"file{at}": b"" for at in range(5)})
    await running.http.put("/v1/workspaces/main/files/?type=tar", content=tar)
    names: list[str] = []
    query = "limit=2"
    while True:
        page = (await running.http.get(f"/v1/workspaces/main/files?{query}")).json()
        names += [each["name"] for each in page["data"]]
        if page["next_cursor"] is None:
            break
        query = f"limit=2&cursor={page['next_cursor']}"

    assert names == ["file0", "file1", "file2", "file3", "file4"]


async def test_what_cannot_be_written_is_refused_with_its_reason(running: Service) -> None:
    await made(running, quota=1000)
    here = "/v1/workspaces/main/files"
    await running.http.put(f"{here}/file", content=b"x")

    async def put(path: str, content: bytes = b"x", **headers: str) -> tuple[int, str]:
        named = {name.replace("_", "-"): value for name, value in headers.items()}
        return code(await running.http.put(f"{here}/{path}", content=content, headers=named))

    assert await put("%2e%2e/x") == (422, "invalid_path")
    assert await put("") == (422, "invalid_path")
    assert await put("file/x") == (409, "not_a_directory")
    assert await put("big", bytes(1001)) == (409, "quota_exceeded")
    assert await put("d", b"no tar", content_type="application/x-tar") == (422, "invalid_upload")
    hostile = tarred((info("../x"), b"x"))
    assert await put("d", hostile, content_type="application/x-tar") == (422, "invalid_upload")
    assert await put("x", b"x", content_type="multipart/form-data") == (415, "unsupported_media_type")
    assert code(await running.http.delete(f"{here}/none")) == (404, "file_not_found")
    assert code(await running.http.put("/v1/workspaces/none/files/x", content=b"x")) == (
        404,
        "workspace_not_found",
    )
    assert list((running.shop.site.spool / "uploads").iterdir()) == [], "nothing of what was refused is kept"


async def test_a_workspace_in_use_is_read_and_not_changed(running: Service) -> None:
    workspace = await made(running)
    here = f"/v1/workspaces/{workspace['id']}"
    await running.http.put(f"{here}/files/file", content=b"x")
    snapshot = (await running.http.post(f"{here}/snapshots", json={})).json()
    held = await running.shop.workspace("other")
    user = await user_of(running, held.id)
    other = f"/v1/workspaces/{held.id}"

    calls = (
        running.http.put(f"{other}/files/x", content=b"x"),
        running.http.delete(f"{other}/files/x"),
        running.http.post(f"{other}/snapshots", json={}),
        running.http.post("/v1/workspaces", json={"name": "clone", "clone_from": "other"}),
        running.http.delete(other),
    )
    for call in calls:
        answer = await call
        assert code(answer) == (409, "workspace_in_use")
        assert answer.json()["error"]["details"]["busy_with"] == [user.id]

    assert (await running.http.get(f"{other}/files")).json()["data"] == []
    assert (await running.http.get(other)).json()["busy_with"] == [user.id]
    assert snapshot["size_bytes"] is not None


async def test_copies_are_in_the_way_of_changes_and_not_of_snapshots(idle: Service) -> None:
    workspace = await made(idle)
    user = await user_of(idle, workspace["id"], WorkspaceMode.COPY)
    here = f"/v1/workspaces/{workspace['id']}"

    refused = await idle.http.put(f"{here}/files/x", content=b"x")
    assert code(refused) == (409, "workspace_in_use")
    claim = await idle.hands.take()
    assert claim.job.id == user.id
    async with played(idle.perform):
        assert (await idle.http.post(f"{here}/snapshots", json={})).status_code == 201


async def expire(running: Service) -> None:
    for job_id in await running.store.jobs.expire(running.hands.clock.now()):
        running.hands.completion.changed(job_id)


async def test_a_change_waits_for_another_and_is_put_off_when_that_takes_too_long(idle: Service) -> None:
    await made(idle)
    first = asyncio.create_task(idle.http.put("/v1/workspaces/main/files/x", content=b"x"))
    claim = await idle.hands.take()

    async with played(lambda: expire(idle)):
        second = await idle.http.put("/v1/workspaces/main/files/x", content=b"y")

    assert code(second) == (503, "queue_timeout")
    await idle.do(claim)
    assert (await first).status_code in {202, 204}
    assert (await idle.http.get("/v1/workspaces/main/files/x")).content == b"x"


async def test_a_change_that_takes_long_goes_on_as_a_job(idle: Service) -> None:
    await made(idle)
    taken = asyncio.create_task(idle.hands.take())

    answer = await idle.http.put("/v1/workspaces/main/files/x", content=b"x")

    assert answer.status_code == 202
    assert answer.headers["Location"] == f"/v1/jobs/{answer.json()['id']}"
    await idle.do(await taken)
    job = (await idle.http.get(answer.headers["Location"])).json()
    assert (job["kind"], job["status"]) == ("workspace.write", "succeeded")
    assert (await idle.http.get("/v1/workspaces/main/files/x")).content == b"x"


async def test_deleting_with_force_cancels_what_uses_it(idle: Service) -> None:
    workspace = await made(idle)
    first, second = [await user_of(idle, workspace["id"]) for _ in range(2)]
    claim = await idle.hands.take()

    async def stop() -> None:
        job_id, reason = await idle.hands.stopped.get()
        if job_id == claim.job.id:
            await idle.hands.end(claim, status=Status.CANCELLED, reason=reason)

    async with played(stop):
        answer = await idle.http.delete(f"/v1/workspaces/{workspace['id']}?force=true")

    assert answer.status_code == 204
    for job in (first, second):
        ended = await idle.store.jobs.get(job.id)
        assert ended is not None
        assert ended.status is Status.CANCELLED
    assert code(await idle.http.get("/v1/workspaces/main")) == (404, "workspace_not_found")


async def test_a_snapshot_is_made_listed_restored_and_deleted(running: Service) -> None:
    await made(running)
    here = "/v1/workspaces/main"
    await running.http.put(f"{here}/files/file", content=b"before")

    answer = await running.http.post(f"{here}/snapshots", json={"name": "before it"})
    snapshot = answer.json()
    assert answer.status_code == 201
    assert answer.headers["Location"].endswith(f"/snapshots/{snapshot['id']}")
    assert (snapshot["name"], snapshot["size_bytes"] > 0) == ("before it", True)
    assert (await running.http.get(f"{here}/snapshots")).json()["data"] == [snapshot]

    await running.http.put(f"{here}/files/file", content=b"after")
    await running.http.put(f"{here}/files/more", content=b"more")
    assert (await running.http.post(f"{here}/snapshots/{snapshot['id']}/restore")).status_code == 200
    assert (await running.http.get(f"{here}/files/file")).content == b"before"
    assert code(await running.http.get(f"{here}/files/more")) == (404, "file_not_found")

    there = f"{here}/snapshots/{snapshot['id']}"
    assert (await running.http.delete(there)).status_code == 204
    assert code(await running.http.delete(there)) == (404, "snapshot_not_found")
    assert code(await running.http.post(f"{there}/restore")) == (404, "snapshot_not_found")


async def test_a_clone_begins_with_what_the_other_holds(running: Service) -> None:
    await made(running, "source", image="debian:12")
    await running.http.put("/v1/workspaces/source/files/file", content=b"x")

    clone = await made(running, "clone", clone_from="Source", quota="1g")

    assert (clone["image"], clone["quota_bytes"]) == ("debian:12", 1 << 30)
    assert (await running.http.get("/v1/workspaces/clone/files/file")).content == b"x"
    again = await running.http.post("/v1/workspaces", json={"name": "clone", "clone_from": "source"})
    assert code(again) == (409, "workspace_exists")
    none = await running.http.post("/v1/workspaces", json={"name": "other", "clone_from": "none"})
    assert code(none) == (404, "workspace_not_found")


async def test_workspaces_are_deleted_by_jobs_too(running: Service) -> None:
    for name in ("a", "b", "c"):
        await made(running, name)
    held = (await running.http.get("/v1/workspaces/b")).json()

    one = {"kind": "workspace.delete", "input": {"workspace": "c"}}
    first = (await running.http.post("/v1/jobs", json=one)).json()
    await ended(running, first["id"])
    await user_of(running, held["id"])
    many = {"kind": "workspace.bulk_delete", "input": {"workspaces": ["a", "b"]}}
    second = (await running.http.post("/v1/jobs", json=many)).json()

    job = await ended(running, second["id"])

    assert (job["status"], job["reason"]) == ("failed", "workspace_in_use")
    assert [each["workspace_id"] for each in job["result"]["kept"]] == [held["id"]]
    names = [each["name"] for each in (await running.http.get("/v1/workspaces")).json()["data"]]
    assert names == ["b"]


async def ended(running: Service, job_id: str) -> dict[str, Any]:
    job = (await running.http.get(f"/v1/jobs/{JobId(job_id)}?wait_ms=10000")).json()
    assert job["finished_at"] is not None
    return job


async def test_a_key_with_a_prefix_sees_and_makes_only_what_begins_so(running: Service) -> None:
    await made(running, "other")
    source = await made(running, "Team-a")
    key = bearer(await running.key_with(workspace_prefix="team-"))

    listed = (await running.http.get("/v1/workspaces", headers=key)).json()["data"]
    assert [each["name"] for each in listed] == ["Team-a"]
    for path in ("/v1/workspaces/other", "/v1/workspaces/other/files", "/v1/workspaces/other/snapshots"):
        assert code(await running.http.get(path, headers=key)) == (404, "workspace_not_found")
    assert code(await running.http.delete("/v1/workspaces/other", headers=key)) == (
        404,
        "workspace_not_found",
    )
    refused = await running.http.post("/v1/workspaces", json={"name": "new"}, headers=key)
    assert code(refused) == (403, "forbidden")
    for clone in ({"name": "team-b", "clone_from": "other"}, {"name": "b", "clone_from": source["id"]}):
        assert (await running.http.post("/v1/workspaces", json=clone, headers=key)).status_code in {403, 404}
    job = {"kind": "sandbox.exec", "input": {"command": "true", "workspace": "other"}}
    assert code(await running.http.post("/v1/jobs", json=job, headers=key)) == (403, "forbidden")
    delete = {"kind": "workspace.delete", "input": {"workspace": "other"}}
    assert code(await running.http.post("/v1/jobs", json=delete, headers=key)) == (404, "workspace_not_found")
    assert (
        await running.http.post("/v1/workspaces", json={"name": "TEAM-new"}, headers=key)
    ).status_code == 201


async def test_a_key_gives_no_more_workspaces_than_it_has(running: Service) -> None:
    key = bearer(await running.key_with(workspace_prefix="team-"))

    async def give(**fields: object) -> httpx.Response:
        body = {"name": "n", "full": True, **fields}
        return await running.http.post("/v1/keys", json=body, headers=key)

    assert (await give()).json()["workspace_prefix"] == "team-"
    assert (await give(workspace_prefix="Team-a")).json()["workspace_prefix"] == "Team-a"
    assert code(await give(workspace_prefix="other")) == (403, "forbidden")


@pytest.mark.parametrize(
    ("method", "path", "scope"),
    [
        ("GET", "/v1/workspaces", Scope.WORKSPACES_READ),
        ("POST", "/v1/workspaces", Scope.WORKSPACES_WRITE),
        ("DELETE", "/v1/workspaces/main", Scope.WORKSPACES_WRITE),
        ("GET", "/v1/workspaces/main/files", Scope.FILES_READ),
        ("GET", "/v1/workspaces/main/files/x", Scope.FILES_READ),
        ("PUT", "/v1/workspaces/main/files/x", Scope.FILES_WRITE),
        ("DELETE", "/v1/workspaces/main/files/x", Scope.FILES_WRITE),
        ("POST", "/v1/workspaces/main/snapshots", Scope.WORKSPACES_WRITE),
    ],
)
async def test_each_route_needs_its_scope(running: Service, method: str, path: str, scope: Scope) -> None:
    key = bearer(await running.key_with(scopes=frozenset(Scope) - {scope}))
    answer = await running.http.request(method, path, headers=key)
    assert code(answer) == (403, "forbidden")
    assert scope.value in answer.json()["error"]["message"]


async def test_the_workspaces_image_is_that_of_its_jobs(running: Service) -> None:
    await made(running, image="debian:12")
    body = {"kind": "sandbox.exec", "input": {"command": "true", "workspace": "main"}}
    async with played(running.hands.run):
        job = (await running.http.post("/v1/jobs", json=body)).json()
    assert job["input"]["image"] == "debian:12"


async def test_looking_leaves_nothing_behind(running: Service) -> None:
    await made(running)
    await running.http.put("/v1/workspaces/main/files/file", content=b"x")
    assert (await running.http.head("/v1/workspaces/main/files/file")).headers["Content-Length"] == "1"
    await running.http.get("/v1/workspaces/main/files/file")

    await running.shop.removals.drain(10)

    engine = running.shop.site.engine
    assert isinstance(engine, FakeEngine)
    assert engine.containers == {}
    assert len(await engine.volumes(running.shop.site.instance)) == 1
