"""The documented payloads of deliveries: `workflow_job`, `installation`, `installation_repositories`, `ping`.

https://docs.github.com/en/webhooks/webhook-events-and-payloads#workflow_job
"""

import secrets
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Literal

from chaser.simulator import bodies

Blank = Literal[0, ""] | None
"""What GitHub has in the place of a runner where there is none: all three have been seen."""


@dataclass(frozen=True, slots=True)
class Step:
    """`always`: it runs also after a failure or a cancel."""

    name: str
    run: str
    always: bool = False
    conclusion: str | None = None
    """None: it has not ended."""


@dataclass(frozen=True, slots=True)
class Job:
    """A workflow job as GitHub knows it. `organization`: the owner's login, where it is one."""

    labels: tuple[str, ...]
    repository: str = "octocat/example"
    organization: str | None = None
    installation_id: int | None = 1
    id: int = field(default_factory=lambda: secrets.randbelow(1 << 40) + 1)
    run_id: int = field(default_factory=lambda: secrets.randbelow(1 << 40) + 1)
    name: str = "build"
    at: datetime = field(default_factory=lambda: datetime.now(UTC))
    private: bool = True
    attempt: int = 1
    branch: str = "main"
    event: str = "push"
    """What started its run."""
    status: str = "queued"
    conclusion: str | None = None
    started: datetime | None = None
    ended: datetime | None = None
    environment: str | None = None
    """Whose approval it waits for, or has got."""
    gated: datetime = field(default_factory=lambda: datetime.now(UTC))
    """When that last changed."""
    again_of: int | None = None
    """The job of an earlier attempt that this one runs again."""
    runner_id: int | None = None
    runner_name: str | None = None
    runner_group: tuple[int, str] | None = None
    blank: Blank = None
    steps: tuple[Step, ...] = ()
    cancelling: bool = False

    @property
    def kind(self) -> bodies.Kind:
        return "User" if self.organization is None else "Organization"


def workflow_job(action: str, job: Job) -> dict[str, object]:
    """The payload of a delivery. A job that nothing has happened to yet is told with the action as its status."""
    owner = job.repository.partition("/")[0]
    body = job_body(job)
    if job.status == "queued":
        body["status"] = action
    payload: dict[str, object] = {
        "action": action,
        "workflow_job": body,
        "repository": bodies.repository(job.repository, job.kind, private=job.private, at=_time(job.at)),
        "sender": bodies.account(owner if job.organization is None else "octocat", "User"),
    }
    if job.environment is not None:
        at = _time(job.at), _time(job.gated)
        payload["deployment"] = bodies.deployment(job.repository, job.environment, job.run_id, at)
    if job.organization is not None:
        payload["organization"] = bodies.organization(job.organization)
    if job.installation_id is not None:
        payload["installation"] = {"id": job.installation_id, "node_id": "MDIzOkludGVncmF0aW9u"}
    return payload


def job_body(job: Job) -> dict[str, object]:
    """Also of the REST API: https://docs.github.com/en/rest/actions/workflow-jobs"""
    api = f"{bodies.API}/repos/{job.repository}"
    group = job.runner_group or (job.blank, job.blank)
    return {
        "id": job.id,
        "run_id": job.run_id,
        "workflow_name": "CI",
        "head_branch": job.branch,
        "run_url": f"{api}/actions/runs/{job.run_id}",
        "run_attempt": job.attempt,
        "node_id": "CR_kwDOAAAAAA",
        "head_sha": "0" * 40,
        "url": f"{api}/actions/jobs/{job.id}",
        "html_url": f"{bodies.WEB}/{job.repository}/actions/runs/{job.run_id}/job/{job.id}",
        "status": job.status,
        "conclusion": job.conclusion,
        "created_at": _time(job.at),
        # Of a job that waits it is no start: the same as `created_at`.
        "started_at": _time(job.started or job.at),
        "completed_at": None if job.ended is None else _time(job.ended),
        "name": job.name,
        "steps": [_step(job, place, step) for place, step in enumerate(job.steps, start=1)]
        if job.started
        else [],
        "check_run_url": f"{api}/check-runs/{job.id}",
        "labels": list(job.labels),
        "runner_id": job.blank if job.runner_id is None else job.runner_id,
        "runner_name": job.blank if job.runner_name is None else job.runner_name,
        "runner_group_id": group[0],
        "runner_group_name": group[1],
    }


def _step(job: Job, place: int, step: Step) -> dict[str, object]:
    at = None if step.conclusion is None else _time(job.started or job.at)
    status = "queued" if step.conclusion is None else "completed"
    return {
        "name": step.name,
        "status": status,
        "conclusion": step.conclusion,
        "number": place,
        "started_at": at,
        "completed_at": at,
    }


def installation_event(
    action: str, installation: Mapping[str, object], repositories: Iterable[str] | None
) -> dict[str, object]:
    """`repositories`: those that `created` and `deleted` list."""
    payload: dict[str, object] = {
        "action": action,
        "installation": installation,
        "sender": installation["account"],
    }
    if repositories is not None:
        payload["repositories"] = bodies.short_repositories(repositories)
    if action == "created":
        payload["requester"] = None
    return payload


def repositories_event(
    action: Literal["added", "removed"], installation: Mapping[str, object], names: Iterable[str]
) -> dict[str, object]:
    listed = bodies.short_repositories(names)
    return {
        **installation_event(action, installation, None),
        "repository_selection": installation["repository_selection"],
        "repositories_added": listed if action == "added" else [],
        "repositories_removed": listed if action == "removed" else [],
        "requester": None,
    }


def ping(app_id: int = 1) -> dict[str, object]:
    """What GitHub sends when a webhook is made."""
    hook = {
        "type": "App",
        "id": 1,
        "name": "web",
        "active": True,
        "events": ["workflow_job"],
        "app_id": app_id,
        "config": {"content_type": "json", "insecure_ssl": "0"},
        "created_at": bodies.AT,
        "updated_at": bodies.AT,
        "deliveries_url": f"{bodies.API}/app/hook/deliveries",
    }
    return {"zen": "Keep it logically awesome.", "hook_id": 1, "hook": hook}


def _time(at: datetime) -> str:
    return at.strftime("%Y-%m-%dT%H:%M:%SZ")
