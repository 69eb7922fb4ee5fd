"""Jobs of strangers, and a service that knows what to do with them."""

import json
from collections.abc import Mapping
from typing import Any

from tests.acceptance.service import Service
from tests.acceptance.waiting import until

PUBLIC, PRIVATE = "octocat/public", "octocat/private"
RULES = [
    {"then": "refuse", "forks": True, "actors": ["mallory"]},
    {"then": "run", "profile": "strangers", "forks": True, "associations": ["CONTRIBUTOR"]},
]
FORK = {
    "event": "pull_request",
    "head_repository": "stranger/public",
    "actor": "stranger",
    "branch": "patch-1",
}
CHASER = {"labels": ["chaser"]}
STEALING = {
    "labels": ["chaser"],
    "steps": [
        {"name": "steal", "run": "echo STOLEN"},
        {"name": "steal always", "run": "echo STOLEN-ALWAYS", "always": True},
    ],
}


def settings(**more: str) -> Mapping[str, str]:
    return {
        "CHASER_GITHUB__PUBLIC_REPOSITORIES": "octocat/public",
        "CHASER_GITHUB__RULES": json.dumps(RULES),
        "CHASER_PROFILES__STRANGERS__REGISTRIES": "",
        "CHASER_PROFILES__OWN__REPOSITORIES": "octocat/own",
        **more,
    }


def demand(service: Service, workflow_job_id: int) -> Mapping[str, Any]:
    return service.http.get(f"/v1/github/jobs/{workflow_job_id}").json()


def demand_when(service: Service, workflow_job_id: int, state: str) -> Mapping[str, Any]:
    return until(
        lambda: found if (found := demand(service, workflow_job_id)).get("state") == state else None,
        f"{workflow_job_id} to be {state}",
    )


def logs(service: Service) -> str:
    return "".join(
        service.output(job).decode()
        for (job,) in service.rows("SELECT id FROM jobs WHERE kind = 'github.runner'")
    )
