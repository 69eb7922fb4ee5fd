"""POST /v1/jobs over real HTTP: what is accepted, found again, and refused."""

import json
from collections.abc import AsyncGenerator, Mapping
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import httpx
import pytest

from chaser.api.context import Rules
from chaser.api.schemas.jobs import Because
from chaser.ids import new_upload_id, new_workspace_id
from chaser.jobs.job import RETRIABLE, Job, Retry, Status, Verdict
from chaser.jobs.kind import Admitted, Bounds, ServiceKind
from chaser.jobs.kinds.schema import Strict
from chaser.jobs.reason import Reason
from chaser.keys import Scope
from chaser.sandboxes.spec import WorkspaceMode
from chaser.sandboxes.workspaces import Workspace
from tests.api_service import PROFILE, Service, bearer, service

EXEC: dict[str, Any] = {"kind": "sandbox.exec", "input": {"command": "true"}}
SECRET: dict[str, Any] = {"command": "deploy", "env": {"A": "in-clear"}, "secrets": {"T": "hunter22"}}


@pytest.fixture
async def running(tmp_path: Path) -> AsyncGenerator[Service]:
    async with service(tmp_path) as made:
        yield made


async def post(
    made: Service, body: object, path: str = "/v1/jobs", headers: Mapping[str, str] | None = None
) -> httpx.Response:
    return await made.http.post(path, json=body, headers=headers)


async def accepted(made: Service, **fields: object) -> dict[str, Any]:
    answer = await post(made, {**EXEC, **fields})
    assert answer.status_code == 201, answer.text
    return answer.json()


def pointers(answer: httpx.Response) -> list[str]:
    assert (answer.status_code, answer.json()["error"]["code"]) == (422, "invalid_request"), answer.text
    return [fault["pointer"] for fault in answer.json()["error"]["details"]["fields"]]


async def test_a_job_is_accepted_and_lies_where_the_answer_says(running: Service) -> None:
    answer = await post(running, EXEC)
    job = answer.json()
    assert answer.headers["Location"] == f"/v1/jobs/{job['id']}"
    assert (job["status"], job["attempt"], job["max_attempts"], job["priority"]) == ("queued", 0, 3, 0)
    assert (job["workspace_id"], job["retry_of"], job["concurrency_key"]) == (None, None, None)
    assert job["waiting"]["because"] == "capacity"
    assert (await running.http.get(answer.headers["Location"])).json() == job
    stored = await running.store.jobs.get(job["id"])
    assert stored is not None
    assert (stored.queue_until, stored.profile, stored.leash) == (None, "default", None)


async def test_what_a_client_says_of_the_job_is_kept(running: Service) -> None:
    at = datetime.now(UTC) + timedelta(hours=1)
    job = await accepted(
        running,
        run_at=at.isoformat(),
        priority=-7,
        max_attempts=5,
        retry={"on": ["nonzero_exit", "host_lost"], "max": 4, "backoff_ms": 10, "backoff_max_ms": 20},
        concurrency_key="deploy to production",
        queue_timeout_ms=60_000,
        leash_ms=5_000,
    )
    stored = await running.store.jobs.get(job["id"])
    assert stored is not None
    assert (stored.priority, stored.max_attempts, stored.concurrency_key) == (-7, 5, "deploy to production")
    assert stored.retry == Retry(
        frozenset({Reason.NONZERO_EXIT, Reason.HOST_LOST}),
        4,
        timedelta(milliseconds=10),
        timedelta(milliseconds=20),
    )
    assert stored.queue_until == stored.run_at + timedelta(minutes=1)
    assert stored.leash == timedelta(seconds=5)
    assert job["waiting"]["because"] == "scheduled"
    assert job["waiting"]["until"] == job["run_at"]


async def test_a_retry_has_its_own_pauses(running: Service) -> None:
    job = await accepted(running, retry={"on": sorted(RETRIABLE), "max": 1, "backoff_ms": 120_000})
    stored = await running.store.jobs.get(job["id"])
    assert stored is not None
    assert stored.retry == Retry(RETRIABLE, 1, timedelta(minutes=2), timedelta(minutes=2))


async def test_secrets_are_sealed_and_shown_nowhere(running: Service) -> None:
    job = await accepted(running, input=SECRET)
    assert job["input"]["env"] == {"A": "***"}
    assert "hunter22" not in json.dumps(job)
    claim = await running.hands.take()
    assert claim.job.secrets.masked == {"T": "hunter22"}


@pytest.mark.parametrize("where", ["field", "header", "both"])
async def test_the_same_key_with_the_same_body_is_the_same_job(running: Service, where: str) -> None:
    """Whether it stands in the header or in the body, and whatever the order of the fields."""
    first = await accepted(running, idempotency_key="build 7")
    turned: dict[str, Any] = dict(reversed(list(EXEC.items())))
    body = turned if where == "header" else {"idempotency_key": "build 7", **turned}
    headers = {} if where == "field" else {"Idempotency-Key": "build 7"}
    again = await post(running, body, headers=headers)
    assert (again.status_code, again.json()["id"]) == (200, first["id"])
    assert again.headers["Idempotent-Replayed"] == "true"


async def test_the_same_key_with_another_body_is_a_conflict(running: Service) -> None:
    await accepted(running, idempotency_key="k")
    for body in ({**EXEC, "idempotency_key": "k", "priority": 1}, {"command": "true"}):
        path = "/v1/jobs" if "kind" in body else "/v1/exec"
        answer = await post(running, body, path, {"Idempotency-Key": "k"})
        assert (answer.status_code, answer.json()["error"]["code"]) == (409, "idempotency_conflict")


async def test_two_different_keys_are_a_fault(running: Service) -> None:
    answer = await post(running, {**EXEC, "idempotency_key": "a"}, headers={"Idempotency-Key": "b"})
    assert pointers(answer) == ["/idempotency_key"]


async def test_every_fault_is_named_at_once(running: Service) -> None:
    body = {
        "kind": "sandbox.exec",
        "input": {"command": "", "colour": "red", "limits": {"cpus": "2"}, "profile": "none"},
        "run_at": "2026-01-01T00:00:00",
        "priority": 101,
        "max_attempts": 0,
        "retry": {"on": ["disk_full"], "max": -1, "backoff_ms": 1e30},
        "concurrency_key": "",
        "queue_timeout_ms": 10**30,
        "leash_ms": 4999,
        "shade": 1,
    }
    assert set(pointers(await post(running, body))) == {
        "/input/command",
        "/input/colour",
        "/input/limits/cpus",
        "/input/profile",
        "/run_at",
        "/priority",
        "/max_attempts",
        "/retry/on/0",
        "/retry/max",
        "/retry/backoff_ms",
        "/concurrency_key",
        "/queue_timeout_ms",
        "/leash_ms",
        "/shade",
    }


@pytest.mark.parametrize(
    ("fields", "pointer"),
    [
        ({"kind": None}, "/kind"),
        ({"kind": 5}, "/kind"),
        ({"kind": ["sandbox.exec"]}, "/kind"),
        ({"kind": "sandbox.exe"}, "/kind"),
        ({"input": None}, "/input"),
        ({"input": []}, "/input"),
        ({"input": {"command": "a\0b"}}, "/input/command"),
        ({"input": {"command": "x", "env": {"A": {"B": 1}}}}, "/input/env/A"),
        ({"input": {"command": "x", "isolation": "sudo"}}, "/input/isolation"),
        ({"input": {"command": "x", "ephemeral": True, "workspace": "w"}}, "/input/workspace"),
        ({"input": {"command": "x", "queue_timeout_ms": 5}, "queue_timeout_ms": 5}, "/queue_timeout_ms"),
        ({"run_at": "soon"}, "/run_at"),
        ({"run_at": 5}, "/run_at"),
        ({"run_at": "9999-12-31T23:59:59Z"}, "/run_at"),
        ({"run_at": "2400-01-01T00:00:00Z"}, "/run_at"),
        ({"run_at": "1969-12-31T23:59:59Z"}, "/run_at"),
        ({"retry": {"on": ["nonzero_exit"]}}, "/retry/max"),
        ({"retry": {"on": [], "max": 1}}, "/retry/on"),
        ({"retry": {"on": ["nonzero_exit"], "max": 1.0}}, "/retry/max"),
        ({"retry": {"on": ["nonzero_exit"], "max": 1, "backoff_ms": 5, "backoff_max_ms": 4}}, "/retry/backoff_max_ms"),
        ({"retry": {"on": ["nonzero_exit"], "max": 1, "jitter": 1}}, "/retry/jitter"),
        ({"concurrency_key": "x" * 256}, "/concurrency_key"),
        ({"concurrency_key": "a\tb"}, "/concurrency_key"),
        ({"idempotency_key": " a"}, "/idempotency_key"),
        ({"leash_ms": 10**12}, "/leash_ms"),
        ({"leash_ms": True}, "/leash_ms"),
    ],
)  # fmt: skip
async def test_a_hostile_body_is_a_fault_of_its_field(
    running: Service, fields: dict[str, object], pointer: str
) -> None:
    answer = await post(running, {**EXEC, **fields})
    assert pointers(answer) == [pointer]
    assert (await running.http.get("/v1/jobs")).json()["data"] == []


async def test_an_unknown_kind_is_told_those_that_there_are(running: Service) -> None:
    answer = await post(running, {"kind": "make.coffee", "input": 5, "colour": "red"})
    faults = {fault["pointer"]: fault["reason"] for fault in answer.json()["error"]["details"]["fields"]}
    assert set(faults) == {"/kind", "/colour"}
    assert faults["/kind"].startswith("there is no such kind; there are: pipeline.run, sandbox.exec, ")
    assert "github.runner" not in faults["/kind"]


async def test_a_kind_that_the_service_makes_itself_is_not_taken(running: Service) -> None:
    answer = await post(running, {"kind": "github.runner", "input": {}})
    assert (answer.status_code, answer.json()["error"]["code"]) == (403, "kind_not_allowed")


async def test_what_is_not_served_is_said_with_its_place(running: Service) -> None:
    answer = await post(running, {**EXEC, "input": {"command": "x", "keep_on_failure": True}})
    error = answer.json()["error"]
    assert (answer.status_code, error["code"]) == (422, "not_supported")
    assert error["details"]["not_supported"] == ["/input/keep_on_failure"]


async def test_the_kinds_are_listed_with_their_schemas(running: Service) -> None:
    listed = {each["kind"]: each for each in (await running.http.get("/v1/jobs/kinds")).json()["data"]}
    assert set(listed) == {"sandbox.exec", "pipeline.run", "workspace.delete", "workspace.bulk_delete"}
    schema = listed["pipeline.run"]["input_schema"]
    assert schema["$schema"] == "https://json-schema.org/draft/2020-12/schema"
    assert schema["properties"]["timeout_ms"]["anyOf"][0]["maximum"] == 21_600_000
    assert "StepRequest" in schema["$defs"]
    assert listed["sandbox.exec"]["description"]


# Batches


async def test_a_batch_is_accepted_whole_and_in_order(running: Service) -> None:
    jobs = [{**EXEC, "priority": number} for number in range(30)]
    answer = await post(running, {"jobs": jobs}, "/v1/jobs/batch")
    assert answer.status_code == 201
    assert [job["priority"] for job in answer.json()["data"]] == list(range(30))
    assert {job["replayed"] for job in answer.json()["data"]} == {False}
    assert (await running.store.jobs.counts())[Status.QUEUED] == 30


async def test_a_batch_with_a_fault_is_refused_whole(running: Service) -> None:
    jobs = [EXEC, {**EXEC, "kind": "x"}, {**EXEC, "input": {"command": 5}}, 7, {**EXEC, "priority": 999}]
    answer = await post(running, {"jobs": jobs}, "/v1/jobs/batch")
    assert pointers(answer) == ["/jobs/1/kind", "/jobs/2/input/command", "/jobs/3", "/jobs/4/priority"]
    assert (await running.http.get("/v1/jobs")).json()["data"] == []


async def test_what_the_profile_forbids_is_named_for_every_job_of_a_batch(running: Service) -> None:
    jobs = [{**EXEC, "input": {"command": "x", "isolation": "sudo"}}] * 2
    answer = await post(running, {"jobs": jobs}, "/v1/jobs/batch")
    assert pointers(answer) == ["/jobs/0/input/isolation", "/jobs/1/input/isolation"]


@pytest.mark.parametrize("count", [0, 1001])
async def test_a_batch_has_one_to_a_thousand_jobs(running: Service, count: int) -> None:
    assert pointers(await post(running, {"jobs": [EXEC] * count}, "/v1/jobs/batch")) == ["/jobs"]


async def test_a_thousand_jobs_are_one_batch(running: Service) -> None:
    answer = await post(running, {"jobs": [EXEC] * 1000}, "/v1/jobs/batch")
    assert (answer.status_code, len(answer.json()["data"])) == (201, 1000)


async def test_a_batch_may_be_larger_than_a_job_and_none_of_its_jobs(tmp_path: Path) -> None:
    rules = Rules(body_bytes=4096, batch_bytes=65536)
    big = {**EXEC, "input": {"command": "x" * 3000}}
    async with service(tmp_path, rules=rules) as made:
        assert (await post(made, {"jobs": [big] * 5}, "/v1/jobs/batch")).status_code == 201
        over = {**EXEC, "input": {"command": "x" * 5000}}
        assert pointers(await post(made, {"jobs": [big, over]}, "/v1/jobs/batch")) == ["/jobs/1"]
        assert (await post(made, {"jobs": [big] * 50}, "/v1/jobs/batch")).status_code == 413


async def test_a_batch_finds_jobs_again_and_conflicts_as_a_whole(running: Service) -> None:
    known = await accepted(running, idempotency_key="a")
    jobs = [{**EXEC, "idempotency_key": "a"}, {**EXEC, "idempotency_key": "b"}]
    answer = await post(running, {"jobs": jobs}, "/v1/jobs/batch")
    first, second = answer.json()["data"]
    assert (first["id"], first["replayed"], second["replayed"]) == (known["id"], True, False)
    clash = [{**EXEC, "idempotency_key": "c"}, {**EXEC, "idempotency_key": "b", "priority": 1}]
    refused = await post(running, {"jobs": clash}, "/v1/jobs/batch")
    error = refused.json()["error"]
    assert (refused.status_code, error["code"]) == (409, "idempotency_conflict")
    assert error["details"]["idempotency_key"] == "b"
    assert (await running.store.jobs.counts())[Status.QUEUED] == 2


async def test_a_batch_has_no_key_of_its_own(running: Service) -> None:
    answer = await post(running, {"jobs": [EXEC]}, "/v1/jobs/batch", {"Idempotency-Key": "a"})
    assert (answer.status_code, answer.json()["error"]["details"]["header"]) == (422, "Idempotency-Key")


async def test_a_batch_that_does_not_fit_the_queue_is_refused_whole(tmp_path: Path) -> None:
    async with service(tmp_path, rules=Rules(max_queued=3)) as made:
        answer = await post(made, {"jobs": [EXEC] * 4}, "/v1/jobs/batch")
        assert (answer.status_code, answer.json()["error"]["code"]) == (429, "too_busy")
        assert (await post(made, {"jobs": [EXEC] * 3}, "/v1/jobs/batch")).status_code == 201
        assert (await post(made, EXEC)).status_code == 429


# Retries


async def test_an_ended_job_is_done_once_more(running: Service) -> None:
    first = await accepted(
        running,
        input={**SECRET, "workspace": "mine"},
        concurrency_key="k",
        priority=3,
        leash_ms=5000,
        queue_timeout_ms=90_000,
    )
    await running.hands.run(exit_code=1)
    answer = await post(running, None, f"/v1/jobs/{first['id']}/retry")
    job = answer.json()
    assert (answer.status_code, answer.headers["Location"]) == (201, f"/v1/jobs/{job['id']}")
    assert (job["retry_of"], job["input"]) == (first["id"], first["input"])
    assert (job["workspace_id"], job["concurrency_key"], job["priority"]) == (first["workspace_id"], "k", 3)
    claim = await running.hands.take()
    assert (claim.job.id, claim.job.secrets.masked, claim.job.secrets.env) == (
        job["id"],
        {"T": "hunter22"},
        {"A": "in-clear"},
    )
    assert (claim.job.leash, claim.job.queue_until) == (None, None)


async def test_a_job_that_goes_on_is_not_retried(running: Service) -> None:
    job = await accepted(running)
    answer = await post(running, None, f"/v1/jobs/{job['id']}/retry")
    assert (answer.status_code, answer.json()["error"]["code"]) == (409, "job_not_finished")


async def test_a_retry_may_be_repeated(running: Service) -> None:
    job = await accepted(running)
    await running.hands.run()
    path = f"/v1/jobs/{job['id']}/retry"
    first = await post(running, None, path, {"Idempotency-Key": "again"})
    second = await post(running, None, path, {"Idempotency-Key": "again"})
    assert (first.status_code, second.status_code) == (201, 200)
    assert first.json()["id"] == second.json()["id"]


async def test_a_retry_needs_the_rights_that_the_job_needed(running: Service) -> None:
    job = await accepted(running)
    await running.hands.run()
    narrow = bearer(await running.key_with(profiles=frozenset({"other"})))
    answer = await post(running, None, f"/v1/jobs/{job['id']}/retry", narrow)
    assert (answer.status_code, answer.json()["error"]["code"]) == (403, "forbidden")


# Keys


@pytest.mark.parametrize(
    ("fields", "status"),
    [
        ({"scopes": frozenset({Scope.JOBS_WRITE})}, 201),
        ({"scopes": frozenset({Scope.EXEC_WRITE})}, 403),
        ({"profiles": frozenset({"default"})}, 201),
        ({"profiles": frozenset({"large"})}, 403),
    ],
)
async def test_a_key_may_do_what_it_says(running: Service, fields: dict[str, object], status: int) -> None:
    key = bearer(await running.key_with(**fields))
    assert (await post(running, EXEC, headers=key)).status_code == status
    assert (await post(running, {"jobs": [EXEC]}, "/v1/jobs/batch", key)).status_code == status


async def test_a_key_for_its_own_jobs_has_its_repetitions_to_itself(running: Service) -> None:
    """It could not be shown another's job."""
    await accepted(running, idempotency_key="k")
    own = bearer(await running.key_with(own_jobs=True))
    body = {**EXEC, "idempotency_key": "k"}
    assert (await post(running, body, headers=own)).status_code == 409
    assert (await post(running, {"jobs": [EXEC, body]}, "/v1/jobs/batch", own)).status_code == 409
    mine = {**EXEC, "idempotency_key": "mine"}
    assert (await post(running, mine, headers=own)).status_code == 201
    assert (await post(running, mine, headers=own)).status_code == 200


# Workspaces and uploads


async def test_a_workspace_is_made_at_its_first_use_and_found_by_both_names(running: Service) -> None:
    by_name = await accepted(running, input={"command": "x", "workspace": "mine"})
    by_id = await accepted(
        running, input={"command": "x", "workspace": by_name["workspace_id"], "workspace_mode": "copy"}
    )
    mine = await running.store.workspaces.get("mine")
    assert mine is not None
    assert by_id["workspace_id"] == by_name["workspace_id"] == mine.id
    stored = await running.store.jobs.get(by_id["id"])
    assert stored is not None
    assert stored.workspace is not None
    assert stored.workspace.mode is WorkspaceMode.COPY
    for selector in ("mine", "MINE", by_name["workspace_id"]):
        listed = (await running.http.get(f"/v1/jobs?workspace={selector}")).json()["data"]
        assert [job["id"] for job in listed] == [by_id["id"], by_name["id"]]
    other = await accepted(running)
    assert other["workspace_id"] is None


async def test_a_workspace_has_its_own_image(running: Service) -> None:
    now = datetime.now(UTC)
    mine = Workspace(new_workspace_id(now), "mine", now, now, image="node:22")
    await running.store.workspaces.add(mine)
    for selector in ("mine", mine.id):
        job = await accepted(running, input={"command": "x", "workspace": selector})
        assert job["input"]["image"] == "node:22"
    plain = await accepted(running, input={"command": "x", "workspace": "other"})
    assert plain["input"]["image"] == PROFILE.image


@pytest.mark.parametrize("query", ["wsp_" + "0" * 26, "nobody"])
async def test_jobs_of_a_workspace_that_there_is_not(running: Service, query: str) -> None:
    """Jobs outlive their workspace, so an id is just one that no job has."""
    answer = await running.http.get(f"/v1/jobs?workspace={query}")
    if query.startswith("wsp_"):
        assert answer.json()["data"] == []
    else:
        assert (answer.status_code, answer.json()["error"]["code"]) == (404, "workspace_not_found")


async def test_a_workspace_that_is_no_more_is_not_found(running: Service) -> None:
    body = {**EXEC, "input": {"command": "x", "workspace": "wsp_" + "0" * 26}}
    answer = await post(running, body)
    assert (answer.status_code, answer.json()["error"]["code"]) == (404, "workspace_not_found")


async def test_an_upload_must_be_there(running: Service) -> None:
    missing = new_upload_id(datetime.now(UTC))
    made = await running.http.post("/v1/uploads", content=b"hello")
    inputs = [{"upload": made.json()["id"], "path": "a"}, {"upload": missing, "path": "b"}]
    answer = await post(running, {**EXEC, "input": {"command": "x", "inputs": inputs}})
    assert pointers(answer) == ["/input/inputs/1/upload"]
    jobs = [
        {**EXEC, "input": {"command": "x", "inputs": inputs[:1]}},
        {**EXEC, "input": {"command": "x", "inputs": inputs}},
    ]
    assert pointers(await post(running, {"jobs": jobs}, "/v1/jobs/batch")) == [
        "/jobs/1/input/inputs/1/upload"
    ]
    direct = await post(running, {"command": "x", "inputs": inputs}, "/v1/exec")
    assert pointers(direct) == ["/inputs/1/upload"]


async def test_an_exec_in_a_workspace_tells_of_it(running: Service) -> None:
    answer = await running.http.post(
        "/v1/exec",
        json={"command": "x", "workspace": "mine", "artifacts": ["*.xml"]},
        headers={"Prefer": "respond-async"},
    )
    claim = await running.hands.start()
    await running.hands.end(claim, more={"artifacts": ["report.xml"]})
    result = (await running.http.get(f"/v1/jobs/{answer.json()['id']}")).json()["result"]
    assert (result["workspace"], result["workspace_id"]) == (
        "mine",
        claim.job.workspace and claim.job.workspace.id,
    )
    assert result["workspace_id"].startswith("wsp_")
    assert (result["ephemeral"], result["artifacts"]) == (False, ["report.xml"])


async def test_a_key_with_a_prefix_uses_no_other_workspaces(running: Service) -> None:
    theirs = await accepted(running, input={"command": "x", "workspace": "other"})
    key = bearer(await running.key_with(workspace_prefix="Team-"))

    async def use(selector: str) -> int:
        body = {**EXEC, "input": {"command": "x", "workspace": selector}}
        return (await post(running, body, headers=key)).status_code

    assert [await use(each) for each in ("team-a", "TEAM-A", "other", "teams", theirs["workspace_id"])] == [
        201,
        201,
        403,
        403,
        404,
    ]
    await running.hands.run()
    again = await post(running, None, f"/v1/jobs/{theirs['id']}/retry", key)
    assert (again.status_code, again.json()["error"]["code"]) == (404, "workspace_not_found")


class PaintRequest(Strict):
    workspace: str


class Paint(ServiceKind[PaintRequest]):
    """Acts on a workspace without running in it."""

    name = "workspace.paint"
    description = "Paints a workspace."
    input = PaintRequest
    scope = Scope.WORKSPACES_WRITE

    def admit(self, asked: PaintRequest, bounds: Bounds) -> Admitted:
        return Admitted(asked.model_dump(), workspaces={"/workspace": asked.workspace})

    async def perform(self, job: Job) -> Verdict:
        return Verdict(Status.SUCCEEDED, None, None, {})


async def test_a_kind_that_acts_on_workspaces_needs_the_right_to_each(tmp_path: Path) -> None:
    """When it is asked for, and when it is asked for once more."""
    async with service(tmp_path, more_kinds=(Paint(),)) as made:
        for name in ("team-a", "other"):
            await accepted(made, input={"command": "x", "workspace": name})
            await made.hands.run()

        def paint(name: str) -> dict[str, object]:
            return {"kind": "workspace.paint", "input": {"workspace": name}}

        theirs = (await post(made, paint("other"))).json()
        await made.hands.run()
        key = bearer(await made.key_with(workspace_prefix="team-"))
        asked = [
            (await post(made, paint(name), headers=key)).status_code for name in ("team-a", "other", "none")
        ]
        again = await post(made, None, f"/v1/jobs/{theirs['id']}/retry", key)
        assert (asked, again.status_code) == ([201, 404, 404], 404)
        assert (await post(made, None, f"/v1/jobs/{theirs['id']}/retry")).status_code == 201
        unable = bearer(await made.key_with(scopes=frozenset({Scope.JOBS_WRITE, Scope.JOBS_READ})))
        assert (await post(made, paint("team-a"), headers=unable)).status_code == 403
        assert (await post(made, None, f"/v1/jobs/{theirs['id']}/retry", unable)).status_code == 403


# Why a job waits


async def test_jobs_with_one_key_wait_for_each_other(running: Service) -> None:
    first = await accepted(running, concurrency_key="k")
    second = await accepted(running, concurrency_key="k")
    third = await accepted(running, concurrency_key="k")
    assert first["waiting"]["because"] == "capacity"
    assert second["waiting"]["because"] == "concurrency_key"
    assert (second["waiting"]["holder"], second["waiting"]["position"]) == (first["id"], 1)
    assert (third["waiting"]["holder"], third["waiting"]["position"]) == (first["id"], 2)
    lines = {job["id"]: job["waiting"] for job in (await running.http.get("/v1/jobs")).json()["data"]}
    assert lines[second["id"]]["holder"] == first["id"]
    await running.hands.run()
    moved = (await running.http.get(f"/v1/jobs/{second['id']}")).json()
    assert moved["waiting"]["because"] == "capacity"


async def test_jobs_in_one_workspace_wait_for_each_other(running: Service) -> None:
    body = {"command": "x", "workspace": "mine"}
    first = await accepted(running, input=body)
    second = await accepted(running, input=body)
    assert second["waiting"]["because"] == "workspace_busy"
    assert second["waiting"]["holder"] == first["id"]


async def test_a_full_disk_is_named(tmp_path: Path) -> None:
    async with service(tmp_path, held=lambda: Because.DISK) as made:
        assert (await accepted(made))["waiting"]["because"] == "disk"


async def test_a_job_counts_those_ahead_of_it(running: Service) -> None:
    for _ in range(2):
        await accepted(running)
    assert (await accepted(running))["waiting"]["position"] == 2
    assert (await accepted(running, priority=1))["waiting"]["position"] == 0
