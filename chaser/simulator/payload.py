"""The documented `workflow_job` payload.

https://docs.github.com/en/webhooks/webhook-events-and-payloads#workflow_job
"""

import secrets
from dataclasses import dataclass, field
from datetime import UTC, datetime

from chaser.simulator.world import WaitingJob

_API = "https://api.github.com"
_REPOSITORY_URLS = (
    "archive_url assignees_url blobs_url branches_url collaborators_url comments_url commits_url compare_url "
    "contents_url contributors_url deployments_url downloads_url events_url forks_url git_commits_url git_refs_url "
    "git_tags_url git_url hooks_url issue_comment_url issue_events_url issues_url keys_url labels_url languages_url "
    "merges_url milestones_url notifications_url pulls_url releases_url ssh_url stargazers_url statuses_url "
    "subscribers_url subscription_url svn_url tags_url teams_url trees_url clone_url"
)
_REPOSITORY_COUNTS = (
    "forks forks_count stargazers_count watchers watchers_count size open_issues open_issues_count"
)
_ACCOUNT_URLS = (
    "followers_url following_url gists_url starred_url subscriptions_url organizations_url repos_url events_url "
    "received_events_url"
)
_ORGANIZATION_URLS = "repos_url events_url hooks_url issues_url members_url public_members_url"


@dataclass(frozen=True, slots=True)
class Job:
    """A workflow job to tell of. `organization`: the owner's login, where it is one."""

    labels: tuple[str, ...]
    repository: str = "octocat/example"
    organization: str | None = None
    installation_id: int | None = 1
    id: int = field(default_factory=lambda: secrets.randbelow(1 << 40) + 1)
    run_id: int = field(default_factory=lambda: secrets.randbelow(1 << 40) + 1)
    name: str = "build"
    at: datetime = field(default_factory=lambda: datetime.now(UTC))

    def waiting(self) -> WaitingJob:
        return WaitingJob(self.id, self.name, frozenset(label.lower() for label in self.labels))


def workflow_job(action: str, job: Job) -> dict[str, object]:
    """The payload of a delivery for a job that no runner has taken yet."""
    owner = job.repository.partition("/")[0]
    payload: dict[str, object] = {
        "action": action,
        "workflow_job": _job(action, job),
        "repository": _repository(job),
        "sender": _account(owner if job.organization is None else "octocat", "User"),
    }
    if job.organization is not None:
        payload["organization"] = _organization(job.organization)
    if job.installation_id is not None:
        payload["installation"] = {"id": job.installation_id, "node_id": "MDIzOkludGVncmF0aW9u"}
    return payload


def _job(status: str, job: Job) -> dict[str, object]:
    api = f"{_API}/repos/{job.repository}"
    at = _time(job.at)
    return {
        "id": job.id,
        "run_id": job.run_id,
        "workflow_name": "CI",
        "head_branch": "main",
        "run_url": f"{api}/actions/runs/{job.run_id}",
        "run_attempt": 1,
        "node_id": "CR_kwDOAAAAAA",
        "head_sha": "0" * 40,
        "url": f"{api}/actions/jobs/{job.id}",
        "html_url": f"https://github.com/{job.repository}/actions/runs/{job.run_id}/job/{job.id}",
        "status": status,
        "conclusion": None,
        "created_at": at,
        "started_at": at,
        "completed_at": None,
        "name": job.name,
        "steps": [],
        "check_run_url": f"{api}/check-runs/{job.id}",
        "labels": list(job.labels),
        "runner_id": None,
        "runner_name": None,
        "runner_group_id": None,
        "runner_group_name": None,
    }


def _repository(job: Job) -> dict[str, object]:
    owner, _, name = job.repository.partition("/")
    api = f"{_API}/repos/{job.repository}"
    return {
        "id": 1,
        "node_id": "R_kgDOAAAAAA",
        "name": name,
        "full_name": job.repository,
        "private": True,
        "owner": _account(owner, "User" if job.organization is None else "Organization"),
        "html_url": f"https://github.com/{job.repository}",
        "url": api,
        "description": None,
        "fork": False,
        "license": None,
        "homepage": None,
        "language": None,
        "mirror_url": None,
        "default_branch": "main",
        "visibility": "private",
        "disabled": False,
        "archived": False,
        "has_pages": False,
        **dict.fromkeys(("created_at", "updated_at", "pushed_at"), _time(job.at)),
        **dict.fromkeys(_REPOSITORY_COUNTS.split(), 0),
        **_urls(api, _REPOSITORY_URLS),
    }


def _account(login: str, kind: str) -> dict[str, object]:
    api = f"{_API}/users/{login}"
    return {
        "login": login,
        "id": 1,
        "node_id": "U_kgDOAAAAAA",
        "avatar_url": f"https://avatars.githubusercontent.com/{login}",
        "gravatar_id": "",
        "url": api,
        "html_url": f"https://github.com/{login}",
        "type": kind,
        "site_admin": False,
        **_urls(api, _ACCOUNT_URLS),
    }


def _organization(login: str) -> dict[str, object]:
    api = f"{_API}/orgs/{login}"
    return {
        "login": login,
        "id": 1,
        "node_id": "O_kgDOAAAAAA",
        "url": api,
        "avatar_url": f"https://avatars.githubusercontent.com/{login}",
        "description": None,
        **_urls(api, _ORGANIZATION_URLS),
    }


def _urls(base: str, names: str) -> dict[str, str]:
    return {name: f"{base}/{name.removesuffix('_url')}" for name in names.split()}


def _time(at: datetime) -> str:
    return at.strftime("%Y-%m-%dT%H:%M:%SZ")
