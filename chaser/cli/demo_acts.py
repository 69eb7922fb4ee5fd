"""What the demo does: a workflow job, three commands and a pipeline twice, and what each of them should come to."""

import time
from dataclasses import dataclass
from datetime import datetime

from chaser.cli import document
from chaser.cli.demo_children import ACCOUNT, Stage
from chaser.cli.failure import Failure
from chaser.cli.http import Document, answered, call, client

_PATIENCE_SECONDS = 120
_LONGEST_WAIT_MS = 30_000


@dataclass(frozen=True, slots=True)
class Command:
    title: str
    words: tuple[str, ...]
    exit_status: int
    reason: str | None


COMMANDS = (
    Command("a success", ("echo hello from a container of its own; uname -sr",), 0, None),
    Command("a failure", ("echo 'config.yml: no such file' >&2; exit 3",), 3, "nonzero_exit"),
    Command("a timeout", ("--timeout", "2s", "echo working; sleep 300"), 124, "run_timeout"),
)


@dataclass(frozen=True, slots=True)
class Act:
    """What came of one part. `as_expected` decides about the whole demo."""

    title: str
    what: str
    outcome: str
    took_ms: int
    output: str
    as_expected: bool
    document: Document


def run_command(stage: Stage, command: Command) -> Act:
    """Through the program, as a person or a script would."""
    begun = time.monotonic()
    ended = stage.program("chaser", "exec", "--json", *command.words)
    took = round((time.monotonic() - begun) * 1000)
    result = document.parse(ended.stdout)
    if "id" not in result:
        raise Failure("demo_failed", f"{command.title}: {ended.stderr.strip()}", 1)
    good = ended.returncode == command.exit_status and result.get("reason") == command.reason
    reason = f", {result['reason']}" if result.get("reason") else ""
    return Act(
        title=command.title,
        what=command.words[-1],
        outcome=f"{result.get('status')}{reason}, exit status {ended.returncode}",
        took_ms=took,
        output=str(result.get("output") or ""),
        as_expected=good,
        document=result,
    )


_PIPELINE = """\
workspace: demo
steps:
  - name: look around
    command: cat found.txt 2>/dev/null || echo nothing is here yet
  - name: leave something
    command: echo the first run was here > found.txt
"""


def run_pipeline_twice(stage: Stage) -> list[Act]:
    """In a workspace, so that the second run finds the files of the first."""
    return [
        _run_pipeline(stage, "a pipeline", "nothing is here yet\n"),
        _run_pipeline(stage, "the pipeline again", "the first run was here\n"),
    ]


def _run_pipeline(stage: Stage, title: str, expected: str) -> Act:
    begun = time.monotonic()
    ended = stage.program("chaser", "jobs", "run", "--wait", "--json", "-", stdin=_PIPELINE)
    took = round((time.monotonic() - begun) * 1000)
    job = document.parse(ended.stdout)
    if "id" not in job:
        raise Failure("demo_failed", f"{title}: {ended.stderr.strip()}", 1)
    steps = [document.table(step) for step in document.items(document.table(job.get("result")).get("steps"))]
    found = [str(step.get("output") or "") for step in steps]
    return Act(
        title=title,
        what="two steps in the workspace demo",
        outcome=f"{job.get('status')}, exit status {ended.returncode}",
        took_ms=took,
        output="".join(found),
        as_expected=ended.returncode == 0 and found == [expected, ""],
        document=job,
    )


def run_workflow_job(stage: Stage) -> Act:
    """One signed delivery in, as GitHub would send it; a container out that has served the job."""
    begun = time.monotonic()
    url = f"{stage.service.url}/webhooks/github"
    repository = f"{ACCOUNT}/example"
    words = ("deliver", "--url", url, "--label", "chaser", "--repository", repository)
    sent = stage.program("chaser.simulator", *words)
    if sent.returncode != 0:
        raise Failure("demo_failed", f"The delivery was not accepted: {sent.stdout}{sent.stderr}".strip(), 1)
    job = _ended(stage, _newest_runner(stage))
    took = round((time.monotonic() - begun) * 1000)
    asked = document.table(job.get("input"))
    story = call(stage.service, "GET", f"/v1/github/jobs/{asked.get('workflow_job_id')}")
    return Act(
        title="a workflow job",
        what=f"runs-on: chaser, in {repository}",
        outcome=f"{job.get('status')}" + (f", {job['reason']}" if job.get("reason") else ""),
        took_ms=took,
        output=_log(stage, str(job["id"])) + _timeline(document.table(story.get("timeline"))),
        as_expected=job.get("status") == "succeeded",
        document={**job, "github": story},
    )


def _timeline(moments: Document) -> str:
    """One line: how many milliseconds after the delivery each thing happened."""
    at = {name: datetime.fromisoformat(value) for name, value in moments.items() if isinstance(value, str)}
    first = at.get("delivered")
    if first is None:
        return ""
    told = [
        f"{name.replace('_', ' ')} +{round((moment - first).total_seconds() * 1000)} ms"
        for name, moment in at.items()
        # GitHub's own times are whole seconds, by its clock
        if name not in {"created", "delivered", "running", "completed"}
    ]
    return f"(delivered, {', '.join(told)})\n"


def _newest_runner(stage: Stage) -> str:
    """The delivery and its job are stored together, so the answer to the one means that the other is there."""
    page = call(stage.service, "GET", "/v1/jobs", {"kind": "github.runner", "limit": "1"})
    jobs = document.items(page.get("data"))
    if not jobs:
        raise Failure("demo_failed", "The delivery was accepted, and there is no job for it.", 1)
    return str(document.table(jobs[0])["id"])


def _ended(stage: Stage, job_id: str) -> Document:
    until = time.monotonic() + _PATIENCE_SECONDS
    while True:
        job = call(stage.service, "GET", f"/v1/jobs/{job_id}", {"wait_ms": str(_LONGEST_WAIT_MS)})
        if job.get("finished_at") or time.monotonic() > until:
            return job


def _log(stage: Stage, job_id: str) -> str:
    with client(stage.service) as made:
        response = made.get(f"/v1/jobs/{job_id}/logs")
    if not response.is_success:
        answered(response)
    return response.text
