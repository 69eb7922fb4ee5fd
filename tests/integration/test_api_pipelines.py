"""Pipelines over real HTTP: what each step printed stands with it."""

import json
from collections.abc import AsyncGenerator
from pathlib import Path
from typing import Any

import pytest

from chaser.jobs.job import Status
from chaser.jobs.kinds.pipeline import MOST_STEPS, Pipeline
from chaser.jobs.reason import Reason
from chaser.sandboxes.ending import Exited, StepRun
from tests.api_service import PROFILE, Service, service

STEPS: list[dict[str, Any]] = [
    {"name": "build", "command": "make", "env": {"B": "private"}},
    {"command": "make test", "timeout_ms": 1000, "continue_on_error": True},
    {"name": "ship", "command": "make ship"},
]


@pytest.fixture
async def running(tmp_path: Path) -> AsyncGenerator[Service]:
    async with service(tmp_path) as made:
        yield made


async def posted(made: Service, **fields: object) -> dict[str, Any]:
    answer = await made.http.post(
        "/v1/jobs", json={"kind": "pipeline.run", "input": {"steps": STEPS, **fields}}
    )
    assert answer.status_code == 201, answer.text
    return answer.json()


async def run_two_steps(made: Service) -> None:
    """The second fails, and may; the third fails."""
    claim = await made.hands.start()
    for step, text in enumerate((b"built\n", b"x" * 70_000, b"shipped?\n")):
        await made.hands.print(claim, text, step=step)
    now = made.hands.clock.now()
    ending = Exited(7, steps=(StepRun(now, now, 0), StepRun(now, now, 1), StepRun(now, now, 7)))
    verdict = Pipeline({"default": PROFILE}).verdict(claim.job, ending)
    assert verdict.reason is Reason.NONZERO_EXIT
    await made.hands.end(
        claim,
        status=Status.FAILED,
        reason=verdict.reason,
        message=verdict.message,
        exit_code=7,
        output_bytes=70_015,
        more={"steps": verdict.result["steps"]},
    )


async def test_each_step_has_its_end_and_its_output(running: Service) -> None:
    job_id = (await posted(running))["id"]
    await run_two_steps(running)
    job = (await running.http.get(f"/v1/jobs/{job_id}")).json()
    first, second, third = job["result"]["steps"]
    assert (job["status"], job["reason"], job["result"]["exit_code"]) == ("failed", "nonzero_exit", 7)
    assert job["message"].startswith("Step 'ship': ")
    assert (first["name"], first["status"], first["output"]) == ("build", "succeeded", "built\n")
    assert (second["name"], second["status"], second["exit_code"]) == ("step 2", "failed", 1)
    assert (second["output_truncated"], len(second["output"]) <= 65536) == (True, True)
    assert (third["status"], third["output"], third["output_truncated"]) == ("failed", "shipped?\n", False)


async def test_lists_leave_out_what_the_steps_printed(running: Service) -> None:
    await posted(running)
    await run_two_steps(running)
    (line,) = (await running.http.get("/v1/jobs?kind=pipeline.run")).json()["data"]
    assert [step["status"] for step in line["result"]["steps"]] == ["succeeded", "failed", "failed"]
    assert not any("output" in step for step in line["result"]["steps"])


async def test_the_log_says_which_step_printed_what(running: Service) -> None:
    job_id = (await posted(running))["id"]
    await run_two_steps(running)
    text = (await running.http.get(f"/v1/jobs/{job_id}/logs?format=ndjson")).text
    assert [json.loads(line)["step"] for line in text.splitlines()] == [0, 1, 2]


async def test_a_pipeline_that_never_began_has_skipped_all(running: Service) -> None:
    job_id = (await posted(running))["id"]
    await running.http.post(f"/v1/jobs/{job_id}/cancel")
    job = (await running.http.get(f"/v1/jobs/{job_id}")).json()
    assert [(step["name"], step["status"]) for step in job["result"]["steps"]] == [
        ("build", "skipped"),
        ("step 2", "skipped"),
        ("ship", "skipped"),
    ]


async def test_nothing_secret_of_a_step_is_shown(running: Service) -> None:
    job = await posted(running)
    assert job["input"]["steps"][0]["env"] == {"B": "***"}
    assert "private" not in json.dumps(job)


FAULTS: list[tuple[dict[str, Any], str]] = [
    ({"steps": []}, "/input/steps"),
    ({"steps": [{"command": "x"}] * (MOST_STEPS + 1)}, "/input/steps"),
    ({"steps": [{"command": ""}]}, "/input/steps/0/command"),
    ({"steps": [{"command": "x"}, {"name": "y"}]}, "/input/steps/1/command"),
    ({"steps": [{"command": "x", "name": ""}]}, "/input/steps/0/name"),
    ({"steps": [{"command": "x", "name": "a\nb"}]}, "/input/steps/0/name"),
    ({"steps": [{"command": "x", "timeout_ms": 21_600_001}]}, "/input/steps/0/timeout_ms"),
    ({"steps": [{"command": "x", "cwd": "src"}]}, "/input/steps/0/cwd"),
    ({"steps": [{"command": "x", "env": {"A=B": "x"}}]}, "/input/steps/0/env/A=B"),
    ({"steps": [{"command": "x", "secrets": {}}]}, "/input/steps/0/secrets"),
    ({"steps": [{"command": "x", "continue_on_error": 1}]}, "/input/steps/0/continue_on_error"),
    ({"steps": {"command": "x"}}, "/input/steps"),
    ({"secrets": {"B": "x"}}, "/input/steps/0/env"),
    ({"command": "x"}, "/input/command"),
    ({"ephemeral": True}, "/input/ephemeral"),
]


@pytest.mark.parametrize(("fields", "pointer"), FAULTS)
async def test_a_fault_is_named_by_its_place(
    running: Service, fields: dict[str, object], pointer: str
) -> None:
    body = {"kind": "pipeline.run", "input": {"steps": STEPS, **fields}}
    answer = await running.http.post("/v1/jobs", json=body)
    assert answer.status_code == 422
    assert [fault["pointer"] for fault in answer.json()["error"]["details"]["fields"]] == [pointer]
