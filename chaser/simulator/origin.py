"""What started a run of a workflow, and from where: what GitHub says of a run, and not of its jobs.

https://docs.github.com/en/actions/reference/workflows-and-actions/events-that-trigger-workflows
"""

from dataclasses import dataclass

from chaser.simulator import bodies


@dataclass(frozen=True, slots=True)
class Origin:
    event: str = "push"
    head_repository: str | None = None
    """Where the commit is from; none: the repository itself."""
    gone: bool = False
    """The head repository was deleted."""
    actor: str = "octocat"
    triggering_actor: str | None = None
    """None: the actor."""
    workflow: str = ".github/workflows/ci.yml"
    branch: str = "main"
    association: str = "NONE"
    """How the actor stands to the repository, as the author of the pull request."""

    @property
    def of_pull_request(self) -> bool:
        return self.event.startswith("pull_request")

    def of(self, repository: str) -> str:
        return self.head_repository or repository


def pull_request(repository: str, number: int, origin: Origin, *, private: bool) -> dict[str, object]:
    """As a list has it. https://docs.github.com/en/rest/pulls/pulls#list-pull-requests"""
    api = f"{bodies.API}/repos/{repository}"
    page = f"{bodies.WEB}/{repository}/pull/{number}"
    base = _end(repository, "main", private=private)
    head = _end(origin.of(repository), origin.branch, private=private)
    links = {
        "html": page,
        "issue": f"{api}/issues/{number}",
        "comments": f"{api}/issues/{number}/comments",
        "review_comments": f"{api}/pulls/{number}/comments",
        "review_comment": f"{api}/pulls/comments{{/number}}",
        "commits": f"{api}/pulls/{number}/commits",
        "statuses": f"{api}/statuses/{'0' * 40}",
    }
    own = {"self": f"{api}/pulls/{number}", **links}
    return {
        "id": bodies.number(page),
        "node_id": "PR_kwDOAAAAAA",
        "number": number,
        "url": own["self"],
        "diff_url": f"{page}.diff",
        "patch_url": f"{page}.patch",
        **{f"{name}_url": link for name, link in links.items()},
        "_links": {name: {"href": link} for name, link in own.items()},
        "state": "open",
        "locked": False,
        "title": "Try it",
        "user": bodies.account(origin.actor, "User"),
        "body": None,
        "labels": [],
        "milestone": None,
        "created_at": bodies.AT,
        "updated_at": bodies.AT,
        "closed_at": None,
        "merged_at": None,
        "merge_commit_sha": None,
        "assignee": None,
        "head": head,
        "base": base,
        "author_association": origin.association,
        "auto_merge": None,
    }


def _end(repository: str, branch: str, *, private: bool) -> dict[str, object]:
    owner = repository.partition("/")[0]
    return {
        "label": f"{owner}:{branch}",
        "ref": branch,
        "sha": "0" * 40,
        "user": bodies.account(owner, "User"),
        "repo": bodies.repository(repository, "User", private=private),
    }
