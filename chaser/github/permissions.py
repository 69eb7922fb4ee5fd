"""What the App's permissions are called, and whether they are enough.

https://docs.github.com/en/rest/authentication/permissions-required-for-github-apps
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

ORGANIZATION_RUNNERS: Final = "organization_self_hosted_runners"
REPOSITORY_RUNNERS: Final = "administration"
"""Strong, but the only one with which GitHub lets an App register a runner for a repository."""
ACTIONS: Final = "actions"
METADATA: Final = "metadata"

EVENT: Final = "workflow_job"
"""The only event that must be subscribed to; GitHub tells of installations in any case."""

_LEVELS = {"read": 1, "write": 2, "admin": 3}
_TITLES = {
    ORGANIZATION_RUNNERS: "Self-hosted runners (organization)",
    REPOSITORY_RUNNERS: "Administration (repository)",
    ACTIONS: "Actions (repository)",
    METADATA: "Metadata (repository)",
}
"""As the pages of the App's settings call them."""
_LEVEL_TITLES = {"read": "read-only", "write": "read and write", "admin": "admin"}


@dataclass(frozen=True, slots=True)
class Permission:
    name: str
    level: str


NEEDED: Final = (Permission(METADATA, "read"), Permission(ACTIONS, "read"))
"""Whatever the account."""


def enough(granted: Mapping[str, str], permission: Permission) -> bool:
    return _LEVELS.get(granted.get(permission.name, ""), 0) >= _LEVELS.get(permission.level, 9)


def may_register(granted: Mapping[str, str], name: str) -> bool:
    """Whether runners can be registered by this permission."""
    return enough(granted, Permission(name, "write"))


def missing(accepted: str, granted: Mapping[str, str]) -> tuple[Permission, ...]:
    """What is lacking of the permissions that GitHub's header `X-Accepted-GitHub-Permissions` names; none: nothing.

    It names alternatives, separated by semicolons, each of one permission or several: `actions=read,contents=write; …`.
    """
    choices = [
        lacking
        for choice in accepted.split(";")
        if (named := _named(choice))
        for lacking in [tuple(each for each in named if not enough(granted, each))]
    ]
    return min(choices, key=len, default=())


def title(permission: Permission) -> str:
    """As GitHub's pages call it."""
    return f"{_TITLES.get(permission.name, permission.name)}: {_LEVEL_TITLES.get(permission.level, permission.level)}"


def titled(permissions: tuple[Permission, ...]) -> str:
    return " and ".join(f'"{title(each)}"' for each in permissions)


def _named(choice: str) -> list[Permission]:
    pairs = (part.strip().partition("=") for part in choice.split(","))
    return [Permission(name, level) for name, equals, level in pairs if equals]
