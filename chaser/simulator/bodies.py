"""Bodies that GitHub's REST answers and its deliveries have in common: accounts, repositories, installations.

https://docs.github.com/en/rest/apps/apps
"""

import zlib
from collections.abc import Iterable
from typing import Literal

API = "https://api.github.com"
WEB = "https://github.com"
AT = "2026-01-01T00:00:00Z"
"""When everything was made whose time nobody asks for."""

Kind = Literal["User", "Organization"]

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


def number(name: str) -> int:
    """The id of what has this name: the same each time, and not that of another."""
    return zlib.crc32(name.lower().encode()) + 1


def account(login: str, kind: Kind) -> dict[str, object]:
    api = f"{API}/users/{login}"
    return {
        "login": login,
        "id": number(login),
        "node_id": "U_kgDOAAAAAA",
        "avatar_url": f"https://avatars.githubusercontent.com/{login}",
        "gravatar_id": "",
        "url": api,
        "html_url": f"{WEB}/{login}",
        "type": kind,
        "site_admin": False,
        **_urls(api, _ACCOUNT_URLS),
    }


def organization(login: str) -> dict[str, object]:
    api = f"{API}/orgs/{login}"
    return {
        "login": login,
        "id": number(login),
        "node_id": "O_kgDOAAAAAA",
        "url": api,
        "avatar_url": f"https://avatars.githubusercontent.com/{login}",
        "description": None,
        **_urls(api, _ORGANIZATION_URLS),
    }


def repository(full_name: str, kind: Kind, *, private: bool = True, at: str = AT) -> dict[str, object]:
    """`kind` is the owner's."""
    owner, _, name = full_name.partition("/")
    api = f"{API}/repos/{full_name}"
    return {
        "id": number(full_name),
        "node_id": "R_kgDOAAAAAA",
        "name": name,
        "full_name": full_name,
        "private": private,
        "owner": account(owner, kind),
        "html_url": f"{WEB}/{full_name}",
        "url": api,
        "description": None,
        "fork": False,
        "license": None,
        "homepage": None,
        "language": None,
        "mirror_url": None,
        "default_branch": "main",
        "visibility": "private" if private else "public",
        "disabled": False,
        "archived": False,
        "has_pages": False,
        **dict.fromkeys(("created_at", "updated_at", "pushed_at"), at),
        **dict.fromkeys(_REPOSITORY_COUNTS.split(), 0),
        **_urls(api, _REPOSITORY_URLS),
    }


def deployment(repository: str, environment: str, number: int, at: tuple[str, str]) -> dict[str, object]:
    """To an environment, with the times of its making and its last change.

    https://docs.github.com/en/rest/deployments/deployments
    """
    api = f"{API}/repos/{repository}/deployments/{number}"
    return {
        "id": number,
        "node_id": "DE_kwDOAAAAAA",
        "url": api,
        "sha": "0" * 40,
        "ref": "main",
        "task": "deploy",
        "payload": {},
        "original_environment": environment,
        "environment": environment,
        "description": None,
        "creator": account("octocat", "User"),
        "created_at": at[0],
        "updated_at": at[1],
        "statuses_url": f"{api}/statuses",
        "repository_url": f"{API}/repos/{repository}",
    }


def short_repositories(names: Iterable[str]) -> list[dict[str, object]]:
    """As installation events list them."""
    return [
        {
            "id": number(name),
            "node_id": "R_kgDOAAAAAA",
            "name": name.partition("/")[2],
            "full_name": name,
            "private": True,
        }
        for name in names
    ]


def _urls(base: str, names: str) -> dict[str, str]:
    return {name: f"{base}/{name.removesuffix('_url')}" for name in names.split()}
