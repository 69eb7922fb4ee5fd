"""The demo's workflow job: asked for at the simulated GitHub, run in a container, known to be done by both sides.

Its container has no network, as all in the demo, so that no rule of the sandboxes needs bending and no firewall must be there.
What its runner would tell GitHub it says in its log, and the demo carries that over.
"""

import time
from datetime import datetime
from urllib.parse import quote

import httpx

from chaser.cli import document
from chaser.cli.demo_acts import Act
from chaser.cli.demo_children import ACCOUNT, Stage
from chaser.cli.failure import Failure
from chaser.cli.http import Document, answered, call, client

REPOSITORY = f"{ACCOUNT}/example"
STEPS = ('echo "Hello from $RUNNER_NAME"', "uname -sr; sleep 1")
_PATIENCE_SECONDS = 120


def run_workflow_job(stage: Stage) -> Act:
    """From its begin at GitHub to the end that GitHub tells of."""
    begun = time.monotonic()
    with _github(stage) as github:
        workflow_job_id = _pushed(stage)
        job_id = _planned(stage, github, workflow_job_id)
        log = _carried(stage, github, job_id)
        job = call(stage.service, "GET", f"/v1/jobs/{job_id}", {"wait_ms": "30000"})
        github.get("/_sim/state")  # it answers when all that it has sent was answered
    story = call(stage.service, "GET", f"/v1/github/jobs/{workflow_job_id}")
    took = round((time.monotonic() - begun) * 1000)
    conclusion = f", {story['conclusion']}" if story.get("conclusion") else ""
    return Act(
        title="a workflow job",
        what=f"runs-on: chaser, in {REPOSITORY}",
        outcome=f"{story.get('state')}{conclusion}",
        took_ms=took,
        output=log + timeline(story),
        as_expected=(story.get("state"), story.get("conclusion")) == ("done", "success"),
        document={**job, "github": story},
    )


def timeline(story: Document) -> str:
    """One line: how many milliseconds after the delivery each thing happened, by this machine's clock."""
    # GitHub's own times are whole seconds, by its clock: what it tells counts when it is told.
    theirs = {"created", "running", "completed"}
    moments = {
        name.replace("_", " "): value
        for name, value in document.table(story.get("timeline")).items()
        if name not in theirs
    }
    for delivery in map(document.table, document.items(story.get("deliveries"))):
        told = {"in_progress": "running", "completed": "done"}.get(str(delivery.get("action")))
        if told is not None:
            moments.setdefault(told, delivery.get("received_at"))
    at = {name: datetime.fromisoformat(value) for name, value in moments.items() if isinstance(value, str)}
    first = at.pop("delivered", None)
    if first is None:
        return ""
    told = [
        f"{name} +{round((moment - first).total_seconds() * 1000)} ms"
        for name, moment in sorted(at.items(), key=lambda each: each[1])
    ]
    return f"(delivered, {', '.join(told)})\n"


def _github(stage: Stage) -> httpx.Client:
    return httpx.Client(base_url=stage.github, trust_env=False, timeout=_PATIENCE_SECONDS)


def _pushed(stage: Stage) -> int:
    """GitHub's id of the job."""
    words = [word for step in STEPS for word in ("--command", step)]
    ended = stage.program(
        "chaser.simulator", "run", "--simulator", stage.github, "--repository", REPOSITORY, *words
    )
    jobs = document.items(document.parse(ended.stdout).get("jobs"))
    if ended.returncode != 0 or not jobs:
        raise Failure("demo_failed", f"No workflow was started: {ended.stdout}{ended.stderr}".strip(), 1)
    return document.count(document.table(jobs[0]).get("id"))


def _planned(stage: Stage, github: httpx.Client, workflow_job_id: int) -> str:
    """The job whose runner is to serve it. It is stored with the delivery, which is answered by then."""
    github.get("/_sim/state")
    story = call(stage.service, "GET", f"/v1/github/jobs/{workflow_job_id}")
    if not isinstance(story.get("job_id"), str):
        raise Failure("demo_failed", f"No runner is planned: {story.get('why')}", 1)
    return str(story["job_id"])


def _carried(stage: Stage, github: httpx.Client, job_id: str) -> str:
    """The log of the runner, each line of which GitHub has heard as it was written."""
    log: list[str] = []
    runner = ""
    with (
        client(stage.service) as made,
        made.stream("GET", f"/v1/jobs/{quote(job_id)}/logs", params={"follow": "true"}) as response,
    ):
        if not response.is_success:
            response.read()
            answered(response)
        for line in response.iter_lines():
            log.append(f"{line}\n")
            runner = runner or _registered(github, job_id)
            github.post("/_sim/heard", json={"runner": runner, "line": line})
    return "".join(log)


def _registered(github: httpx.Client, job_id: str) -> str:
    """The name of the job's runner at GitHub, which is there before its log."""
    known = document.items(document.parse(github.get("/_sim/state").content).get("runners"))
    names = [str(document.table(runner).get("name")) for runner in known]
    return next((name for name in names if job_id.removeprefix("job_") in name), "")
